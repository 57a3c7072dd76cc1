"""Pricing: what things cost, and the taxes on them."""

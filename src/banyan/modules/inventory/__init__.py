"""Inventory: what is there, and for whom it is held."""

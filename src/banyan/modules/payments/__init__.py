"""Payments: money set aside, taken and given back."""

"""Ordering: carts, and the orders they become."""

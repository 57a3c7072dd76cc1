"""Catalog: what the shop has to offer."""

"""A payment service provider to test against: a bank outside the shop, known to it by HTTP only."""

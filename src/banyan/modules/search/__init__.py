"""Search: the product document that lists and pages are read from."""

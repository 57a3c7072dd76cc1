"""The business: one folder per domain."""

"""The outside world and optional business: one folder per provider or capability."""

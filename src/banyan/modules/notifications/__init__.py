"""Notifications: what the shop tells people."""

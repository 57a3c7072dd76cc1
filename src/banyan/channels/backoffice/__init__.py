"""The back office: where the people who run the shop do their work."""

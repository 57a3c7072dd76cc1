"""Where people meet the shop: each channel is a folder that stands on contracts only."""

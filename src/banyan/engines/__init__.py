"""The engines that a shop stands on, started locally from wheels."""

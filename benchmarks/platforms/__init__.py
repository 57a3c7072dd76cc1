"""The platforms that can be measured, an adapter file for each."""

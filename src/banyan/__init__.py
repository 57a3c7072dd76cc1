"""Banyan: a headless commerce platform whose modules live in one process or in many."""

"""The SQL of ordering: one function, one statement."""

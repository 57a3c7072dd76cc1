"""The SQL of search: one function, one statement."""

"""Which statements were run so far: tests assert what an operation costs."""

from __future__ import annotations


class Tally:
    """Statements in the order in which they were run, by module.

    What was committed stands as `COMMIT`, also where one statement is a transaction of its own;
    a transaction of several begins with `BEGIN`.
    """

    def __init__(self) -> None:
        self.run: list[tuple[str, str]] = []
        self.watching = False

    def add(self, module: str, sql: str) -> None:
        """Write one down, if somebody watches."""
        if self.watching:
            self.run.append((module, sql))


statements = Tally()

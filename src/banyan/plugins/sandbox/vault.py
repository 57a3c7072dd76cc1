"""The bank's durable memory: one SQLite file, one writer at a time."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SCHEMA = Path(__file__).with_name("schema.sql")


class Vault:
    """A SQLite database in which a commit outlives a kill and a power cut.

    One thread uses it. A transaction takes a few milliseconds and there is only one at a time
    anyway, so waiting for it elsewhere would buy nothing.
    """

    def __init__(self, file: Path) -> None:
        self.connection = sqlite3.connect(file, isolation_level=None, timeout=10)
        self.connection.row_factory = sqlite3.Row
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("PRAGMA synchronous = FULL")
        self.connection.execute("PRAGMA foreign_keys = ON")
        self.connection.executescript(SCHEMA.read_text(encoding="utf-8"))

    def close(self) -> None:
        """Fold the write-ahead log into the file and let go of it."""
        self.connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Do all or nothing; inside another transaction, undo only this part of it."""
        if self.connection.in_transaction:
            start, keep, drop = "SAVEPOINT part", "RELEASE part", "ROLLBACK TO part; RELEASE part"
        else:
            start, keep, drop = "BEGIN IMMEDIATE", "COMMIT", "ROLLBACK"
        self.connection.execute(start)
        try:
            yield
            self.connection.execute(keep)
        except BaseException:
            # A full disk makes SQLite roll back by itself; then nothing is left to undo.
            if self.connection.in_transaction:
                for step in drop.split(";"):
                    self.connection.execute(step)
            raise

    def all(self, sql: str, *values: object) -> list[sqlite3.Row]:
        """Every row of an answer."""
        return self.connection.execute(sql, values).fetchall()

    def one(self, sql: str, *values: object) -> sqlite3.Row | None:
        """The only row of an answer, if there is one."""
        rows = self.all(sql, *values)
        assert len(rows) <= 1, sql
        return rows[0] if rows else None

    def change(self, sql: str, *values: object) -> None:
        """Run a statement that answers nothing."""
        self.connection.execute(sql, values)

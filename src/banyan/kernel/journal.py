"""The row of a saga: every write of progress is one statement and names the owner's epoch.

What a step came to is written with the next progress, if that is soon: until then it is as if we
had not heard the answer, and whoever takes over asks once more.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec
from msgspec import structs

from banyan.kernel import fault
from banyan.kernel.contract import ToldProblem, Value
from banyan.kernel.database import Database
from banyan.kernel.transaction import Transaction

LEASE_SECONDS = 10.0
"""How long an owner may be silent. Every step is shorter, so progress alone renews the lease."""
FRESH = timedelta(seconds=2)
"""How long after a write what a step came to may wait for the next: a step more fits the lease."""

Status = Literal["run", "undo", "done", "undone", "stuck"]

WAIT = "wait "
"""How the name of a step begins that waits for a signal."""

BACK = "attempt = 0, undone = undone + 1"

COLUMNS = (
    "id, kind, arguments, journal, signals, undone, status, epoch, news, attempt, error, result, "
    "traceparent"
)


class LostLease(Exception):
    """Another owner has taken the saga over; this one stops without a trace."""


class Entry(Value, frozen=True, kw_only=True):
    """What the journal remembers of one step: its answer or its refusal, or until when it waits."""

    step: str
    at: datetime | None = None
    answer: Any = None
    problem: ToldProblem | None = None
    until: datetime | None = None


class Row(msgspec.Struct, kw_only=True):
    """A saga as its owner knows it; kept equal to the database by what it writes."""

    id: str
    kind: str
    arguments: dict[str, Any]
    journal: list[Entry] = []
    signals: dict[str, Any] = {}
    undone: int = 0
    status: Status = "run"
    epoch: int = 0
    news: int = 0
    attempt: int = 0
    trouble: str | None = None
    error: ToldProblem | None = None
    result: Any = None
    traceparent: str = ""
    written_at: datetime | None = None

    @property
    def ended(self) -> bool:
        """Tell whether there is nothing left to do."""
        return self.status in ("done", "undone")

    async def remember(self, database: Database, entry: Entry) -> None:
        """Append what a step came to; it is written down with the next progress, or now."""
        now = database.clock.now()
        self.journal.append(structs.replace(entry, at=now))
        self.attempt = 0
        if not self.written_at or now - self.written_at >= FRESH:
            await self._write(database, "attempt = 0")

    def note(self, tx: Transaction, entry: Entry, *, last: bool) -> None:
        """Remember a step with its own transaction, and end with it if it is the last."""
        now = tx.database.clock.now()
        journal = [*self.journal, structs.replace(entry, at=now)]
        change, values = self._end("done", entry.answer, now) if last else ("attempt = 0", ())

        def noted(_: int) -> None:
            self.journal, self.attempt, self.written_at = journal, 0, now
            if last:
                self.status, self.result = "done", entry.answer

        tx.put(*self._kept(now, change, values, journal), rows=1, then=noted)

    def note_back(self, tx: Transaction) -> None:
        """Note that one more step was undone, with the transaction that undid it."""
        now = tx.database.clock.now()
        tx.put(*self._kept(now, BACK, (), self.journal), rows=1, then=self._stepped_back)

    async def settle(self, database: Database, entry: Entry) -> None:
        """Replace the last entry, a wait, by what came of it."""
        journal = [*self.journal[:-1], structs.replace(entry, at=database.clock.now())]
        signal = entry.step.removeprefix(WAIT)
        await self._write(database, "signals = signals - $5::text", signal, journal=journal)
        self.journal = journal

    async def step_back(self, database: Database) -> None:
        """Note that one more step was undone."""
        await self._write(database, BACK)
        self._stepped_back(1)

    async def turn(self, database: Database, why: ToldProblem) -> None:
        """Begin the way back."""
        await self._write(database, "attempt = 0, status = 'undo', error = $5", why)
        self.status, self.error, self.attempt = "undo", why, 0

    async def renew(self, database: Database) -> None:
        """Keep the lease for another attempt, of which there is nothing to remember."""
        await self._write(database, "attempt = $5, trouble = $6", self.attempt, self.trouble)

    async def refresh(self, database: Database) -> None:
        """See what stands of a transaction of which we have not heard how it ended."""
        row = await database.one(
            "SELECT journal, undone, status, result FROM sagas WHERE id = $1 AND epoch = $2",
            self.id,
            self.epoch,
        )
        if row is None:
            raise LostLease
        written = msgspec.convert(row["journal"], list[Entry])
        if len(written) > len(self.journal):
            self.journal = written
        self.undone, self.status, self.result = row["undone"], row["status"], row["result"]

    async def end(self, database: Database, status: Status, result: Any = None) -> None:
        """Note the end. What the saga was given is dropped: it may hold what should not stay."""
        change, values = self._end(status, result, database.clock.now())
        await self._write(database, change, *values)
        self.status, self.result = status, result

    async def park(self, database: Database) -> None:
        """Wait for an operator: even the way back failed."""
        change = "status = 'stuck', trouble = $5, owner = NULL"
        await self._write(database, change, self.trouble)
        self.status = "stuck"

    async def leave(self, database: Database, until: datetime) -> None:
        """Give the lease up until a moment, or until there is news that we have not seen."""
        change = (
            "owner = NULL, attempt = $5, trouble = $6, due_at = CASE "
            "WHEN news <> $7 THEN $8::timestamptz ELSE $3::timestamptz END"
        )
        values = self.attempt, self.trouble, self.news, database.clock.now()
        await self._progress(database, self._update(until, change, values, self.journal))

    def _stepped_back(self, _: int) -> None:
        self.undone, self.attempt = self.undone + 1, 0

    def _end(self, status: Status, result: Any, now: datetime) -> tuple[str, tuple[Any, ...]]:
        change = (
            "result = $5, status = $6, error = $7, arguments = '{}', owner = NULL, ended_at = $8"
        )
        return change, (result, status, self.error, now)

    async def _write(
        self,
        database: Database,
        change: str,
        *values: object,
        journal: Sequence[Entry] | None = None,
    ) -> None:
        now = database.clock.now()
        kept = self.journal if journal is None else journal
        await self._progress(database, self._kept(now, change, values, kept))
        self.written_at = now

    def _kept(
        self, now: datetime, change: str, values: Sequence[object], journal: Sequence[Entry]
    ) -> tuple[Any, ...]:
        """Change something, and keep the lease."""
        lease = now + timedelta(seconds=LEASE_SECONDS)
        return self._update(lease, f"due_at = $3, {change}", values, journal)

    def _update(
        self, moment: datetime, change: str, values: Sequence[object], journal: Sequence[Entry]
    ) -> tuple[Any, ...]:
        """Say how the row changes while it is ours: the statement, and its values."""
        sql = (
            f"UPDATE sagas SET journal = $4, {change} "
            "WHERE id = $1 AND epoch = $2 AND status IN ('run', 'undo')"
        )
        return sql, self.id, self.epoch, moment, journal, *values

    async def _progress(self, database: Database, update: tuple[Any, ...]) -> None:
        sql, *values = update
        fault.reached(f"before progress {self.kind}")
        row = await database.one(f"{sql} RETURNING signals, news", *values)
        fault.reached(f"after progress {self.kind}")
        if row is None:
            raise LostLease
        self.signals, self.news = row["signals"], row["news"]

"""The row of a saga: every write of progress is one statement and names the owner's epoch."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec
from msgspec import structs

from banyan.kernel import fault
from banyan.kernel.contract import ToldProblem, Value
from banyan.kernel.database import Database

LEASE_SECONDS = 10.0
"""How long an owner may be silent. Every step is shorter, so progress alone renews the lease."""

Status = Literal["run", "undo", "done", "undone", "stuck"]

WAIT = "wait "
"""How the name of a step begins that waits for a signal."""

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

    @property
    def ended(self) -> bool:
        """Tell whether there is nothing left to do."""
        return self.status in ("done", "undone")

    async def remember(self, database: Database, entry: Entry) -> None:
        """Append what a step came to."""
        entry = structs.replace(entry, at=database.clock.now())
        await self._write(database, "attempt = 0, journal = journal || $4", [entry])
        self.journal.append(entry)
        self.attempt = 0

    async def settle(self, database: Database, entry: Entry) -> None:
        """Replace the last entry, a wait, by what came of it."""
        entry = structs.replace(entry, at=database.clock.now())
        await self._write(
            database,
            "journal = jsonb_set(journal, '{-1}', $4), signals = signals - $5::text",
            entry,
            entry.step.removeprefix(WAIT),
        )
        self.journal[-1] = entry

    async def step_back(self, database: Database) -> None:
        """Note that one more step was undone."""
        await self._write(database, "attempt = 0, undone = undone + $4", 1)
        self.undone += 1

    async def turn(self, database: Database, why: ToldProblem) -> None:
        """Begin the way back."""
        await self._write(database, "attempt = 0, status = 'undo', error = $4", why)
        self.status, self.error, self.attempt = "undo", why, 0

    async def renew(self, database: Database) -> None:
        """Keep the lease for another attempt, of which there is nothing to remember."""
        await self._write(database, "attempt = $4, trouble = $5", self.attempt, self.trouble)

    async def refresh(self, database: Database) -> None:
        """Forget what was remembered in a transaction that came to nothing."""
        row = await database.one(
            "SELECT journal, undone, status, result FROM sagas WHERE id = $1 AND epoch = $2",
            self.id,
            self.epoch,
        )
        if row is None:
            raise LostLease
        self.journal = msgspec.convert(row["journal"], list[Entry])
        self.undone, self.status, self.result = row["undone"], row["status"], row["result"]

    async def end(
        self, database: Database, status: Status, result: Any = None, *, last: Entry | None = None
    ) -> None:
        """Note the end, perhaps with what the last step came to.

        What the saga was given is dropped: it may hold what should not stay.
        """
        now = database.clock.now()
        await self._write(
            database,
            "result = $4, status = $5, error = $6, arguments = '{}', owner = NULL, ended_at = $7, "
            "journal = journal || $8",
            result,
            status,
            self.error,
            now,
            [structs.replace(last, at=now)] if last else [],
        )
        self.status, self.result = status, result

    async def park(self, database: Database) -> None:
        """Wait for an operator: even the way back failed."""
        await self._write(
            database, "status = $4, trouble = $5, owner = NULL", "stuck", self.trouble
        )
        self.status = "stuck"

    async def leave(self, database: Database, until: datetime) -> None:
        """Give the lease up until a moment, or until there is news that we have not seen."""
        await self._progress(
            database,
            "UPDATE sagas SET owner = NULL, attempt = $4, trouble = $7, due_at = CASE "
            "WHEN news <> $5 THEN $6::timestamptz ELSE $3::timestamptz END",
            until,
            self.attempt,
            self.news,
            database.clock.now(),
            self.trouble,
        )

    async def _write(self, database: Database, change: str, *values: object) -> None:
        lease = database.clock.now() + timedelta(seconds=LEASE_SECONDS)
        await self._progress(database, f"UPDATE sagas SET due_at = $3, {change}", lease, *values)

    async def _progress(self, database: Database, update: str, *values: object) -> None:
        fault.reached(f"before progress {self.kind}")
        row = await database.one(
            f"{update} WHERE id = $1 AND epoch = $2 AND status IN ('run', 'undo') "
            "RETURNING signals, news",
            self.id,
            self.epoch,
            *values,
        )
        fault.reached(f"after progress {self.kind}")
        if row is None:
            raise LostLease
        self.signals, self.news = row["signals"], row["news"]

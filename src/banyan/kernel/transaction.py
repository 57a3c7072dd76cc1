"""A transaction of one module, in as few round trips as it takes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import asyncpg

from banyan.kernel import fault
from banyan.kernel.event import Event
from banyan.kernel.tally import statements

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from banyan.kernel.database import Database

Record = asyncpg.Record
Overtaken = asyncpg.SerializationError
"""Somebody else has changed meanwhile what this was decided by: look again, and decide anew."""

CHANGED = "banyan_changed"
"""The channel on which a commit tells which module no longer shows everybody what it did."""

AtLast = Callable[["Transaction", Sequence[Any]], "Awaitable[object]"]

_PLACE = re.compile(r"\$(\d+)")


class Statements(Protocol):
    """What SQL can be run on: a transaction, or the database outside of one."""

    async def one(self, sql: str, *values: object) -> Record | None:
        """Return the first row, or None."""
        ...

    async def all(self, sql: str, *values: object) -> list[Record]:
        """Return all rows."""
        ...

    async def value(self, sql: str, *values: object) -> Any:
        """Return the first column of the first row, or None."""
        ...


class _Left(NamedTuple):
    """A write that was left for the commit."""

    sql: str
    values: tuple[object, ...]
    rows: int | None
    then: Callable[[int], object] | None


class Transaction:
    """An open transaction of one module. What it tells leaves with its commit, or not at all.

    What is asked for is run at once. What is only `put` goes with the commit, all in one statement;
    where nothing was asked before, that statement is the whole transaction.
    """

    def __init__(self, database: Database, connection: asyncpg.Connection[Record]) -> None:
        self.database = database
        self._connection = connection
        self._begun: asyncpg.transaction.Transaction | None = None
        self._left: list[_Left] = []
        self._told: list[Event] = []
        self._last: dict[AtLast, dict[Any, None]] = {}
        self._after: list[Callable[[], object]] = []
        self._changed = False

    async def one(self, sql: str, *values: object) -> Record | None:
        """Return the first row, or None."""
        connection = await self.connection()
        statements.add(self.database.module, sql)
        return await connection.fetchrow(sql, *values)

    async def all(self, sql: str, *values: object) -> list[Record]:
        """Return all rows."""
        connection = await self.connection()
        statements.add(self.database.module, sql)
        return await connection.fetch(sql, *values)

    async def value(self, sql: str, *values: object) -> Any:
        """Return the first column of the first row, or None."""
        connection = await self.connection()
        statements.add(self.database.module, sql)
        return await connection.fetchval(sql, *values)

    async def execute(self, sql: str, *values: object) -> int:
        """Run a statement and return how many rows it touched."""
        await self.connection()
        return await self._run(sql, values)

    def put(
        self,
        sql: str,
        *values: object,
        rows: int | None = None,
        then: Callable[[int], object] | None = None,
    ) -> None:
        """Leave an INSERT, UPDATE or DELETE for the commit, or for what is asked next.

        Its commit raises `Overtaken`, and nothing has happened, unless it touches so many `rows`.
        `then` is told how many they were once they are committed. What is left together sees what
        stood there before, and none of the others: no two may touch the same row.
        """
        self._left.append(_Left(sql, values, rows, then))

    def tell(self, *events: Event) -> None:
        """Say what has happened; it goes into the outbox with this commit."""
        for event in events:
            if event.module != self.database.module:
                raise TypeError(f"{self.database.module} cannot tell {event.type}, it is not its")
        self._told.extend(events)

    def changed(self) -> None:
        """Say that what everybody is shown changes with this commit: nobody shall keep the old."""
        self._changed = True

    def at_last(self, act: AtLast, things: Iterable[Any]) -> None:
        """Do something once before the commit, about all things that were named until then."""
        self._last.setdefault(act, {}).update(dict.fromkeys(things))

    def after_commit(self, act: Callable[[], object]) -> None:
        """Do something in memory once this has been committed."""
        self._after.append(act)

    async def connection(self) -> asyncpg.Connection[Record]:
        """Begin, if nobody has, and do what was left so far: whatever is asked now sees it."""
        if self._begun is None:
            statements.add(self.database.module, "BEGIN")
            begun = self._connection.transaction()
            await begun.start()
            self._begun = begun
        await self._do_what_is_left()
        return self._connection

    async def reading(self) -> asyncpg.Connection[Record]:
        """Let what only looks see what stands there, and what this transaction has done if it has.

        It locks nothing, so there is nothing to begin: a `put` can demand that it still holds.
        """
        return await self.connection() if self._begun or self._left else self._connection

    async def commit(self) -> None:
        """Do what was left for last, write what was told into the outbox, and let it all stand."""
        while self._last:
            act, things = self._last.popitem()
            await act(self, [*things])
        if self._changed:
            await self.execute("SELECT pg_notify($1, $2)", CHANGED, self.database.module)
        if self._told:
            self._put_into_outbox()
        fault.reached(f"before commit {self.database.module}")
        if self._begun or self._left:
            statements.add(self.database.module, "COMMIT")
        await self._do_what_is_left()
        if self._begun:
            begun, self._begun = self._begun, None
            await begun.commit()
        fault.reached(f"after commit {self.database.module}")

    async def roll_back(self) -> None:
        """Let nothing of it have happened."""
        if self._begun:
            begun, self._begun = self._begun, None
            await begun.rollback()

    def committed(self) -> None:
        """Do what was left for after the commit."""
        for act in self._after:
            act()

    def _put_into_outbox(self) -> None:
        envelopes = [self.database.wrap(event) for event in self._told]
        self.put(
            "INSERT INTO outbox (id, type, time, body, traceparent) "
            "SELECT * FROM unnest("
            "$1::uuid[], $2::text[], $3::timestamptz[], $4::jsonb[], $5::text[])",
            [e.id for e in envelopes],
            [e.type for e in envelopes],
            [e.time for e in envelopes],
            [e.data for e in envelopes],
            [e.traceparent for e in envelopes],
        )
        self.after_commit(self.database.wake)

    async def _do_what_is_left(self) -> None:
        """Run what was put, as one statement."""
        left, self._left = self._left, []
        if not left:
            return
        if len(left) == 1 and left[0].rows is None:
            touched = [await self._run(left[0].sql, left[0].values)]
        else:
            sql = _as_one(tuple((one.sql, len(one.values), one.rows is not None) for one in left))
            values = [value for one in left for value in (*one.values, *_demanded(one))]
            statements.add(self.database.module, sql)
            touched = [*(await self._connection.fetchrow(sql, *values) or ())]
        for one, rows in zip(left, touched, strict=True):
            if one.then:
                self._after.append(partial(one.then, rows))

    async def _run(self, sql: str, values: Sequence[object]) -> int:
        statements.add(self.database.module, sql)
        status = await self._connection.execute(sql, *values)
        return int(status.rsplit(" ", 1)[-1]) if status[-1].isdigit() else 0


def _demanded(left: _Left) -> tuple[int, ...]:
    return () if left.rows is None else (left.rows,)


@cache
def _as_one(left: tuple[tuple[str, int, bool], ...]) -> str:
    """Make one statement of several, whose values are numbered through.

    Of each is told how many values it has, and whether a number of rows is demanded of it.
    """
    parts, counts, before = [], [], 0
    for number, (sql, values, demanding) in enumerate(left):
        parts.append(f"part_{number} AS ({_shifted(sql, before)} RETURNING 1)")
        before += values
        count = f"(SELECT count(*) FROM part_{number})"  # noqa: S608 - a number of our own
        if demanding:
            before += 1
            count = f"demand({count}, ${before}::bigint)"
        counts.append(count)
    return f"WITH {', '.join(parts)} SELECT {', '.join(counts)}"


def _shifted(sql: str, by: int) -> str:
    return _PLACE.sub(lambda place: f"${int(place[1]) + by}", sql)

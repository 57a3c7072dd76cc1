"""Events on their way: out of one module's outbox, into the inboxes of those who listen.

At least once on the way, exactly once in effect: a reaction commits together with the note that
the event was heard. What keeps failing is put aside as dead, shown, and can be replayed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Protocol
from uuid import UUID

import msgspec

from banyan.kernel import telemetry
from banyan.kernel.database import DOWN, Database, convert_all
from banyan.kernel.doors import through
from banyan.kernel.event import Envelope, Reaction
from banyan.kernel.link import Unavailable, calling
from banyan.kernel.transaction import Record, Transaction

BATCH = 100
MOST_ATTEMPTS = 8
FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 300.0
KEPT_DAYS = 7

# The first of a batch, and what comes after it until so many bytes are there, as they are stored: a
# few events may tell more than a hundred others. The rest is free again with the commit.
FITTING = """
    SELECT * FROM (
        SELECT *, sum(pg_column_size(data)) OVER (ROWS UNBOUNDED PRECEDING)
            - pg_column_size(data) AS ahead
        FROM ({}) AS batch
    ) AS weighed WHERE ahead < 128000"""
TOLD = FITTING.format("""
    SELECT number, id, $2::text AS source, type, time, body AS data, traceparent
    FROM outbox ORDER BY number LIMIT $1 FOR UPDATE SKIP LOCKED""")
HEARD = FITTING.format("""
    SELECT event, reaction, source, type, time, body AS data, traceparent, attempt
    FROM inbox WHERE status = 'pending' AND due_at <= $1 AND reaction = ANY($3)
    ORDER BY due_at, number LIMIT $2 FOR UPDATE SKIP LOCKED""")

React = Callable[[Any], Awaitable[object]]


class Carrier(Protocol):
    """Brings envelopes to the inboxes of everybody who listens."""

    async def __call__(self, envelopes: Sequence[Envelope], /) -> None:
        """Deliver all of them, at least once."""
        ...


class Outbox:
    """What a module has told, until it has been carried to its listeners."""

    def __init__(self, database: Database, carry: Carrier) -> None:
        self.database = database
        self.carry = carry

    async def relay(self) -> int:
        """Carry one batch onward and return its size; a crash in between carries it again.

        A carrier that is away holds up nothing else: what was told waits here.
        """
        try:
            return await self._carry_on()
        except Unavailable as away:
            telemetry.log(__name__).warning(
                "not carried", module=self.database.module, what=away.what
            )
            return 0

    async def _carry_on(self) -> int:
        async with self.database.begin() as tx:
            rows = await tx.all(TOLD, BATCH, f"/modules/{self.database.module}")
            if not rows:
                return 0
            await self.carry(convert_all(rows, Envelope))
            tx.put("DELETE FROM outbox WHERE number = ANY($1)", [row["number"] for row in rows])
        return len(rows)


class Inbox:
    """What a module has heard, and how far it is with it."""

    def __init__(self, database: Database, reactions: Mapping[str, tuple[Reaction, React]]) -> None:
        self.database = database
        self._reactions = reactions

    @property
    def names(self) -> list[str]:
        """Name the reactions of this module."""
        return list(self._reactions)

    async def put(self, envelopes: Sequence[Envelope]) -> None:
        """Take in what concerns us, once: one statement, whatever its number."""
        wanted = [
            (envelope, name)
            for envelope in envelopes
            for name, (reaction, _) in self._reactions.items()
            if reaction.event.type == envelope.type
        ]
        if not wanted:
            return
        async with self.database.apart() as connection:
            await connection.execute(
                "INSERT INTO inbox "
                "(event, reaction, source, type, time, body, traceparent, due_at) "
                "SELECT *, $8::timestamptz FROM unnest($1::uuid[], $2::text[], $3::text[], "
                "$4::text[], $5::timestamptz[], $6::jsonb[], $7::text[]) ON CONFLICT DO NOTHING",
                [e.id for e, _ in wanted],
                [name for _, name in wanted],
                [e.source for e, _ in wanted],
                [e.type for e, _ in wanted],
                [e.time for e, _ in wanted],
                [e.data for e, _ in wanted],
                [e.traceparent for e, _ in wanted],
                self.database.clock.now(),
            )
        self.database.wake()

    async def drain(self) -> int:
        """React to one batch, in one transaction if all goes well, else one by one."""
        try:
            return await self._react(BATCH)
        except DOWN:
            raise
        except Exception:  # noqa: BLE001 - the culprit is found by going one by one
            heard = 0
            while heard < BATCH and await self._react_to_one():
                heard += 1
            return heard

    async def _react(self, limit: int) -> int:
        async with self.database.begin() as tx:
            rows = await self._claim(tx, limit)
            for heard in self._at_once(rows):
                await self._heed(heard)
            self._mark_done(tx, rows)
        return len(rows)

    def _at_once(self, rows: Sequence[Record]) -> Iterable[Sequence[Record]]:
        """Gather what one reaction takes at once, at the place of the first of it."""
        gathered: dict[tuple[str, UUID | None], list[Record]] = {}
        for row in rows:
            reaction, _ = self._reactions[row["reaction"]]
            alone = None if reaction.many else row["event"]
            gathered.setdefault((reaction.name, alone), []).append(row)
        return gathered.values()

    async def _react_to_one(self) -> bool:
        row: Record | None = None
        try:
            async with self.database.begin() as tx:
                rows = await self._claim(tx, 1)
                if not rows:
                    return False
                row = rows[0]
                await self._heed(rows)
                self._mark_done(tx, rows)
        except DOWN:
            raise
        except Exception as defect:
            if row is None:
                raise
            await self._put_off(row, defect)
        return True

    async def _heed(self, rows: Sequence[Record]) -> None:
        """React to one event, or to several at once: in the trace of the first of them."""
        reaction, react = self._reactions[rows[0]["reaction"]]
        events = [msgspec.convert(row["data"], reaction.event) for row in rows]
        first, *others = dict.fromkeys(row["traceparent"] for row in rows)
        with (
            telemetry.follow(first),
            through("event", reaction.name, reaction=reaction.name),
            calling(),
        ):
            for other in others:
                telemetry.note("heard together", {"traceparent": other})
            await react(events if reaction.many else events[0])

    async def _claim(self, tx: Transaction, limit: int) -> list[Record]:
        return await tx.all(HEARD, self.database.clock.now(), limit, self.names)

    def _mark_done(self, tx: Transaction, rows: Sequence[Record]) -> None:
        """Remember that these were heard, and no longer what they said of whom."""
        if rows:
            tx.put(
                "UPDATE inbox SET status = 'done', due_at = $3, error = NULL, body = 'null' "
                "FROM unnest($1::uuid[], $2::text[]) AS heard (event, reaction) "
                "WHERE inbox.event = heard.event AND inbox.reaction = heard.reaction",
                [row["event"] for row in rows],
                [row["reaction"] for row in rows],
                self.database.clock.now(),
            )

    async def _put_off(self, row: Record, defect: Exception) -> None:
        attempt = row["attempt"] + 1
        wait = min(FIRST_WAIT_SECONDS * 2**attempt, LONGEST_WAIT_SECONDS)
        telemetry.log(__name__).warning(
            "reaction failed", reaction=row["reaction"], id=str(row["event"]), exc_info=defect
        )
        async with self.database.begin() as tx:
            tx.put(
                "UPDATE inbox SET attempt = $3, due_at = $4, error = $5, status = $6 "
                "WHERE event = $1 AND reaction = $2",
                row["event"],
                row["reaction"],
                attempt,
                self.database.clock.now() + timedelta(seconds=wait),
                type(defect).__name__,
                "dead" if attempt >= MOST_ATTEMPTS else "pending",
            )

    async def forget_old(self) -> None:
        """Drop notes about events that nobody will deliver again."""
        async with self.database.begin() as tx:
            await tx.execute(
                "DELETE FROM inbox WHERE status = 'done' AND due_at < $1",
                self.database.clock.now() - timedelta(days=KEPT_DAYS),
            )


def local_carrier(inboxes: Callable[[], Sequence[Inbox]]) -> Carrier:
    """Carry events to the modules of this process."""

    async def carry(envelopes: Sequence[Envelope]) -> None:
        for inbox in inboxes():
            await inbox.put(envelopes)

    return carry

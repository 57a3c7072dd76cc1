"""Dead letters: events that a module could not digest, or not even read, and what becomes of them.

They lie in the inbox. What could not be read has come to no reaction, and is kept as it came.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import unquote
from uuid import UUID

import msgspec

from banyan.kernel import subjects
from banyan.kernel.backstage import Letter, Replayed
from banyan.kernel.contract import Value
from banyan.kernel.event import Envelope
from banyan.kernel.outbox import Inbox
from banyan.kernel.security import discreet
from banyan.kernel.transaction import Record, Transaction

UNREAD = ""
"""In the place of a reaction: nobody has seen what could not be read."""

_SHOWN = "event, reaction, number, type, time, attempt, coalesce(error, '') AS error, body AS data"


class Unreadable(Exception):
    """A message is no event; says why not."""


class Delivery(Value):
    """An event as it came (CloudEvents 1.0, binary mode over NATS): attributes in headers."""

    subject: str
    headers: Mapping[str, str]
    data: bytes

    def open(self) -> Envelope:
        """Read it; PostgreSQL keeps no text with a NUL, so one would hold up all that follow."""
        told = unquote("".join(self.headers.values()))
        if "\0" in told or b"\\u0000" in self.data.replace(rb"\\", b""):
            raise Unreadable("it holds a NUL")
        try:
            return Envelope(
                id=UUID(self.headers["ce-id"]),
                source=unquote(self.headers["ce-source"]),
                type=self.headers["ce-type"],
                time=_moment(self.headers["ce-time"]),
                data=msgspec.json.decode(self.data),
                traceparent=self.headers.get("ce-traceparent", ""),
            )
        except KeyError as missing:
            raise Unreadable(f"there is no header {missing.args[0]}") from None
        except (ValueError, RecursionError, msgspec.DecodeError) as refusal:
            raise Unreadable(str(discreet("", str(refusal)))) from None


class Letters:
    """The dead letters of a module."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._database = inbox.database

    async def keep(
        self, identity: UUID, delivery: Delivery, *, time: datetime, why: Unreadable
    ) -> None:
        """Keep what cannot be read; that it comes again changes nothing."""
        headers = {name: told.replace("\0", "") for name, told in delivery.headers.items()}
        async with self._database.begin() as tx:
            await tx.execute(
                "INSERT INTO inbox (event, reaction, source, type, time, body, due_at, status, "
                "error) VALUES ($1, $2, '', $3, $4, $5, $6, 'dead', $7) ON CONFLICT DO NOTHING",
                identity,
                UNREAD,
                subjects.kind_at(delivery.subject),
                time,
                msgspec.structs.replace(delivery, headers=headers),
                self._database.clock.now(),
                str(why),
            )

    async def dead(self, *, limit: int, before: int | None = None) -> tuple[Letter, ...]:
        """List what is dead, the latest to arrive first."""
        async with self._database.begin() as tx:
            rows = await tx.all(
                f"SELECT {_SHOWN} FROM inbox WHERE status = 'dead' "
                "AND ($2::bigint IS NULL OR number < $2) ORDER BY number DESC LIMIT $1",
                limit,
                before,
            )
        return tuple(_shown(row) for row in rows)

    async def failing(self, events: Sequence[UUID]) -> tuple[Letter, ...]:
        """List which of these events have failed again, and will be tried later."""
        async with self._database.begin() as tx:
            rows = await tx.all(
                f"SELECT {_SHOWN} FROM inbox WHERE event = ANY($1) "
                "AND status = 'pending' AND attempt > 0 ORDER BY number",
                events,
            )
        return tuple(_shown(row) for row in rows)

    async def replay(self, events: Sequence[UUID] | None) -> Replayed:
        """Give dead letters another try, all or those named.

        Dead stays what still cannot be read, and what a reaction has heard that is no more.
        """
        async with self._database.begin() as tx:
            count = await tx.execute(
                "UPDATE inbox SET status = 'pending', attempt = 0, due_at = $1 WHERE status = "
                "'dead' AND ($2::uuid[] IS NULL OR event = ANY($2)) AND reaction = ANY($3)",
                self._database.clock.now(),
                events,
                self._inbox.names,
            )
            count += await self._read_again(tx, events)
            left = await tx.value(
                "SELECT count(*) FROM inbox WHERE status = 'dead' "
                "AND ($1::uuid[] IS NULL OR event = ANY($1))",
                events,
            )
            tx.after_commit(self._database.wake)
        return Replayed(count=count, left=left)

    async def discard(self, events: Sequence[UUID]) -> int:
        """Take dead letters for heard, though nothing came of them; return how many."""
        async with self._database.begin() as tx:
            return await tx.execute(
                "UPDATE inbox SET status = 'done', due_at = $2, body = 'null' "
                "WHERE status = 'dead' AND event = ANY($1)",
                events,
                self._database.clock.now(),
            )

    async def _read_again(self, tx: Transaction, events: Sequence[UUID] | None) -> int:
        """Read what could not be read; another release may. It is dropped once it is taken in."""
        rows = await tx.all(
            "SELECT event, body FROM inbox WHERE status = 'dead' AND reaction = $2 "
            "AND ($1::uuid[] IS NULL OR event = ANY($1)) ORDER BY number FOR UPDATE",
            events,
            UNREAD,
        )
        readable: dict[UUID, Envelope] = {}
        for row in rows:
            try:
                readable[row["event"]] = msgspec.convert(row["body"], Delivery).open()
            except Unreadable as refusal:
                await tx.execute(
                    "UPDATE inbox SET error = $2 WHERE event = $1 AND reaction = $3",
                    row["event"],
                    str(refusal),
                    UNREAD,
                )
        await self._inbox.put(list(readable.values()))
        return await tx.execute(
            "DELETE FROM inbox WHERE event = ANY($1) AND reaction = $2", list(readable), UNREAD
        )


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("ce-time names no time zone")
    return moment


def _shown(row: Record) -> Letter:
    data: Any = row["data"]
    if row["reaction"] == UNREAD:
        data = _unread(msgspec.convert(data, Delivery))
    return Letter(**{**dict(row), "data": discreet("", data)})


def _unread(told: Delivery) -> dict[str, Any]:
    """Tell what came by the names of its fields, as they say what is private; else, how much."""
    try:
        return {"headers": told.headers, "data": discreet("", msgspec.json.decode(told.data))}
    except (ValueError, RecursionError, msgspec.DecodeError):
        return {"headers": told.headers, "bytes": len(told.data)}

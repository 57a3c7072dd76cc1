"""A bench for modules under test: real PostgreSQL, any link, fakes in the place of neighbors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import msgspec
from msgspec import structs

from banyan.kernel.app import App, House
from banyan.kernel.clock import FixedClock
from banyan.kernel.event import Envelope, Event
from banyan.kernel.ids import SeededIds
from banyan.kernel.link import Link, direct
from banyan.kernel.migration import create_database, migrate, role_of
from banyan.kernel.module import Module, Plugin
from banyan.kernel.outbox import local_carrier
from banyan.kernel.tally import statements

C = TypeVar("C")
E = TypeVar("E", bound=Event)

ROUNDS = 1000


class Server:
    """A PostgreSQL server that gives each bench a database as if it had just been migrated.

    A database is used again after it was swept, which takes a tenth of the time of a copy.
    """

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self._free: dict[tuple[str, ...], list[str]] = {}
        self._born: dict[str, dict[str, Any]] = {}

    def address(self, database: str, *, module: str | None = None) -> str:
        """Return the DSN of a database, for the administrator or with the role of a module."""
        parts = urlsplit(self.dsn)
        netloc = parts.netloc
        if module:
            netloc = f"{role_of(module)}:{_password(module)}@{netloc.rpartition('@')[2]}"
        return urlunsplit(parts._replace(netloc=netloc, path=f"/{database}"))

    @asynccontextmanager
    async def fresh(self, modules: Sequence[Module]) -> AsyncIterator[str]:
        """Lend a database with these modules' schemas, and sweep it afterwards."""
        free = self._free.setdefault(tuple(sorted(module.name for module in modules)), [])
        name = free.pop() if free else await self._make(modules)
        yield name
        await self._sweep(name)
        free.append(name)

    async def _make(self, modules: Sequence[Module]) -> str:
        name = f"bench_{len(self._born) + 1}"
        await create_database(self.dsn, name)
        address = self.address(name)
        await migrate(modules, dsn=address, url=address, password=_password, say=lambda _: None)
        async with self._administrator(name) as connection:
            self._born[name] = {
                table: rows
                for table in await self._tables(connection)
                if (rows := await connection.fetchval(f"SELECT jsonb_agg(t) FROM {table} AS t"))
            }
        return name

    async def _sweep(self, name: str) -> None:
        """Take out everything that was put in, and count from the beginning again."""
        async with self._administrator(name) as connection, connection.transaction():
            # Neither foreign keys nor the triggers of append-only tables hold us up.
            await connection.execute("SET LOCAL session_replication_role = replica")
            for table in await self._tables(connection):
                await connection.execute(f"DELETE FROM {table}")
            for table, rows in self._born[name].items():
                await connection.execute(
                    f"INSERT INTO {table} OVERRIDING SYSTEM VALUE "
                    f"SELECT * FROM jsonb_populate_recordset(NULL::{table}, $1)",
                    rows,
                )
            await connection.execute(
                "SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, "
                "start_value, false) FROM pg_sequences WHERE last_value IS NOT NULL"
            )

    @asynccontextmanager
    async def _administrator(self, name: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
        connection = await asyncpg.connect(self.address(name))
        try:
            yield connection
        finally:
            await connection.close()

    async def _tables(self, connection: asyncpg.Connection[asyncpg.Record]) -> list[str]:
        rows = await connection.fetch(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables "
            "WHERE schemaname NOT IN ('pg_catalog', 'information_schema') "
            "AND tablename <> 'schema_migrations' ORDER BY 1"
        )
        return [row[0] for row in rows]


class Bench:
    """Some modules at work, with a clock that stands still and ids that repeat.

    Events travel only when `settle` is called, so that a test decides when and how often.
    """

    def __init__(self, app: App, clock: FixedClock) -> None:
        self.app = app
        self.clock = clock
        self.deliveries = 1
        for room in app.rooms.values():
            room.worker.outbox.carry = self._carry

    def ask(self, protocol: type[C]) -> C:
        """Return what answers a contract."""
        return self.app.ask(protocol)

    async def settle(self) -> None:
        """Let everything happen that is due now: deliveries, reactions, sagas."""
        for _ in range(ROUNDS):
            done = 0
            for room in self.app.rooms.values():
                done += await room.worker.step()
                for task in list(room.worker.sagas.tasks.values()):
                    await task
                    done += 1
            if not done:
                return
        raise AssertionError(f"the house does not come to rest within {ROUNDS} rounds")

    async def pass_time(self, seconds: float) -> None:
        """Let time pass, and what is due by then happen."""
        self.clock.advance(seconds)
        await self.settle()

    async def told(self, event: type[E]) -> tuple[E, ...]:
        """Return the events of a type that wait in the outbox of their module."""
        rows = await self.app.rooms[event.module].database.all(
            "SELECT body FROM outbox WHERE type = $1 ORDER BY number", event.type
        )
        return tuple(msgspec.convert(row["body"], event) for row in rows)

    async def hear(self, *events: Event) -> None:
        """Deliver events as if their modules had told them, and let them take effect."""
        wrapping = next(iter(self.app.rooms.values())).database
        envelopes = [wrapping.wrap(event) for event in events]
        await self._carry(
            [structs.replace(e, source=f"/modules/{e.data.module}") for e in envelopes]
        )
        await self.settle()

    def watch(self) -> list[tuple[str, str]]:
        """Begin to write down the statements that are run from now on, by module."""
        statements.watching = True
        statements.run = []
        return statements.run

    async def _carry(self, envelopes: Sequence[Envelope]) -> None:
        """Deliver as often as the test wants; a second delivery must change nothing."""
        inboxes = [room.worker.inbox for room in self.app.rooms.values()]
        for _ in range(self.deliveries):
            await local_carrier(lambda: inboxes)(envelopes)


@asynccontextmanager
async def bench(
    server: Server,
    modules: Sequence[Module],
    *,
    folder: Path,
    fakes: Mapping[type[Any], Any] | None = None,
    plugins: Sequence[Plugin] = (),
    configured: Mapping[str, Mapping[str, Any]] | None = None,
    link: Link = direct,
    seed: int = 0,
) -> AsyncIterator[Bench]:
    """Set up modules on a fresh database, and take them down again."""
    clock = FixedClock()
    async with server.fresh(modules) as database:
        app = App(
            House(modules=list(modules), plugins=list(plugins)),
            dsn=lambda module: server.address(database, module=module),
            folder=folder,
            configured=configured,
            clock=clock,
            ids=SeededIds(seed, clock),
            link=link,
            elsewhere=fakes,
        )
        await app.open()
        try:
            yield Bench(app, clock)
        finally:
            statements.watching = False
            for room in app.rooms.values():
                await room.worker.stop()
            await app.close()


def _password(module: str) -> str:
    return f"bench-{module}"

"""A database and its streaming replica, whose replay a test may stop; and who reads and writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from banyan.engines.postgres import EmbeddedPostgres
from banyan.engines.standby import EmbeddedStandby
from banyan.kernel.app import App, House
from banyan.kernel.link import Link, direct
from banyan.kernel.module import Module
from banyan.kernel.seen import Seen, following
from banyan.kernel.testing import Server
from tests.kernel.pond.contract import Pond

QUICK = {"replica": {"look_seconds": 0.02}}
"""Look often, so that a test need not wait."""

NO_NEED_TO_SURVIVE = {"fsync": "off", "full_page_writes": "off"}
SECONDS = 10.0


@dataclass
class Pair:
    """A server and its copy."""

    original: EmbeddedPostgres
    standby: EmbeddedStandby
    server: Server
    copy: Server

    @asynccontextmanager
    async def paused(self) -> AsyncIterator[None]:
        """Let the copy stay as it is now, everything before being in it."""
        await self._catch_up()
        await _run(self.copy, "SELECT pg_wal_replay_pause()")
        await eventually(self._stands_still)
        try:
            yield
        finally:
            await _run(self.copy, "SELECT pg_wal_replay_resume()")

    async def _catch_up(self) -> None:
        now = await _run(self.server, "SELECT pg_current_wal_flush_lsn()::text")
        query = f"SELECT pg_last_wal_replay_lsn() >= '{now}'"

        async def has_caught_up() -> bool:
            return bool(await _run(self.copy, query))

        await eventually(has_caught_up)

    async def _stands_still(self) -> bool:
        state = await _run(self.copy, "SELECT pg_get_wal_replay_pause_state()")
        return bool(state == "paused")


@contextmanager
def pair(folder: Path) -> Iterator[Pair]:
    """Run a server and its copy, whose data nobody will miss."""
    settings = NO_NEED_TO_SURVIVE
    with (
        EmbeddedPostgres(folder / "pg", lambda _: None, settings=settings) as original,
        EmbeddedStandby(folder / "copy", original, lambda _: None, settings=settings) as standby,
    ):
        yield Pair(original, standby, Server(original.dsn()), Server(standby.dsn()))


@asynccontextmanager
async def replicated(
    both: Pair,
    module: Module,
    folder: Path,
    *,
    link: Link = direct,
    copy: Server | None = None,
    **manner: float,
) -> AsyncIterator[App]:
    """Open a module on a fresh database that has a copy."""
    async with both.server.fresh([module]) as database:
        app = App(
            House(modules=[module]),
            dsn=lambda name: both.server.address(database, module=name),
            replica=lambda name: (copy or both.copy).address(database, module=name),
            configured={"replica": QUICK["replica"] | manner},
            folder=folder,
            link=link,
        )
        await app.open()
        try:
            yield app
        finally:
            await app.close()


class Shopper:
    """Somebody who brings along what it was told, as browsers do."""

    def __init__(self, pond: Pond) -> None:
        self.pond = pond
        self.told = ""

    async def sees(self, name: str = "frog") -> int:
        """Ask how often a frog has leapt."""
        with following(Seen.read(self.told), late=True):
            return await self.pond.leaps(name=name)

    async def does(self, act: Callable[[Pond], Awaitable[object]]) -> object:
        """Write."""
        with following(Seen.read(self.told), late=False) as seen:
            try:
                return await act(self.pond)
            finally:
                self.told = await seen.told() or self.told

    async def leaps(self, name: str = "frog") -> None:
        """Let a frog leap."""
        await self.does(lambda pond: pond.leap(name=name))


async def eventually(truth: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something is true, but not for ever."""
    async with asyncio.timeout(SECONDS):
        while not await truth():  # noqa: ASYNC110 - it is another process that gets on
            await asyncio.sleep(0.01)


async def _run(server: Server, sql: str) -> object:
    connection = await asyncpg.connect(server.dsn)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()

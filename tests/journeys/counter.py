"""The shop's HTTP API on a socket, in a process of its own: what strangers stand in front of."""

from __future__ import annotations

import asyncio
import multiprocessing
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from banyan.kernel.app import App
from banyan.kernel.http import build
from banyan.kernel.security import Caller, TokenGate, fingerprint
from banyan.kernel.serve import serve
from banyan.kernel.testing import Server
from tests.journeys.house import furnish, house, opened
from tests.plugins.sandbox_process import SandboxProcess

ADMIN, READER = "bny_admin-of-the-tests", "bny_reader-of-the-tests"
FORK = multiprocessing.get_context("fork")
OPENING_SECONDS = 30


class Porter(TokenGate):
    """Knows the administrator, and somebody who may look at the catalog and at nothing else."""

    async def caller(self, token: str) -> Caller | None:
        if token == READER:
            return Caller(subject="reader", permissions=frozenset({"catalog:read"}))
        return await super().caller(token)


@dataclass(frozen=True)
class Counter:
    """Where the shop is reached."""

    url: str
    dsn: str

    def client(self, token: str | None = None) -> httpx.Client:
        """Step up as an anonymous shopper, or as the holder of a token."""
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=15, trust_env=False)


@contextmanager
def counter(server: Server, bank: SandboxProcess, folder: Path) -> Iterator[Counter]:
    """Open the whole shop to the public, with a lamp and a shade to sell."""
    fresh = server.fresh(house().modules)
    with asyncio.Runner() as runner, socket.create_server(("127.0.0.1", 0)) as listening:
        database = runner.run(fresh.__aenter__())
        ready = FORK.Event()

        async def attend() -> None:
            async with opened(server, database, bank, folder) as app:
                await furnish(app)
            async with opened(server, database, bank, folder, at_work=True) as app:
                await serve(faced(app), listening, ready=ready.set)

        process = FORK.Process(target=lambda: asyncio.run(attend()))
        process.start()
        try:
            assert ready.wait(OPENING_SECONDS), "the shop does not open"
            port = listening.getsockname()[1]
            yield Counter(f"http://127.0.0.1:{port}", server.address(database))
        finally:
            process.terminate()
            process.join(OPENING_SECONDS)
            runner.run(fresh.__aexit__(None, None, None))


def faced(app: App) -> object:
    """Give a shop its HTTP face."""
    return build(
        app.routes(),
        dependencies=app.dependencies(),
        gate=Porter(fingerprint(ADMIN)),
        ready=app.ready,
    )

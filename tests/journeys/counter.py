"""The shop's HTTP API on a socket, in a process of its own: what strangers stand in front of."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import httpx

from banyan.engines.estate import DATABASE
from banyan.engines.postgres import EmbeddedPostgres
from banyan.kernel import health, telemetry
from banyan.kernel.app import App
from banyan.kernel.http import build
from banyan.kernel.security import Caller, TokenGate, fingerprint
from banyan.kernel.serve import run, serve
from banyan.kernel.telemetry import TelemetrySettings
from banyan.kernel.testing import Server
from tests.journeys.house import furnish, house, opened
from tests.journeys.running import Running, doctor
from tests.plugins.sandbox_process import SandboxProcess

T = TypeVar("T")

ADMIN, READER = "bny_admin-of-the-tests", "bny_reader-of-the-tests"
FORK = multiprocessing.get_context("fork")
OPENING_SECONDS = 60
STOCK = 10_000
PATIENCE_SECONDS = 10
PAUSE_SECONDS = 0.05
LOOKS = 50


class Porter(TokenGate):
    """Knows the administrator, and somebody who may look at the catalog and at nothing else."""

    async def caller(self, token: str) -> Caller | None:
        if token == READER:
            return Caller(subject="reader", permissions=frozenset({"catalog:read"}))
        return await super().caller(token)


@dataclass(frozen=True)
class Counter:
    """Where a shop is reached, and, behind it, its database and its log."""

    url: str
    dsn: str
    token: str
    log: Callable[[], list[str]]
    """Tells what the shop's processes have written so far, line by line."""
    unsound: Callable[[], list[str]]
    """Lets the doctor look until nothing is under way any more; tells what he finds then."""

    @cached_property
    def shopper(self) -> httpx.Client:
        """Step up as somebody of whom nothing is known."""
        return httpx.Client(base_url=self.url, timeout=15, trust_env=False)

    @cached_property
    def admin(self) -> httpx.Client:
        """Step up as somebody who may do everything."""
        return self.holder_of(self.token)

    @cached_property
    def document(self) -> dict[str, Any]:
        """Read the API document of the whole shop."""
        document: dict[str, Any] = self.shopper.get("/openapi.json").raise_for_status().json()
        return document

    def faults(self) -> list[str]:
        """Read what the log calls a fault, or what some module's background could not do."""
        # Of several processes, each line begins with the name of whoever wrote it.
        told = (json.loads(line[line.index("{") :]) for line in self.log() if "{" in line)
        return [str(one) for one in told if one.get("level") in ("warning", "error", "critical")]

    def since_now(self) -> Counter:
        """Stand in front of the same shop, as if it had written nothing yet."""
        written = len(self.log())
        return replace(self, log=lambda: self.log()[written:])

    def close(self) -> None:
        """Step away."""
        self.shopper.close()
        self.admin.close()

    def holder_of(self, token: str) -> httpx.Client:
        """Step up with a token."""
        headers = {"authorization": f"Bearer {token}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=15, trust_env=False)


@contextmanager
def opened_to_the_public(server: Server, bank: SandboxProcess, folder: Path) -> Iterator[Counter]:
    """Open the whole shop, with a lamp and a shade to sell."""
    fresh = server.fresh(house().modules)
    with asyncio.Runner() as runner, socket.create_server(("127.0.0.1", 0)) as listening:
        database = runner.run(fresh.__aenter__())
        ready = FORK.Event()

        log = folder / "log"

        async def attend() -> None:
            telemetry.configure("counter", "one", TelemetrySettings(), stream=log.open("a"))
            async with opened(server, database, bank, folder) as app:
                await furnish(app, STOCK)
            async with opened(server, database, bank, folder, at_work=True) as app:
                face = build(
                    app.routes(),
                    dependencies=app.dependencies(),
                    gate=Porter(fingerprint(ADMIN)),
                    ready=app.ready,
                )
                await serve(face, listening, ready=ready.set)

        async def examine() -> list[str]:
            async with opened(server, database, bank, folder, instance="doctor") as app:
                for _ in range(LOOKS):
                    if not (found := await _findings(app)):
                        break
                    await asyncio.sleep(PAUSE_SECONDS)
            return found

        process = FORK.Process(target=lambda: run(attend()))
        process.start()
        until = time.monotonic() + OPENING_SECONDS
        try:
            while not ready.wait(1) and process.is_alive():
                assert time.monotonic() < until, "the shop does not open"
            assert ready.is_set(), "the shop has closed before it was open"
            port = listening.getsockname()[1]
            counter = Counter(
                url=f"http://127.0.0.1:{port}",
                dsn=server.address(database),
                token=ADMIN,
                log=lambda: log.read_text().splitlines(),
                unsound=lambda: runner.run(examine()),
            )
            yield counter
            counter.close()
        finally:
            process.terminate()
            process.join(OPENING_SECONDS)
            runner.run(fresh.__aexit__(None, None, None))


def at_the_counter_of(shop: Running) -> Counter:
    """Stand in front of a shop that runs, in however many processes."""

    def examine() -> list[str]:
        code, told = asyncio.run(doctor(shop))
        return [told] if code else []

    return Counter(
        url=shop.url,
        dsn=EmbeddedPostgres(shop.data / "postgres", print).dsn(database=DATABASE),
        token=shop.token,
        log=lambda: shop.said,
        unsound=examine,
    )


async def _findings(app: App) -> list[str]:
    """Tell what the doctor finds; the bank serves other shops, too, so its books are not asked."""
    return [
        f"{one.module}: {one.title}: {finding}"
        for one in await health.examine(app)
        for finding in one.found
        if "provider says" not in one.title
    ]


def eventually(look: Callable[[], T | None]) -> T:
    """Look again until there is something to see: what events cause is there a moment later."""
    until = time.monotonic() + PATIENCE_SECONDS
    while (seen := look()) is None:
        assert time.monotonic() < until, "it does not come about"
        time.sleep(PAUSE_SECONDS)
    return seen

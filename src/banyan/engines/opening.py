"""Opens a shop on its estate: its data brought up to date, and each of its processes made."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from banyan.engines import upkeep
from banyan.engines.estate import Estate
from banyan.engines.nats import OPERATOR
from banyan.engines.trouble import EngineError
from banyan.kernel import http, limits, migration, telemetry
from banyan.kernel.app import App, House
from banyan.kernel.jetstream import broadcast
from banyan.kernel.link import Unavailable
from banyan.kernel.security import TokenGate
from banyan.kernel.serve import ServeSettings, run, serve
from banyan.kernel.settings import environment, load
from banyan.kernel.telemetry import TelemetrySettings
from banyan.kernel.topology import Process, Topology

Say = Callable[[str], None]

PATIENCE_SECONDS = 2.0


async def prepare(house: House, shop: Estate, say: Say, *, empty: bool) -> None:
    """Migrate and, unless it shall stay empty, seed; a seed leaves a shop with data alone."""
    await migrate(house, shop, say)
    if empty:
        return
    async with opened(assemble(house, shop, "seed"), at_work=False) as app:
        for plugin in house.plugins:
            if plugin.seed:
                await plugin.seed(app.ask, say)
        await app.deliver()


async def migrate(house: House, shop: Estate, say: Say) -> int:
    """Bring every database up to date, and tell how many migrations that took."""
    if shop.is_embedded:
        await migration.create_database(shop.administrator(database="postgres"), "banyan")
    applied = 0
    for address in sorted({shop.administrator(module.name) for module in house.modules}):
        here = [m for m in house.modules if shop.administrator(m.name) == address]
        applied += await migration.migrate(
            here, dsn=address, url=address, password=shop.password, say=say
        )
    if shop.apart and not shop.nats:
        await upkeep.provide_streams(house, shop)
    return applied


async def _serve(
    app: App, shop: Estate, say: Say, listening: socket.socket, shared: Path | None
) -> None:
    host, port = listening.getsockname()
    told = load(ServeSettings, "serve", file=shop.topology.settings, environment=shop.environment())
    announce = {"http": f"{host}:{port}", "version": told.version}
    async with opened(app, at_work=True, announce=announce):
        application = http.build(
            app.routes(),
            dependencies=app.dependencies(),
            gate=TokenGate(shop.admin_fingerprint(), clock=app.clock),
            ready=app.ready,
            version=told.version,
            elsewhere=app.routes_elsewhere(),
            limited=shop.topology.gateway.limits is not None,
            limiter=limits.limiter(shop.topology, app.clock, shared),
            shelf=app.shelf,
            proxies=shop.topology.proxies,
            lost=app.lost(),
        )
        gc.freeze()  # What is there by now stays: nobody need look through it again and again.
        await serve(
            application,
            listening,
            ready=lambda: say(f"ready http://{host}:{port}"),
            leave=app.leave,
        )


def assemble(house: House, shop: Estate, instance: str, process: Process | None = None) -> App:
    """Make one process of a shop or, for those who look after it, all of it in one."""
    return App(
        house,
        dsn=shop.dsn,
        replica=shop.replica,
        folder=shop.folder,
        configured=shop.topology.settings,
        environment=shop.environment(),
        hosts=_hosts(house, shop.topology, process) if process else None,
        broker=shop.broker(process.name) if process else None,
        instance=instance,
        topology=shop.topology,
    )


def _hosts(house: House, told: Topology, process: Process) -> set[str]:
    return {
        *told.modules_of(process, [module.name for module in house.modules]),
        *told.channels_of(process, [channel.name for channel in house.channels]),
    }


@asynccontextmanager
async def opened(
    app: App, *, at_work: bool, announce: Mapping[str, str] | None = None
) -> AsyncIterator[App]:
    """Open an application, with or without its background work, and close it again."""
    try:
        await (app.start(announce=announce) if at_work else app.open())
        yield app
    finally:
        await app.close()


@asynccontextmanager
async def carrying(app: App, shop: Estate) -> AsyncIterator[None]:
    """Let what is told in a shop of many processes go by NATS, where all who listen hear it.

    If NATS is away, it waits. A shop that never had one has nobody elsewhere.
    """
    broker = None
    with suppress(EngineError):
        broker = shop.broker(OPERATOR)
    if broker is None:
        yield
        return
    for room in app.rooms.values():
        room.worker.outbox.carry = broadcast(broker)
    try:
        with suppress(Unavailable, TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await broker.open()
        yield
    finally:
        await broker.close()


def serve_process(
    house: House,
    shop: Estate,
    say: Say,
    process: str,
    instance: str,
    fd: int | None,
    place: tuple[str, int] = ("127.0.0.1", 0),
) -> int:
    """Be one process of the shop until told to end, at a place or on a socket that it is handed."""
    hosting = shop.topology.process(process)
    settings = load(
        TelemetrySettings,
        "telemetry",
        file=shop.topology.settings,
        environment=environment(),
    )
    telemetry.configure(process, instance, settings)
    app = assemble(house, shop, instance, hosting)
    host, port = place
    with upkeep.listening(port, host) if fd is None else socket.socket(fileno=fd) as bound:
        # Who is handed a socket shares it with others, and counts together with them.
        shared = shop.folder if fd is not None else None
        run(_serve(app, shop, say, bound, shared))
    return 0

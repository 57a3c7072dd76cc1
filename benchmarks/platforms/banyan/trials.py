"""What no loop of visitors shows: a crowd that wants one thing, and calls between processes.

Both take a module as it is, on a PostgreSQL of their own that writes as a shop's does.
"""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import NamedTuple

import psutil
import uvloop
from nats.aio.msg import Msg

from banyan.engines.postgres import EmbeddedPostgres
from banyan.kernel.app import App, House
from banyan.kernel.ids import Ids
from banyan.kernel.link import Unavailable, calling
from banyan.kernel.nats import Broker
from banyan.kernel.subjects import permissions
from banyan.kernel.testing import Server, bench
from banyan.modules.inventory.contract import Held, Inventory, OutOfStock, Warehouse
from banyan.modules.inventory.module import module
from banyan.vocabulary import Line, Sku
from benchmarks.load import Figures
from benchmarks.meter import spent
from benchmarks.report import Trial
from tests.engines.brokers import LentNats, lent

CROWD, SCARCE, ROUNDS = 1000, 100, 5
LAMP, LAST = Sku("LAMP"), Sku("LAST")
CALLS = 3000
ECHO = "banyan.call.inventory.echo"
IDS = Ids()
START_SECONDS = 30


def trials() -> Iterator[Trial]:
    """Try both."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        yield from _rush(Path(folder) / "rush")
        yield from _hop(Path(folder) / "hop")


def _rush(folder: Path) -> Iterator[Trial]:
    """Let a crowd reserve one SKU at once, first enough of it for all, then too little."""
    with EmbeddedPostgres(folder, print) as postgres:
        rich, cost, poor = uvloop.run(_crowd(Server(postgres.dsn()), folder))
    per_second = rich["held"] / cost.seconds
    yield Trial(
        f"reservations of one SKU, {CROWD:,} buyers at once",
        f"{per_second:,.0f}/s, {cost.cpu_ms / max(rich['held'], 1):.2f} ms CPU each, "
        f"{rich['failed']} failed",
        "≥ 1,000/s, none fails",
        held=per_second >= CROWD and not rich["failed"],
    )
    yield Trial(
        f"{SCARCE} units for {CROWD:,} buyers",
        ", ".join(f"{number} {outcome}" for outcome, number in sorted(poor.items())),
        f"{SCARCE} held, none fails",
        held=poor == {"held": SCARCE, "out of stock": CROWD - SCARCE},
    )


class Cost(NamedTuple):
    """How long something took, and how much of the processors."""

    seconds: float
    cpu_ms: float


async def _crowd(server: Server, folder: Path) -> tuple[Counter[str], Cost, Counter[str]]:
    async with bench(server, [module], folder=folder) as shop:
        inventory = shop.ask(Inventory)
        await inventory.save_warehouse(warehouse=Warehouse(code="near", title="N", country="DE"))

        async def buy(sku: Sku) -> str:
            try:
                with calling():
                    one = (Line(sku=sku, quantity=1),)
                    await inventory.reserve(reservation=IDS.new(), lines=one)
            except OutOfStock:
                return "out of stock"
            except Unavailable:
                return "failed"
            return "held"

        async def crowd(sku: Sku) -> Counter[str]:
            return Counter(await asyncio.gather(*(buy(sku) for _ in range(CROWD))))

        await inventory.count(
            levels=(
                Held(sku=LAMP, warehouse="near", quantity=CROWD * (ROUNDS + 1)),
                Held(sku=LAST, warehouse="near", quantity=SCARCE),
            )
        )
        await crowd(LAMP)
        me, rich = psutil.Process(), Counter[str]()
        before, begun = spent(me, str), time.perf_counter()
        for _ in range(ROUNDS):
            rich += await crowd(LAMP)
        seconds = time.perf_counter() - begun
        cpu = sum(spent(me, str).since(before).seconds.values())
        return rich, Cost(seconds, cpu * 1000), await crowd(LAST)


def _hop(folder: Path) -> Iterator[Trial]:
    """Ask the same of a module in this process, and of one in another; then nothing at all."""
    with _stage(folder) as (near, over_there):
        here = uvloop.run(_asked(near))
        there = uvloop.run(_asked(over_there))
        bare = uvloop.run(_echoed(over_there))
    one, paced = (there[n].percentile(50) - here[n].percentile(50) for n in (0, 1))
    late = there[1].percentile(99) - here[1].percentile(99)
    yield Trial(
        "a hop, one call at a time",
        f"+{one:.2f} ms p50 (a bare request by nats-py: {bare.percentile(50):.2f} ms)",
        "≤ +0.6 ms",
        held=one <= 0.6,
    )
    yield Trial(
        "a hop, 1,000 calls a second",
        f"+{paced:.2f} ms p50, +{late:.2f} ms p99",
        "p99 < +2.5 ms",
        held=late < 2.5,
    )


@contextmanager
def _stage(folder: Path) -> Iterator[tuple[Callable[[], App], Callable[[], App]]]:
    """Start a database, a broker, and a process that answers; return how to be who asks."""
    forking = multiprocessing.get_context("fork")
    stop, ready = forking.Event(), forking.Event()
    with ExitStack() as stack:
        postgres = stack.enter_context(EmbeddedPostgres(folder, print))
        server = Server(postgres.dsn())
        nats = stack.enter_context(lent(folder / "nats"))
        nats.grant(
            {
                "far": permissions("far", hosts=["inventory"], asks=[]),
                "near": permissions("near", hosts=[], asks=["inventory"]),
            }
        )
        database = asyncio.run(server.fresh([module]).__aenter__())

        def app(name: str, broker: LentNats | None) -> App:
            return App(
                House(modules=[module]),
                dsn=lambda one: server.address(database, module=one),
                folder=folder,
                hosts=[] if broker and name == "near" else ["inventory"],
                broker=Broker(broker.url, name, broker.credentials(name)) if broker else None,
                instance=name,
            )

        far = forking.Process(target=_answer, args=(lambda: app("far", nats), ready, stop))
        far.start()
        assert ready.wait(START_SECONDS), "the process that answers did not start"
        try:
            yield lambda: app("near", None), lambda: app("near", nats)
        finally:
            stop.set()
            far.join(START_SECONDS)


def _answer(make: Callable[[], App], ready: Event, stop: Event) -> None:
    async def live() -> None:
        app = make()
        await app.open()
        await app.answer({})
        assert app.broker
        client = app.broker.client

        async def echo(message: Msg) -> None:
            await client.publish(message.reply, message.data)

        await client.subscribe(ECHO, cb=echo)
        await client.flush()
        gc.freeze()  # As every process of a shop does.
        ready.set()
        await asyncio.to_thread(stop.wait)
        os._exit(0)  # It has nothing that anybody would miss.

    uvloop.run(live())


async def _echoed(make: Callable[[], App]) -> Figures:
    """Send to the other process, one by one, what it sends back without a look."""
    broker = make().broker
    assert broker
    await broker.open()
    figures = Figures()
    for _ in range(CALLS):
        begun = time.perf_counter()
        await broker.client.request(ECHO, b"{}", timeout=START_SECONDS)
        figures.latencies.append(time.perf_counter() - begun)
    await broker.close()
    return figures


async def _asked(make: Callable[[], App]) -> tuple[Figures, Figures]:
    """Ask one thing after the other, then so many each second."""
    app = make()
    await app.open()
    gc.freeze()
    inventory = app.ask(Inventory)

    async def ask(figures: Figures) -> None:
        begun = time.perf_counter()
        with calling():
            await inventory.availability(skus=(LAMP,))
        figures.latencies.append(time.perf_counter() - begun)

    async def in_turn(figures: Figures) -> None:
        for _ in range(CALLS):
            await ask(figures)

    async def paced(figures: Figures) -> None:
        begun = time.perf_counter()
        async with asyncio.TaskGroup() as together:
            for number in range(CALLS):
                await asyncio.sleep(begun + number / 1000 - time.perf_counter())
                together.create_task(ask(figures))

    async def measured(way: Callable[[Figures], Awaitable[None]]) -> Figures:
        await in_turn(Figures())
        figures = Figures()
        await way(figures)
        return figures

    try:
        return await measured(in_turn), await measured(paced)
    finally:
        await app.close()

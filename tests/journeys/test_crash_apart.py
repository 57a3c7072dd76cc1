"""A purchase through a split shop, whose processes are killed wherever one comes to a point."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine
from ctypes import c_int
from dataclasses import dataclass
from functools import partial
from multiprocessing.context import ForkProcess
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from banyan.kernel import fault
from banyan.kernel.app import App
from banyan.kernel.clock import Clock
from banyan.kernel.link import Unavailable, calling
from banyan.kernel.testing import Server
from banyan.kernel.topology import Process, Topology
from banyan.vocabulary import CartId
from tests.engines.brokers import LentNats
from tests.journeys.apart import VISITOR, Apart, alone, granted, joined, streams
from tests.journeys.house import filled, furnish, house, made, some_cart
from tests.journeys.survival import STOCK, LaterClock, check_out, verdict
from tests.plugins.sandbox_process import SandboxProcess

TOPOLOGY = """
[engines]
nats = "embedded"
[process.till]
modules = ["payments", "inventory"]
[process.desk]
modules = ["*"]
"""
FORK = multiprocessing.get_context("fork")
SECONDS = 60
PATIENCE_SECONDS = 3
"""So long a shopper waits for the dead."""

MOST_POINTS = 300
LEAST_POINTS = 20
EVERY = 10
"""Of so many points one is a death in an ordinary run; `make soak` takes them all."""


@dataclass
class Passed:
    """How many points were reached since it counts, in whichever process; at one, that one dies."""

    counting: c_int
    number: c_int

    def watch(self, dies_at: int) -> None:
        """Count in this process, and end it as if by the power supply."""

        def reached(_: str) -> None:
            if self.counting.value:
                self.number.value += 1
                if self.number.value == dies_at:
                    os.kill(os.getpid(), signal.SIGKILL)

        fault.watch(reached)


@dataclass
class Stage:
    """Where processes live and die: a database, a bank, a folder, a broker."""

    server: Server
    database: str
    bank: SandboxProcess
    folder: Path
    nats: LentNats
    told: Topology

    def make(self, clock: Clock | None = None, instance: str = "one") -> Callable[..., App]:
        here = (self.server, self.database, self.bank, self.folder)
        return partial(made, *here, clock=clock, instance=instance)

    def play(self, deed: Callable[[Apart], Awaitable[None]], make: Callable[..., App]) -> None:
        """Do something in all processes at once, which share a fork of this one."""

        async def live() -> None:
            async with joined(self.told, house(), self.nats, make) as shop:
                await deed(shop)

        assert _end(_forked(live())) == 0

    def purchase(self, cart: CartId, token: str, dies_at: int) -> tuple[bool, bool]:
        """Buy in a shop of which one process dies; tell whether one did, and who bought did not."""
        passed = Passed(FORK.RawValue(c_int), FORK.RawValue(c_int))
        serving = []
        for process in self.told.processes:
            ready = FORK.Event()
            serving.append(_forked(self._serve(process, partial(passed.watch, dies_at), ready)))
            assert ready.wait(SECONDS), f"{process.name} does not open"
        bought = _end(_forked(self._shop(cart, token, passed)))
        assert bought in (0, 1)
        died = [one.exitcode for one in serving if not one.is_alive()]
        assert died in ([], [-signal.SIGKILL])
        for one in serving:  # What the other one still waits for will never come.
            one.kill()
            _end(one)
        return bool(died), bought == 0

    async def _serve(self, process: Process, watch: Callable[[], None], ready: Event) -> None:
        hosts = self.told.modules_of(process, [module.name for module in house().modules])
        async with alone(self.make(), self.nats, process.name, hosts):
            watch()
            ready.set()
            await asyncio.sleep(SECONDS)

    async def _shop(self, cart: CartId, token: str, passed: Passed) -> None:
        async with alone(self.make(), self.nats, VISITOR, ()) as visitor:
            shop = Apart(visitor=visitor, processes=[])
            await filled(shop, cart)
            passed.counting.value = 1
            try:
                with calling(seconds=PATIENCE_SECONDS):
                    await check_out(shop, cart, token)
            except Unavailable:
                raise SystemExit(1) from None
            finally:
                passed.counting.value = 0


def _forked(life: Coroutine[None, None, None]) -> ForkProcess:
    process = FORK.Process(target=lambda: asyncio.run(life))
    process.start()
    life.close()
    return process


def _end(process: ForkProcess) -> int:
    process.join(SECONDS)
    assert process.exitcode is not None, "a process of the sweep hangs"
    return process.exitcode


@pytest.mark.timeout(560)
def test_a_purchase_survives_the_death_of_either_process_at_any_point(
    server: Server,
    nats: LentNats,
    tmp_path: Path,
    measured: Callable[[str], None],
    *,
    soak: bool,
) -> None:
    (tmp_path / "split.toml").write_text(TOPOLOGY)
    # The server tells a thread that it took over, so whoever forks has granted before.
    told = granted(str(tmp_path / "split"), house(), nats)
    with asyncio.Runner() as runner, SandboxProcess(tmp_path / "bank") as bank:
        fresh, flowing = server.fresh(house().modules), streams(house(), nats)
        stage = Stage(server, runner.run(fresh.__aenter__()), bank, tmp_path, nats, told)
        runner.run(flowing.__aenter__())
        try:
            reached = sweep(stage, 1 if soak else EVERY)
        finally:
            runner.run(flowing.__aexit__(None, None, None))
            runner.run(fresh.__aexit__(None, None, None))

    measured(f"{reached} points")
    assert reached >= LEAST_POINTS, "the sweep has fewer points than a checkout has commits"


def sweep(stage: Stage, step: int) -> int:
    """Kill at one point after the other, until a purchase gets through with nobody dead."""
    stage.play(lambda shop: furnish(shop, STOCK), stage.make())
    for sold, number in enumerate(range(1, MOST_POINTS, step)):
        cart, token = some_cart(number), f"tok_ok_{number}"
        died, bought = stage.purchase(cart, token, dies_at=number)
        assert died or bought, number
        heirs = stage.make(LaterClock(), "two") if sold % 2 else stage.make()
        stage.play(verdict(cart, token, sold), heirs)
        if not died:
            return number - 1
    raise AssertionError("the sweep finds no end")

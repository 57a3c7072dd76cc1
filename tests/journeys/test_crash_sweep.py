"""A purchase whose process is killed at every commit and every external call there is."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from banyan.kernel import fault
from banyan.kernel.app import App
from banyan.kernel.clock import Clock
from banyan.kernel.testing import Server
from banyan.vocabulary import CartId
from tests.journeys.house import filled, furnish, house, opened, some_cart
from tests.journeys.survival import STOCK, LaterClock, check_out, verdict
from tests.plugins.sandbox_process import SandboxProcess

FORK = multiprocessing.get_context("fork")
SECONDS = 60
MOST_POINTS = 200
LEAST_POINTS = 20
Deed = Callable[[App], Awaitable[None]]


@dataclass
class Stage:
    """Where processes live and die: a database, a bank, a folder."""

    server: Server
    database: str
    bank: SandboxProcess
    folder: Path

    def play(self, deed: Deed, *, clock: Clock | None = None, instance: str = "one") -> int | None:
        """Do something in a process of its own, and return how that ended."""

        async def live() -> None:
            async with opened(
                self.server,
                self.database,
                self.bank,
                self.folder,
                clock=clock,
                instance=instance,
            ) as app:
                await deed(app)

        process = FORK.Process(target=lambda: asyncio.run(live()))
        process.start()
        process.join(SECONDS)
        assert process.exitcode is not None, "a process of the sweep hangs"
        return process.exitcode


def kill_at(number: int) -> None:
    """End this process, as if by the power supply, when it comes to a point for the n-th time."""
    passed = 0

    def watch(_: str) -> None:
        nonlocal passed
        passed += 1
        if passed == number:
            os.kill(os.getpid(), signal.SIGKILL)

    fault.watch(watch)


def purchase(cart: CartId, token: str, *, dies_at: int) -> Deed:
    """Fill a cart, check it out, and die on the way."""

    async def deed(app: App) -> None:
        await filled(app, cart)
        kill_at(dies_at)
        await check_out(app, cart, token)
        fault.watch(None)

    return deed


@pytest.mark.timeout(420)
@pytest.mark.parametrize(
    ("token", "heirs", "first", "step"),
    [
        ("tok_ok", ("itself",), 1, 3),
        ("tok_ok", ("another",), 2, 3),
        ("tok_declined", ("itself", "another"), 1, 4),
        ("tok_flaky", ("another", "itself"), 1, 4),
    ],
)
def test_a_purchase_survives_the_death_of_its_process_at_any_point(
    server: Server,
    tmp_path: Path,
    token: str,
    heirs: tuple[str, ...],
    first: int,
    step: int,
    measured: Callable[[str], None],
    *,
    soak: bool,
) -> None:
    points = range(1, MOST_POINTS) if soak else range(first, MOST_POINTS, step)
    with asyncio.Runner() as runner, SandboxProcess(tmp_path / "bank") as bank:
        fresh = server.fresh(house().modules)
        stage = Stage(server, runner.run(fresh.__aenter__()), bank, tmp_path)
        try:
            reached = sweep(stage, token, heirs, points)
        finally:
            runner.run(fresh.__aexit__(None, None, None))

    measured(f"{reached} points")
    assert reached >= LEAST_POINTS, "the sweep has fewer points than a checkout has commits"


def sweep(stage: Stage, token: str, heirs: tuple[str, ...], points: Sequence[int]) -> int:
    """Kill at one point after the other, until a purchase gets through alive."""
    assert stage.play(lambda app: furnish(app, STOCK)) == 0
    sold = 0
    for turn, number in enumerate(points):
        cart, heir = some_cart(number), heirs[turn % len(heirs)]
        name = f"{token}_{number}"
        ended = stage.play(purchase(cart, name, dies_at=number))
        assert ended in (0, -signal.SIGKILL)
        outlived = verdict(cart, name, sold)
        if heir == "another":
            assert stage.play(outlived, clock=LaterClock(), instance="two") == 0, number
        else:
            assert stage.play(outlived) == 0, number
        sold += token != "tok_declined"
        if ended == 0:
            return number - 1
    raise AssertionError("the sweep finds no end")

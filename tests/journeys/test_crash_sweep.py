"""A purchase whose process is killed at every commit and every external call there is."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from banyan.kernel import fault, health
from banyan.kernel.app import App
from banyan.kernel.clock import Clock, SystemClock
from banyan.kernel.journal import LEASE_SECONDS
from banyan.kernel.testing import Server
from banyan.modules.inventory.contract import Inventory
from banyan.modules.ordering.contract import Ordering, PaymentChoice, PaymentRefused
from banyan.vocabulary import CartId
from tests.journeys.house import IN_STOCK, LAMP, filled, furnish, house, opened, settle, some_cart
from tests.plugins.sandbox_process import SandboxProcess

FORK = multiprocessing.get_context("fork")
SECONDS = 60
MOST_POINTS = 200
LEAST_POINTS = 20
Deed = Callable[[App], Awaitable[None]]


class LaterClock(SystemClock):
    """A clock that is ahead by more than a lease: to it, whoever is silent is dead."""

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=LEASE_SECONDS + 1)


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


async def check_out(app: App, cart: CartId, token: str) -> None:
    """Order what is in a cart; only a declined card may be refused."""
    payment = PaymentChoice(method="sandbox", token=token)
    try:
        await app.ask(Ordering).check_out(cart=cart, payment=payment)
    except PaymentRefused:
        assert token.startswith("tok_declined")


async def survive(app: App) -> None:
    """Carry on with what was left behind, and insist that everything is as it should be."""
    await settle(app)
    for one in await health.examine(app):
        assert one.healthy, f"{one.module}: {one.title}: {one.found}"


def verdict(cart: CartId, token: str, sold: int) -> Deed:
    """Insist on one order or none, with its stock, and that the cart can be ordered after all."""

    async def deed(app: App) -> None:
        ordering, inventory = app.ask(Ordering), app.ask(Inventory)
        await survive(app)
        before = await ordering.orders(state="confirmed", limit=1000)
        assert not await ordering.orders(state="pending", limit=1)
        await check_out(app, cart, token)
        await check_out(app, cart, token)
        await survive(app)
        after = await ordering.orders(state="confirmed", limit=1000)
        mine = [order for order in after if order.cart == cart]
        declined = token.startswith("tok_declined")
        assert len(mine) == (0 if declined else 1)
        assert len(after) - len(before) <= 1
        numbers = sorted(int(order.number or 0) for order in after)
        assert numbers == list(range(1001, 1001 + len(numbers)))
        (level,) = await inventory.levels(skus=(LAMP,))
        assert level.reserved == len(after) == sold + len(mine)
        assert level.available == IN_STOCK * 10 - len(after)

    return deed


@pytest.mark.timeout(420)
@pytest.mark.parametrize(
    ("token", "heirs"),
    [
        ("tok_ok", ("itself",)),
        ("tok_ok", ("another",)),
        ("tok_declined", ("itself", "another")),
        ("tok_flaky", ("another", "itself")),
    ],
)
def test_a_purchase_survives_the_death_of_its_process_at_any_point(
    server: Server, tmp_path: Path, token: str, heirs: tuple[str, ...], *, soak: bool
) -> None:
    step = 1 if soak or token == "tok_ok" else 3
    with asyncio.Runner() as runner, SandboxProcess(tmp_path / "bank") as bank:
        fresh = server.fresh(house().modules)
        stage = Stage(server, runner.run(fresh.__aenter__()), bank, tmp_path)
        try:
            points = sweep(stage, token, heirs, step)
        finally:
            runner.run(fresh.__aexit__(None, None, None))

    assert points >= LEAST_POINTS, "the sweep has fewer points than a checkout has commits"


def sweep(stage: Stage, token: str, heirs: tuple[str, ...], step: int) -> int:
    """Kill at the first point, and so on step by step, until a purchase gets through alive."""
    assert stage.play(lambda app: furnish(app, IN_STOCK * 10)) == 0
    sold = 0
    for number in range(1, MOST_POINTS, step):
        cart, heir = some_cart(number), heirs[number // step % len(heirs)]
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

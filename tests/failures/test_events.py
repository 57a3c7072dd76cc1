"""Failures of other shops with events and jobs, each planted in a whole shop: none happens."""

from __future__ import annotations

import asyncio
from collections import Counter as Tally
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from banyan.kernel.event import Envelope
from banyan.kernel.journal import LEASE_SECONDS
from banyan.kernel.link import Link, calling
from banyan.kernel.testing import Server
from banyan.modules.inventory.contract import StockChanged
from banyan.modules.ordering.contract import (
    OrderCanceled,
    OrderConfirmed,
    Ordering,
    PaymentChoice,
)
from banyan.modules.payments.contract import PaymentAuthorized, PaymentFailed
from banyan.vocabulary import Line
from tests.failures.shop import ShiftedClock, Shop, killing, told
from tests.journeys.house import (
    IN_STOCK,
    LAMP,
    filled,
    furnish,
    house,
    opened,
    settle,
    some_cart,
)
from tests.plugins.sandbox_process import SandboxProcess

WEEK_AND_A_DAY = 8 * 24 * 3600
PATIENCE_SECONDS = 0.8


async def test_e1_an_event_is_heard_after_its_commit_and_needs_no_second_look(shop: Shop) -> None:
    await filled(shop.app, some_cart(1))
    order = await shop.check_out(some_cart(1))
    ordering = shop.app.rooms["ordering"]

    with pytest.raises(RuntimeError):
        async with ordering.database.begin() as tx:
            tx.tell(OrderConfirmed(order=order))
            await shop.app.rooms["notifications"].worker.step()
            raise RuntimeError("not committed")
    assert await shop.mails(order.id) == ()
    await ordering.worker.outbox.relay()
    await ordering.database.close()
    await shop.app.rooms["notifications"].worker.step()

    assert len(await shop.mails(order.id)) == 1
    await ordering.database.open()
    await shop.be_sound()
    assert len(await shop.mails(order.id)) == 1


async def test_e2_nothing_that_was_told_stays_for_ever(shop: Shop) -> None:
    rows = "SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM inbox)"
    await filled(shop.app, some_cart(1))
    await shop.check_out(some_cart(1))
    await settle(shop.app)

    shop.clock.ahead_by(WEEK_AND_A_DAY)
    for room in shop.app.rooms.values():
        await room.worker.inbox.forget_old()

    assert {await room.database.value(rows) for room in shop.app.rooms.values()} == {0}


async def test_e3_while_nothing_can_be_carried_nothing_is_lost_and_nothing_heard_twice(
    shop: Shop,
) -> None:
    outbox = shop.app.rooms["ordering"].worker.outbox
    carry, losses = outbox.carry, 3

    async def lose(envelopes: Sequence[Envelope]) -> None:
        nonlocal losses
        losses -= 1
        await carry(envelopes[: len(envelopes) // 2 + 1])
        if losses >= 0:
            raise ConnectionError("the way is blocked")
        await carry(envelopes)

    outbox.carry = lose
    orders = []
    for number in range(3):
        await filled(shop.app, some_cart(number))
        orders.append(await shop.check_out(some_cart(number)))
    for _ in range(3):
        with pytest.raises(ConnectionError):
            await outbox.relay()
    await shop.be_sound()

    assert losses < 0
    assert [len(await shop.mails(order.id)) for order in orders] == [1, 1, 1]


async def test_e4_a_purchase_and_its_end_tell_no_more_than_there_is_to_tell(shop: Shop) -> None:
    await settle(shop.app)
    events = told(shop)

    await filled(shop.app, some_cart(1), quantity=3)
    await settle(shop.app)
    assert events == []
    order = await shop.check_out(some_cart(1))
    await settle(shop.app)
    assert Tally(map(type, events)) == {StockChanged: 1, PaymentAuthorized: 1, OrderConfirmed: 1}
    events.clear()
    await shop.ordering.cancel(order=order.id)
    await settle(shop.app)

    assert Tally(map(type, events)) == {StockChanged: 1, PaymentFailed: 1, OrderCanceled: 1}


@pytest.mark.parametrize(
    "point", ["before call payments.authorize", "after call sandbox.authorize"]
)
async def test_e7_what_a_killed_worker_had_in_hand_is_finished_by_another_after_its_lease(
    server: Server, talking_bank: SandboxProcess, link: Link, tmp_path: Path, point: str
) -> None:
    cart, card, clock = (
        some_cart(1),
        PaymentChoice(method="sandbox", token="tok_ok"),
        ShiftedClock(),
    )
    async with (
        server.fresh(house().modules) as database,
        opened(server, database, talking_bank, tmp_path, link=link) as dead,
    ):
        await furnish(dead)
        await filled(dead, cart)
        with killing(point), calling(seconds=PATIENCE_SECONDS):
            buying = dead.ask(Ordering).check_out(cart=cart, payment=card)
            await asyncio.gather(buying, return_exceptions=True)
        async with opened(
            server, database, talking_bank, tmp_path, link=link, clock=clock, instance="two"
        ) as heir:
            await settle(heir)
            (before,) = await heir.ask(Ordering).orders()
            clock.ahead_by(LEASE_SECONDS)
            await settle(heir)
            (after,) = await heir.ask(Ordering).orders()

    assert (before.state, after.state) == ("pending", "confirmed")


async def test_e7_a_job_whose_worker_was_killed_runs_again_after_its_lease(shop: Shop) -> None:
    await shop.inventory.reserve(
        reservation=UUID(int=7), lines=(Line(sku=LAMP, quantity=5),), minutes=0
    )
    lease = shop.clock.now() + timedelta(seconds=LEASE_SECONDS)
    async with shop.store_room.db.begin() as tx:
        await tx.execute(
            "UPDATE sagas SET owner = 'dead', due_at = $1 WHERE kind = 'job:expire_reservations'",
            lease,
        )

    await shop.settle()
    before = await shop.stock()
    await shop.pass_time(LEASE_SECONDS)

    assert before == (IN_STOCK - 5, 5)
    assert await shop.stock() == (IN_STOCK, 0)

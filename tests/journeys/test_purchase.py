"""Purchases through the whole shop, opposite the real bank, in every topology."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest

from banyan.kernel import health
from banyan.kernel.event import Envelope
from banyan.kernel.outbox import Carrier, local_carrier
from banyan.kernel.testing import Server
from banyan.modules.inventory.contract import Inventory
from banyan.modules.notifications.contract import Notifications
from banyan.modules.ordering.contract import (
    NotInStock,
    Order,
    Ordering,
    PaymentChoice,
    PaymentRefused,
)
from banyan.modules.payments.contract import Payments
from banyan.vocabulary import CartId
from tests.conftest import LINKS
from tests.journeys.apart import Shop, apart
from tests.journeys.house import (
    IN_STOCK,
    LAMP,
    filled,
    furnish,
    house,
    made,
    opened,
    settle,
    some_cart,
)
from tests.plugins.sandbox_merchant import Received
from tests.plugins.sandbox_merchant import Shop as Door
from tests.plugins.sandbox_process import SandboxProcess


@pytest.fixture(params=["direct", "wire", "checkout-apart", "microservices"])
async def shop(
    request: pytest.FixtureRequest, server: Server, bank: SandboxProcess, tmp_path: Path
) -> AsyncIterator[Shop]:
    """Open the shop in one process, over each link, and in the processes of each topology.

    As microservices, each module has a database of its own.
    """
    async with AsyncExitStack() as stack:
        together = [house().modules]
        if request.param == "microservices":  # Nothing may assume that all data is in one place.
            together = [[module] for module in house().modules]
        databases = {
            module.name: database
            for modules in together
            for database in [await stack.enter_async_context(server.fresh(modules))]
            for module in modules
        }
        here = (server, databases, bank, tmp_path)
        shop: Shop
        if link := LINKS.get(request.param):
            shop = await stack.enter_async_context(opened(*here, link=link))
        else:
            nats = request.getfixturevalue("nats")
            processes = apart(request.param, house(), nats, partial(made, *here))
            shop = await stack.enter_async_context(processes)
        await furnish(shop)
        yield shop


async def check_out(shop: Shop, cart: CartId, token: str = "tok_ok") -> Order:
    return await shop.ask(Ordering).check_out(
        cart=cart, payment=PaymentChoice(method="sandbox", token=token)
    )


async def stock(shop: Shop) -> tuple[int, int]:
    """Tell what is available of the lamp, and what is reserved."""
    (level,) = await shop.ask(Inventory).levels(skus=(LAMP,))
    return level.available, level.reserved


async def be_sound(shop: Shop) -> None:
    """Let the doctor look at everything but the bank's books, which all tests share."""
    await settle(shop)
    for one in await health.examine(shop):
        assert one.healthy or "provider says" in one.title, one


async def test_a_purchase_leaves_order_money_stock_and_mail_in_agreement(shop: Shop) -> None:
    await filled(shop, some_cart(1), quantity=3)

    order = await check_out(shop, some_cart(1))
    await be_sound(shop)

    assert (order.state, order.totals.total.amount) == ("confirmed", 3 * 4999 + 490)
    assert await stock(shop) == (IN_STOCK - 3, 3)
    (payment,) = await shop.ask(Payments).payments(orders=(order.id,))
    assert (payment.state, payment.amount) == ("authorized", order.totals.total)
    (mail,) = await shop.ask(Notifications).messages(about=str(order.id))
    assert mail.state == "sent"


async def test_everything_delivered_twice_and_backwards_ends_the_same(shop: Shop) -> None:
    for room in shop.rooms.values():
        room.worker.outbox.carry = twice_and_backwards(shop)
    for number in (1, 2):
        await filled(shop, some_cart(number))

    orders = [await check_out(shop, some_cart(number)) for number in (1, 2)]
    await be_sound(shop)

    assert [order.number for order in orders] == ["1001", "1002"]
    assert await stock(shop) == (IN_STOCK - 2, 2)
    for order in orders:
        assert len(await shop.ask(Notifications).messages(about=str(order.id))) == 1


def twice_and_backwards(shop: Shop) -> Carrier:
    carry = local_carrier(lambda: [room.worker.inbox for room in shop.rooms.values()])

    async def deliver(envelopes: Sequence[Envelope]) -> None:
        await carry(envelopes[::-1])
        await carry(envelopes)

    return deliver


async def test_d18_three_shoppers_one_last_lamp_one_charge(shop: Shop) -> None:
    await filled(shop, some_cart(9), quantity=IN_STOCK - 1)
    await check_out(shop, some_cart(9))
    for number in (1, 2, 3):
        await filled(shop, some_cart(number))

    answers = await asyncio.gather(
        *(check_out(shop, some_cart(number)) for number in (1, 2, 3)), return_exceptions=True
    )
    await be_sound(shop)

    assert sorted(type(one).__name__ for one in answers) == ["NotInStock", "NotInStock", "Order"]
    paid = await shop.ask(Payments).payments()
    assert sum(one.state == "authorized" for one in paid) == 2
    assert await stock(shop) == (0, IN_STOCK)


async def test_s11_many_buyers_at_once_never_see_a_fault(shop: Shop) -> None:
    carts = [some_cart(100 + number) for number in range(30)]
    for cart in carts:
        await filled(shop, cart, quantity=2)

    answers = await asyncio.gather(
        *(check_out(shop, cart) for cart in carts), return_exceptions=True
    )
    await be_sound(shop)

    assert sum(isinstance(one, Order) and one.state == "confirmed" for one in answers) == 25
    assert sum(isinstance(one, NotInStock) for one in answers) == 5
    assert await stock(shop) == (0, IN_STOCK)


async def test_d1_the_webhook_and_the_browser_end_at_the_same_order(shop: Shop, door: Door) -> None:
    await filled(shop, some_cart(1))
    order = await check_out(shop, some_cart(1), "tok_ok_early")
    webhook = await webhook_of(door, order)

    await asyncio.gather(
        *(hear(shop, webhook) for _ in range(3)),
        *(check_out(shop, some_cart(1)) for _ in range(3)),
    )
    await be_sound(shop)

    assert len(await shop.ask(Ordering).orders()) == 1
    assert len(await shop.ask(Payments).payments()) == 1


async def test_d16_a_dropped_connection_after_charging_is_one_order_and_one_charge(
    shop: Shop,
) -> None:
    await filled(shop, some_cart(1))

    order = await check_out(shop, some_cart(1), "tok_flaky_once")
    await be_sound(shop)

    assert order.state == "confirmed"
    (payment,) = await shop.ask(Payments).payments(orders=(order.id,))
    assert payment.state == "authorized"


@pytest.mark.parametrize("token", ["tok_declined", "tok_insufficient"])
async def test_a_refused_card_leaves_nothing_behind(shop: Shop, token: str) -> None:
    await filled(shop, some_cart(1))

    with pytest.raises(PaymentRefused):
        await check_out(shop, some_cart(1), token)
    await be_sound(shop)

    assert await stock(shop) == (IN_STOCK, 0)
    assert (await check_out(shop, some_cart(1))).state == "confirmed"


async def test_s18_a_canceled_order_gives_back_stock_and_money(shop: Shop) -> None:
    await filled(shop, some_cart(1), quantity=2)
    order = await check_out(shop, some_cart(1))
    assert order.payment
    await shop.ask(Payments).capture(payment=order.payment, capture=UUID(int=order.id.int ^ 5))

    canceled = await shop.ask(Ordering).cancel(order=order.id, reason="changed my mind")
    await be_sound(shop)

    assert canceled.state == "canceled"
    assert await stock(shop) == (IN_STOCK, 0)
    (payment,) = await shop.ask(Payments).payments(orders=(order.id,))
    assert payment.refunded == payment.captured == order.totals.total


async def test_s2_every_line_of_every_order_is_kept(shop: Shop) -> None:
    for number in range(20):
        await filled(shop, some_cart(number))

    await asyncio.gather(
        *(check_out(shop, some_cart(number)) for number in range(20)), return_exceptions=True
    )
    await settle(shop)

    orders = await shop.ask(Ordering).orders(state="confirmed", limit=100)
    kept = await shop.ask(Inventory).reservations(ids=tuple(order.id for order in orders))
    assert len(orders) == len(kept) == 20
    assert all(one.state == "allocated" for one in kept)


async def webhook_of(door: Door, order: Order) -> Received:
    """Wait until the bank has sent what it has to say of an order's payment."""
    return await asyncio.to_thread(door.next, str(order.payment))


async def hear(shop: Shop, webhook: Received) -> None:
    await shop.ask(Payments).hear(
        provider="sandbox", headers=webhook.headers, body=webhook.body.decode()
    )

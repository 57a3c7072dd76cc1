"""Failures that nobody has reported yet, next of kin to those that somebody has."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from banyan.kernel.journal import LEASE_SECONDS
from banyan.kernel.link import calling
from banyan.modules.fulfillment.contract import Fulfillment, RateRow, ShippingMethod
from banyan.modules.ordering.contract import CartClosed, Order, PriceChanged
from banyan.modules.ordering.sagas import payment_of
from banyan.modules.ordering.service import OrderingService
from banyan.modules.payments.contract import ExceedsAuthorized, NotAuthorized, Payment
from banyan.vocabulary import Locale, Money
from tests.failures.shop import Killed, Shop, killing, told
from tests.journeys.house import EU, IN_STOCK, LAMP, filled, some_cart

ONE_LAMP = 4999 + 490
PART = Money(amount=2000, currency="EUR")
PATIENCE_SECONDS = 3
"""How long somebody waits for an answer that nobody lives to give."""


async def test_a_capture_while_the_order_is_canceled_keeps_no_money(shop: Shop) -> None:
    for number in range(4):
        await filled(shop.app, some_cart(number))
        order = await shop.check_out(some_cart(number))

        canceled, taken = await asyncio.gather(
            shop.ordering.cancel(order=order.id), shop.capture(order), return_exceptions=True
        )

        assert isinstance(canceled, Order)
        assert canceled.state == "canceled"
        assert isinstance(taken, Payment | NotAuthorized | ExceedsAuthorized)
    await shop.be_sound()
    assert await shop.stock() == (IN_STOCK, 0)


@pytest.mark.parametrize("point", ["before call sandbox.capture", "after call sandbox.capture"])
async def test_a_capture_that_died_half_way_holds_up_no_cancellation(
    shop: Shop, point: str
) -> None:
    await filled(shop.app, some_cart(1))
    order = await shop.check_out(some_cart(1))
    with killing(point), pytest.raises(Killed):
        await shop.capture(order)

    canceled = await shop.ordering.cancel(order=order.id)
    await shop.be_sound()

    assert canceled.state == "canceled"
    assert shop.held(order.id) == (ONE_LAMP, ONE_LAMP, 0, ONE_LAMP)
    assert await shop.stock() == (IN_STOCK, 0)


async def test_a_canceled_order_keeps_nothing_of_what_was_partly_captured(shop: Shop) -> None:
    await filled(shop.app, some_cart(1))
    order = await shop.check_out(some_cart(1))
    await shop.capture(order, PART)

    canceled = await shop.ordering.cancel(order=order.id)
    with pytest.raises(NotAuthorized):
        await shop.payments.capture(payment=payment_of(order.id), capture=UUID(int=9))
    await shop.be_sound()

    assert canceled.state == "canceled"
    assert shop.held(order.id) == (ONE_LAMP, PART.amount, ONE_LAMP - PART.amount, PART.amount)
    assert (await shop.payments.payment(payment=payment_of(order.id))).state == "released"
    assert await shop.stock() == (IN_STOCK, 0)


@pytest.mark.parametrize(
    "point",
    [
        "before call sandbox.void",
        "after call sandbox.void",
        "before call sandbox.refund",
        "after call sandbox.refund",
    ],
)
async def test_a_cancellation_that_died_half_way_keeps_nothing_either(
    shop: Shop, point: str
) -> None:
    await filled(shop.app, some_cart(1))
    order = await shop.check_out(some_cart(1))
    await shop.capture(order, PART)
    with killing(point), calling(seconds=PATIENCE_SECONDS):
        canceled = await shop.ordering.cancel(order=order.id)
    before = await shop.stock()

    await shop.pass_time(LEASE_SECONDS)
    await shop.be_sound()

    assert (canceled.state, before) == ("canceled", (IN_STOCK - 1, 1))
    assert shop.held(order.id) == (ONE_LAMP, PART.amount, ONE_LAMP - PART.amount, PART.amount)
    assert await shop.stock() == (IN_STOCK, 0)


async def test_parts_that_are_captured_while_the_order_is_canceled_are_given_back(
    shop: Shop,
) -> None:
    for number in range(4):
        await filled(shop.app, some_cart(number))
        order = await shop.check_out(some_cart(number))
        await shop.capture(order, PART)

        canceled, taken = await asyncio.gather(
            shop.ordering.cancel(order=order.id),
            shop.payments.capture(
                payment=payment_of(order.id), capture=UUID(int=number), amount=PART
            ),
            return_exceptions=True,
        )

        assert isinstance(canceled, Order)
        assert isinstance(taken, Payment | NotAuthorized)
    await shop.be_sound()


async def test_an_order_whose_money_was_given_back_already_gives_its_goods_back_too(
    shop: Shop,
) -> None:
    await filled(shop.app, some_cart(1))
    order = await shop.check_out(some_cart(1))
    await shop.capture(order)
    await shop.payments.refund(payment=payment_of(order.id), refund=UUID(int=9))

    canceled = await shop.ordering.cancel(order=order.id)
    await shop.be_sound()

    assert canceled.state == "canceled"
    assert shop.held(order.id) == (ONE_LAMP, ONE_LAMP, 0, ONE_LAMP)
    assert await shop.stock() == (IN_STOCK, 0)


async def test_webhooks_of_a_canceled_order_change_nothing(shop: Shop) -> None:
    await filled(shop.app, some_cart(1))
    order = await shop.check_out(some_cart(1))
    await shop.capture(order)
    await shop.ordering.cancel(order=order.id)
    webhooks = [await shop.webhook(order.id) for _ in range(3)]
    await shop.settle()
    events, before = told(shop), await shop.payments.payment(payment=payment_of(order.id))

    await asyncio.gather(*(shop.hear(webhook) for webhook in reversed(webhooks)))
    await shop.be_sound()

    assert events == []
    assert await shop.payments.payment(payment=payment_of(order.id)) == before
    assert (await shop.ordering.order(order=order.id)).state == "canceled"


async def test_a_cart_that_changes_while_it_is_ordered_is_ordered_before_or_after(
    shop: Shop,
) -> None:
    await filled(shop.app, some_cart(1))

    order, *changed = await asyncio.gather(
        shop.check_out(some_cart(1)),
        *(shop.ordering.add_line(cart=some_cart(1), sku=LAMP) for _ in range(5)),
        return_exceptions=True,
    )
    await shop.be_sound()

    assert isinstance(order, Order)
    in_time = sum(not isinstance(one, CartClosed) for one in changed)
    assert [line.quantity for line in order.lines] == [1 + in_time]
    assert order.totals.total.amount == 4999 * (1 + in_time) + 490


async def test_what_is_added_at_the_last_moment_is_weighed_as_well(shop: Shop) -> None:
    by_weight = (RateRow(weight="< 2000", amount=490), RateRow(amount=1990))
    await shop.app.ask(Fulfillment).save_method(
        method=ShippingMethod(code="post", market=EU, title={Locale("en"): "P"}, rates=by_weight)
    )
    await filled(shop.app, some_cart(1))
    ordering, begun = shop.app.rooms["ordering"].service(OrderingService), asyncio.Event()

    async def check_out() -> Order:
        await begun.wait()
        return await shop.check_out(some_cart(1))

    buying = asyncio.ensure_future(check_out())
    async with ordering.db.begin():
        await ordering.add_line(cart=some_cart(1), sku=LAMP, quantity=9)
        begun.set()
        await shop.somebody_waits_for_a_lock()

    with pytest.raises(PriceChanged) as refused:
        await buying
    assert refused.value.now.amount == 10 * 4999 + 1990
    await shop.be_sound()

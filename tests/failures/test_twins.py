"""Failures that nobody has reported yet, next of kin to those that somebody has."""

from __future__ import annotations

import asyncio

import pytest

from banyan.modules.fulfillment.contract import Fulfillment, RateRow, ShippingMethod
from banyan.modules.ordering.contract import CartClosed, Order, PriceChanged
from banyan.modules.ordering.sagas import payment_of
from banyan.modules.ordering.service import OrderingService
from banyan.modules.payments.contract import ExceedsAuthorized, NotAuthorized, Payment
from banyan.vocabulary import Locale
from tests.failures.shop import Killed, Shop, killing, told
from tests.journeys.house import EU, IN_STOCK, LAMP, filled, some_cart

ONE_LAMP = 4999 + 490


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

"""Failures of other shops between cart, money and order, each planted here: none happens."""

from __future__ import annotations

import asyncio
from collections import Counter as Tally
from collections.abc import Sequence
from uuid import UUID

import asyncpg
import pytest

from banyan.kernel import fault
from banyan.kernel.driver import RESERVE_SECONDS
from banyan.kernel.idempotency import Idempotency
from banyan.kernel.link import calling
from banyan.modules.inventory.contract import Held
from banyan.modules.ordering.contract import (
    CartClosed,
    NotInStock,
    Order,
    OrderConfirmed,
    PaymentRefused,
    PriceChanged,
)
from banyan.modules.ordering.sagas import payment_of
from banyan.modules.payments.contract import ExceedsCaptured, Payment, PaymentCaptured
from banyan.modules.payments.settings import PaymentsSettings
from banyan.modules.pricing.contract import Price, Pricing
from banyan.vocabulary import CartId, Money
from tests.failures.shop import Shop, told
from tests.journeys.house import IN_STOCK, LAMP, filled, settle, some_cart
from tests.plugins.sandbox_merchant import CONFIRM, REFUSE

AT_ONCE = 25
"""How many shoppers of D1 buy at the same time."""

ONE_LAMP = 4999 + 490


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("challenged", "purchases"), [(False, 400), (True, 100)], ids=["at once", "after a challenge"]
)
async def test_d1_however_often_browser_and_webhook_meet_there_is_one_order_and_one_capture_each(
    shop: Shop, *, challenged: bool, purchases: int, soak: bool
) -> None:
    """Over both links, and with `make soak`; else a twelfth of them."""
    purchases = purchases if soak else purchases // 12
    shop.till.settings = PaymentsSettings(capture="automatic")
    events, carts = told(shop), [some_cart(number) for number in range(purchases)]
    await shop.inventory.count(levels=(Held(sku=LAMP, warehouse="berlin", quantity=purchases),))

    async def buy(cart: CartId) -> None:
        await filled(shop.app, cart)
        token = "tok_challenge_early" if challenged else "tok_ok_early"
        order, _ = await asyncio.gather(*(shop.check_out(cart, token) for _ in range(2)))
        if order.action:
            await asyncio.gather(shop.answer(order, CONFIRM), shop.check_out(cart, token))

    with shop.door.letting_in(shop.hear):
        for first in range(0, len(carts), AT_ONCE):
            await asyncio.gather(*(buy(cart) for cart in carts[first : first + AT_ONCE]))
            await settle(shop.app)
        await shop.be_sound()

    orders = await shop.ordering.orders(limit=1000)
    assert Tally(order.state for order in orders) == {"confirmed": len(carts)}
    assert {order.cart for order in orders} == set(carts)
    assert all(shop.held(order.id) == (ONE_LAMP, ONE_LAMP, 0, 0) for order in orders)
    fates = Tally(type(event) for event in events)
    assert fates[OrderConfirmed] == fates[PaymentCaptured] == len(carts)


async def test_d2_d5_whoever_completes_a_cart_completes_the_same_order_on_one_path(
    shop: Shop,
) -> None:
    by_browser, by_webhook = some_cart(1), some_cart(2)
    for cart in (by_browser, by_webhook):
        await filled(shop.app, cart, quantity=2)
        order = await shop.check_out(cart, "tok_challenge")
        await shop.answer(order, CONFIRM)

    waiting = await shop.order_of(by_webhook)
    await shop.hear(webhook := await shop.webhook(waiting.id))
    await shop.settle()
    await shop.pass_time(21)
    first, second = await shop.order_of(by_webhook), await shop.order_of(by_browser)
    webhooks = [webhook, await shop.webhook(second.id)]
    for _ in range(2):
        for webhook in webhooks:
            await shop.hear(webhook)
    again = await shop.check_out(by_webhook, "tok_ok")
    await shop.be_sound()

    assert again == first
    assert [order.number for order in (first, second)] == ["1001", "1002"]
    assert first.totals == second.totals
    assert len(await shop.payments.payments()) == 2


async def test_d5_the_database_refuses_a_second_order_on_the_same_payment(shop: Shop) -> None:
    for number in (1, 2):
        await filled(shop.app, some_cart(number))
    first, second = [await shop.check_out(some_cart(number)) for number in (1, 2)]
    database = shop.app.rooms["ordering"].database

    with pytest.raises(asyncpg.UniqueViolationError):
        async with database.begin() as tx:
            await tx.execute(
                "UPDATE orders SET payment = $2 WHERE id = $1", second.id, first.payment
            )


async def test_d3_a_transaction_that_cannot_be_serialized_is_run_again_and_never_told(
    shop: Shop,
) -> None:
    await filled(shop.app, some_cart(1))
    failures = 0

    def collide(point: str) -> None:
        nonlocal failures
        if point == "before commit inventory" and failures < 2:
            failures += 1
            raise asyncpg.SerializationError("could not serialize access")

    fault.watch(collide)
    try:
        order = await shop.check_out(some_cart(1))
    finally:
        fault.watch(None)
    await shop.be_sound()

    assert (order.state, failures) == ("confirmed", 2)
    assert await shop.stock() == (IN_STOCK - 1, 1)


@pytest.mark.parametrize("tokens", [("tok_ok", "tok_declined"), ("tok_declined", "tok_ok")])
async def test_d4_p1_the_loser_of_a_race_undoes_nothing_of_the_winner(
    shop: Shop, tokens: Sequence[str]
) -> None:
    await filled(shop.app, some_cart(1), quantity=3)

    answers = await asyncio.gather(
        *(shop.check_out(some_cart(1), token) for token in tokens), return_exceptions=True
    )
    order = await shop.check_out(some_cart(1))
    await shop.be_sound()

    assert {type(one) for one in answers} in ({Order}, {PaymentRefused})
    assert all(one == order for one in answers if isinstance(one, Order))
    assert sum(line.tax.amount for line in order.lines) > 0
    assert await shop.stock() == (IN_STOCK - 3, 3)


async def test_d6_a_cart_that_failed_in_every_way_can_be_ordered_at_last(shop: Shop) -> None:
    cart, pricing = some_cart(1), shop.app.ask(Pricing)
    await filled(shop.app, cart)

    with pytest.raises(PaymentRefused):
        await shop.check_out(cart, "tok_insufficient")
    await shop.inventory.count(levels=(Held(sku=LAMP, warehouse="berlin", quantity=0),))
    with pytest.raises(NotInStock):
        await shop.check_out(cart)
    await shop.inventory.count(levels=(Held(sku=LAMP, warehouse="berlin", quantity=1),))
    await pricing.set_prices(prices=(Price(price_list="eu", sku=LAMP, amount=5999),))
    with pytest.raises(PriceChanged):
        await shop.check_out(cart)
    refused = await shop.check_out(cart, "tok_challenge")
    await shop.answer(refused, REFUSE)
    await shop.pass_time(21)
    order = await shop.check_out(cart)
    await shop.be_sound()

    assert (order.state, order.number) == ("confirmed", "1001")
    assert order.totals.total.amount == 5999 + 490
    assert await shop.stock() == (0, 1)


async def test_d7_at_whichever_commit_it_fails_there_is_no_mail_without_its_order(
    shop: Shop,
) -> None:
    for number in range(40):
        cart, reached = some_cart(number), 0
        await filled(shop.app, cart)

        def fail_once(point: str, number: int = number) -> None:
            nonlocal reached
            reached += point.startswith("before commit")
            if reached == number + 1:
                reached += 1
                raise RuntimeError(point)

        fault.watch(fail_once)
        try:
            (answer,) = await asyncio.gather(shop.check_out(cart), return_exceptions=True)
        finally:
            fault.watch(None)
        await settle(shop.app)
        if reached <= number:
            break
        assert isinstance(answer, Order) or not await shop.ordering.orders(state="pending")

    assert number >= 5, "a purchase has more commits than this"
    await shop.be_sound()
    for order in await shop.ordering.orders(limit=100):
        assert len(await shop.mails(order.id)) == (order.state == "confirmed")


@pytest.mark.parametrize("fate", ["refused and told", "refused in silence", "never answered"])
async def test_d8_no_order_waits_for_ever(shop: Shop, fate: str) -> None:
    await filled(shop.app, some_cart(1))
    token = "tok_challenge" if fate == "refused and told" else "tok_challenge_never"
    order = await shop.check_out(some_cart(1), token)
    assert order.state == "pending"

    if fate != "never answered":
        await shop.answer(order, REFUSE)
    if fate == "refused and told":
        await shop.hear(await shop.webhook(order.id))
        await shop.settle()
    elif fate == "refused in silence":
        await shop.pass_time(21)
    else:
        for _ in range(46):
            await shop.pass_time(21)
    await shop.be_sound()

    assert (await shop.ordering.order(order=order.id)).state == "canceled"
    assert await shop.stock() == (IN_STOCK, 0)
    assert (await shop.ordering.cart(cart=some_cart(1))).order is None


async def test_d17_an_order_that_outlasts_the_patience_of_its_shopper_is_found_again(
    shop: Shop,
) -> None:
    await filled(shop.app, some_cart(1))

    with calling(seconds=RESERVE_SECONDS + 0.3):
        hurried = await shop.check_out(some_cart(1), "tok_slow")
    begun = await shop.order_of(some_cart(1))
    with pytest.raises(CartClosed):
        await shop.ordering.add_line(cart=some_cart(1), sku=LAMP)
    again = await shop.check_out(some_cart(1))
    await shop.be_sound()

    assert hurried == begun
    assert (begun.state, again.state) == ("pending", "confirmed")
    assert again.id == begun.id
    assert len(await shop.ordering.orders()) == len(await shop.payments.payments()) == 1


@pytest.mark.parametrize("keys", [("one", "one"), ("one", "another")])
async def test_d19_a_double_click_is_one_order_whatever_the_keys(
    shop: Shop, keys: Sequence[str]
) -> None:
    await filled(shop.app, some_cart(1))

    async def click(key: str) -> Order:
        with calling(idempotency=Idempotency(key=key, fingerprint="the same")):
            return await shop.check_out(some_cart(1))

    orders = await asyncio.gather(*(click(key) for key in keys))
    replayed = Idempotency(key="one", fingerprint="the same")
    with calling(idempotency=replayed):
        later = await shop.check_out(some_cart(1))
    await shop.be_sound()

    assert replayed.replayed
    assert orders == [later, later]
    assert len(await shop.ordering.orders()) == len(await shop.payments.payments()) == 1


async def test_d21_loading_the_payment_page_again_shows_the_same_payment(shop: Shop) -> None:
    await filled(shop.app, some_cart(1))
    first = await shop.check_out(some_cart(1), "tok_challenge")

    again = await shop.check_out(some_cart(1), "tok_ok")
    await shop.answer(first, CONFIRM)
    await shop.pass_time(21)
    after = await shop.check_out(some_cart(1), "tok_ok")
    await shop.be_sound()

    assert (again.id, again.action) == (first.id, first.action)
    assert (after.id, after.state) == (first.id, "confirmed")
    assert len(await shop.payments.payments()) == 1


async def test_d22_the_webhook_alone_completes_the_order_of_a_closed_browser(shop: Shop) -> None:
    await filled(shop.app, some_cart(1))

    with shop.door.letting_in(shop.hear):
        order = await shop.check_out(some_cart(1), "tok_challenge")
        await shop.answer(order, CONFIRM)
        await shop.webhook(order.id)
        await shop.be_sound()

    assert (await shop.ordering.order(order=order.id)).state == "confirmed"
    assert len(await shop.mails(order.id)) == 1


async def test_d23_a_refund_while_the_order_is_canceled_gives_nothing_back_twice(
    shop: Shop,
) -> None:
    await filled(shop.app, some_cart(1))
    order = await shop.check_out(some_cart(1))
    await shop.capture(order)

    answers = await asyncio.gather(
        *(shop.ordering.cancel(order=order.id) for _ in range(2)),
        *(
            shop.payments.refund(
                payment=payment_of(order.id),
                refund=UUID(int=number),
                amount=Money(amount=3000, currency="EUR"),
            )
            for number in (1, 2)
        ),
        return_exceptions=True,
    )
    await shop.be_sound()

    assert {type(one) for one in answers} <= {Order, Payment, ExceedsCaptured}
    assert shop.held(order.id) == (ONE_LAMP, ONE_LAMP, 0, ONE_LAMP)

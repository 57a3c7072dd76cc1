"""Failures of other shops with stock that only a whole shop can have: none of them happens."""

from __future__ import annotations

import asyncio
from collections import Counter as Tally
from random import Random

import asyncpg
import pytest

from banyan.kernel import health
from banyan.kernel.contract import Problem
from banyan.modules.inventory.contract import Held, Reservation
from banyan.modules.ordering.contract import NotInStock, Order, PaymentRefused
from banyan.vocabulary import CartId
from tests.failures.shop import Shop
from tests.journeys.house import IN_STOCK, LAMP, SHADE, filled, some_cart
from tests.plugins.sandbox_merchant import CONFIRM, REFUSE

CHAOS_CARTS = 24
HALF_AN_HOUR = 31 * 60


async def stocked(shop: Shop, quantity: int) -> None:
    """Let a count find so many lamps."""
    await shop.inventory.count(levels=(Held(sku=LAMP, warehouse="berlin", quantity=quantity),))


async def carts(shop: Shop, count: int, quantity: int = 1) -> list[CartId]:
    """Let some shoppers each put lamps into their carts."""
    filling = [some_cart(number) for number in range(count)]
    for cart in filling:
        await filled(shop.app, cart, quantity=quantity)
    return filling


async def test_s2_s19_each_line_of_each_order_is_kept_or_owed(shop: Shop) -> None:
    await stocked(shop, 2)
    await shop.inventory.set_level(sku=LAMP, warehouse="berlin", backorder=True)
    buyers = await carts(shop, 6)
    for cart in buyers:
        await shop.ordering.add_line(cart=cart, sku=SHADE, quantity=2)

    orders = await asyncio.gather(*(shop.check_out(cart) for cart in buyers))
    await shop.be_sound()

    kept = await shop.inventory.reservations(ids=tuple(order.id for order in orders))
    assert Tally(one.state for one in kept) == {"allocated": 6}
    assert all({held.sku for held in one.held} == {LAMP, SHADE} for one in kept)
    assert await shop.stock() == (-4, 6)
    assert await shop.stock(SHADE) == (IN_STOCK - 12, 12)


async def test_s3_s14_completion_waits_for_the_lock_and_looks_at_stock_behind_it(
    shop: Shop,
) -> None:
    (cart,) = await carts(shop, 1)
    begun = asyncio.Event()

    async def check_out() -> Order:
        await begun.wait()
        return await shop.check_out(cart)

    buying = asyncio.ensure_future(check_out())
    async with shop.store_room.db.begin():
        await shop.store_room.count(levels=(Held(sku=LAMP, warehouse="berlin", quantity=0),))
        begun.set()
        await shop.somebody_waits_for_a_lock()

    with pytest.raises(NotInStock):
        await buying
    await shop.be_sound()
    assert await shop.payments.payments() == ()


async def test_s4_after_a_storm_of_everything_nothing_has_drifted(shop: Shop) -> None:
    dice = Random(4)
    buyers = await carts(shop, CHAOS_CARTS, quantity=3)
    tokens = ("tok_ok", "tok_ok", "tok_declined", "tok_flaky", "tok_challenge")

    async def shopper(cart: CartId) -> None:
        order = await shop.check_out(cart, f"{dice.choice(tokens)}_{cart}")
        if order.action:
            await shop.answer(order, dice.choice((CONFIRM, REFUSE)))
        elif dice.random() < 0.5:
            await shop.ordering.cancel(order=order.id)

    async def stocktaking() -> None:
        for _ in range(8):
            await stocked(shop, IN_STOCK + dice.randrange(-5, 5))

    endings = await asyncio.gather(
        stocktaking(), *(shopper(cart) for cart in buyers), return_exceptions=True
    )
    assert all(end is None or isinstance(end, Problem) for end in endings), endings
    assert {type(end) for end in endings} >= {type(None), PaymentRefused}
    await shop.pass_time(21)
    await shop.be_sound()

    confirmed = await shop.ordering.orders(state="confirmed", limit=100)
    assert (await shop.stock())[1] == 3 * len(confirmed)
    assert await shop.store_room.audit() == []


async def test_s5_the_last_one_is_held_before_anybody_pays(shop: Shop) -> None:
    await stocked(shop, 1)
    first, second = await carts(shop, 2)

    paying = await shop.check_out(first, "tok_challenge")
    with pytest.raises(NotInStock):
        await shop.check_out(second)
    await shop.answer(paying, CONFIRM)
    await shop.pass_time(21)
    await shop.be_sound()

    assert (await shop.order_of(first)).state == "confirmed"
    assert len(await shop.payments.payments()) == 1


async def test_s6_s14_what_was_sold_to_others_since_it_was_put_into_the_cart_is_told(
    shop: Shop,
) -> None:
    late, early = await carts(shop, 2, quantity=5)
    await stocked(shop, 7)
    await shop.check_out(early)

    with pytest.raises(NotInStock) as refused:
        await shop.check_out(late)
    await shop.be_sound()

    assert (refused.value.asked, refused.value.available) == (5, 2)
    assert len(await shop.payments.payments()) == 1


async def test_s7_whoever_pays_for_what_is_no_longer_held_gets_the_money_back(shop: Shop) -> None:
    await stocked(shop, 1)
    slow, quick = await carts(shop, 2)
    waiting = await shop.check_out(slow, "tok_challenge_never")
    await shop.answer(waiting, CONFIRM)

    shop.clock.ahead_by(HALF_AN_HOUR)
    await shop.store_room.expire_reservations()
    assert (await shop.check_out(quick)).state == "confirmed"
    await shop.settle()
    with pytest.raises(NotInStock):
        await shop.check_out(slow)
    await shop.be_sound()

    assert (await shop.ordering.order(order=waiting.id)).state == "canceled"
    assert shop.held(waiting.id)[0] > 0
    assert shop.bill(waiting.id) == 0


async def test_s7_an_order_whose_goods_are_given_away_is_an_incident(shop: Shop) -> None:
    (cart,) = await carts(shop, 1)
    order = await shop.check_out(cart)

    await shop.inventory.release(reservation=order.id)

    (found,) = [one for one in await health.examine(shop.app) if "is kept" in one.title]
    assert found.found == (f"order 1001 ({order.id}) is confirmed, but its goods are not kept",)


async def test_s16_a_checkout_that_steps_back_leaves_nothing_reserved(shop: Shop) -> None:
    tokens = ("tok_declined", "tok_insufficient", "tok_unknown", "tok_declined_thrice")
    buyers = await carts(shop, len(tokens), quantity=10)

    answers = await asyncio.gather(
        *(shop.check_out(cart, token) for cart, token in zip(buyers, tokens, strict=True)),
        return_exceptions=True,
    )
    await shop.be_sound()

    assert all(isinstance(one, Problem) for one in answers)
    assert await shop.stock() == (IN_STOCK, 0)


async def test_s17_a_drift_is_refused_or_found_and_mended(shop: Shop) -> None:
    (cart,) = await carts(shop, 1, quantity=3)
    await shop.check_out(cart)
    database = shop.app.rooms["inventory"].database

    async def set_reserved(quantity: int) -> None:
        async with database.begin() as tx:
            await tx.execute("UPDATE levels SET reserved = $2 WHERE sku = $1", LAMP, quantity)

    with pytest.raises(asyncpg.CheckViolationError):
        await set_reserved(-1)
    await set_reserved(0)
    found = await shop.store_room.audit()
    await shop.store_room.mend()

    assert len(found) == 1
    assert await shop.stock() == (IN_STOCK - 3, 3)
    await shop.be_sound()


async def test_s18_an_order_canceled_twice_at_once_gives_its_goods_back_once(shop: Shop) -> None:
    first, second = await carts(shop, 2, quantity=4)
    order, _ = [await shop.check_out(cart) for cart in (first, second)]

    await asyncio.gather(*(shop.ordering.cancel(order=order.id) for _ in range(4)))
    await shop.be_sound()

    assert await shop.stock() == (IN_STOCK - 4, 4)
    (given,) = await shop.inventory.reservations(ids=(order.id,))
    assert isinstance(given, Reservation)
    assert given.state == "released"

"""Orders on a real database."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from msgspec.structs import replace

from banyan.kernel.link import Unavailable
from banyan.modules.ordering.contract import (
    CartClosed,
    CartIncomplete,
    EmptyCart,
    MarketClosed,
    NotCancelable,
    NotInStock,
    OrderCanceled,
    OrderConfirmed,
    PaymentChoice,
    PaymentRefused,
    PriceChanged,
    UnknownPaymentMethod,
)
from banyan.modules.payments.contract import Payment, PaymentAuthorized
from banyan.modules.pricing.contract import MarketChanged, Quote
from banyan.vocabulary import CartId, Money, PaymentId
from tests.modules.ordering.conftest import CART, LAMP, Shop
from tests.modules.pricing.fake import EU


async def test_a_checkout_confirms_and_tells_once(shop: Shop) -> None:
    await shop.filled(quantity=2)

    order = await shop.check_out()

    assert (order.state, order.number, order.totals.total.amount) == ("confirmed", "1001", 10_488)
    assert sum(line.total.amount for line in order.lines) + 490 == 10_488
    assert shop.inventory.stock[LAMP] == 3
    assert shop.inventory.known[order.id].state == "allocated"
    assert [event.order for event in await shop.bench.told(OrderConfirmed)] == [order]
    assert await shop.ordering.order(order=order.id) == order


async def test_a_checkout_costs_a_fixed_number_of_statements(shop: Shop) -> None:
    await shop.filled()
    run = shop.bench.watch()

    await shop.check_out()

    said = Counter(sql.split(" ")[0] for _, sql in run)
    assert said["BEGIN"] == 1, "what makes the order is one statement by itself"
    assert said["COMMIT"] == 2, "the order is made, and confirmed with the end of its saga"
    assert said.total() - said["BEGIN"] - said["COMMIT"] == 5, said


async def test_d19_a_cart_becomes_one_order_however_often_it_is_checked_out(shop: Shop) -> None:
    await shop.filled()

    orders = await asyncio.gather(*(shop.check_out() for _ in range(5)))

    assert len({order.id for order in orders}) == 1
    assert len(shop.payments.known) == 1


async def test_d17_an_ordered_cart_is_closed(shop: Shop) -> None:
    await shop.filled()
    await shop.check_out()

    with pytest.raises(CartClosed):
        await shop.ordering.add_line(cart=CART, sku=LAMP)
    with pytest.raises(CartClosed):
        await shop.ordering.amend(cart=CART, email="eve@example.com")


async def test_what_is_missing_is_named(shop: Shop) -> None:
    await shop.ordering.create_cart(cart=CART)
    with pytest.raises(EmptyCart):
        await shop.check_out()
    await shop.ordering.add_line(cart=CART, sku=LAMP)

    with pytest.raises(CartIncomplete) as refused:
        await shop.check_out()

    assert refused.value.missing == ("email", "shipping_address", "shipping_method")


async def test_d6_after_a_refused_payment_the_same_cart_can_be_ordered(shop: Shop) -> None:
    await shop.filled()
    with pytest.raises(PaymentRefused) as refused:
        await shop.check_out("tok_declined")
    assert refused.value.reason == "declined"
    assert shop.inventory.stock[LAMP] == 5

    order = await shop.check_out()

    assert (order.state, order.number) == ("confirmed", "1001")
    assert len(await shop.canceled()) == 1


async def test_s5_s6_what_is_gone_meanwhile_is_told_before_any_payment(shop: Shop) -> None:
    await shop.filled(quantity=5)
    shop.inventory.stock[LAMP] = 1

    with pytest.raises(NotInStock) as refused:
        await shop.check_out()

    assert (refused.value.asked, refused.value.available) == (5, 1)
    assert shop.payments.known == {}


async def test_a_changed_price_is_told_and_never_silently_charged(shop: Shop) -> None:
    await shop.filled()
    await shop.set_price(5999)

    with pytest.raises(PriceChanged) as refused:
        await shop.check_out()

    assert (refused.value.told.amount, refused.value.now.amount) == (5489, 6489)
    assert shop.payments.known == {}
    assert (await shop.ordering.cart(cart=CART)).totals.total.amount == 6489
    assert (await shop.check_out()).totals.total.amount == 6489


async def test_a_cart_that_is_changed_while_its_price_is_asked_is_looked_at_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    cart = await shop.filled()
    asked = shop.pricing.quote

    async def meanwhile(**question: Any) -> Quote:  # noqa: ANN401 - whatever is asked
        monkeypatch.undo()
        await shop.service.set_quantity(cart=CART, line=cart.lines[0].id, quantity=2)
        return await asked(**question)

    monkeypatch.setattr(shop.pricing, "quote", meanwhile)
    order = await shop.check_out()

    assert [line.quantity for line in order.lines] == [2]
    assert order.totals.total.amount == 2 * 4999 + 490
    assert [one.amount for one in shop.payments.known.values()] == [order.totals.total]


async def test_while_nobody_knows_prices_nothing_is_begun(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shop.filled()

    async def away(**_: object) -> Quote:
        raise Unavailable(what="pricing")

    monkeypatch.setattr(shop.pricing, "quote", away)
    with pytest.raises(Unavailable):
        await shop.check_out()
    monkeypatch.undo()

    assert await shop.ordering.orders() == ()
    assert (await shop.ordering.cart(cart=CART)).order is None
    assert (await shop.check_out()).state == "confirmed"


async def test_a_cart_in_a_closed_market_is_not_ordered_before_that_opens_again(shop: Shop) -> None:
    await shop.filled()
    closed = await shop.pricing.close_market(code=EU)

    with pytest.raises(MarketClosed):
        await shop.check_out()
    with pytest.raises(MarketClosed):
        await shop.ordering.amend(cart=CART, email="ada@example.org")
    await shop.pricing.save_market(market=replace(closed, open=True))

    assert (await shop.check_out()).state == "confirmed"


async def test_an_order_outlives_its_market(shop: Shop) -> None:
    await shop.filled()
    begun = await shop.check_out("tok_challenge")
    await shop.bench.hear(MarketChanged(market=await shop.pricing.close_market(code=EU)))

    (payment,) = shop.payments.known.values()
    shop.payments.known[payment.id] = _authorized(shop, payment.id)
    await shop.bench.hear(
        PaymentAuthorized(
            payment=payment.id, order=begun.id, amount=payment.amount, challenged=True
        )
    )

    assert (await shop.ordering.order(order=begun.id)).state == "confirmed"
    assert (await shop.ordering.cancel(order=begun.id)).state == "canceled"


async def test_m4_what_costs_nothing_is_ordered_without_a_payment(shop: Shop) -> None:
    await shop.set_price(0)
    await shop.hear_prices(version=2)
    await shop.filled(method="eu-pickup")

    order = await shop.check_out()

    assert (order.state, order.totals.total.amount, order.payment) == ("confirmed", 0, None)
    assert shop.payments.known == {}
    assert await shop.service.audit_payments() == []


async def test_an_unknown_way_to_pay_is_refused(shop: Shop) -> None:
    await shop.filled()

    with pytest.raises(UnknownPaymentMethod):
        await shop.ordering.check_out(
            cart=CART, payment=PaymentChoice(method="barter", token="two goats")
        )


async def test_a_bank_that_hiccups_costs_the_shopper_nothing(shop: Shop) -> None:
    await shop.filled()
    shop.payments.down = 2

    assert (await shop.check_out()).state == "confirmed"
    assert len(shop.payments.known) == 1


async def test_a_challenge_shows_the_way_and_goes_on_by_the_webhook(shop: Shop) -> None:
    await shop.filled()
    order = await shop.check_out("tok_challenge")
    assert (order.state, order.number) == ("pending", None)
    assert order.action
    assert order.action.url == "https://bank.example/challenge"
    (payment,) = shop.payments.known.values()

    shop.payments.known[payment.id] = _authorized(shop, payment.id)
    await shop.bench.hear(
        PaymentAuthorized(
            payment=payment.id, order=order.id, amount=payment.amount, challenged=True
        )
    )

    confirmed = await shop.ordering.order(order=order.id)
    assert (confirmed.state, confirmed.action) == ("confirmed", None)


async def test_d22_a_webhook_that_never_comes_is_not_needed(shop: Shop) -> None:
    await shop.filled()
    order = await shop.check_out("tok_challenge")
    (payment,) = shop.payments.known.values()
    shop.payments.known[payment.id] = _authorized(shop, payment.id)

    await shop.bench.pass_time(21)

    assert (await shop.ordering.order(order=order.id)).state == "confirmed"


async def test_d8_a_challenge_that_nobody_answers_ends_and_frees_everything(shop: Shop) -> None:
    await shop.filled()
    order = await shop.check_out("tok_challenge")

    for _ in range(50):
        await shop.bench.pass_time(21)

    assert (await shop.ordering.order(order=order.id)).state == "canceled"
    assert shop.inventory.stock[LAMP] == 5
    assert {one.state for one in shop.payments.known.values()} == {"voided"}
    assert (await shop.check_out()).state == "confirmed"


async def test_order_numbers_have_no_gaps(shop: Shop) -> None:
    carts = [CartId(UUID(int=100 + n)) for n in range(6)]
    for cart in carts:
        await shop.filled(cart=cart)
    shop.inventory.stock[LAMP] = 6
    tokens = ["tok_ok", "tok_declined"] * 3

    await asyncio.gather(
        *(shop.check_out(token, cart) for token, cart in zip(tokens, carts, strict=True)),
        return_exceptions=True,
    )

    confirmed = await shop.ordering.orders(state="confirmed")
    assert sorted(str(order.number) for order in confirmed) == ["1001", "1002", "1003"]


async def test_a_canceled_order_gives_everything_back(shop: Shop) -> None:
    await shop.filled(quantity=2)
    order = await shop.check_out()

    canceled = await shop.ordering.cancel(order=order.id, reason="changed my mind")
    again = await shop.ordering.cancel(order=order.id)

    assert (canceled.state, canceled.cancel_reason) == ("canceled", "changed my mind")
    assert again == canceled
    assert shop.inventory.stock[LAMP] == 5
    assert {one.state for one in shop.payments.known.values()} == {"voided"}
    assert len(await shop.bench.told(OrderCanceled)) == 1


async def test_a_captured_order_is_refunded_when_canceled(shop: Shop) -> None:
    await shop.filled()
    order = await shop.check_out()
    assert order.payment
    await shop.payments.capture(payment=order.payment, capture=UUID(int=1))

    await shop.ordering.cancel(order=order.id)

    payment = shop.payments.known[order.payment]
    assert payment.refunded == payment.amount


async def test_of_a_partly_captured_order_the_rest_is_let_go_when_canceled(shop: Shop) -> None:
    await shop.filled()
    order = await shop.check_out()
    assert order.payment
    part = Money(amount=600, currency="EUR")
    await shop.payments.capture(payment=order.payment, capture=UUID(int=1), amount=part)
    before = await shop.service.audit_payments()

    await shop.ordering.cancel(order=order.id)

    payment = shop.payments.known[order.payment]
    assert (payment.state, payment.refunded) == ("released", part)
    assert payment.amount == payment.voided + payment.refunded
    assert shop.inventory.stock[LAMP] == 5
    assert (before, await shop.service.audit_payments()) == ([], [])


async def test_an_order_whose_money_was_given_back_already_is_canceled_to_its_end(
    shop: Shop,
) -> None:
    await shop.filled()
    order = await shop.check_out()
    assert order.payment
    await shop.payments.capture(payment=order.payment, capture=UUID(int=1))
    await shop.payments.refund(payment=order.payment, refund=UUID(int=2))

    canceled = await shop.ordering.cancel(order=order.id)

    assert canceled.state == "canceled"
    assert shop.inventory.stock[LAMP] == 5
    assert len(await shop.bench.told(OrderCanceled)) == 1


@pytest.mark.parametrize(("voided", "refunded"), [(0, 600), (4889, 0), (0, 0)])
async def test_money_that_is_still_held_or_kept_for_a_canceled_order_is_found(
    shop: Shop, voided: int, refunded: int
) -> None:
    await shop.filled()
    order = await shop.check_out()
    assert order.payment
    await shop.ordering.cancel(order=order.id)
    shop.payments.known[order.payment] = replace(
        shop.payments.known[order.payment],
        state="released" if voided else "authorized",
        captured=Money(amount=600, currency="EUR"),
        voided=Money(amount=voided, currency="EUR"),
        refunded=Money(amount=refunded, currency="EUR"),
    )

    assert await shop.service.audit_payments() == [
        f"payment {order.payment} holds money for an order that is canceled"
    ]


async def test_a_pending_order_cannot_be_canceled(shop: Shop) -> None:
    await shop.filled()
    order = await shop.check_out("tok_challenge")

    with pytest.raises(NotCancelable):
        await shop.ordering.cancel(order=order.id)


async def test_the_database_refuses_a_second_order_of_a_cart(shop: Shop) -> None:
    await shop.filled()
    order = await shop.check_out()

    with pytest.raises(asyncpg.UniqueViolationError):
        await shop.service.db.value(
            "INSERT INTO orders (id, state, cart, market, locale, currency, email, "
            "shipping_address, billing_address, shipping_method, lines, totals, total, placed_at) "
            "SELECT gen_random_uuid(), 'pending', cart, market, locale, currency, email, "
            "shipping_address, billing_address, shipping_method, lines, totals, total, placed_at "
            "FROM orders WHERE id = $1",
            order.id,
        )


def _authorized(shop: Shop, payment: PaymentId) -> Payment:
    return replace(shop.payments.known[payment], state="authorized", redirect_url=None)

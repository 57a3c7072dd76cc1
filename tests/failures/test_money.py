"""Failures of other shops with sums that pass through several hands: all hands count the same."""

from __future__ import annotations

from uuid import UUID

import pytest

from banyan.modules.catalog.contract import Catalog, Product, Variant
from banyan.modules.fulfillment.contract import Fulfillment, RateRow, ShippingMethod
from banyan.modules.inventory.contract import Held
from banyan.modules.ordering.contract import NoTaxKnown, Order, OrderConfirmed
from banyan.modules.ordering.sagas import payment_of
from banyan.modules.payments.contract import PaymentCaptured
from banyan.modules.pricing.contract import Market, Price, PriceList, Pricing, Rounding, TaxRate
from banyan.vocabulary import Locale, MarketCode, Money, ProductId, Sku
from tests.failures.shop import Shop, told
from tests.journeys.house import ADA, EU, LAMP, SHADE, filled, some_cart

FAR = MarketCode("far")
CART = some_cart(1)


async def open_far_market(
    shop: Shop, currency: str, rounding: Rounding, *, tax_inclusive: bool
) -> None:
    """Sell lamps, shades and their post at crooked prices in another currency."""
    pricing = shop.app.ask(Pricing)
    await pricing.save_market(
        market=Market(
            code=FAR,
            title="Far away",
            currency=currency,
            countries=("DE",),
            locales=(Locale("en"),),
            tax_inclusive=tax_inclusive,
            rounding=rounding,
        )
    )
    await pricing.save_price_list(price_list=PriceList(code="far", market=FAR, currency=currency))
    await pricing.set_tax_rate(
        rate=TaxRate(market=FAR, tax_class="standard", millionths=107_500, name="VAT")
    )
    await pricing.set_prices(
        prices=(
            Price(price_list="far", sku=LAMP, amount=2499),
            Price(price_list="far", sku=SHADE, amount=3186),
        )
    )
    await shop.app.ask(Fulfillment).save_method(
        method=ShippingMethod(
            code="far-post", market=FAR, title={Locale("en"): "P"}, rates=(RateRow(amount=644),)
        )
    )
    await shop.settle()


async def order_far_away(shop: Shop) -> Order:
    await shop.ordering.create_cart(cart=CART, market=FAR)
    await shop.ordering.add_line(cart=CART, sku=LAMP, quantity=1)
    await shop.ordering.add_line(cart=CART, sku=SHADE, quantity=10)
    await shop.ordering.amend(
        cart=CART, email="ada@example.com", shipping_address=ADA, shipping_method="far-post"
    )
    return await shop.check_out(CART)


@pytest.mark.parametrize(
    ("currency", "tax_inclusive", "rounding"),
    [
        ("JPY", True, "unit"),
        ("JPY", False, "order"),
        ("EUR", True, "order"),
        ("EUR", False, "unit"),
        ("BHD", True, "unit"),
        ("BHD", False, "order"),
    ],
)
async def test_m1_m2_m7_cart_order_ledger_events_and_bank_know_one_total(
    shop: Shop, currency: str, rounding: Rounding, *, tax_inclusive: bool
) -> None:
    await open_far_market(shop, currency, rounding, tax_inclusive=tax_inclusive)
    events = told(shop)

    order = await order_far_away(shop)
    payment = await shop.capture(order)
    await shop.be_sound()

    total = order.totals.total
    assert total.currency == currency
    assert (await shop.ordering.cart(cart=CART)).totals.total == total
    zero = Money.zero(currency)
    lines = sum((line.total for line in order.lines), zero)
    net = order.totals.subtotal + order.totals.shipping
    assert total == (net if tax_inclusive else net + order.totals.tax)
    assert (lines - sum((line.subtotal for line in order.lines), zero)).amount == (
        0 if tax_inclusive else sum(line.tax.amount for line in order.lines)
    )
    assert payment.amount == payment.captured == total
    assert shop.held(order.id) == (total.amount, total.amount, 0, 0)
    ledger = await shop.payments.ledger(payment=payment_of(order.id))
    provider = [one.amount for one in ledger if one.account == "provider:sandbox:captured"]
    assert sum(provider) == total.amount
    (confirmed,) = [one for one in events if isinstance(one, OrderConfirmed)]
    (captured,) = [one for one in events if isinstance(one, PaymentCaptured)]
    assert confirmed.order.totals.total == captured.amount == total


async def test_m2_parts_that_are_taken_and_given_back_add_up_to_the_total(shop: Shop) -> None:
    await open_far_market(shop, "BHD", "line", tax_inclusive=False)
    order = await order_far_away(shop)
    total, payment = order.totals.total, payment_of(order.id)

    third = Money(amount=total.amount // 3, currency="BHD")
    for number in (1, 2):
        await shop.payments.capture(payment=payment, capture=UUID(int=number), amount=third)
    taken = await shop.payments.capture(payment=payment, capture=UUID(int=3))
    for number in (1, 2):
        await shop.payments.refund(payment=payment, refund=UUID(int=number), amount=third)
    given = await shop.payments.refund(payment=payment, refund=UUID(int=3))
    await shop.settle()

    assert taken.captured == total
    assert given.refunded == total
    assert shop.bill(order.id) == 0


async def test_m4_what_is_free_is_ordered_without_money(shop: Shop) -> None:
    await shop.app.ask(Pricing).set_prices(prices=(Price(price_list="eu", sku=LAMP, amount=0),))
    await shop.app.ask(Fulfillment).save_method(
        method=ShippingMethod(
            code="post", market=EU, title={Locale("en"): "Post"}, rates=(RateRow(amount=0),)
        )
    )
    await shop.settle()
    await filled(shop.app, CART)

    order = await shop.check_out(CART)
    await shop.be_sound()

    assert (order.state, order.totals.total.amount, order.totals.tax.amount) == ("confirmed", 0, 0)
    assert order.payment is None
    assert await shop.payments.payments() == ()
    assert (await shop.ordering.cancel(order=order.id)).state == "canceled"
    await shop.be_sound()


async def test_m12_goods_whose_tax_nobody_knows_are_not_sold(shop: Shop) -> None:
    book = Sku("BOOK")
    product = Product(
        id=ProductId(UUID(int=12)),
        slug="book",
        title="Book",
        state="published",
        tax_class="books",
        variants=(Variant(sku=book),),
    )
    await shop.app.ask(Catalog).save(products=(product,))
    await shop.app.ask(Pricing).set_prices(prices=(Price(price_list="eu", sku=book, amount=900),))
    await shop.inventory.count(levels=(Held(sku=book, warehouse="berlin", quantity=1),))
    await shop.settle()
    await filled(shop.app, CART)
    await shop.ordering.add_line(cart=CART, sku=book)

    with pytest.raises(NoTaxKnown):
        await shop.check_out(CART)
    await shop.be_sound()

    assert await shop.payments.payments() == ()
    assert await shop.stock(book) == (1, 0)

"""Carts on a real database."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest
from msgspec.structs import replace

from banyan.modules.catalog.contract import (
    ProductPublished,
    ProductRetired,
    ProductText,
    Variant,
)
from banyan.modules.fulfillment.contract import Fulfillment
from banyan.modules.ordering.contract import (
    NotForSale,
    StaleCart,
    TooMany,
    UnknownCart,
    UnknownCoupon,
    UnknownLine,
    UnknownShippingMethod,
    UnknownSku,
)
from banyan.modules.ordering.model import Terms, open_cart
from banyan.modules.pricing.contract import MarketChanged
from banyan.vocabulary import CartId, Locale, MarketCode, Money, Sku, UnknownMarket
from tests.modules.ordering.conftest import CART, HOME, LAMP, SHADE, Shop, product
from tests.modules.pricing.fake import EU


async def test_a_cart_begins_empty_in_the_nearest_language_of_its_market(shop: Shop) -> None:
    cart = await shop.ordering.create_cart(cart=CART, wishes=("fr", "de-AT"))

    assert (cart.market, cart.currency, cart.lines) == ("eu", "EUR", ())
    assert cart.locale == "de"
    assert await shop.ordering.create_cart(cart=CART) == cart


@pytest.mark.parametrize(
    ("wishes", "language"), [((), "de"), (("fr",), "de"), (("fr", "EN-gb", "de"), "en")]
)
def test_a_cart_speaks_what_is_wished_for_or_else_the_first_language_of_its_market(
    wishes: tuple[str, ...], language: str
) -> None:
    locales = (Locale("de"), Locale("en"))
    terms = Terms(code=EU, currency="EUR", tax_inclusive=True, locales=locales)

    assert open_cart(CART, terms, wishes).locale == language


async def test_there_is_no_cart_in_an_unknown_market(shop: Shop) -> None:
    with pytest.raises(UnknownMarket):
        await shop.ordering.create_cart(cart=CART, market=MarketCode("moon"))


async def test_the_same_sku_again_is_put_on_top(shop: Shop) -> None:
    await shop.ordering.create_cart(cart=CART)
    await shop.ordering.add_line(cart=CART, sku=LAMP, quantity=2)

    cart = await shop.ordering.add_line(cart=CART, sku=LAMP)

    assert [(line.sku, line.quantity) for line in cart.lines] == [(LAMP, 3)]
    assert cart.totals.total == Money(amount=3 * 4999, currency="EUR")
    assert cart == await shop.ordering.cart(cart=CART)


async def test_c1_parallel_additions_all_count(shop: Shop) -> None:
    await shop.ordering.create_cart(cart=CART)

    await asyncio.gather(
        *(shop.ordering.add_line(cart=CART, sku=LAMP) for _ in range(10)),
        *(shop.ordering.add_line(cart=CART, sku=SHADE) for _ in range(10)),
    )

    cart = await shop.ordering.cart(cart=CART)
    assert {line.sku: line.quantity for line in cart.lines} == {LAMP: 10, SHADE: 10}


async def test_a_line_is_changed_and_removed(shop: Shop) -> None:
    await shop.ordering.create_cart(cart=CART)
    cart = await shop.ordering.add_line(cart=CART, sku=LAMP)
    line = cart.lines[0].id

    changed = await shop.ordering.set_quantity(cart=CART, line=line, quantity=4)
    assert changed.totals.subtotal.amount == 4 * 4999

    emptied = await shop.ordering.remove_line(cart=CART, line=line)
    assert emptied.lines == ()
    with pytest.raises(UnknownLine):
        await shop.ordering.remove_line(cart=CART, line=line)


async def test_what_cannot_be_bought_is_refused(shop: Shop) -> None:
    await shop.ordering.create_cart(cart=CART)
    await shop.bench.hear(ProductPublished(product=product(Sku("dream"))))

    with pytest.raises(UnknownSku):
        await shop.ordering.add_line(cart=CART, sku=Sku("nothing"))
    with pytest.raises(NotForSale):
        await shop.ordering.add_line(cart=CART, sku=Sku("dream"))
    with pytest.raises(UnknownCart):
        await shop.ordering.add_line(cart=CartId(UUID(int=8)), sku=LAMP)


async def test_a_closed_market_opens_no_carts_and_fills_none(shop: Shop) -> None:
    await shop.ordering.create_cart(cart=CART)
    closed = await shop.pricing.close_market(code=EU)
    await shop.bench.hear(MarketChanged(market=closed))
    elsewhere = CartId(UUID(int=8))

    with pytest.raises(NotForSale):
        await shop.ordering.add_line(cart=CART, sku=LAMP)
    with pytest.raises(UnknownMarket):
        await shop.ordering.create_cart(cart=elsewhere, market=EU)

    assert (await shop.ordering.create_cart(cart=elsewhere)).market == "us"


async def test_a_cart_holds_a_sane_number_of_units(shop: Shop) -> None:
    await shop.ordering.create_cart(cart=CART)
    await shop.ordering.add_line(cart=CART, sku=LAMP, quantity=10_000)

    with pytest.raises(TooMany):
        await shop.ordering.add_line(cart=CART, sku=LAMP)


async def test_a_change_of_a_cart_that_has_changed_meanwhile_is_refused(shop: Shop) -> None:
    cart = await shop.ordering.create_cart(cart=CART)
    await shop.ordering.add_line(cart=CART, sku=LAMP, expected=cart.version)

    with pytest.raises(StaleCart):
        await shop.ordering.add_line(cart=CART, sku=LAMP, expected=cart.version)


async def test_a_cart_with_a_destination_tells_its_final_price(shop: Shop) -> None:
    cart = await shop.filled()

    assert (cart.totals.subtotal.amount, cart.totals.shipping.amount) == (4999, 490)
    assert cart.totals.total.amount == 5489
    assert cart.totals.tax.amount > 0
    assert not cart.totals.estimated


async def test_wrong_details_are_refused(shop: Shop) -> None:
    await shop.filled()

    with pytest.raises(UnknownShippingMethod):
        await shop.ordering.amend(cart=CART, shipping_method="by-dragon")
    with pytest.raises(UnknownCoupon):
        await shop.ordering.amend(cart=CART, coupons=("FREE",))


async def test_a_way_of_shipping_that_can_be_had_no_longer_goes(shop: Shop) -> None:
    await shop.filled(method="eu-post")

    await shop.bench.ask(Fulfillment).retire_method(code="eu-post")
    cart = await shop.ordering.amend(cart=CART, shipping_address=HOME)

    assert cart.shipping_method is None
    assert cart.totals.estimated
    assert cart.totals.total == cart.totals.subtotal


async def test_shipping_methods_depend_on_the_destination(shop: Shop) -> None:
    await shop.ordering.create_cart(cart=CART)
    assert await shop.ordering.shipping_methods(cart=CART) == ()

    await shop.ordering.amend(cart=CART, shipping_address=HOME)

    methods = await shop.ordering.shipping_methods(cart=CART)
    assert [(one.code, one.price.amount) for one in methods] == [("eu-pickup", 0), ("eu-post", 490)]


async def test_news_that_comes_late_or_twice_changes_nothing(shop: Shop) -> None:
    newer = ProductPublished(product=product(LAMP, version=3, title="Better Lamp"))
    older = ProductPublished(product=product(LAMP, version=2, title="Old Lamp"))
    await shop.bench.hear(newer, older, newer)
    await shop.set_price(6000)
    await shop.hear_prices(version=3)
    await shop.set_price(100)
    await shop.hear_prices(version=2)
    await shop.ordering.create_cart(cart=CART)

    cart = await shop.ordering.add_line(cart=CART, sku=LAMP)

    assert (cart.lines[0].title, cart.lines[0].unit_price.amount) == ("Better Lamp", 6000)


@pytest.mark.parametrize("versions", [(2, 3), (3, 2)])
async def test_a_variant_that_is_gone_is_not_sold_if_both_are_heard_at_once(
    shop: Shop, versions: tuple[int, int]
) -> None:
    dimmer = Variant(sku=Sku("dimmer"), weight_grams=90)
    without = product(LAMP, version=3)
    with_it = replace(without, variants=(*without.variants, dimmer), version=2)
    told = {2: with_it, 3: without}

    await shop.bench.hear(*(ProductPublished(product=told[one]) for one in versions))

    await shop.ordering.create_cart(cart=CART)
    with pytest.raises(UnknownSku):
        await shop.ordering.add_line(cart=CART, sku=dimmer.sku)


async def test_what_is_retired_is_not_sold_even_if_its_publication_comes_later(
    shop: Shop,
) -> None:
    late = product(Sku("late"))
    await shop.bench.hear(
        ProductRetired(product=late.id, slug=late.slug, skus=(Sku("late"),), version=2)
    )
    await shop.bench.hear(ProductPublished(product=late))
    await shop.ordering.create_cart(cart=CART)

    with pytest.raises(UnknownSku):
        await shop.ordering.add_line(cart=CART, sku=Sku("late"))


async def test_carts_that_nobody_came_back_to_are_forgotten(shop: Shop) -> None:
    await shop.filled()
    kept = CartId(UUID(int=8))
    await shop.filled(cart=kept)
    await shop.check_out(cart=kept)

    shop.bench.clock.advance(91 * 24 * 3600)
    await shop.service.drop_abandoned_carts()

    with pytest.raises(UnknownCart):
        await shop.ordering.cart(cart=CART)
    assert (await shop.ordering.cart(cart=kept)).order


async def test_a_line_speaks_the_language_of_its_cart(shop: Shop) -> None:
    austria, german = Locale("de-AT"), Locale("de")
    market = (await shop.pricing.markets())[0]
    there = replace(market, locales=(german, austria, Locale("en")), version=market.version + 1)
    colored = replace(
        product(LAMP, version=2, title="Lamp"),
        variants=(Variant(sku=LAMP, options={"Color": "Red", "Size": "S"}),),
        translations={
            german: ProductText(title="Lampe", words={"Color": "Farbe", "Red": "Rot"}),
            austria: ProductText(words={"Red": "Ribisel", "Elsewhere": "Anderswo"}),
        },
    )
    await shop.bench.hear(MarketChanged(market=there), ProductPublished(product=colored))

    said = {}
    for number, language in enumerate(("de-AT", "de", "en"), start=20):
        cart = CartId(UUID(int=number))
        await shop.ordering.create_cart(cart=cart, market=there.code, wishes=(language,))
        (line,) = (await shop.ordering.add_line(cart=cart, sku=LAMP)).lines
        said[language] = (line.title, line.options)

    assert said == {
        "de-AT": ("Lampe", {"Farbe": "Ribisel", "Size": "S"}),
        "de": ("Lampe", {"Farbe": "Rot", "Size": "S"}),
        "en": ("Lamp", {"Color": "Red", "Size": "S"}),
    }

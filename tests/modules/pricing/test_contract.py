"""What pricing promises, asked of the service over a wire and of the fake alike."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from banyan.modules.pricing.contract import (
    InvalidPrice,
    NoTaxRate,
    NotPriced,
    Price,
    StaleMarket,
    StalePriceList,
    StaleTaxRate,
    TaxRate,
    UnknownPriceList,
    UnknownTaxRate,
)
from banyan.vocabulary import CurrencyMismatch, Line, Money, Sku
from tests.modules.pricing.conftest import BASE, LAMP, PIN, SALE, Shop, price
from tests.modules.pricing.fake import EU, US, euro_market


async def test_a_quote_adds_up(shop: Shop) -> None:
    await shop.pricing.set_prices(prices=(price(1999), price(250, sku=PIN)))

    quote = await shop.pricing.quote(
        market=EU,
        lines=(Line(sku=LAMP, quantity=2), Line(sku=PIN, quantity=3), Line(sku=LAMP, quantity=1)),
        shipping=Money(amount=499, currency="EUR"),
        country="AT",
    )

    assert [line.total.amount for line in quote.lines] == [3998, 750, 1999]
    assert [line.tax.amount for line in quote.lines] == [638, 120, 319]
    assert quote.shipping_tax.amount == 80
    assert quote.total == Money(amount=3998 + 750 + 1999 + 499, currency="EUR")
    assert quote.tax.amount == 638 + 120 + 319 + 80


async def test_where_prices_are_net_the_tax_comes_on_top(shop: Shop) -> None:
    await shop.pricing.set_prices(prices=(price(1999, on="us-base"),))

    quote = await shop.pricing.quote(market=US, lines=(Line(sku=LAMP, quantity=1),))

    assert (quote.subtotal.amount, quote.tax.amount, quote.total.amount) == (1999, 380, 2379)


async def test_what_has_no_price_in_a_market_is_not_sold_there(shop: Shop) -> None:
    await shop.pricing.set_prices(prices=(price(1999, on="us-base"),))

    with pytest.raises(NotPriced) as refused:
        await shop.cost(LAMP, EU)

    assert refused.value.skus == (LAMP,)


async def test_a_quote_without_a_tax_rate_is_refused(shop: Shop) -> None:
    await shop.pricing.set_prices(prices=(price(1999),))
    assert await shop.cost() == 1999

    await shop.pricing.remove_tax_rate(market=EU, tax_class="standard")

    with pytest.raises(NoTaxRate):
        await shop.cost()


async def test_a_region_has_its_own_rate_however_it_is_spelled(shop: Shop) -> None:
    await shop.pricing.set_prices(prices=(price(1000, on="us-base"),))
    here = TaxRate(market=US, tax_class="standard", millionths=0, name="Sales", country="US")
    for region, millionths in (("CA", 72_500), ("*", 50_000)):
        await shop.pricing.set_tax_rate(rate=replace(here, region=region, millionths=millionths))

    quotes = [
        await shop.pricing.quote(
            market=US, lines=(Line(sku=LAMP, quantity=1),), country="US", region=region
        )
        for region in ("CA", "US-CA", "NY", "")
    ]

    assert [quote.tax.amount for quote in quotes] == [73, 73, 50, 50]


async def test_shipping_is_paid_in_the_currency_of_the_market(shop: Shop) -> None:
    await shop.pricing.set_prices(prices=(price(1999),))

    with pytest.raises(CurrencyMismatch):
        await shop.pricing.quote(
            market=EU,
            lines=(Line(sku=LAMP, quantity=1),),
            shipping=Money(amount=499, currency="USD"),
        )


async def test_the_valid_list_of_highest_priority_decides(shop: Shop) -> None:
    await shop.pricing.save_price_list(price_list=SALE)
    await shop.pricing.save_price_list(price_list=replace(SALE, code="eu-outlet"))

    await shop.pricing.set_prices(
        prices=(
            *(price(30, sku=PIN), price(1999), price(1500, on="eu-sale")),
            price(1400, on="eu-outlet"),
        )
    )

    assert await shop.cost(LAMP) == 1400, "of equal priorities the first code"
    assert await shop.cost(PIN) == 30, "a list without a price says nothing"


async def test_a_window_opens_and_closes_by_itself(shop: Shop) -> None:
    now = shop.clock.now()
    await shop.pricing.save_price_list(
        price_list=replace(
            SALE, since=now + timedelta(seconds=60), until=now + timedelta(seconds=120)
        )
    )
    await shop.pricing.set_prices(prices=(price(1999), price(1500, on="eu-sale")))

    seen = []
    for _ in range(5):
        seen.append((await shop.cost(), (await shop.pricing.offers(skus=(LAMP,)))[0].price.amount))
        shop.clock.advance(30)

    assert seen == [(1999, 1999), (1999, 1999), (1500, 1500), (1500, 1500), (1999, 1999)]


async def test_offers_are_those_of_every_market(shop: Shop) -> None:
    await shop.pricing.set_prices(
        prices=(price(1999, was=2499), price(250, sku=PIN, was=200), price(2100, on="us-base"))
    )

    offers = await shop.pricing.offers(skus=(PIN, LAMP, Sku("unknown")))

    assert [(one.sku, one.market, one.price) for one in offers] == [
        (LAMP, EU, Money(amount=1999, currency="EUR")),
        (LAMP, US, Money(amount=2100, currency="USD")),
        (PIN, EU, Money(amount=250, currency="EUR")),
    ]
    assert offers[0].compare_at == Money(amount=2499, currency="EUR")
    assert offers[2].compare_at is None, "it was cheaper before"


async def test_setting_the_same_prices_again_changes_nothing(shop: Shop) -> None:
    assert await shop.pricing.set_prices(prices=(price(1999), price(250, sku=PIN))) == 2

    changed = await shop.pricing.set_prices(prices=(price(1999), price(260, sku=PIN)))

    assert changed == 1


async def test_prices_are_set_all_or_none(shop: Shop) -> None:
    with pytest.raises(UnknownPriceList) as refused:
        await shop.pricing.set_prices(prices=(price(1999), price(1, on="nowhere")))

    assert refused.value.price_list == "nowhere"
    assert await shop.pricing.prices(price_list="eu-base") == ()


async def test_a_batch_does_not_contradict_itself(shop: Shop) -> None:
    with pytest.raises(InvalidPrice) as refused:
        await shop.pricing.set_prices(prices=(price(1999), price(2000)))

    assert refused.value.pointer == "/prices/1"


async def test_a_removed_price_is_gone_and_another_list_decides(shop: Shop) -> None:
    await shop.pricing.save_price_list(price_list=SALE)
    await shop.pricing.set_prices(prices=(price(1999), price(1500, on="eu-sale")))

    removed = await shop.pricing.remove_prices(price_list="eu-sale", skus=(LAMP, LAMP, PIN))

    assert removed == 1
    assert await shop.cost() == 1999


async def test_a_removed_list_takes_its_prices_with_it(shop: Shop) -> None:
    await shop.pricing.save_price_list(price_list=SALE)
    await shop.pricing.set_prices(prices=(price(1999), price(1500, on="eu-sale")))

    await shop.pricing.remove_price_list(code="eu-sale")

    assert await shop.cost() == 1999
    assert [one.price_list for one in await shop.pricing.prices()] == ["eu-base"]


async def test_prices_are_listed_by_sku_and_list_without_gap_or_repeat(shop: Shop) -> None:
    await shop.pricing.save_price_list(price_list=SALE)
    every = tuple(
        price(amount, on=on, sku=Sku(sku))
        for amount, (sku, on) in enumerate(
            (sku, on) for sku in ("A", "a", "b") for on in ("eu-base", "eu-sale", "us-base")
        )
    )
    await shop.pricing.set_prices(prices=every)

    listed: tuple[Price, ...] = ()
    while more := await shop.pricing.prices(
        after=listed[-1].sku if listed else None,
        after_list=listed[-1].price_list if listed else None,
        limit=2,
    ):
        listed += more

    assert listed == every
    assert await shop.pricing.prices(after=Sku("a")) == every[6:]
    assert await shop.pricing.prices(price_list="eu-sale", skus=(Sku("b"),)) == (every[7],)


async def test_an_unknown_list_is_said_to_be_unknown(shop: Shop) -> None:
    with pytest.raises(UnknownPriceList):
        await shop.pricing.price_list(code="nowhere")
    with pytest.raises(UnknownPriceList):
        await shop.pricing.remove_price_list(code="nowhere")
    with pytest.raises(UnknownPriceList):
        await shop.pricing.prices(price_list="nowhere")
    with pytest.raises(UnknownPriceList):
        await shop.pricing.remove_prices(price_list="nowhere", skus=(LAMP,))


async def test_a_change_of_something_stale_is_refused(shop: Shop) -> None:
    rate = TaxRate(market=EU, tax_class="standard", millionths=70_000, name="VAT")

    with pytest.raises(StaleMarket):
        await shop.pricing.save_market(market=euro_market(), expected=2)
    with pytest.raises(StalePriceList):
        await shop.pricing.save_price_list(price_list=BASE, expected=2)
    with pytest.raises(StalePriceList):
        await shop.pricing.remove_price_list(code=BASE.code, expected=0)
    with pytest.raises(StaleTaxRate):
        await shop.pricing.set_tax_rate(rate=rate, expected=2)
    with pytest.raises(StaleTaxRate) as refused:
        await shop.pricing.remove_tax_rate(market=EU, tax_class="standard", expected=2)

    assert refused.value.version == 1


async def test_what_is_to_be_new_must_not_be_there(shop: Shop) -> None:
    with pytest.raises(StaleMarket):
        await shop.pricing.save_market(market=euro_market(), expected=0)

    created = await shop.pricing.save_price_list(price_list=SALE, expected=0)

    assert created.version == 1


async def test_a_price_list_is_in_the_currency_of_its_market_and_stays_there(shop: Shop) -> None:
    with pytest.raises(InvalidPrice) as wrong_currency:
        await shop.pricing.save_price_list(price_list=replace(SALE, currency="USD"))
    with pytest.raises(InvalidPrice) as wrong_market:
        await shop.pricing.save_price_list(price_list=replace(BASE, market=US, currency="USD"))

    assert (wrong_currency.value.pointer, wrong_market.value.pointer) == ("/currency", "/market")


async def test_price_lists_are_listed_by_code(shop: Shop) -> None:
    await shop.pricing.save_price_list(price_list=SALE)

    everything = await shop.pricing.price_lists()
    of_the_us = await shop.pricing.price_lists(market=US)
    second = await shop.pricing.price_lists(after="eu-base", limit=1)

    assert [one.code for one in everything] == ["eu-base", "eu-sale", "us-base"]
    assert [one.code for one in of_the_us] == ["us-base"]
    assert [one.code for one in second] == ["eu-sale"]
    assert everything[1] == await shop.pricing.price_list(code="eu-sale")


async def test_tax_rates_are_kept_by_class_and_destination(shop: Shop) -> None:
    reduced = TaxRate(
        market=US, tax_class="books", millionths=50_000, name="Sales", country="US", region="CA"
    )

    saved = await shop.pricing.set_tax_rate(rate=reduced)

    assert saved == replace(reduced, version=1)
    assert saved in await shop.pricing.tax_rates(market=US)
    assert len(await shop.pricing.tax_rates()) == 3
    found = await shop.pricing.tax_rate(market=US, tax_class="books", country="US", region="CA")
    assert found == saved
    with pytest.raises(UnknownTaxRate):
        await shop.pricing.tax_rate(market=US, tax_class="books")


async def test_removing_a_tax_rate_twice_is_as_good_as_once(shop: Shop) -> None:
    await shop.pricing.remove_tax_rate(market=EU, tax_class="standard", expected=1)
    await shop.pricing.remove_tax_rate(market=EU, tax_class="standard")

    assert await shop.pricing.tax_rates(market=EU) == ()

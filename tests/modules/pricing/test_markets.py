"""What pricing promises of markets, asked of the service over a wire and of the fake alike."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from banyan.modules.pricing.contract import (
    InvalidPrice,
    Market,
    StaleMarket,
    TaxRate,
)
from banyan.vocabulary import UnknownMarket
from tests.modules.pricing.conftest import NOWHERE, SALE, Shop, price
from tests.modules.pricing.fake import EU, US, dollar_market, euro_market


async def test_an_unknown_market_is_said_to_be_unknown(shop: Shop) -> None:
    with pytest.raises(UnknownMarket):
        await shop.pricing.market(code=NOWHERE)
    with pytest.raises(UnknownMarket):
        await shop.pricing.quote(market=NOWHERE, lines=())
    with pytest.raises(UnknownMarket):
        await shop.pricing.save_price_list(price_list=replace(SALE, market=NOWHERE))
    with pytest.raises(UnknownMarket):
        await shop.pricing.set_tax_rate(
            rate=TaxRate(market=NOWHERE, tax_class="standard", millionths=0, name="none")
        )


async def test_markets_are_listed_by_position(shop: Shop) -> None:
    await shop.pricing.save_market(market=replace(euro_market(), position=2))

    assert [market.code for market in await shop.pricing.markets()] == [US, EU]


async def test_in_a_closed_market_nothing_is_quoted_until_it_is_opened_again(shop: Shop) -> None:
    await shop.pricing.set_prices(prices=(price(1999),))

    closed = await shop.pricing.close_market(code=EU)
    with pytest.raises(UnknownMarket):
        await shop.cost()
    opened_again = await shop.pricing.save_market(market=replace(closed, open=True))

    assert [closed.open, closed.version, opened_again.version] == [False, 2, 3]
    assert await shop.cost() == 1999


async def test_a_closed_market_keeps_its_books_and_gives_way_as_the_default(shop: Shop) -> None:
    closed = await shop.pricing.close_market(code=EU)

    assert [one.code for one in await shop.pricing.markets()] == [US, EU]
    assert await shop.pricing.market(code=EU) == closed
    assert [one.code for one in await shop.pricing.price_lists(market=EU)] == ["eu-base"]
    assert [one.millionths for one in await shop.pricing.tax_rates(market=EU)] == [190_000]


async def test_only_the_market_that_was_seen_is_closed(shop: Shop) -> None:
    with pytest.raises(StaleMarket):
        await shop.pricing.close_market(code=EU, expected=2)
    with pytest.raises(UnknownMarket):
        await shop.pricing.close_market(code=NOWHERE)

    once = await shop.pricing.close_market(code=EU, expected=1)
    twice = await shop.pricing.close_market(code=EU, expected=2)

    assert once == twice


async def test_a_market_counts_its_changes(shop: Shop) -> None:
    renamed = replace(euro_market(), title="Europa")

    changed = await shop.pricing.save_market(market=renamed, expected=1)
    same = await shop.pricing.save_market(market=renamed, expected=2)

    assert (changed.version, same.version) == (2, 2)
    assert await shop.pricing.market(code=EU) == changed


async def test_a_market_with_prices_keeps_its_currency(shop: Shop) -> None:
    with pytest.raises(InvalidPrice) as refused:
        await shop.pricing.save_market(market=replace(euro_market(), currency="CHF"))

    assert refused.value.pointer == "/currency"
    assert (await shop.pricing.market(code=EU)).currency == "EUR"


async def test_a_market_without_a_list_may_change_its_currency(shop: Shop) -> None:
    await shop.pricing.remove_price_list(code="us-base")

    changed: Market = await shop.pricing.save_market(
        market=replace(dollar_market(), currency="CAD")
    )

    assert changed.currency == "CAD"

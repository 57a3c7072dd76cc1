"""Failures of other shops that concern prices and taxes, and what happens here instead."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from banyan.kernel.clock import FixedClock
from banyan.kernel.link import Link
from banyan.kernel.testing import Server, bench
from banyan.modules.pricing import model
from banyan.modules.pricing.contract import (
    Market,
    NoTaxRate,
    Price,
    PriceList,
    Pricing,
    Quote,
    Rounding,
    TaxRate,
)
from banyan.modules.pricing.model import Goods, Terms
from banyan.modules.pricing.module import module
from banyan.vocabulary import Line, Locale, MarketCode, Money, Sku

LAMP = Sku("lamp")
MARKET = Market(
    code=MarketCode("us"),
    title="United States",
    currency="USD",
    countries=("US",),
    locales=(Locale("en"),),
    tax_inclusive=False,
)
BASE = PriceList(code="base", market=MARKET.code, currency="USD")


@pytest.fixture
async def shop(
    server: Server, link: Link, tmp_path: Path
) -> AsyncIterator[tuple[Pricing, FixedClock]]:
    """Open a shop that sells a lamp for 24.99 plus 10.75 %."""
    async with bench(server, [module], folder=tmp_path, link=link) as made:
        pricing = made.ask(Pricing)
        await pricing.save_market(market=MARKET)
        await pricing.save_price_list(price_list=BASE)
        await pricing.set_prices(prices=(Price(price_list="base", sku=LAMP, amount=2499),))
        await pricing.set_tax_rate(rate=_rate(107_500))
        yield pricing, made.clock


def _rate(millionths: int, tax_class: str = "standard") -> TaxRate:
    return TaxRate(market=MARKET.code, tax_class=tax_class, millionths=millionths, name="Sales tax")


def _quote(
    *prices: int,
    millionths: int,
    quantity: int = 1,
    inclusive: bool = False,
    rounding: Rounding = "line",
) -> Quote:
    """Quote a line for each price, all with the same rate and quantity."""
    skus = [Sku(str(at)) for at in range(len(prices))]
    terms = Terms(
        market=replace(MARKET, tax_inclusive=inclusive, rounding=rounding),
        goods=tuple(
            Goods(sku=sku, amount=amount, tax_class="standard")
            for sku, amount in zip(skus, prices, strict=True)
        ),
        rates=(_rate(millionths),),
    )
    lines = [Line(sku=sku, quantity=quantity) for sku in skus]
    return model.quote(terms, lines=lines, shipping=None, country="", region="")


async def test_m1_what_is_charged_is_what_is_shown(shop: tuple[Pricing, FixedClock]) -> None:
    pricing, _ = shop
    await pricing.set_tax_rate(rate=_rate(0, "shipping"))

    quote = await pricing.quote(
        market=MARKET.code,
        lines=(Line(sku=LAMP, quantity=1),),
        shipping=Money(amount=644, currency="USD"),
    )

    # 34.116425 elsewhere, of which 34.12 were charged.
    assert quote.total == Money(amount=3412, currency="USD")
    assert quote.total == quote.lines[0].total + quote.shipping + quote.shipping_tax


def test_m3_half_a_cent_is_rounded_up() -> None:
    assert Money.of("2.675", "USD").amount == 268
    assert _quote(2675, millionths=100_000).tax.amount == 268


@pytest.mark.parametrize("rounding", ["unit", "line", "order"])
@pytest.mark.parametrize("inclusive", [True, False])
def test_m4_what_is_free_costs_exactly_nothing(*, inclusive: bool, rounding: Rounding) -> None:
    quote = _quote(0, 0, millionths=190_000, inclusive=inclusive, rounding=rounding)

    assert quote.total == quote.tax == Money.zero("USD")


async def test_m5_prices_that_are_exported_and_imported_stay_the_same(
    shop: tuple[Pricing, FixedClock],
) -> None:
    pricing, _ = shop
    await pricing.set_prices(
        prices=(Price(price_list="base", sku=Sku("sofa"), amount=10_300, compare_at=9_900),)
    )
    exported = await pricing.prices(price_list="base")

    changed = await pricing.set_prices(prices=exported)

    assert changed == 0
    assert await pricing.prices(price_list="base") == exported


@pytest.mark.parametrize(
    ("rounding", "total"), [("unit", 38_230), ("line", 38_232), ("order", 38_232)]
)
def test_m7_the_market_says_at_which_level_a_tax_is_rounded(rounding: Rounding, total: int) -> None:
    quote = _quote(3186, millionths=200_000, quantity=10, rounding=rounding)

    assert quote.total.amount == total


def test_m7_a_level_that_rounds_the_whole_order_shares_it_among_the_lines() -> None:
    by_line = _quote(33, 33, 33, millionths=100_000)
    by_order = _quote(33, 33, 33, millionths=100_000, rounding="order")

    assert (by_line.tax.amount, by_order.tax.amount) == (9, 10)
    assert [line.tax.amount for line in by_order.lines] == [4, 3, 3]


def test_m8_nothing_is_cut_off() -> None:
    assert model.half_up(1050 * 85, 100) == 893
    assert model.prorate(893, [1, 1]) == (447, 446)


@given(amount=st.integers(0, 10**9), quantity=st.integers(1, 100), millionths=st.integers(0, 10**6))
def test_m9_a_price_that_includes_the_tax_is_what_is_paid(
    amount: int, quantity: int, millionths: int
) -> None:
    for rounding in ("unit", "line", "order"):
        quote = _quote(
            amount, millionths=millionths, quantity=quantity, inclusive=True, rounding=rounding
        )

        net = quote.subtotal - quote.tax
        assert quote.total.amount == amount * quantity
        assert net + quote.tax == quote.total


def test_m9_five_times_four_seventy_are_twenty_three_fifty() -> None:
    # 23.46 elsewhere: the net unit price was rounded first, and the tax put on top again.
    quote = _quote(470, millionths=230_000, quantity=5, inclusive=True, rounding="unit")

    assert quote.total.amount == 2350


def test_m10_two_thirds_of_a_cent_are_not_lost() -> None:
    assert Money.of("0.665", "USD").amount == 67
    assert _quote(1330, millionths=50_000).tax.amount == 67


@given(
    prices=st.lists(st.integers(0, 10**6), min_size=1, max_size=8),
    percent=st.integers(0, 100),
    millionths=st.integers(0, 10**6),
)
def test_m11_a_reduction_of_the_order_is_taken_off_the_lines_before_they_are_taxed(
    prices: list[int], percent: int, millionths: int
) -> None:
    reduction = model.half_up(sum(prices) * percent, 100)
    shares = model.prorate(reduction, prices)

    reduced = [price - share for price, share in zip(prices, shares, strict=True)]
    quote = _quote(*reduced, millionths=millionths, rounding="order")

    assert min(reduced) >= 0
    assert quote.subtotal.amount == sum(prices) - reduction
    assert quote.tax.amount == model.tax_on(sum(prices) - reduction, millionths)


async def test_m12_a_missing_tax_rate_is_never_zero(shop: tuple[Pricing, FixedClock]) -> None:
    pricing, _ = shop
    lines = (Line(sku=LAMP, quantity=1),)
    before = await pricing.quote(market=MARKET.code, lines=lines)

    await pricing.remove_tax_rate(market=MARKET.code, tax_class="standard")

    assert before.tax.amount == 269
    with pytest.raises(NoTaxRate):
        await pricing.quote(market=MARKET.code, lines=lines)
    with pytest.raises(NoTaxRate):
        await pricing.quote(
            market=MARKET.code, lines=(), shipping=Money(amount=644, currency="USD")
        )


async def test_p10_changed_dates_of_a_price_list_change_prices_at_once(
    shop: tuple[Pricing, FixedClock],
) -> None:
    pricing, clock = shop
    sale = replace(BASE, code="sale", priority=1, since=clock.now() + timedelta(days=1))
    await pricing.save_price_list(price_list=sale)
    await pricing.set_prices(prices=(Price(price_list="sale", sku=LAMP, amount=1999),))
    assert await _costs(pricing) == 2499

    await pricing.save_price_list(price_list=replace(sale, since=clock.now()))
    assert await _costs(pricing) == 1999

    await pricing.save_price_list(price_list=replace(sale, since=None, until=clock.now()))
    assert await _costs(pricing) == 2499


async def test_p11_a_sale_begins_although_no_job_runs(shop: tuple[Pricing, FixedClock]) -> None:
    pricing, clock = shop
    sale = replace(BASE, code="sale", priority=1, since=clock.now() + timedelta(days=1))
    await pricing.save_price_list(price_list=sale)
    await pricing.set_prices(prices=(Price(price_list="sale", sku=LAMP, amount=1999),))

    clock.advance(timedelta(days=1).total_seconds())

    assert await _costs(pricing) == 1999


async def test_p13_a_sale_until_the_end_of_a_day_includes_all_of_it(
    shop: tuple[Pricing, FixedClock],
) -> None:
    pricing, clock = shop
    midnight = datetime(2026, 2, 1, tzinfo=UTC)
    sale = replace(BASE, code="january", priority=1, until=midnight)
    await pricing.save_price_list(price_list=sale)
    await pricing.set_prices(prices=(Price(price_list="january", sku=LAMP, amount=1999),))

    clock.advance((midnight - clock.now()).total_seconds() - 0.001)
    assert await _costs(pricing) == 1999
    clock.advance(0.001)
    assert await _costs(pricing) == 2499


async def test_f3_a_hundred_prices_are_one_question(server: Server, tmp_path: Path) -> None:
    async with bench(server, [module], folder=tmp_path) as made:
        pricing = made.ask(Pricing)
        await pricing.save_market(market=MARKET)
        await pricing.save_price_list(price_list=BASE)
        await pricing.set_tax_rate(rate=_rate(107_500))
        skus = [Sku(str(number)) for number in range(100)]
        await pricing.set_prices(
            prices=tuple(Price(price_list="base", sku=sku, amount=1) for sku in skus)
        )
        lines = tuple(Line(sku=sku, quantity=1) for sku in skus)
        run = made.watch()

        await pricing.quote(market=MARKET.code, lines=lines)

        assert len(run) == 1


async def _costs(pricing: Pricing) -> int:
    quote = await pricing.quote(market=MARKET.code, lines=(Line(sku=LAMP, quantity=1),))
    return quote.lines[0].unit_price.amount

"""Sums and rounding, on all the money that Hypothesis can think of."""

from __future__ import annotations

from fractions import Fraction
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from banyan.modules.pricing import model
from banyan.modules.pricing.contract import (
    Market,
    Quote,
    Rounding,
    TaxRate,
)
from banyan.modules.pricing.model import Charge, Goods, Terms
from banyan.vocabulary import Line, Money, Sku, exponent
from tests.modules.pricing.fake import EU, euro_market

MILLION = 1_000_000
CURRENCIES = ("JPY", "EUR", "BHD")
ROUNDINGS: tuple[Rounding, ...] = ("unit", "line", "order")

amounts = st.integers(0, 10**9)
rates = st.one_of(st.integers(0, MILLION), st.sampled_from([0, 70_000, 107_500, 190_000, MILLION]))
roundings = st.sampled_from(ROUNDINGS)
charges = st.builds(Charge, unit=amounts, quantity=st.integers(1, 10_000), millionths=rates)


@st.composite
def shops(draw: st.DrawFn) -> tuple[Terms, tuple[Line, ...], Money]:
    """Draw a market with some goods in some tax classes, what is bought of them, and a carriage."""
    market = Market(
        code=EU,
        title="Somewhere",
        currency=draw(st.sampled_from(CURRENCIES)),
        countries=("DE",),
        locales=(),
        tax_inclusive=draw(st.booleans()),
        rounding=draw(roundings),
    )
    classes = {name: draw(rates) for name in ("standard", "reduced", "shipping")}
    goods = tuple(
        Goods(sku=Sku(str(at)), amount=amount, tax_class=tax_class)
        for at, (amount, tax_class) in enumerate(
            draw(st.lists(st.tuples(amounts, st.sampled_from(["standard", "reduced"])), max_size=8))
        )
    )
    lines = tuple(Line(sku=one.sku, quantity=draw(st.integers(1, 10_000))) for one in goods)
    taxes = tuple(
        TaxRate(market=EU, tax_class=name, millionths=rate, name=name)
        for name, rate in classes.items()
    )
    shipping = Money(amount=draw(st.integers(0, 10**6)), currency=market.currency)
    return Terms(market=market, goods=goods, rates=taxes), lines, shipping


def quoted(terms: Terms, lines: tuple[Line, ...], shipping: Money | None = None) -> Quote:
    return model.quote(terms, lines=lines, shipping=shipping, country="", region="")


def exact(charge: Charge, *, inclusive: bool) -> Fraction:
    whole = MILLION + charge.millionths if inclusive else MILLION
    return Fraction(charge.amount * charge.millionths, whole)


@given(shops())
def test_sums_match_exactly_and_nothing_is_negative(
    shop: tuple[Terms, tuple[Line, ...], Money],
) -> None:
    terms, lines, shipping = shop

    quote = quoted(terms, lines, shipping)

    zero = Money.zero(terms.market.currency)
    assert quote.subtotal == sum((line.subtotal for line in quote.lines), zero)
    assert quote.tax == sum((line.tax for line in quote.lines), quote.shipping_tax)
    shipped = shipping if quote.tax_inclusive else shipping + quote.shipping_tax
    assert quote.total == sum((line.total for line in quote.lines), shipped)
    assert all(line.subtotal == line.unit_price * line.quantity for line in quote.lines)
    parts = [money for line in quote.lines for money in (line.subtotal, line.tax, line.total)]
    whole = [quote.subtotal, quote.shipping, quote.shipping_tax, quote.tax, quote.total]
    assert all(money.amount >= 0 for money in parts + whole)
    assert {money.currency for money in parts + whole} == {terms.market.currency}


@given(shops())
def test_tax_comes_on_top_or_is_contained(shop: tuple[Terms, tuple[Line, ...], Money]) -> None:
    terms, lines, shipping = shop

    quote = quoted(terms, lines, shipping)

    shown = quote.subtotal + quote.shipping
    assert quote.total == (shown if quote.tax_inclusive else shown + quote.tax)
    assert quote.tax.amount <= quote.total.amount


@given(shops(), st.randoms())
def test_the_order_of_lines_does_not_matter_for_totals(
    shop: tuple[Terms, tuple[Line, ...], Money], chance: Random
) -> None:
    terms, lines, shipping = shop
    shuffled = list(lines)
    chance.shuffle(shuffled)

    one, other = quoted(terms, lines, shipping), quoted(terms, tuple(shuffled), shipping)

    assert (one.subtotal, one.tax, one.total) == (other.subtotal, other.tax, other.total)


@given(paid=st.lists(charges, max_size=8), inclusive=st.booleans())
def test_each_rounding_step_costs_half_a_minor_unit_at_most(
    *, paid: list[Charge], inclusive: bool
) -> None:
    by_unit = model.tax_each(paid, inclusive=inclusive, rounding="unit")
    by_line = model.tax_each(paid, inclusive=inclusive, rounding="line")

    for charge, unit_wise, line_wise in zip(paid, by_unit, by_line, strict=True):
        truth = exact(charge, inclusive=inclusive)
        assert abs(unit_wise - truth) <= Fraction(charge.quantity, 2)
        assert abs(line_wise - truth) <= Fraction(1, 2)


@given(paid=st.lists(charges, max_size=8), inclusive=st.booleans())
def test_an_order_rounds_once_for_each_rate(*, paid: list[Charge], inclusive: bool) -> None:
    taxes = model.tax_each(paid, inclusive=inclusive, rounding="order")

    for rate in {charge.millionths for charge in paid}:
        same = [at for at, charge in enumerate(paid) if charge.millionths == rate]
        truth = sum((exact(paid[at], inclusive=inclusive) for at in same), Fraction(0))
        assert abs(sum(taxes[at] for at in same) - truth) <= Fraction(1, 2)
        for at in same:
            # Half a unit for the order, less than one for the share in it.
            assert abs(taxes[at] - exact(paid[at], inclusive=inclusive)) < Fraction(3, 2)


@given(amounts, st.lists(st.integers(0, 10**9), min_size=1, max_size=12))
def test_shares_add_up_and_miss_theirs_by_less_than_one(whole: int, weights: list[int]) -> None:
    weights = [*weights, 1]

    parts = model.prorate(whole, weights)

    assert sum(parts) == whole
    for part, weight in zip(parts, weights, strict=True):
        assert part >= 0
        assert abs(part - Fraction(whole * weight, sum(weights))) < 1
        assert part == 0 or weight > 0


@given(amounts, rates)
def test_what_was_put_on_top_of_a_net_amount_is_taken_out_of_the_gross_one(
    net: int, rate: int
) -> None:
    gross = net + model.tax_on(net, rate)

    assert model.tax_in(gross, rate) == gross - net


@given(amounts, rates)
def test_a_gross_amount_is_its_net_and_its_tax(gross: int, rate: int) -> None:
    tax = model.tax_in(gross, rate)
    net = gross - tax

    again = net + model.tax_on(net, rate)

    assert 0 <= tax <= gross
    # Not every gross amount is that of a net one, but the nearest such is its neighbor.
    assert abs(again - gross) <= 1
    assert again - model.tax_in(again, rate) == net


@given(st.integers(0, 10**15), st.integers(1, 10**7))
def test_halves_are_rounded_up(numerator: int, denominator: int) -> None:
    rounded = model.half_up(numerator, denominator)

    assert -Fraction(1, 2) < rounded - Fraction(numerator, denominator) <= Fraction(1, 2)


@pytest.mark.parametrize(
    ("currency", "price", "tax"),
    [("JPY", "1999", "319"), ("EUR", "19.99", "3.19"), ("BHD", "1.999", "0.319")],
)
def test_every_currency_rounds_in_its_own_minor_unit(currency: str, price: str, tax: str) -> None:
    terms = Terms(
        market=replace(euro_market(), currency=currency),
        goods=(
            Goods(sku=Sku("lamp"), amount=Money.of(price, currency).amount, tax_class="standard"),
        ),
        rates=(TaxRate(market=EU, tax_class="standard", millionths=190_000, name="VAT"),),
    )

    quote = quoted(terms, (Line(sku=Sku("lamp"), quantity=1),))

    assert quote.tax == Money.of(tax, currency)
    assert exponent(currency) == -quote.tax.major().as_tuple().exponent  # type: ignore[operator]

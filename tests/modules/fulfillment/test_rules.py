"""The rules of fulfillment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from banyan.modules.fulfillment import model
from banyan.modules.fulfillment.contract import InvalidMethod, RateRow, ShippingMethod
from banyan.modules.fulfillment.model import RateTable
from banyan.vocabulary import Locale, MarketCode, Money

ZONES = ("alps", "eu", "north-sea")


class Condition(NamedTuple):
    """A condition as a merchant writes it, and what Python understands by it."""

    text: str
    holds: Callable[[Decimal], bool]


def method(*rates: RateRow) -> ShippingMethod:
    return ShippingMethod(
        code="parcel",
        market=MarketCode("eu"),
        title={Locale("en"): "Parcel", Locale("de"): "Paket"},
        rates=rates,
    )


def euros(major: str) -> Money:
    return Money.of(major, "EUR")


def decided(table: RateTable, weight: int, total: str = "10", *zones: str) -> int | None:
    return table.decide(zones=zones, total=euros(total), weight_grams=weight).row


def bounds(places: int) -> st.SearchStrategy[Decimal]:
    return st.integers(0, 3000).map(lambda number: Decimal(number).scaleb(-places))


def conditions(places: int) -> st.SearchStrategy[Condition]:
    """Write conditions on numbers with so many decimals."""
    some = bounds(places)
    ordered = st.tuples(some, some).map(sorted)
    return st.one_of(
        st.just(Condition("", lambda _: True)),
        some.map(lambda n: Condition(f"{n}", lambda fact: fact == n)),
        some.map(lambda n: Condition(f"< {n}", lambda fact: fact < n)),
        some.map(lambda n: Condition(f"<={n}", lambda fact: fact <= n)),
        some.map(lambda n: Condition(f" > {n} ", lambda fact: fact > n)),
        some.map(lambda n: Condition(f">= {n}", lambda fact: fact >= n)),
        some.map(lambda n: Condition(f"!= {n}", lambda fact: fact != n)),
        ordered.map(lambda p: Condition(f"[{p[0]}..{p[1]}]", lambda f: p[0] <= f <= p[1])),
        ordered.map(lambda p: Condition(f"[{p[0]}..{p[1]})", lambda f: p[0] <= f < p[1])),
        ordered.map(lambda p: Condition(f"({p[0]}..{p[1]}]", lambda f: p[0] < f <= p[1])),
    )


Rule = tuple[str, Condition, Condition, int]


@given(
    rules=st.lists(
        st.tuples(
            st.sampled_from(("", *ZONES)), conditions(0), conditions(2), st.integers(0, 10**9)
        ),
        max_size=8,
    ),
    zones=st.sets(st.sampled_from(ZONES)).map(sorted),
    weight=st.integers(0, 3000),
    total=bounds(2),
)
def test_the_table_decides_as_its_rows_read(
    rules: Sequence[Rule], zones: Sequence[str], weight: int, total: Decimal
) -> None:
    table = RateTable(
        method(
            *(
                RateRow(zone=zone, weight=heavy.text, total=dear.text, amount=amount)
                for zone, heavy, dear, amount in rules
            )
        )
    )

    trial = table.decide(zones=zones, total=Money.of(total, "EUR"), weight_grams=weight)

    expected = next(
        (
            (row, Money(amount=amount, currency="EUR"))
            for row, (zone, heavy, dear, amount) in enumerate(rules)
            if (not zone or zone in zones) and heavy.holds(Decimal(weight)) and dear.holds(total)
        ),
        (None, None),
    )
    assert (trial.row, trial.price) == expected


def test_the_first_row_that_holds_decides_whatever_the_order_of_the_zones() -> None:
    table = RateTable(
        method(RateRow(zone="north-sea"), RateRow(zone="alps"), RateRow(weight="< 5000"))
    )

    found = [
        decided(table, 1, "10", "alps", "north-sea"),
        decided(table, 1, "10", "north-sea", "alps"),
        decided(table, 1, "10", "alps"),
        decided(table, 1),
        decided(table, 9000),
    ]

    assert found == [0, 0, 1, 2, None]


def test_totals_are_compared_in_major_units_of_any_currency() -> None:
    table = RateTable(method(RateRow(total=">= 49.99", amount=0), RateRow(amount=490)))

    prices = [
        table.decide(zones=(), total=total, weight_grams=0).price
        for total in (
            Money(amount=4998, currency="EUR"),
            Money(amount=4999, currency="EUR"),
            Money(amount=50, currency="JPY"),
        )
    ]

    assert [price and price.amount for price in prices] == [490, 0, 0]
    assert prices[2] == Money.zero("JPY")


@pytest.mark.parametrize(
    ("row", "pointer"),
    [
        (RateRow(weight="less than 2000"), "/rates/1/weight"),
        (RateRow(weight="< 2 kg"), "/rates/1/weight"),
        (RateRow(weight="[0..2000"), "/rates/1/weight"),
        (RateRow(total="= total >"), "/rates/1/total"),
        (RateRow(total="50 EUR"), "/rates/1/total"),
    ],
)
def test_a_cell_that_cannot_be_evaluated_is_pointed_to(row: RateRow, pointer: str) -> None:
    with pytest.raises(InvalidMethod) as refused:
        RateTable(method(RateRow(), row))

    assert refused.value.pointer == pointer
    assert refused.value.reason


def test_a_zone_that_nobody_described_is_pointed_to() -> None:
    rates = method(RateRow(zone="eu"), RateRow(), RateRow(zone="moon"))

    with pytest.raises(InvalidMethod) as refused:
        model.check_zones(rates, {"eu"})

    assert refused.value.pointer == "/rates/2/zone"


@pytest.mark.parametrize("region", ["AK", "US-AK", "ak"])
def test_a_destination_is_its_country_and_its_region(region: str) -> None:
    assert model.places("US", region) == ("US", "US-AK")
    assert model.places("US", "") == ("US",)


@pytest.mark.parametrize(
    ("locale", "title"), [("de-AT", "Paket"), ("de", "Paket"), ("fr", "Parcel"), (None, "Parcel")]
)
def test_a_title_is_told_in_the_nearest_language(locale: str | None, title: str) -> None:
    assert model.said(method().title, Locale(locale) if locale else None) == title


def test_the_cheapest_way_comes_first_and_of_equals_the_one_listed_first() -> None:
    dear, cheap, free = (RateTable(method(RateRow(amount=amount))) for amount in (900, 400, 0))
    never = RateTable(method(RateRow(weight="< 0")))

    rates = model.offer(
        [dear, never, cheap, free, cheap], zones=(), total=euros("10"), weight_grams=5, locale=None
    )

    assert [rate.price.amount for rate in rates] == [0, 400, 400, 900]

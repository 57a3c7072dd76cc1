"""The rules of inventory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from banyan.modules.inventory import model
from banyan.modules.inventory.contract import Held, Level, OutOfStock, StockTooLow
from banyan.vocabulary import Line, Sku

LAMP = Sku("lamp")


def level(warehouse: str, on_hand: int, reserved: int = 0, *, backorder: bool = False) -> Level:
    return Level(
        sku=LAMP,
        warehouse=warehouse,
        on_hand=on_hand,
        reserved=reserved,
        available=on_hand - reserved,
        backorder=backorder,
    )


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=5),
    st.lists(st.integers(1, 40), min_size=1, max_size=4),
)
def test_what_is_held_is_what_was_asked_for_and_never_more_than_is_there(
    stock: list[tuple[int, int]], asked: list[int]
) -> None:
    levels = [level(f"w{n}", max(pair), min(pair)) for n, pair in enumerate(stock)]
    lines = [Line(sku=LAMP, quantity=quantity) for quantity in asked]

    available = sum(one.available for one in levels)
    if sum(asked) > available:
        with pytest.raises(OutOfStock) as refused:
            model.hold(levels, lines)
        assert refused.value.available == available
        return

    held = model.hold(levels, lines)

    assert sum(one.quantity for one in held) == sum(asked)
    there = {one.warehouse: one.available for one in levels}
    assert all(one.quantity <= there[one.warehouse] for one in held)


def test_the_preferred_warehouse_is_emptied_first() -> None:
    held = model.hold([level("near", 3), level("far", 9)], [Line(sku=LAMP, quantity=5)])

    assert [(one.warehouse, one.quantity) for one in held] == [("near", 3), ("far", 2)]


def test_a_backorder_takes_the_rest_where_it_is_allowed() -> None:
    levels = [level("near", 1), level("far", 1, backorder=True)]

    held = model.hold(levels, [Line(sku=LAMP, quantity=5)])

    assert [(one.warehouse, one.quantity) for one in held] == [("near", 1), ("far", 4)]


def test_a_warehouse_that_owes_already_is_not_drawn_on_twice() -> None:
    levels = [level("owing", 1, 4, backorder=True), level("far", 2)]

    held = model.hold(levels, [Line(sku=LAMP, quantity=3)])

    assert {one.warehouse: one.quantity for one in held} == {"far": 2, "owing": 1}


def test_what_is_held_for_orders_cannot_be_taken_away() -> None:
    with pytest.raises(StockTooLow):
        model.refuse_too_low([level("near", 5, 4)], [Held(sku=LAMP, warehouse="near", quantity=-2)])


def test_a_count_becomes_the_differences() -> None:
    counted = [
        Held(sku=LAMP, warehouse="near", quantity=7),
        Held(sku=LAMP, warehouse="far", quantity=2),
    ]

    found = model.differences([level("near", 5), level("far", 2)], counted)

    assert [(change.warehouse, change.quantity) for change in found] == [("near", 2)]

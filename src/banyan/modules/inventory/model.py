"""The rules of inventory. No I/O, no clock, no chance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from uuid import UUID, uuid5

from banyan.modules.inventory.contract import (
    Held,
    Level,
    Movement,
    NothingMoved,
    OutOfStock,
    StaleLevel,
    StaleWarehouse,
    StockTooLow,
)
from banyan.vocabulary import Line, Sku


def hold(levels: Sequence[Level], lines: Iterable[Line]) -> tuple[Held, ...]:
    """Choose where each line is taken from; `levels` come in the order of preference.

    What one warehouse lacks is taken from the next. Beyond what is there, the first warehouse that
    allows backorders takes the rest.
    """
    asked: Counter[Sku] = Counter()
    for line in lines:
        asked[line.sku] += line.quantity
    return tuple(
        held
        for sku, quantity in asked.items()
        for held in _hold_one(sku, quantity, [level for level in levels if level.sku == sku])
    )


def _hold_one(sku: Sku, quantity: int, levels: Sequence[Level]) -> Iterable[Held]:
    taken: Counter[str] = Counter()
    left = quantity
    for level in levels:
        take = min(left, max(level.available, 0))
        taken[level.warehouse] += take
        left -= take
    if left:
        patient = next((level.warehouse for level in levels if level.backorder), None)
        if patient is None:
            raise OutOfStock(sku=sku, asked=quantity, available=quantity - left)
        taken[patient] += left
    return [Held(sku=sku, warehouse=w, quantity=n) for w, n in taken.items() if n]


def refuse_too_low(levels: Iterable[Level], changes: Iterable[Held]) -> None:
    """Refuse to take away more than is there, or what is held for orders."""
    there = {(level.sku, level.warehouse): level for level in levels}
    for change in changes:
        level = there[change.sku, change.warehouse]
        promised = 0 if level.backorder else level.reserved
        if change.quantity < 0 and level.on_hand + change.quantity < promised:
            raise StockTooLow(sku=change.sku, warehouse=change.warehouse)


def refuse_promised(level: Level) -> None:
    """Refuse to end backorders where more is promised than is there."""
    if level.reserved > level.on_hand:
        raise StockTooLow(sku=level.sku, warehouse=level.warehouse)


def refuse_stale(
    version: int, expected: int | None, stale: type[StaleLevel | StaleWarehouse]
) -> None:
    """Refuse a change of something that has changed since it was read."""
    if expected is not None and expected != version:
        raise stale(version=version)


def differences(levels: Iterable[Level], counted: Iterable[Held]) -> tuple[tuple[Held, int], ...]:
    """Tell by how much a count differs from what was believed to be there."""
    believed = {(level.sku, level.warehouse): level.on_hand for level in levels}
    found = [(c, c.quantity - believed.get((c.sku, c.warehouse), 0)) for c in counted]
    return tuple((c, change) for c, change in found if change)


def without_repeats(movements: Sequence[Movement]) -> tuple[Movement, ...]:
    """Keep each movement once, by its id; each must move something."""
    for movement in movements:
        if not movement.quantity:
            raise NothingMoved(sku=movement.sku)
    return tuple({movement.id: movement for movement in movements}.values())


def transferred(
    transfer: UUID, lines: Iterable[Line], source: str, target: str, note: str
) -> tuple[Movement, ...]:
    """Let units leave one warehouse and arrive in another, by ids that follow from the transfer."""
    units = added(Held(sku=one.sku, warehouse=source, quantity=one.quantity) for one in lines)
    for one in units:
        if source == target:
            raise NothingMoved(sku=one.sku)
    return tuple(
        Movement(
            id=uuid5(transfer, f"{direction} {one.sku}"),
            sku=one.sku,
            warehouse=warehouse,
            quantity=sign * one.quantity,
            reason="transferred",
            note=note,
        )
        for one in units
        for direction, warehouse, sign in (("from", source, -1), ("to", target, 1))
    )


def added(held: Iterable[Held]) -> tuple[Held, ...]:
    """Add up quantities of the same SKU in the same warehouse, sorted as locks are taken."""
    total: Counter[tuple[Sku, str]] = Counter()
    for one in held:
        total[one.sku, one.warehouse] += one.quantity
    return tuple(Held(sku=s, warehouse=w, quantity=n) for (s, w), n in sorted(total.items()))

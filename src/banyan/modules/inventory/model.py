"""The rules of inventory. No I/O, no clock, no chance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID, uuid5

from msgspec.structs import replace

from banyan.kernel.contract import Value
from banyan.modules.inventory.contract import (
    Held,
    Level,
    Movement,
    NothingMoved,
    OutOfStock,
    Reservation,
    ReservationOver,
    StaleLevel,
    StaleWarehouse,
    StockTooLow,
)
from banyan.vocabulary import Line, Sku


class Wish(Value, frozen=True, kw_only=True):
    """What somebody asks to be held."""

    reservation: UUID
    lines: tuple[Line, ...]
    expires_at: datetime


def reserve(
    wishes: Iterable[Wish], known: Mapping[UUID, Reservation], levels: Iterable[Level]
) -> tuple[Reservation | OutOfStock | ReservationOver, ...]:
    """Answer each wish as if it came after those before it, from what they have left."""
    standing = dict(known)
    left: dict[Sku, dict[str, Level]] = {}
    for level in levels:
        left.setdefault(level.sku, {})[level.warehouse] = level

    def answer(wish: Wish) -> Reservation | OutOfStock | ReservationOver:
        try:
            if wish.reservation in standing:
                return still_standing(wish.reservation, standing)
            skus = {line.sku: None for line in wish.lines}
            held = hold([one for sku in skus for one in left.get(sku, {}).values()], wish.lines)
        except (OutOfStock, ReservationOver) as no:
            return no
        for one in held:
            level = left[one.sku][one.warehouse]
            left[one.sku][one.warehouse] = replace(
                level,
                reserved=level.reserved + one.quantity,
                available=level.available - one.quantity,
            )
        made = Reservation(id=wish.reservation, state="held", held=held, expires_at=wish.expires_at)
        standing[made.id] = made
        return made

    return tuple(answer(wish) for wish in wishes)


def allocate(
    ids: Iterable[UUID], known: Mapping[UUID, Reservation]
) -> tuple[Reservation | ReservationOver, ...]:
    """Keep for good what is still standing of those that are asked for."""

    def answer(reservation: UUID) -> Reservation | ReservationOver:
        try:
            found = still_standing(reservation, known)
        except ReservationOver as no:
            return no
        return (
            replace(found, state="allocated", expires_at=None) if found.state == "held" else found
        )

    return tuple(answer(reservation) for reservation in ids)


def still_standing(reservation: UUID, known: Mapping[UUID, Reservation]) -> Reservation:
    """Find a reservation that is neither unknown nor given up."""
    found = known.get(reservation)
    if found is None or found.state == "released":
        raise ReservationOver(reservation=reservation)
    return found


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
    taken: dict[str, int] = {}
    left = quantity
    for level in levels:
        taken[level.warehouse] = min(left, max(level.available, 0))
        left -= taken[level.warehouse]
    if left:
        patient = next((level.warehouse for level in levels if level.backorder), None)
        if patient is None:
            raise OutOfStock(sku=sku, asked=quantity, available=quantity - left)
        taken[patient] += left
    return [Held(sku=sku, warehouse=w, quantity=n) for w, n in taken.items() if n]


def refuse_too_low(levels: Iterable[Level], changes: Iterable[Held]) -> None:
    """Refuse to take away more than is there, or what is held for orders."""
    free = {
        (level.sku, level.warehouse): level.on_hand - (0 if level.backorder else level.reserved)
        for level in levels
    }
    for change in changes:
        if change.quantity < -free.get((change.sku, change.warehouse), 0):
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


def counted_last(counted: Iterable[Held]) -> tuple[Held, ...]:
    """Keep what was counted last, where a SKU was counted twice in one warehouse."""
    return tuple({(one.sku, one.warehouse): one for one in counted}.values())


def differences(levels: Iterable[Level], counted: Iterable[Held]) -> tuple[Held, ...]:
    """Tell by how much a count differs from what was believed to be there."""
    believed = {(level.sku, level.warehouse): level.on_hand for level in levels}
    changes = [
        Held(sku=c.sku, warehouse=c.warehouse, quantity=c.quantity - on_hand)
        for c in counted
        if c.quantity != (on_hand := believed.get((c.sku, c.warehouse), 0))
    ]
    return tuple(changes)


def sorted_out(
    levels: Iterable[Level], counted: Iterable[Held], changes: Iterable[Held]
) -> tuple[list[Held], list[Held]]:
    """Tell what was counted where a SKU has not been before, and the changes where it has been."""
    known = {(level.sku, level.warehouse) for level in levels}
    first = [one for one in counted if (one.sku, one.warehouse) not in known]
    return first, [one for one in changes if (one.sku, one.warehouse) in known]


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

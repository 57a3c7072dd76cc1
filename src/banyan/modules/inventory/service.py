"""The answers of inventory: load, decide, save, tell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from uuid import UUID

from msgspec.structs import replace

from banyan.kernel.clock import Clock
from banyan.kernel.contract import Problem
from banyan.kernel.database import Database, UniqueViolation
from banyan.kernel.ids import Ids
from banyan.kernel.together import Together
from banyan.kernel.transaction import Overtaken, Transaction
from banyan.modules.inventory import model, store
from banyan.modules.inventory.contract import (
    Availability,
    Held,
    Inventory,
    Level,
    Movement,
    Reason,
    Reservation,
    ReservationExpired,
    StaleLevel,
    StaleWarehouse,
    StockChanged,
    UnknownLevel,
    UnknownWarehouse,
    Warehouse,
)
from banyan.vocabulary import Line, Sku

EXPIRED_AT_ONCE = 200


class InventoryService(Inventory):
    """Stock and reservations, in the schema `inventory`."""

    def __init__(self, db: Database, clock: Clock, ids: Ids) -> None:
        self.db = db
        self.clock = clock
        self.ids = ids
        self._reserving = Together(db, self._reserve)
        self._allocating = Together(db, self._allocate)

    async def reserve(
        self, *, reservation: UUID, lines: tuple[Line, ...], minutes: int = 30
    ) -> Reservation:
        expires_at = self.clock.now() + timedelta(minutes=minutes)
        return await self._reserving(
            model.Wish(reservation=reservation, lines=lines, expires_at=expires_at)
        )

    async def release(self, *, reservation: UUID) -> None:
        async with self.db.begin() as tx:
            if await store.mark_released(tx, reservation):
                return
            known = await store.lock_reservations(tx, [reservation])
            kept = [one for one in known.values() if one.state in ("held", "allocated")]
            if kept:
                await self._give_back(tx, kept)

    async def allocate(self, *, reservation: UUID) -> Reservation:
        return await self._allocating(reservation)

    async def ship(self, *, reservation: UUID) -> Reservation:
        async with self.db.begin() as tx:
            known = await self._standing(tx, reservation)
            if known.state == "shipped":
                return known
            await store.lock_levels(tx, [one.sku for one in known.held])
            await store.set_state(tx, [reservation], "shipped")
            await store.change_levels(tx, known.held, on_hand=-1, reserved=-1)
            note = f"reservation {reservation}"
            left = [self._movement("shipped", one, -one.quantity, note) for one in known.held]
            await store.record(tx, left, self.clock.now())
            await self._tell(tx, [one.sku for one in known.held])
        return replace(known, state="shipped", expires_at=None)

    async def availability(self, *, skus: tuple[Sku, ...]) -> tuple[Availability, ...]:
        return await store.availability(self.db, skus)

    async def reservations(self, *, ids: tuple[UUID, ...]) -> tuple[Reservation, ...]:
        return await store.reservations(self.db, ids)

    async def levels(
        self,
        *,
        skus: tuple[Sku, ...] = (),
        after: Sku | None = None,
        limit: int = 100,
        prefix: str = "",
        warehouse: str | None = None,
    ) -> tuple[Level, ...]:
        if skus:
            return await store.levels(self.db, skus, warehouse)
        return await store.levels_after(self.db, after or Sku(""), prefix, warehouse, limit)

    async def scarce(
        self,
        *,
        at_most: int = 5,
        after: tuple[int, Sku] | None = None,
        limit: int = 24,
    ) -> tuple[Availability, ...]:
        return await store.scarce(self.db, at_most, after, limit)

    async def level(self, *, sku: Sku, warehouse: str) -> Level:
        for level in await store.levels(self.db, [sku], warehouse):
            return level
        raise UnknownLevel(sku=sku, warehouse=warehouse)

    async def move(self, *, movements: tuple[Movement, ...]) -> tuple[Movement, ...]:
        asked = model.without_repeats(movements)
        async with self.db.begin() as tx:
            await self._make_room(tx, [(one.sku, one.warehouse) for one in asked])
            fresh = await self._move(tx, asked)
            known = await store.movements_by_id(tx, [one.id for one in asked])
            await self._tell(tx, [one.sku for one in fresh])
        return known

    async def transfer(
        self,
        *,
        transfer: UUID,
        lines: tuple[Line, ...],
        source: str,
        target: str,
        note: str = "",
    ) -> tuple[Movement, ...]:
        return await self.move(movements=model.transferred(transfer, lines, source, target, note))

    async def count(self, *, levels: tuple[Held, ...], note: str = "") -> tuple[Movement, ...]:
        counted = model.counted_last(levels)
        async with self.db.begin() as tx:
            await self._enter(tx, [(one.sku, one.warehouse) for one in counted])
            believed = await store.lock_levels(tx, [one.sku for one in counted])
            changes = model.differences(believed, counted)
            model.refuse_too_low(believed, changes)
            first, again = model.sorted_out(believed, counted, changes)
            if first:
                await store.open_levels(tx, first)
            if again:
                await store.change_levels(tx, again, on_hand=1)
            found = [self._movement("adjusted", one, one.quantity, note) for one in changes]
            moved = await store.record(tx, found, self.clock.now())
            await self._tell(tx, [one.sku for one in moved])
        return moved

    async def set_level(
        self,
        *,
        sku: Sku,
        warehouse: str,
        on_hand: int | None = None,
        backorder: bool | None = None,
        note: str = "",
        expected: int | None = None,
    ) -> Level:
        async with self.db.begin() as tx:
            await self._make_room(tx, [(sku, warehouse)])
            before = await self._level(tx, sku, warehouse)
            model.refuse_stale(before.version, expected, StaleLevel)
            if backorder and not before.backorder:
                await store.set_backorder(tx, sku, warehouse, allowed=True)
            if on_hand is not None and on_hand != before.on_hand:
                counted = Held(sku=sku, warehouse=warehouse, quantity=on_hand)
                change = on_hand - before.on_hand
                await self._move(tx, [self._movement("adjusted", counted, change, note)])
            if backorder is False and before.backorder:
                model.refuse_promised(await self._level(tx, sku, warehouse))
                await store.set_backorder(tx, sku, warehouse, allowed=False)
            after = await self._level(tx, sku, warehouse)
            if after != before:
                await self._tell(tx, [sku])
        return after

    async def movements(
        self, *, sku: Sku | None = None, before: UUID | None = None, limit: int = 100
    ) -> tuple[Movement, ...]:
        return await store.movements(self.db, sku, before, limit)

    async def save_warehouse(
        self, *, warehouse: Warehouse, expected: int | None = None
    ) -> Warehouse:
        async with self.db.begin() as tx:
            known = await store.lock_warehouse(tx, warehouse.code)
            model.refuse_stale(known.version if known else 0, expected, StaleWarehouse)
            if known and replace(warehouse, version=known.version) == known:
                return known
            saved = await store.save_warehouse(tx, warehouse)
            await self._tell(tx, await store.touch_levels(tx, warehouse.code))
        return saved

    async def warehouse(self, *, code: str) -> Warehouse:
        return await store.warehouse(self.db, code)

    async def warehouses(self) -> tuple[Warehouse, ...]:
        return await store.warehouses(self.db)

    async def expire_reservations(self) -> None:
        """Give back what was held for somebody who took too long."""
        async with self.db.begin() as tx:
            expired = await store.lock_expired(tx, self.clock.now(), EXPIRED_AT_ONCE)
            if expired:
                await self._give_back(tx, expired)
                tx.tell(*(ReservationExpired(reservation=one.id) for one in expired))

    async def audit(self) -> Sequence[str]:
        """Find levels that differ from the record of movements and reservations."""
        return await store.drift(self.db)

    async def mend(self) -> Sequence[str]:
        """Set such levels to what the record says."""
        async with self.db.begin() as tx:
            levels = await store.mend_drift(tx)
            await self._tell(tx, [level.sku for level in levels])
        return [
            f"{one.sku} in {one.warehouse}: on hand {one.on_hand} as moved, "
            f"reserved {one.reserved} as kept"
            for one in levels
        ]

    async def _level(self, tx: Transaction, sku: Sku, warehouse: str) -> Level:
        levels = await store.lock_levels(tx, [sku])
        return next(level for level in levels if level.warehouse == warehouse)

    async def _standing(self, tx: Transaction, reservation: UUID) -> Reservation:
        return model.still_standing(reservation, await store.lock_reservations(tx, [reservation]))

    async def _reserve(
        self, tx: Transaction, wishes: Sequence[model.Wish]
    ) -> Sequence[Reservation | Problem]:
        """Answer wishes that came at the same time, by as many statements as one takes."""
        known = await store.lock_reservations(tx, [wish.reservation for wish in wishes])
        wanted = {line.sku for wish in wishes for line in wish.lines}
        levels = await store.lock_levels(tx, [*wanted], for_sale=True)
        answers = model.reserve(wishes, known, levels)
        made = {
            one.id: one for one in answers if isinstance(one, Reservation) and one.id not in known
        }
        if made:
            try:
                changed = await store.keep(tx, [*made.values()])
            except UniqueViolation as first:
                raise Overtaken from first
            if changed:
                tx.tell(StockChanged(levels=changed))
        return answers

    async def _allocate(
        self, tx: Transaction, ids: Sequence[UUID]
    ) -> Sequence[Reservation | Problem]:
        known = {one.id: one for one in await store.reservations(self.db, ids)}
        if held := [one.id for one in known.values() if one.state == "held"]:
            store.allocate(tx, held)
        return model.allocate(ids, known)

    async def _give_back(self, tx: Transaction, reservations: Sequence[Reservation]) -> None:
        held = model.added(one for known in reservations for one in known.held)
        await store.lock_levels(tx, [one.sku for one in held])
        await store.change_levels(tx, held, reserved=-1)
        await store.set_state(tx, [known.id for known in reservations], "released")
        await self._tell(tx, [one.sku for one in held])

    async def _make_room(self, tx: Transaction, places: Sequence[tuple[Sku, str]]) -> None:
        """Let SKUs be moved in warehouses where they have not been before."""
        await self._enter(tx, places)
        await store.add_levels(tx, places)

    async def _enter(self, tx: Transaction, places: Sequence[tuple[Sku, str]]) -> None:
        """Be the only one who may bring SKUs to warehouses where they have not been before."""
        known = {warehouse.code for warehouse in await store.warehouses(tx)}
        for _, warehouse in places:
            if warehouse not in known:
                raise UnknownWarehouse(warehouse=warehouse)
        await store.lock_skus(tx, [sku for sku, _ in places])

    async def _move(self, tx: Transaction, movements: Sequence[Movement]) -> tuple[Movement, ...]:
        """Record movements that are new, and change the levels by them."""
        fresh = await store.add_movements(tx, movements, self.clock.now())
        changes = model.added(
            Held(sku=one.sku, warehouse=one.warehouse, quantity=one.quantity) for one in fresh
        )
        levels = await store.lock_levels(tx, [one.sku for one in changes])
        model.refuse_too_low(levels, changes)
        await store.change_levels(tx, changes, on_hand=1)
        return fresh

    def _movement(self, reason: Reason, held: Held, quantity: int, note: str) -> Movement:
        return Movement(
            id=self.ids.new(),
            sku=held.sku,
            warehouse=held.warehouse,
            quantity=quantity,
            reason=reason,
            note=note,
        )

    async def _tell(self, tx: Transaction, skus: Iterable[Sku]) -> None:
        """Tell what can be sold now, once for all that has changed."""
        changed = sorted(set(skus))
        if changed:
            tx.tell(StockChanged(levels=await store.sellable(tx, changed)))

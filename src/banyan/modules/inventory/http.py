"""The HTTP face of inventory: warehouses, stock and movements, for the back office only."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import Meta

from banyan.kernel.contract import Value
from banyan.kernel.http import (
    Answer,
    Controller,
    Cursor,
    FromPath,
    FromQuery,
    IfMatch,
    JSONBody,
    Limit,
    get,
    needs,
    obligatory_match,
    post,
    put,
    tagged,
)
from banyan.kernel.ids import Ids
from banyan.kernel.paging import Page, after, page
from banyan.modules.inventory.contract import (
    Availability,
    Inventory,
    Level,
    Movement,
    Reason,
    Reservation,
    Warehouse,
    WarehouseCode,
)
from banyan.vocabulary import Line, Sku, SkuText

Note = Annotated[str, Meta(max_length=500)]


class WarehouseDetails(Value, frozen=True, kw_only=True):
    """What is said of a warehouse."""

    title: Annotated[str, Meta(min_length=1, max_length=200)]
    country: Annotated[str, Meta(pattern="^[A-Z]{2}$")]
    position: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    active: bool = True


class NewWarehouse(WarehouseDetails, frozen=True, kw_only=True):
    """A warehouse that is opened."""

    code: WarehouseCode


class NewMovement(Value, frozen=True, kw_only=True):
    """What came (positive) or went (negative)."""

    sku: SkuText
    warehouse: WarehouseCode
    quantity: Annotated[int, Meta(ge=-1_000_000, le=1_000_000)]
    reason: Reason = "adjusted"
    note: Note = ""


class NewTransfer(Value, frozen=True, kw_only=True):
    """What goes from one warehouse to another."""

    lines: Annotated[tuple[Line, ...], Meta(min_length=1, max_length=1000)]
    source: WarehouseCode
    target: WarehouseCode
    note: Note = ""


class Counted(Value, frozen=True, kw_only=True):
    """What was found on hand, and whether more than that may be sold."""

    on_hand: Annotated[int, Meta(ge=0, le=1_000_000_000)] | None = None
    backorder: bool | None = None
    note: Note = ""


class Warehouses(Controller):
    """Where goods lie."""

    path = "/api/admin/warehouses"
    tags = ("inventory (admin)",)
    guards = (needs("inventory:read"),)
    inventory: Inventory

    @get()
    async def browse(self) -> Page[Warehouse]:
        """List all warehouses by position."""
        return Page(items=await self.inventory.warehouses())

    @post(guards=[needs("inventory:write")])
    async def create(self, data: JSONBody[NewWarehouse]) -> Answer[Warehouse]:
        """Open a warehouse."""
        made = await self.inventory.save_warehouse(
            warehouse=_warehouse(data.code, data), expected=0
        )
        return tagged(made, made.version)

    @get("/{code:str}")
    async def show(self, code: FromPath[WarehouseCode]) -> Answer[Warehouse]:
        """Show a warehouse."""
        found = await self.inventory.warehouse(code=code)
        return tagged(found, found.version)

    @put("/{code:str}", guards=[needs("inventory:write"), obligatory_match])
    async def change(
        self, code: FromPath[WarehouseCode], expected: IfMatch, data: JSONBody[WarehouseDetails]
    ) -> Answer[Warehouse]:
        """Change a warehouse; one that is not active sells nothing."""
        changed = await self.inventory.save_warehouse(
            warehouse=_warehouse(code, data), expected=expected
        )
        return tagged(changed, changed.version)


class Stock(Controller):
    """What is there, and what came and went."""

    path = "/api/admin/stock"
    tags = ("inventory (admin)",)
    guards = (needs("inventory:read"),)
    inventory: Inventory
    ids: Ids

    @get()
    async def browse(
        self,
        sku: FromQuery[SkuText | None] = None,
        prefix: FromQuery[Annotated[str, Meta(max_length=100)]] = "",
        warehouse: FromQuery[WarehouseCode | None] = None,
        limit: Limit = 24,
        cursor: Cursor = None,
    ) -> Page[Level]:
        """List what is there by SKU, which begins with `prefix`; a page tells whole SKUs."""
        levels = await self.inventory.levels(
            skus=(sku,) if sku else (),
            after=after(cursor, Sku),
            limit=limit + 1,
            prefix=prefix,
            warehouse=warehouse,
        )
        told = sorted({level.sku for level in levels})
        last = page(told, limit=limit, place=lambda one: one)
        items = tuple(level for level in levels if level.sku in last.items)
        return Page(items=items, next=last.next)

    @get("/{sku:str}/{warehouse:str}")
    async def show(
        self, sku: FromPath[SkuText], warehouse: FromPath[WarehouseCode]
    ) -> Answer[Level]:
        """Show what is there of a SKU in a warehouse."""
        level = await self.inventory.level(sku=sku, warehouse=warehouse)
        return tagged(level, level.version)

    @put("/{sku:str}/{warehouse:str}", guards=[needs("inventory:write"), obligatory_match])
    async def count(
        self,
        sku: FromPath[SkuText],
        warehouse: FromPath[WarehouseCode],
        expected: IfMatch,
        data: JSONBody[Counted],
    ) -> Answer[Level]:
        """Say what a count has found on hand, and whether a SKU may be sold beyond that."""
        level = await self.inventory.set_level(
            sku=sku,
            warehouse=warehouse,
            on_hand=data.on_hand,
            backorder=data.backorder,
            note=data.note,
            expected=expected,
        )
        return tagged(level, level.version)

    @get("/scarce")
    async def scarce(
        self,
        at_most: FromQuery[Annotated[int, Meta(ge=-1_000_000, le=1_000_000)]] = 5,
        limit: Limit = 24,
        cursor: Cursor = None,
    ) -> Page[Availability]:
        """List the SKUs of which few can be sold, in all warehouses together, fewest first."""
        found = await self.inventory.scarce(
            at_most=at_most, after=after(cursor, tuple[int, Sku]), limit=limit + 1
        )
        return page(found, limit=limit, place=lambda one: (one.available, one.sku))

    @post("/transfers", guards=[needs("inventory:write")])
    async def transfer(self, data: JSONBody[NewTransfer]) -> Page[Movement]:
        """Move goods from one warehouse to another, all or none."""
        moved = await self.inventory.transfer(
            transfer=self.ids.new(),
            lines=data.lines,
            source=data.source,
            target=data.target,
            note=data.note,
        )
        return Page(items=moved)

    @get("/movements")
    async def movements(
        self, sku: FromQuery[SkuText | None] = None, limit: Limit = 24, cursor: Cursor = None
    ) -> Page[Movement]:
        """List what came and went, newest first."""
        found = await self.inventory.movements(sku=sku, before=after(cursor, UUID), limit=limit + 1)
        return page(found, limit=limit, place=lambda one: one.id)

    @post("/movements", guards=[needs("inventory:write")])
    async def move(self, data: JSONBody[NewMovement]) -> Movement:
        """Record what came or went."""
        movement = Movement(
            id=self.ids.new(),
            sku=data.sku,
            warehouse=data.warehouse,
            quantity=data.quantity,
            reason=data.reason,
            note=data.note,
        )
        (recorded,) = await self.inventory.move(movements=(movement,))
        return recorded


class Reservations(Controller):
    """What is held for orders."""

    path = "/api/admin/reservations"
    tags = ("inventory (admin)",)
    guards = (needs("inventory:read"),)
    inventory: Inventory

    @get("/{reservation:str}")
    async def show(self, reservation: FromPath[UUID]) -> Page[Reservation]:
        """Show what is held under an order's id."""
        return Page(items=await self.inventory.reservations(ids=(reservation,)))

    @post("/{reservation:str}/shipment", guards=[needs("inventory:write")], status_code=200)
    async def ship(self, reservation: FromPath[UUID]) -> Reservation:
        """Say that the goods of an order have left."""
        return await self.inventory.ship(reservation=reservation)


def _warehouse(code: str, details: WarehouseDetails) -> Warehouse:
    return Warehouse(
        code=code,
        title=details.title,
        country=details.country,
        position=details.position,
        active=details.active,
    )


routes = [Warehouses, Stock, Reservations]

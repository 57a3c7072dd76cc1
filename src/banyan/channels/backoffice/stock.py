"""What is there, and what came and went: levels, movements and warehouses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar
from uuid import UUID

from msgspec import Meta, structs

from banyan.channels.backoffice.desk import HOME, address
from banyan.channels.backoffice.records import Records
from banyan.channels.backoffice.sheet import Writing
from banyan.kernel.contract import Value
from banyan.kernel.http import Answer, Cursor, FromQuery, Request, get, needs
from banyan.kernel.paging import after, page
from banyan.modules.inventory.contract import (
    Inventory,
    Level,
    StaleWarehouse,
    Warehouse,
    WarehouseCode,
)
from banyan.vocabulary import Sku

STOCK = f"{HOME}/stock"
LIMIT = 25
LOW = 5

WAYS = (
    ("", "Levels"),
    ("/receive", "Receive"),
    ("/adjust", "Adjust"),
    ("/count", "Count"),
    ("/transfer", "Transfer"),
    ("/movements", "Movements"),
    ("/warehouses", "Warehouses"),
)

Text = FromQuery[Annotated[str, Meta(max_length=100)]]


class Stock(Writing):
    """What is there of each SKU in each warehouse."""

    path = STOCK
    inventory: Inventory
    notices: ClassVar[Mapping[str, str]] = {
        "adjust": "The stock was adjusted.",
        "count": "The counts were saved; the differences are movements now.",
        "receive": "The goods were received.",
        "transfer": "The goods were transferred.",
    }

    @get(media_type="text/html")
    async def browse(
        self,
        request: Request,
        q: Text = "",
        warehouse: Text = "",
        show: Text = "",
        cursor: Cursor = None,
    ) -> Answer[bytes]:
        """List levels by SKU, or what is scarce first."""
        levels, next_cursor = (
            await self._scarce(cursor)
            if show == "low"
            else await self._levels(q.strip(), warehouse, cursor)
        )
        told = {"q": q.strip(), "warehouse": warehouse, "show": show}
        houses = await self.inventory.warehouses()
        return self.page(
            request,
            "stock.html",
            ways=WAYS,
            levels=levels,
            warehouses=[(one.code, one.title) for one in houses],
            next=address(STOCK, **told, cursor=next_cursor) if next_cursor else "",
            first=address(STOCK, **told) if cursor else "",
            low=LOW,
            **told,  # type: ignore[arg-type]
        )

    @get("/movements", media_type="text/html")
    async def movements(
        self, request: Request, q: Text = "", cursor: Cursor = None
    ) -> Answer[bytes]:
        """List what came and went, newest first."""
        found = await self.inventory.movements(
            sku=Sku(q.strip()) or None, before=after(cursor, UUID), limit=LIMIT + 1
        )
        told = page(found, limit=LIMIT, place=lambda one: one.id)
        here = f"{STOCK}/movements"
        return self.page(
            request,
            "stock_movements.html",
            ways=WAYS,
            movements=told.items,
            q=q.strip(),
            next=address(here, q=q.strip(), cursor=told.next) if told.next else "",
            first=address(here, q=q.strip()) if cursor else "",
        )

    async def _levels(
        self, q: str, warehouse: str, cursor: str | None
    ) -> tuple[tuple[Level, ...], str | None]:
        found = await self.inventory.levels(
            prefix=q, warehouse=warehouse or None, after=after(cursor, Sku), limit=LIMIT + 1
        )
        told = page(
            list(dict.fromkeys(level.sku for level in found)), limit=LIMIT, place=lambda sku: sku
        )
        return tuple(level for level in found if level.sku in told.items), told.next

    async def _scarce(self, cursor: str | None) -> tuple[tuple[Level, ...], str | None]:
        found = await self.inventory.scarce(
            at_most=LOW, after=after(cursor, tuple[int, Sku]), limit=LIMIT + 1
        )
        told = page(found, limit=LIMIT, place=lambda one: (one.available, one.sku))
        skus = tuple(one.sku for one in told.items)
        if not skus:
            return (), None
        levels = await self.inventory.levels(skus=skus, limit=len(skus) * 100)
        return tuple(sorted(levels, key=lambda one: skus.index(one.sku))), told.next


class WarehouseForm(Value, frozen=True, kw_only=True):
    """A warehouse, as it is typed."""

    code: WarehouseCode
    title: Annotated[str, Meta(min_length=1, max_length=200)]
    country: Annotated[str, Meta(pattern="^[A-Z]{2}$")]
    position: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    active: bool = False


class Warehouses(Records):
    """Where goods lie."""

    path = f"{STOCK}/warehouses"
    home = path
    template = "warehouse.html"
    kind = WarehouseForm
    guards = (*Records.guards, needs("inventory:write"))
    stale = StaleWarehouse
    inventory: Inventory

    @get(media_type="text/html")
    async def browse(self, request: Request) -> Answer[bytes]:
        """List the warehouses."""
        found = await self.inventory.warehouses()
        return self.page(request, "warehouses.html", ways=WAYS, warehouses=found)

    async def blank(self) -> WarehouseForm:
        """Begin a warehouse."""
        return WarehouseForm(code="", title="", country="", active=True)

    async def known(self, name: str) -> tuple[Value, int]:
        """Find a warehouse."""
        one = await self.inventory.warehouse(code=name)
        told = structs.asdict(one)
        version = told.pop("version")
        return WarehouseForm(**told), version

    async def keep(self, value: Any, expected: int) -> None:
        """Save a warehouse."""
        warehouse = Warehouse(**structs.asdict(value))
        await self.inventory.save_warehouse(warehouse=warehouse, expected=expected)


routes = [Stock, Warehouses]

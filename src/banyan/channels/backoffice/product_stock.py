"""What is there of the variants of a product, in each warehouse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace as changed
from typing import Annotated, Any

from msgspec import Meta
from msgspec.structs import replace

from banyan.channels.backoffice.desk import done
from banyan.channels.backoffice.product_parts import PRODUCT, ProductHead, picks_of
from banyan.channels.backoffice.sheet import Sheet, once, where
from banyan.kernel import form
from banyan.kernel.contract import Value
from banyan.kernel.form import Form
from banyan.kernel.http import Answer, FromPath, Request, get, needs, post
from banyan.kernel.idempotency import KeyReused
from banyan.modules.catalog.contract import Product
from banyan.modules.inventory.contract import (
    Inventory,
    Level,
    StaleLevel,
    StockTooLow,
    UnknownWarehouse,
    Warehouse,
    WarehouseCode,
)
from banyan.vocabulary import ProductId, SkuText

Count = Annotated[int, Meta(ge=0, le=1_000_000_000)]


class LevelRow(Value, frozen=True, kw_only=True):
    """What was counted of a variant in a warehouse; the rest is what was seen there before."""

    sku: SkuText
    warehouse: WarehouseCode
    version: int = 0
    was: int | None = None
    on_hand: Count | None = None
    backorder: bool = False
    backordered: bool = False


class Counts(Value, frozen=True, kw_only=True):
    """What was counted of a product, and why."""

    levels: tuple[LevelRow, ...] = ()
    note: Annotated[str, Meta(max_length=500)] = ""


class ProductStockPage(ProductHead):
    """The stock of a product: a table of its variants by warehouses."""

    path = f"{PRODUCT}/stock"
    inventory: Inventory

    @get(media_type="text/html")
    async def show(self, request: Request, product: FromPath[ProductId]) -> Answer[bytes]:
        """Show what is there."""
        known = await self.catalog.product(product=product)
        counts, levels, warehouses = await self._there(known)
        return await self._with(request, known, self.fresh(counts), levels, warehouses)

    @post(media_type="text/html", guards=[needs("inventory:write")])
    async def save(self, request: Request, product: FromPath[ProductId]) -> Answer[bytes]:
        """Save the counts that differ from what was seen, each unless it changed meanwhile."""
        told = await form.received(request, Counts)
        known = await self.catalog.product(product=product)
        if told.value is None:
            _, levels, warehouses = await self._there(known)
            return await self._with(request, known, self.flawed(told), levels, warehouses)
        errors = await self._count(told, told.value)
        if not errors:
            return done(request.url.path, "saved")
        counts, levels, warehouses = await self._there(known)
        sheet = self.refreshed(told, counts, errors)
        return await self._with(request, known, sheet, levels, warehouses)

    async def _count(self, told: Form[Counts], counts: Counts) -> dict[LevelRow, str]:
        errors: dict[LevelRow, str] = {}
        for row in counts.levels:
            counted = row.on_hand if row.on_hand != row.was else None
            if counted is None and row.backorder == row.backordered:
                continue
            try:
                with once(told, f"{row.sku} {row.warehouse}"):
                    await self.inventory.set_level(
                        sku=row.sku,
                        warehouse=row.warehouse,
                        on_hand=counted,
                        backorder=row.backorder if row.backorder != row.backordered else None,
                        note=counts.note,
                        # What was never in this warehouse has no version that could be expected.
                        expected=row.version or None,
                    )
            except (StaleLevel, StockTooLow, UnknownWarehouse, KeyReused) as no:
                errors[row] = f"{row.sku}: {where(no)[1]}"
        return errors

    def refreshed(
        self, told: Form[Counts], now: Counts, errors: Mapping[LevelRow, str]
    ) -> Sheet[Any]:
        """Show what is there now, and what was typed where it could not be saved."""
        places = {(row.sku, row.warehouse): f"levels.{at}" for at, row in enumerate(now.levels)}
        sheet = self.fresh(replace(now, note=told.text("note")))
        said, shown = dict(sheet.form.said), {}
        for row, reason in errors.items():
            if place := places.get((row.sku, row.warehouse)):
                said[f"{place}.on_hand"] = ["" if row.on_hand is None else str(row.on_hand)]
                said[f"{place}.backorder"] = ["on"] if row.backorder else []
            shown[f"{place}.on_hand" if place else ""] = reason
        return changed(sheet, form=changed(sheet.form, said=said), errors=shown, status=409)

    async def _there(
        self, product: Product
    ) -> tuple[Counts, dict[tuple[str, str], Level], tuple[Warehouse, ...]]:
        """Ask for all levels of all variants at once."""
        skus = tuple(variant.sku for variant in product.variants)
        warehouses = await self.inventory.warehouses()
        most = len(skus) * max(len(warehouses), 1)
        found = await self.inventory.levels(skus=skus, limit=most) if skus else ()
        levels: dict[tuple[str, str], Level] = {(one.sku, one.warehouse): one for one in found}
        rows = tuple(
            _row(sku, warehouse.code, levels.get((sku, warehouse.code)))
            for warehouse in warehouses
            for sku in skus
        )
        return Counts(levels=rows), levels, warehouses

    async def _with(
        self,
        request: Request,
        product: Product,
        sheet: Sheet[Any],
        levels: dict[tuple[str, str], Level],
        warehouses: tuple[Warehouse, ...],
    ) -> Answer[bytes]:
        return await self.under(
            request,
            "product_stock.html",
            product,
            status=sheet.status,
            sheet=sheet,
            levels=levels,
            warehouses=warehouses,
            picks=picks_of(product),
        )


def _row(sku: SkuText, warehouse: str, level: Level | None) -> LevelRow:
    if level is None:
        return LevelRow(sku=sku, warehouse=warehouse)
    return LevelRow(
        sku=sku,
        warehouse=warehouse,
        version=level.version,
        was=level.on_hand,
        on_hand=level.on_hand,
        backorder=level.backorder,
        backordered=level.backorder,
    )


routes = [ProductStockPage]

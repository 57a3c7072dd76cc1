"""What is done with goods: they are received, adjusted, counted and transferred, many at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta

from banyan.channels.backoffice.desk import done
from banyan.channels.backoffice.sheet import Sheet, Writing, once, where
from banyan.channels.backoffice.stock import STOCK, WAYS
from banyan.kernel import form
from banyan.kernel.contract import Problem, Value
from banyan.kernel.form import Form
from banyan.kernel.http import Answer, Request, get, needs, post
from banyan.kernel.idempotency import KeyReused
from banyan.kernel.ids import derived
from banyan.modules.catalog.contract import Catalog
from banyan.modules.inventory.contract import (
    Held,
    Inventory,
    Movement,
    NothingMoved,
    StockTooLow,
    UnknownWarehouse,
    WarehouseCode,
)
from banyan.vocabulary import Line, Sku, SkuText

BLANK_ROWS = 3

Note = Annotated[str, Meta(max_length=500)]
Units = Annotated[int, Meta(ge=-1_000_000, le=1_000_000)]


class MoveRow(Value, frozen=True, kw_only=True):
    """So many units of a SKU."""

    sku: SkuText
    quantity: Units | None = None


class Move(Value, frozen=True, kw_only=True):
    """What is done with some goods, and why."""

    warehouse: WarehouseCode
    target: WarehouseCode | None = None
    lines: tuple[MoveRow, ...] = ()
    note: Note = ""


class Moves(Writing):
    """A page on which goods are moved, all lines or none."""

    way: ClassVar[str]
    least: ClassVar[int] = 1
    guards = (*Writing.guards, needs("inventory:write"))
    inventory: Inventory
    catalog: Catalog

    async def move(self, told: Form[Any], move: Move) -> None:
        """Do it."""
        raise NotImplementedError

    @get(media_type="text/html")
    async def ask(self, request: Request, sku: str = "", warehouse: str = "") -> Answer[bytes]:
        """Ask what came or went."""
        sheet = self.fresh(Move(warehouse=warehouse))
        blank = {f"lines.{number}.sku": [""] for number in range(BLANK_ROWS)}
        said = {**sheet.form.said, **blank, "lines.0.sku": [sku]}
        return await self._with(request, replace(sheet, form=replace(sheet.form, said=said)))

    @post(media_type="text/html")
    async def save(self, request: Request) -> Answer[bytes]:
        """Move the goods, or show which line is wrong."""
        told = await form.received(request, Move)
        if wish := told.text("do"):
            return await self._with(request, self.rearranged(told, wish))
        if told.value is None:
            return await self._with(request, self.flawed(told))
        if wrong := await self._wrong(told.value):
            return await self._with(request, self.flawed(told, wrong))
        try:
            with once(told):
                await self.move(told, told.value)
        except (StockTooLow, NothingMoved, UnknownWarehouse, KeyReused) as no:
            return await self._with(request, self._at(told, told.value, no))
        return done(STOCK, self.way)

    async def _wrong(self, move: Move) -> dict[str, str]:
        """Want lines, whole ones, of SKUs that some product has."""
        if not move.lines:
            return {"lines.0.sku": "Fill in one line at least."}
        skus = tuple(row.sku for row in move.lines)
        known = {
            variant.sku
            for product in await self.catalog.find(skus=skus)
            for variant in product.variants
        }
        wrong: dict[str, str] = {}
        for number, row in enumerate(move.lines):
            if row.sku not in known:
                wrong[f"lines.{number}.sku"] = f"No product has the SKU {row.sku}."
            elif row.quantity is None or row.quantity < self.least:
                wrong[f"lines.{number}.quantity"] = f"{row.sku}: how many units?"
        return wrong

    def _at(self, told: Form[Any], move: Move, no: Problem) -> Sheet[Any]:
        sku = getattr(no, "sku", None)
        line = next((at for at, row in enumerate(move.lines) if row.sku == sku), None)
        name = "warehouse" if line is None else f"lines.{line}.quantity"
        at, _ = where(no)
        return self.refused(told, no, at={at: "" if isinstance(no, KeyReused) else name})

    async def _with(self, request: Request, sheet: Sheet[Any]) -> Answer[bytes]:
        return self.page(
            request,
            "stock_move.html",
            status=sheet.status,
            sheet=sheet,
            way=self.way,
            ways=WAYS,
            warehouses=[(one.code, one.title) for one in await self.inventory.warehouses()],
        )


class Receive(Moves):
    """Goods that have come."""

    path = f"{STOCK}/receive"
    way = "receive"

    async def move(self, told: Form[Any], move: Move) -> None:
        """Put the goods into the warehouse."""
        await self.inventory.move(movements=self.movements(told, move, "received"))

    def movements(
        self, told: Form[Any], move: Move, reason: Literal["received", "adjusted"]
    ) -> tuple[Movement, ...]:
        """Name each movement after the form and its line, so that it happens once."""
        return tuple(
            Movement(
                id=derived(self.id_of(told), str(number)),
                sku=row.sku,
                warehouse=move.warehouse,
                quantity=row.quantity or 0,
                reason=reason,
                note=move.note,
            )
            for number, row in enumerate(move.lines)
        )


class Adjust(Receive):
    """Goods that are more or fewer than was thought."""

    path = f"{STOCK}/adjust"
    way = "adjust"
    least = -1_000_000

    async def move(self, told: Form[Any], move: Move) -> None:
        """Add to what is there, or take from it."""
        await self.inventory.move(movements=self.movements(told, move, "adjusted"))


class Count(Moves):
    """Goods that were counted."""

    path = f"{STOCK}/count"
    way = "count"
    least = 0

    async def move(self, told: Form[Any], move: Move) -> None:  # noqa: ARG002
        """Say what was found."""
        counted = tuple(
            Held(sku=Sku(row.sku), warehouse=move.warehouse, quantity=row.quantity or 0)
            for row in move.lines
        )
        await self.inventory.count(levels=counted, note=move.note)


class Transfer(Moves):
    """Goods that go from one warehouse to another."""

    path = f"{STOCK}/transfer"
    way = "transfer"

    async def move(self, told: Form[Any], move: Move) -> None:
        """Take the goods out of one warehouse and into the other, all or none."""
        await self.inventory.transfer(
            transfer=self.id_of(told),
            lines=tuple(Line(sku=row.sku, quantity=row.quantity or 0) for row in move.lines),
            source=move.warehouse,
            target=move.target or "",
            note=move.note,
        )


routes = [Receive, Adjust, Count, Transfer]

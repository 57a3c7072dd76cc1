"""Inventory: what is there, and for whom it is held."""

from __future__ import annotations

from typing import Annotated, Literal, Protocol
from uuid import UUID

from msgspec import Meta

from banyan.kernel.contract import Problem, Value, command, contract, query, raises
from banyan.kernel.event import Event
from banyan.vocabulary import Line, Moment, Sku

WarehouseCode = Annotated[str, Meta(pattern="^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]
Reason = Literal["received", "adjusted", "shipped", "returned", "transferred"]
ReservationState = Literal["held", "allocated", "shipped", "released"]


class Warehouse(Value, frozen=True, kw_only=True):
    """Where goods lie; of several the one with the lowest position is taken from first."""

    code: WarehouseCode
    title: str
    country: Annotated[str, Meta(pattern="^[A-Z]{2}$")]
    position: int = 0
    active: bool = True
    version: int = 0


class Level(Value, frozen=True, kw_only=True):
    """What is there of a SKU in one warehouse; `available` = `on_hand` − `reserved`.

    With `backorder` it may be sold beyond what is there, so `available` may be negative.
    """

    sku: Sku
    warehouse: WarehouseCode
    on_hand: int
    reserved: int
    available: int
    backorder: bool = False
    version: int = 0


class Availability(Value, frozen=True, kw_only=True):
    """How many units of a SKU can be sold now, in all warehouses together."""

    sku: Sku
    available: int
    backorder: bool = False


class Held(Value, frozen=True, kw_only=True):
    """So many units of a SKU, held in one warehouse."""

    sku: Sku
    warehouse: WarehouseCode
    quantity: int


class Reservation(Value, frozen=True, kw_only=True):
    """Stock that is kept for somebody, until it expires or is allocated to an order."""

    id: UUID
    state: ReservationState
    held: tuple[Held, ...] = ()
    expires_at: Moment | None = None


class Movement(Value, frozen=True, kw_only=True):
    """An entry of the append-only record of what came and went; `id` makes it happen once."""

    id: UUID
    sku: Sku
    warehouse: WarehouseCode
    quantity: Annotated[int, Meta(ge=-(10**9), le=10**9)]
    reason: Reason
    note: Annotated[str, Meta(max_length=500)] = ""
    at: Moment | None = None


class OutOfStock(Problem, status=409):
    """There is less in stock than asked for."""

    sku: Sku
    asked: int
    available: int


class UnknownWarehouse(Problem, status=404):
    """There is no such warehouse."""

    warehouse: str


class UnknownLevel(Problem, status=404):
    """This SKU has never been in this warehouse."""

    sku: Sku
    warehouse: str


class StaleWarehouse(Problem, status=412):
    """Somebody has changed the warehouse meanwhile; read it again and repeat the change."""

    version: int


class StaleLevel(Problem, status=412):
    """The stock has changed meanwhile; read it again and repeat the change."""

    version: int


class ReservationOver(Problem, status=409):
    """The reservation has been released or has expired, and cannot be taken up again."""

    reservation: UUID


class NothingMoved(Problem, status=422):
    """A movement of nothing is none; say how many units came (positive) or went (negative)."""

    sku: Sku


class StockTooLow(Problem, status=409):
    """The movement would leave less on hand than is there or than is held for orders."""

    sku: Sku
    warehouse: str


class StockChanged(Event):
    """This can be sold of these SKUs now; `version` grows with every change of a SKU."""

    levels: tuple[StockLevel, ...]


class StockLevel(Value, frozen=True, kw_only=True):
    """What can be sold of a SKU, with the version that tells a newer from an older fact."""

    sku: Sku
    available: int
    backorder: bool
    version: int


class ReservationExpired(Event):
    """Stock that was held for somebody is free again, because they took too long."""

    reservation: UUID


@contract("inventory")
class Inventory(Protocol):
    """What channels and other modules may ask of inventory."""

    @command
    @raises(OutOfStock, ReservationOver)
    async def reserve(
        self, *, reservation: UUID, lines: tuple[Line, ...], minutes: int = 30
    ) -> Reservation:
        """Hold all lines or none for so many minutes.

        The same reservation again is found as it is.
        """
        ...

    @command
    async def release(self, *, reservation: UUID) -> None:
        """Give up what is held, if anything is.

        It leaves its mark where nothing was held yet, so that a late `reserve` is refused. What is
        allocated already is given back as well.
        """
        ...

    @command
    @raises(ReservationOver)
    async def allocate(self, *, reservation: UUID) -> Reservation:
        """Keep what is held for good, because it belongs to an order now: it no longer expires."""
        ...

    @command
    @raises(ReservationOver)
    async def ship(self, *, reservation: UUID) -> Reservation:
        """Let goods that were allocated leave: what is held leaves `reserved` and `on_hand`."""
        ...

    @query
    async def availability(self, *, skus: tuple[Sku, ...]) -> tuple[Availability, ...]:
        """Tell how many units can be sold, of all SKUs in one call; unknown ones have none."""
        ...

    @query
    async def reservations(self, *, ids: tuple[UUID, ...]) -> tuple[Reservation, ...]:
        """Return the reservations that are known."""
        ...

    @query
    async def levels(
        self,
        *,
        skus: tuple[Sku, ...] = (),
        after: Sku | None = None,
        limit: int = 100,
        prefix: str = "",
        warehouse: str | None = None,
    ) -> tuple[Level, ...]:
        """List what is there by SKU and warehouse; `prefix` is how a SKU begins.

        Without `skus`, `limit` counts SKUs: a page ends with a whole one.
        """
        ...

    @query
    async def scarce(
        self,
        *,
        at_most: int = 5,
        after: tuple[int, Sku] | None = None,
        limit: int = 24,
    ) -> tuple[Availability, ...]:
        """List the SKUs of which so few can be sold in all warehouses together, fewest first.

        `after` is how many there are of the last SKU of a page, and its name.
        """
        ...

    @query
    @raises(UnknownLevel)
    async def level(self, *, sku: Sku, warehouse: str) -> Level:
        """Return what is there of a SKU in one warehouse."""
        ...

    @command
    @raises(UnknownWarehouse, NothingMoved, StockTooLow)
    async def move(self, *, movements: tuple[Movement, ...]) -> tuple[Movement, ...]:
        """Record what came or went, all or none; one that is recorded already is not repeated."""
        ...

    @command
    @raises(UnknownWarehouse, NothingMoved, StockTooLow)
    async def transfer(
        self,
        *,
        transfer: UUID,
        lines: tuple[Line, ...],
        source: str,
        target: str,
        note: str = "",
    ) -> tuple[Movement, ...]:
        """Take units out of one warehouse and into another, all or none.

        The same transfer again is found as it is. Nothing moves from a warehouse into itself.
        """
        ...

    @command
    @raises(UnknownWarehouse, StockTooLow)
    async def count(self, *, levels: tuple[Held, ...], note: str = "") -> tuple[Movement, ...]:
        """Say what a count has found on hand; the differences become movements."""
        ...

    @command
    @raises(UnknownWarehouse, StockTooLow, StaleLevel)
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
        """Say what a count has found, and whether a SKU may be sold beyond what is there."""
        ...

    @query
    async def movements(
        self, *, sku: Sku | None = None, before: UUID | None = None, limit: int = 100
    ) -> tuple[Movement, ...]:
        """List what came and went, newest first."""
        ...

    @command
    @raises(StaleWarehouse)
    async def save_warehouse(
        self, *, warehouse: Warehouse, expected: int | None = None
    ) -> Warehouse:
        """Create or change a warehouse; `expected` is the version seen, 0 for one that is new."""
        ...

    @query
    @raises(UnknownWarehouse)
    async def warehouse(self, *, code: str) -> Warehouse:
        """Return one warehouse."""
        ...

    @query
    async def warehouses(self) -> tuple[Warehouse, ...]:
        """Return all warehouses by position."""
        ...

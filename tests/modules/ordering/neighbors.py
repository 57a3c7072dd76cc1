"""The neighbors of ordering in memory, for the tests of those who ask them."""

from __future__ import annotations

from uuid import UUID

from msgspec.structs import replace

from banyan.modules.inventory.contract import (
    Availability,
    Held,
    Inventory,
    Level,
    Movement,
    OutOfStock,
    Reservation,
    ReservationOver,
    Warehouse,
)
from banyan.modules.payments.contract import (
    AlreadyCaptured,
    ExceedsCaptured,
    LedgerEntry,
    Payment,
    PaymentDeclined,
    PaymentMethod,
    Payments,
    UnknownPayment,
    UnknownProvider,
)
from banyan.vocabulary import Line, Money, OrderId, PaymentId, Sku


class FakeInventory(Inventory):
    """Stock in a dictionary; only what a checkout asks for is answered."""

    def __init__(self, **stock: int) -> None:
        self.stock = {Sku(sku): quantity for sku, quantity in stock.items()}
        self.known: dict[UUID, Reservation] = {}

    async def reserve(
        self, *, reservation: UUID, lines: tuple[Line, ...], minutes: int = 30
    ) -> Reservation:
        known = self.known.get(reservation)
        if known:
            if known.state == "released":
                raise ReservationOver(reservation=reservation)
            return known
        for line in lines:
            there = self.stock.get(line.sku, 0)
            if line.quantity > there:
                raise OutOfStock(sku=line.sku, asked=line.quantity, available=there)
        for line in lines:
            self.stock[line.sku] -= line.quantity
        held = tuple(Held(sku=one.sku, warehouse="near", quantity=one.quantity) for one in lines)
        self.known[reservation] = Reservation(id=reservation, state="held", held=held)
        return self.known[reservation]

    async def release(self, *, reservation: UUID) -> None:
        known = self.known.get(reservation)
        if known and known.state != "released":
            for one in known.held:
                self.stock[one.sku] += one.quantity
        self.known[reservation] = Reservation(id=reservation, state="released")

    async def allocate(self, *, reservation: UUID) -> Reservation:
        if self.known[reservation].state == "released":
            raise ReservationOver(reservation=reservation)
        self.known[reservation] = replace(self.known[reservation], state="allocated")
        return self.known[reservation]

    async def reservations(self, *, ids: tuple[UUID, ...]) -> tuple[Reservation, ...]:
        return tuple(self.known[one] for one in ids if one in self.known)

    async def ship(self, *, reservation: UUID) -> Reservation:
        raise NotImplementedError

    async def availability(self, *, skus: tuple[Sku, ...]) -> tuple[Availability, ...]:
        raise NotImplementedError

    async def levels(
        self,
        *,
        skus: tuple[Sku, ...] = (),
        after: Sku | None = None,
        limit: int = 100,
        prefix: str = "",
        warehouse: str | None = None,
    ) -> tuple[Level, ...]:
        raise NotImplementedError

    async def scarce(
        self, *, at_most: int = 5, after: tuple[int, Sku] | None = None, limit: int = 24
    ) -> tuple[Availability, ...]:
        raise NotImplementedError

    async def transfer(
        self,
        *,
        transfer: UUID,
        lines: tuple[Line, ...],
        source: str,
        target: str,
        note: str = "",
    ) -> tuple[Movement, ...]:
        raise NotImplementedError

    async def level(self, *, sku: Sku, warehouse: str) -> Level:
        raise NotImplementedError

    async def move(self, *, movements: tuple[Movement, ...]) -> tuple[Movement, ...]:
        raise NotImplementedError

    async def count(self, *, levels: tuple[Held, ...], note: str = "") -> tuple[Movement, ...]:
        raise NotImplementedError

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
        raise NotImplementedError

    async def movements(
        self, *, sku: Sku | None = None, before: UUID | None = None, limit: int = 100
    ) -> tuple[Movement, ...]:
        raise NotImplementedError

    async def save_warehouse(
        self, *, warehouse: Warehouse, expected: int | None = None
    ) -> Warehouse:
        raise NotImplementedError

    async def warehouse(self, *, code: str) -> Warehouse:
        raise NotImplementedError

    async def warehouses(self) -> tuple[Warehouse, ...]:
        raise NotImplementedError


class FakePayments(Payments):
    """Payments in a dictionary, steered by tokens like those of the sandbox bank."""

    def __init__(self) -> None:
        self.known: dict[PaymentId, Payment] = {}
        self.down = 0

    async def methods(
        self, *, origin: str, wishes: tuple[str, ...] = (), token: str = ""
    ) -> tuple[PaymentMethod, ...]:
        return (PaymentMethod(code="sandbox", title="Card"),)

    async def authorize(
        self,
        *,
        payment: PaymentId,
        order: OrderId,
        amount: Money,
        provider: str,
        token: str,
        return_url: str = "",
    ) -> Payment:
        if provider != "sandbox":
            raise UnknownProvider(provider=provider)
        if self.down:
            self.down -= 1
            raise ConnectionError("the bank does not answer")
        known = self.known.get(payment)
        if token == "tok_declined" or (known and known.state == "voided"):
            raise PaymentDeclined(payment=payment, reason="declined")
        if known is None:
            nothing = Money.zero(amount.currency)
            challenged = token == "tok_challenge"
            known = self.known[payment] = Payment(
                id=payment,
                order=order,
                provider=provider,
                state="challenged" if challenged else "authorized",
                amount=amount,
                captured=nothing,
                voided=nothing,
                refunded=nothing,
                redirect_url="https://bank.example/challenge" if challenged else None,
            )
        return known

    async def refresh(self, *, payment: PaymentId) -> Payment:
        known = self.known[payment]
        if known.state == "declined":
            raise PaymentDeclined(payment=payment, reason="refused")
        return known

    async def void(self, *, payment: PaymentId) -> None:
        known = self.known.get(payment)
        if known is None:
            return
        if known.captured == known.amount:
            raise AlreadyCaptured(payment=payment)
        self.known[payment] = replace(
            known,
            state="released" if known.captured.amount else "voided",
            voided=known.amount - known.captured,
        )

    async def capture(
        self, *, payment: PaymentId, capture: UUID, amount: Money | None = None
    ) -> Payment:
        known = self.known[payment]
        self.known[payment] = replace(known, captured=amount or known.amount)
        return self.known[payment]

    async def refund(
        self, *, payment: PaymentId, refund: UUID, amount: Money | None = None, reason: str = ""
    ) -> Payment:
        if payment not in self.known:
            raise UnknownPayment(payment=payment)
        known = self.known[payment]
        if known.captured == known.refunded:
            raise ExceedsCaptured(payment=payment, left=known.captured - known.refunded)
        self.known[payment] = replace(known, refunded=known.captured)
        return self.known[payment]

    async def payment(self, *, payment: PaymentId) -> Payment:
        if payment not in self.known:
            raise UnknownPayment(payment=payment)
        return self.known[payment]

    async def payments(
        self, *, orders: tuple[OrderId, ...] = (), before: PaymentId | None = None, limit: int = 100
    ) -> tuple[Payment, ...]:
        found = sorted(self.known.values(), key=lambda one: one.id, reverse=True)
        return tuple(
            one
            for one in found
            if (not orders or one.order in orders) and (before is None or one.id < before)
        )[:limit]

    async def ledger(
        self, *, payment: PaymentId | None = None, limit: int = 1000
    ) -> tuple[LedgerEntry, ...]:
        raise NotImplementedError

    async def hear(self, *, provider: str, headers: dict[str, str], body: str) -> None:
        raise NotImplementedError

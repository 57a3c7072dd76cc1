"""What ordering undertakes together with its neighbors."""

from __future__ import annotations

from contextlib import suppress
from typing import ClassVar

from banyan.kernel.clock import Clock
from banyan.kernel.database import Database
from banyan.kernel.ids import derived
from banyan.kernel.saga import Saga
from banyan.modules.inventory.contract import Inventory, OutOfStock, ReservationOver
from banyan.modules.ordering import model
from banyan.modules.ordering.contract import (
    Action,
    NotCancelable,
    NotInStock,
    OrderCanceled,
    OrderConfirmed,
    PaymentRefused,
    TookTooLong,
    UnknownPaymentMethod,
    UnknownPaymentToken,
)
from banyan.modules.ordering.model import Purchase
from banyan.modules.ordering.settings import OrderingSettings
from banyan.modules.ordering.store import carts, orders
from banyan.modules.payments.contract import (
    AlreadyCaptured,
    ExceedsCaptured,
    InvalidToken,
    Payment,
    PaymentDeclined,
    Payments,
    UnknownPayment,
    UnknownProvider,
)
from banyan.vocabulary import OrderId, PaymentId

PAYMENT_NEWS = "payment"
"""The signal that a payment has come to an end at its provider."""
LOOK_AGAIN_SECONDS = 20
"""How long to wait for a provider's webhook before asking: some come late, and some never."""
HELD_LONGER_MINUTES = 15


def payment_of(order: OrderId) -> PaymentId:
    """Name the one payment of an order."""
    return PaymentId(derived(order, "payment"))


class CheckOut:
    """Reserve, authorize, allocate, confirm; step back when refused."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        settings: OrderingSettings,
        inventory: Inventory,
        payments: Payments,
    ) -> None:
        self.db = db
        self.clock = clock
        self.settings = settings
        self.inventory = inventory
        self.payments = payments

    async def __call__(self, saga: Saga, *, purchase: Purchase) -> None:
        order, payment = purchase.order, payment_of(purchase.order)
        saga.undo(self.reopen, order=order)
        saga.undo(self.inventory.release, reservation=order)
        await self._reserve(saga, purchase)

        if purchase.amount.amount:
            saga.undo(self.payments.void, payment=payment)
            await self._authorize(saga, purchase, payment)

        await self._allocate(saga, order)
        await saga.conclude(self.confirm, order=order, paid=bool(purchase.amount.amount))

    async def _reserve(self, saga: Saga, purchase: Purchase) -> None:
        try:
            await saga.do(
                self.inventory.reserve,
                reservation=purchase.order,
                lines=purchase.lines,
                minutes=self.settings.challenge_minutes + HELD_LONGER_MINUTES,
            )
        except OutOfStock as no:
            raise NotInStock(sku=no.sku, asked=no.asked, available=no.available) from no
        except ReservationOver as no:
            raise TookTooLong(order=purchase.order) from no

    async def _allocate(self, saga: Saga, order: OrderId) -> None:
        try:
            await saga.do(self.inventory.allocate, reservation=order)
        except ReservationOver as no:
            raise TookTooLong(order=order) from no

    async def _authorize(self, saga: Saga, purchase: Purchase, payment: PaymentId) -> None:
        """Set the money aside; if the bank wants to see the shopper, wait for both."""
        try:
            told = await saga.do(
                self.payments.authorize,
                payment=payment,
                order=purchase.order,
                amount=purchase.amount,
                provider=purchase.provider,
                token=purchase.token,
                return_url=purchase.return_url,
            )
            if told.state == "challenged":
                told = await self._challenge(saga, purchase.order, told)
        except PaymentDeclined as no:
            raise PaymentRefused(reason=no.reason) from no
        except InvalidToken as no:
            raise UnknownPaymentToken from no
        except UnknownProvider as no:
            raise UnknownPaymentMethod(method=purchase.provider) from no
        if told.state != "authorized":
            raise PaymentRefused(reason="not_confirmed_in_time")

    async def _challenge(self, saga: Saga, order: OrderId, payment: Payment) -> Payment:
        assert payment.redirect_url, "a challenge says where it is answered"
        await saga.do(self.send_shopper, order=order, url=payment.redirect_url)
        for _ in range(self.settings.challenge_minutes * 60 // LOOK_AGAIN_SECONDS):
            await saga.wait(PAYMENT_NEWS, seconds=LOOK_AGAIN_SECONDS)
            payment = await saga.do(self.payments.refresh, payment=payment.id)
            if payment.state != "challenged":
                break
        return payment

    async def send_shopper(self, *, order: OrderId, url: str) -> None:
        """Show on the order where the shopper has to go."""
        async with self.db.begin() as tx:
            await orders.set_action(tx, order, Action(kind="redirect", url=url))

    async def confirm(self, *, order: OrderId, paid: bool) -> None:
        """Let the order stand, give it the next number, and tell everybody."""
        payment = payment_of(order) if paid else None
        async with self.db.begin() as tx:
            confirmed = await orders.confirm_order(tx, order, payment, self.clock.now())
            tx.tell(OrderConfirmed(order=confirmed))

    async def reopen(self, *, order: OrderId) -> None:
        """Let the order come to nothing; its cart can be ordered again."""
        async with self.db.begin() as tx:
            before = await orders.lock_order(tx, order)
            await orders.save_order(tx, model.cancel(before, "checkout failed", self.clock.now()))
            await carts.reopen_cart(tx, order)


class CancelOrder:
    """Let go of the money, refund what was taken, give the stock back; go on until it is done."""

    tries: ClassVar[int] = 10_000

    def __init__(
        self, db: Database, clock: Clock, inventory: Inventory, payments: Payments
    ) -> None:
        self.db = db
        self.clock = clock
        self.inventory = inventory
        self.payments = payments

    async def __call__(self, saga: Saga, *, order: OrderId, reason: str) -> None:
        payment = payment_of(order)
        await saga.do(self.withdraw, order=order, reason=reason)
        with suppress(AlreadyCaptured):
            await saga.do(self.payments.void, payment=payment)
        with suppress(UnknownPayment, ExceedsCaptured):
            # Refused means: nothing was taken, or all of it is given back already.
            refund = derived(order, "cancel")
            await saga.do(self.payments.refund, payment=payment, refund=refund, reason=reason)
        await saga.do(self.inventory.release, reservation=order)
        await saga.conclude(self.tell, order=order)

    async def withdraw(self, *, order: OrderId, reason: str) -> None:
        """Let the order stand no longer, before anything else can happen to it."""
        async with self.db.begin() as tx:
            before = await orders.lock_order(tx, order)
            if before.state != "confirmed":
                raise NotCancelable(order=order, state=before.state)
            await orders.save_order(tx, model.cancel(before, reason, self.clock.now()))

    async def tell(self, *, order: OrderId) -> None:
        """Tell that stock and money are free again."""
        async with self.db.begin() as tx:
            canceled = await orders.order(tx, order)
            tx.tell(
                OrderCanceled(
                    order=order, number=canceled.number, lines=model.lines_of(canceled.lines)
                )
            )

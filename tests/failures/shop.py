"""The whole shop opposite the real bank: what tests of failures between modules share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from uuid import UUID

from banyan.kernel import fault, health
from banyan.kernel.app import App
from banyan.kernel.clock import SystemClock
from banyan.kernel.event import Envelope, Event
from banyan.kernel.outbox import Carrier
from banyan.modules.inventory.contract import Inventory
from banyan.modules.inventory.service import InventoryService
from banyan.modules.notifications.contract import Message, Notifications
from banyan.modules.ordering.contract import Order, Ordering, PaymentChoice
from banyan.modules.ordering.sagas import payment_of
from banyan.modules.payments.contract import Payment, Payments
from banyan.modules.payments.service import PaymentsService
from banyan.vocabulary import CartId, Money, OrderId, Sku
from tests.journeys.house import LAMP, settle
from tests.plugins.sandbox_merchant import PATIENCE_SECONDS, TOTALS, Merchant, Received
from tests.plugins.sandbox_merchant import Shop as Door

LOCK_SECONDS = 5

Hear = Callable[[Received], Awaitable[None]]


class ShiftedClock(SystemClock):
    """The machine's clock, ahead by as much as a test has let pass."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return super().now() + self.ahead

    def ahead_by(self, seconds: float) -> None:
        """Go ahead by so many more seconds."""
        self.ahead += timedelta(seconds=seconds)


class Doorman(Door):
    """Lets the bank's webhooks into the shop as they come, or keeps them until they are fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.failures: list[BaseException] = []
        self._inside: tuple[asyncio.AbstractEventLoop, Hear] | None = None

    @contextmanager
    def letting_in(self, hear: Hear) -> Iterator[None]:
        """Bring every webhook to a shop while it is open; the bank waits for the answer."""
        self.failures.clear()
        self._inside = asyncio.get_running_loop(), hear
        try:
            yield
        finally:
            self._inside = None

    def take(self, webhook: Received) -> int:
        if self._inside:
            loop, hear = self._inside
            try:
                heard = asyncio.run_coroutine_threadsafe(_whole(hear, webhook), loop)
                heard.result(PATIENCE_SECONDS)
            except BaseException as failure:  # noqa: BLE001 - whatever it is, the test shall know
                self.failures.append(failure)
                return 500
        return super().take(webhook)


async def _whole(hear: Hear, webhook: Received) -> None:
    await hear(webhook)


class Shop:
    """A shop at work, and what a test does to it."""

    def __init__(self, app: App, clock: ShiftedClock, door: Doorman, bank: Merchant) -> None:
        self.app = app
        self.clock = clock
        self.door = door
        self.bank = bank
        self.ordering = app.ask(Ordering)
        self.payments = app.ask(Payments)
        self.inventory = app.ask(Inventory)
        self.till = app.rooms["payments"].service(PaymentsService)
        self.store_room = app.rooms["inventory"].service(InventoryService)

    async def check_out(self, cart: CartId, token: str = "tok_ok") -> Order:
        return await self.ordering.check_out(
            cart=cart, payment=PaymentChoice(method="sandbox", token=token)
        )

    async def answer(self, order: Order, answer: dict[str, str]) -> None:
        """Let the shopper answer what the bank wants to know."""
        assert order.action
        await asyncio.to_thread(self.bank.client.post, order.action.url, data=answer)

    async def capture(self, order: Order, amount: Money | None = None) -> Payment:
        """Take the money of an order; the same order again is the same capture."""
        return await self.payments.capture(
            payment=payment_of(order.id), capture=UUID(int=order.id.int ^ 1), amount=amount
        )

    async def hear(self, webhook: Received) -> None:
        """Let one webhook in."""
        await self.payments.hear(
            provider="sandbox", headers=webhook.headers, body=webhook.body.decode()
        )

    async def webhook(self, order: OrderId) -> Received:
        """Wait for the next webhook about an order's payment, which has been let in if any is."""
        return await asyncio.to_thread(self.door.next, str(payment_of(order)))

    async def settle(self) -> None:
        """Let everything happen that is due now."""
        await settle(self.app)

    async def pass_time(self, seconds: float) -> None:
        """Let time pass, and what is due by then happen."""
        self.clock.ahead_by(seconds)
        await self.settle()

    async def order_of(self, cart: CartId) -> Order:
        """Read the order that a cart has become."""
        order = (await self.ordering.cart(cart=cart)).order
        assert order
        return await self.ordering.order(order=order)

    async def stock(self, sku: Sku = LAMP) -> tuple[int, int]:
        """Tell what can be sold of a SKU, and what is kept for orders."""
        (level,) = await self.inventory.levels(skus=(sku,))
        return level.available, level.reserved

    async def mails(self, order: OrderId) -> tuple[Message, ...]:
        """List what the shopper was written about an order."""
        return await self.app.ask(Notifications).messages(about=str(order))

    async def somebody_waits_for_a_lock(self) -> None:
        """Wait until somebody does."""
        waits = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        for _ in range(LOCK_SECONDS * 100):
            if await self.app.rooms["catalog"].database.value(waits):
                return
            await asyncio.sleep(0.01)
        raise AssertionError("nobody waits for a lock")

    def held(self, order: OrderId) -> tuple[int, int, int, int]:
        """Ask the bank what was authorized, captured, voided and refunded for an order."""
        reference = str(payment_of(order))
        answer = self.bank.client.get("/v1/payments", params={"reference": reference}).json()
        if not answer["items"]:
            return 0, 0, 0, 0
        (found,) = answer["items"]
        authorized, captured, voided, refunded = (
            found[total]["amount"] for total in TOTALS.values()
        )
        return authorized, captured, voided, refunded

    def bill(self, order: OrderId) -> int:
        """Say what an order costs its shopper in the end, according to the bank."""
        authorized, _, voided, refunded = self.held(order)
        return authorized - voided - refunded

    async def be_sound(self) -> None:
        """Insist that doctor, bank and door are content: whoever has paid has an order.

        The bank serves all tests, so its books are not compared as a whole but order by order.
        """
        await self.settle()
        for one in await health.examine(self.app):
            assert one.healthy or "provider says" in one.title, one
        for order in await self.ordering.orders(limit=1000):
            owed = order.totals.total.amount if order.state == "confirmed" else 0
            assert order.state == "pending" or self.bill(order.id) == owed, order
        assert not self.door.failures


def told(shop: Shop) -> list[Event]:
    """Write down the events that modules tell from now on, as they leave their outboxes."""
    found: list[Event] = []
    for room in shop.app.rooms.values():
        outbox = room.worker.outbox
        outbox.carry = _listening(found, outbox.carry)
    return found


def _listening(found: list[Event], carry: Carrier) -> Carrier:
    async def listen(envelopes: Sequence[Envelope]) -> None:
        found.extend(envelope.open() for envelope in envelopes)
        await carry(envelopes)

    return listen


class Killed(BaseException):
    """The worker was killed here, as far as the code that ran can tell."""


@contextmanager
def killing(point: str) -> Iterator[None]:
    """End whatever first reaches a fault point without a word, as `kill -9` would."""
    dead = False

    def kill(reached: str) -> None:
        nonlocal dead
        if reached == point and not dead:
            dead = True
            raise Killed(point)

    fault.watch(kill)
    try:
        yield
    finally:
        fault.watch(None)
    assert dead, f"nothing came to {point}"

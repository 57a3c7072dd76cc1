"""Payments at work opposite a real bank: what tests of money share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import pytest

from banyan.kernel import fault
from banyan.kernel.event import Envelope, Event
from banyan.kernel.ids import Ids
from banyan.kernel.link import Link, direct
from banyan.kernel.module import Plugin
from banyan.kernel.testing import Bench, Server, bench
from banyan.modules.payments.contract import Payment, Payments
from banyan.modules.payments.module import module
from banyan.modules.payments.service import PaymentsService
from banyan.plugins.sandbox.plugin import plugin
from banyan.vocabulary import Money, OrderId, PaymentId
from tests.plugins.sandbox_merchant import TOTALS, Merchant, Received
from tests.plugins.sandbox_process import SandboxProcess

E = TypeVar("E", bound=Event)

TEN = Money(amount=1000, currency="EUR")
IDS = Ids()
"""Fresh ids: the bank remembers every payment for as long as it lives."""


def some_payment() -> PaymentId:
    return PaymentId(IDS.new())


def some_order() -> OrderId:
    return OrderId(IDS.new())


def euros(amount: int) -> Money:
    return Money(amount=amount, currency="EUR")


class Counter:
    """The shop's side of a payment, and a window on what the bank makes of it."""

    def __init__(self, house: Bench, merchant: Merchant) -> None:
        self.house = house
        self.merchant = merchant
        self.payments = house.ask(Payments)
        self.room = house.app.rooms["payments"]
        self.service = self.room.service(PaymentsService)
        self._told: list[Event] = []
        self._carry = self.room.worker.outbox.carry
        self.room.worker.outbox.carry = self._listen

    async def authorize(
        self,
        payment: PaymentId,
        token: str = "tok_ok",
        *,
        order: OrderId | None = None,
        amount: Money = TEN,
        return_url: str = "",
    ) -> Payment:
        """Set money aside for an order that is the payment's own, unless told otherwise."""
        return await self.payments.authorize(
            payment=payment,
            order=order or OrderId(UUID(int=payment.int ^ 1)),
            amount=amount,
            provider="sandbox",
            token=token,
            return_url=return_url,
        )

    async def captured(self, amount: Money = TEN) -> PaymentId:
        """Set money aside for a new payment, and take all of it."""
        payment = some_payment()
        await self.authorize(payment, amount=amount)
        await self.payments.capture(payment=payment, capture=IDS.new())
        return payment

    async def hear(self, webhook: Received) -> None:
        """Let a webhook of the bank arrive."""
        self.at_the_time_of(webhook)
        await self.payments.hear(
            provider="sandbox", headers=webhook.headers, body=webhook.body.decode()
        )

    def at_the_time_of(self, webhook: Received) -> None:
        """Advance our clock to the bank's, which is that of the machine."""
        sent = int(webhook.headers["webhook-timestamp"])
        self.house.clock.advance(max(0.0, sent - self.house.clock.now().timestamp()))

    def held(self, payment: PaymentId) -> tuple[int, int, int, int]:
        """Ask the bank what was authorized, captured, voided and refunded."""
        found = self.merchant.payment(str(payment))
        authorized, captured, voided, refunded = (
            found[total]["amount"] for total in TOTALS.values()
        )
        return authorized, captured, voided, refunded

    async def told(self, kind: type[E]) -> list[E]:
        """List the events of a kind that were told so far."""
        await self.house.settle()
        return [event for event in self._told if isinstance(event, kind)]

    async def story(self) -> list[type[Event]]:
        """Name the kinds of events that were told so far."""
        return [type(event) for event in await self.told(Event)]

    async def balances(self, payment: PaymentId) -> dict[str, int]:
        """Add up the accounts of a payment, apart from those that are even."""
        sums: dict[str, int] = {}
        for entry in await self.payments.ledger(payment=payment):
            sums[entry.account] = sums.get(entry.account, 0) + entry.amount
        return {account: amount for account, amount in sums.items() if amount}

    async def findings(self, *payments: PaymentId) -> list[str]:
        """Let the doctor look at everything that payments asks for, or at some payments only."""
        found = [finding for check in module.checks for finding in await check.look(self.service)]
        names = [str(payment) for payment in payments] or [""]
        return [finding for finding in found if any(name in finding for name in names)]

    async def _listen(self, envelopes: Sequence[Envelope]) -> None:
        self._told += [envelope.open() for envelope in envelopes]
        await self._carry(envelopes)


class Died(BaseException):
    """The process was killed here, as far as the code that ran can tell."""


@contextmanager
def counting(point: str) -> Iterator[list[str]]:
    """Write down each time that a fault point is reached."""
    found: list[str] = []

    def count(reached: str) -> None:
        if reached == point:
            found.append(reached)

    fault.watch(count)
    try:
        yield found
    finally:
        fault.watch(None)


@contextmanager
def dying(point: str) -> Iterator[None]:
    """End whatever reaches a fault point, as the kill of its process would."""

    def kill(reached: str) -> None:
        if reached == point:
            raise Died(point)

    fault.watch(kill)
    try:
        with pytest.raises(Died):
            yield
    finally:
        fault.watch(None)


@asynccontextmanager
async def open_counter(
    server: Server,
    bank: SandboxProcess,
    folder: Path,
    *,
    link: Link = direct,
    plugins: Sequence[Plugin] = (plugin,),
    configured: Mapping[str, Mapping[str, Any]] | None = None,
) -> AsyncIterator[Counter]:
    """Open the counter of a shop opposite a bank."""
    sandbox = {"url": bank.url, "webhook_secret_file": str(bank.secret_file)}
    settings: dict[str, dict[str, Any]] = {"sandbox": sandbox}
    for section, told in (configured or {}).items():
        settings[section] = {**settings.get(section, {}), **told}
    async with bench(
        server, [module], folder=folder, plugins=plugins, configured=settings, link=link
    ) as house:
        with bank.client() as client:
            yield Counter(house, Merchant(client))

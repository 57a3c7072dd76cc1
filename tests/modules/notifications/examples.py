"""A confirmed order, and somebody who takes mail, as examples."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

from banyan.kernel.module import Plugin
from banyan.modules.notifications.ports import Mail, Mailer
from banyan.modules.ordering.contract import Order, OrderLine, Totals
from banyan.vocabulary import Address, CartId, Locale, MarketCode, Money, OrderId, Sku

ADDRESS = Address(
    name="Jo Doe", street="Main Street 5", postal_code="10115", city="Berlin", country="DE"
)


def euros(amount: int) -> Money:
    return Money(amount=amount, currency="EUR")


LAMP = OrderLine(
    id=UUID(int=21),
    sku=Sku("lamp-red"),
    quantity=2,
    title="Lamp",
    unit_price=euros(123_450),
    subtotal=euros(246_900),
    tax=euros(39_421),
    total=euros(246_900),
    tax_millionths=190_000,
    options={"Color": "Red"},
)
ORDER = Order(
    id=OrderId(UUID(int=1)),
    state="confirmed",
    cart=CartId(UUID(int=2)),
    market=MarketCode("eu"),
    locale=Locale("en"),
    currency="EUR",
    email="jo.doe@example.com",
    shipping_address=ADDRESS,
    billing_address=ADDRESS,
    shipping_method="parcel",
    lines=(LAMP,),
    totals=Totals(
        subtotal=euros(246_900),
        shipping=euros(490),
        tax=euros(39_499),
        total=euros(247_390),
        tax_inclusive=True,
    ),
    placed_at=datetime(2026, 1, 1, 22, 59, tzinfo=UTC),
    confirmed_at=datetime(2026, 1, 1, 23, 0, tzinfo=UTC),
    number="1042",
)


class Mailbox:
    """Takes mail when it is open, unless it is told to raise something instead."""

    def __init__(self) -> None:
        self.taken: list[Mail] = []
        self.asked = 0
        self.trouble: Callable[[], Exception] | None = None
        self.open = asyncio.Event()
        self.open.set()

    def plugin(self) -> Plugin:
        """Make this mailbox the one that the shop sends mail to."""
        box = self

        class ToMailbox(Mailer):
            async def send(self, mail: Mail) -> None:
                box.asked += 1
                await box.open.wait()
                if box.trouble:
                    raise box.trouble()
                box.taken.append(mail)

        return Plugin(name="mailbox", fills={Mailer: ToMailbox})

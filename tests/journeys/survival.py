"""What must be true of a shop of which a process died in the middle of a purchase."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from banyan.kernel import health
from banyan.kernel.clock import SystemClock
from banyan.kernel.journal import LEASE_SECONDS
from banyan.modules.inventory.contract import Inventory
from banyan.modules.ordering.contract import Ordering, PaymentChoice, PaymentRefused
from banyan.vocabulary import CartId
from tests.journeys.apart import Shop
from tests.journeys.house import LAMP, settle

STOCK = 500


class LaterClock(SystemClock):
    """A clock that is ahead by more than a lease: to it, whoever is silent is dead."""

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=LEASE_SECONDS + 1)


async def check_out(shop: Shop, cart: CartId, token: str) -> None:
    """Order what is in a cart; only a declined card may be refused."""
    payment = PaymentChoice(method="sandbox", token=token)
    try:
        await shop.ask(Ordering).check_out(cart=cart, payment=payment)
    except PaymentRefused:
        assert token.startswith("tok_declined")


async def survive(shop: Shop) -> None:
    """Carry on with what was left behind, and insist that everything is as it should be."""
    await settle(shop)
    for one in await health.examine(shop):
        assert one.healthy, f"{one.module}: {one.title}: {one.found}"


def verdict(cart: CartId, token: str, sold: int) -> Callable[[Shop], Awaitable[None]]:
    """Insist on one order or none, with its stock, and that the cart can be ordered after all."""

    async def deed(shop: Shop) -> None:
        ordering, inventory = shop.ask(Ordering), shop.ask(Inventory)
        await survive(shop)
        before = await ordering.orders(state="confirmed", limit=1000)
        assert not await ordering.orders(state="pending", limit=1)
        await check_out(shop, cart, token)
        await check_out(shop, cart, token)
        await survive(shop)
        after = await ordering.orders(state="confirmed", limit=1000)
        mine = [order for order in after if order.cart == cart]
        declined = token.startswith("tok_declined")
        assert len(mine) == (0 if declined else 1)
        assert len(after) - len(before) <= 1
        numbers = sorted(int(order.number or 0) for order in after)
        assert numbers == list(range(1001, 1001 + len(numbers)))
        (level,) = await inventory.levels(skus=(LAMP,))
        assert level.reserved == len(after) == sold + len(mine)
        assert level.available == STOCK - len(after)

    return deed

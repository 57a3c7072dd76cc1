"""A shop moves from one process into many, with sagas and events on their way."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from banyan.kernel import health
from banyan.kernel.link import calling
from banyan.kernel.testing import Server
from banyan.modules.inventory.contract import Inventory
from banyan.modules.notifications.contract import Notifications
from banyan.modules.ordering.contract import Ordering, PaymentChoice
from tests.engines.brokers import LentNats
from tests.failures.shop import killing
from tests.journeys.apart import apart
from tests.journeys.house import LAMP, filled, furnish, house, made, opened, settle, some_cart
from tests.plugins.sandbox_process import SandboxProcess

TOKEN = PaymentChoice(method="sandbox", token="tok_ok")


@pytest.mark.parametrize("topology", ["checkout-apart", "microservices"])
async def test_what_is_under_way_arrives_in_the_new_processes(
    server: Server, nats: LentNats, bank: SandboxProcess, tmp_path: Path, topology: str
) -> None:
    async with server.fresh(house().modules) as database:
        here = (server, database, bank, tmp_path)
        async with opened(*here) as monolith:
            await furnish(monolith)
            for number in (1, 2):
                await filled(monolith, some_cart(number))
            told = await monolith.ask(Ordering).check_out(cart=some_cart(1), payment=TOKEN)
            with killing("after call sandbox.authorize"), calling(seconds=3):
                left = await monolith.ask(Ordering).check_out(cart=some_cart(2), payment=TOKEN)

        async with apart(topology, house(), nats, partial(made, *here)) as shop:
            await settle(shop)
            found = [one for one in await health.examine(shop) if not one.healthy]
            orders = await shop.ask(Ordering).orders(state="confirmed")
            mails = [
                await shop.ask(Notifications).messages(about=str(order.id)) for order in orders
            ]
            (level,) = await shop.ask(Inventory).levels(skus=(LAMP,))

    assert [one for one in found if "provider says" not in one.title] == []
    assert (told.state, left.state) == ("confirmed", "pending")
    assert [order.id for order in orders] == [left.id, told.id]
    assert [order.number for order in orders] == ["1002", "1001"]
    assert [len(mail) for mail in mails] == [1, 1]
    assert level.reserved == 2

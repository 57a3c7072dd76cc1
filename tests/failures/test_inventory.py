"""Failures of other shops that stock alone can prevent; names are the rows of the list."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest

from banyan.kernel.link import Link
from banyan.kernel.testing import Bench, Server, bench
from banyan.modules.inventory.contract import (
    Held,
    Inventory,
    OutOfStock,
    Reservation,
    Warehouse,
)
from banyan.modules.inventory.module import module
from banyan.vocabulary import Line, Sku

LAMP = Sku("lamp")


@pytest.fixture
async def shop(server: Server, link: Link, tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench(server, [module], folder=tmp_path, link=link) as made:
        inventory = made.ask(Inventory)
        await inventory.save_warehouse(warehouse=Warehouse(code="near", title="N", country="DE"))
        yield made


async def stocked(shop: Bench, quantity: int) -> Inventory:
    inventory = shop.ask(Inventory)
    await inventory.count(levels=(Held(sku=LAMP, warehouse="near", quantity=quantity),))
    return inventory


async def all_at_once(
    inventory: Inventory, buyers: int, quantity: int
) -> tuple[list[Reservation], list[OutOfStock]]:
    answers = await asyncio.gather(
        *(
            inventory.reserve(
                reservation=UUID(int=n + 1), lines=(Line(sku=LAMP, quantity=quantity),)
            )
            for n in range(buyers)
        ),
        return_exceptions=True,
    )
    held = [one for one in answers if isinstance(one, Reservation)]
    refused = [one for one in answers if isinstance(one, OutOfStock)]
    assert len(held) + len(refused) == buyers
    return held, refused


async def test_s1_two_baskets_together_above_stock(shop: Bench) -> None:
    inventory = await stocked(shop, 5)

    held, refused = await all_at_once(inventory, buyers=2, quantity=3)

    assert (len(held), len(refused)) == (1, 1)


async def test_s9_s20_many_buyers_never_drive_stock_below_zero(shop: Bench) -> None:
    inventory = await stocked(shop, 10)

    held, _ = await all_at_once(inventory, buyers=40, quantity=1)

    (level,) = await inventory.levels(skus=(LAMP,))
    assert (len(held), level.available, level.reserved) == (10, 0, 10)


async def test_s13_parallel_allocations_are_all_counted(shop: Bench) -> None:
    inventory = await stocked(shop, 100)

    held, _ = await all_at_once(inventory, buyers=30, quantity=1)

    (level,) = await inventory.levels(skus=(LAMP,))
    assert level.reserved == len(held) == 30


async def test_s16_what_is_compensated_is_wholly_free_again(shop: Bench) -> None:
    inventory = await stocked(shop, 10)
    held, _ = await all_at_once(inventory, buyers=10, quantity=1)

    await asyncio.gather(*(inventory.release(reservation=one.id) for one in held + held))

    (level,) = await inventory.levels(skus=(LAMP,))
    assert (level.available, level.reserved) == (10, 0)


async def test_s19_a_backorder_is_honored_when_stock_is_held(shop: Bench) -> None:
    inventory = await stocked(shop, 1)
    await inventory.set_level(sku=LAMP, warehouse="near", backorder=True)

    held, refused = await all_at_once(inventory, buyers=4, quantity=1)

    (level,) = await inventory.levels(skus=(LAMP,))
    assert (len(held), len(refused), level.available) == (4, 0, -3)

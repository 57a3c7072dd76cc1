"""Inventory on a real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from msgspec.structs import replace

from banyan.kernel.link import Link
from banyan.kernel.testing import Bench, Server, bench
from banyan.modules.inventory.contract import (
    Held,
    Inventory,
    Movement,
    OutOfStock,
    ReservationExpired,
    ReservationOver,
    StaleLevel,
    StaleWarehouse,
    StockChanged,
    StockTooLow,
    UnknownWarehouse,
    Warehouse,
)
from banyan.modules.inventory.module import module
from banyan.vocabulary import Line, Sku

LAMP = Sku("lamp")
FIRST, SECOND = UUID(int=1), UUID(int=2)


@pytest.fixture
async def shop(server: Server, link: Link, tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench(server, [module], folder=tmp_path, link=link) as made:
        inventory = made.ask(Inventory)
        await inventory.save_warehouse(warehouse=Warehouse(code="near", title="N", country="DE"))
        await inventory.save_warehouse(
            warehouse=Warehouse(code="far", title="F", country="PL", position=1)
        )
        yield made


async def stock(shop: Bench, **levels: int) -> Inventory:
    inventory = shop.ask(Inventory)
    await inventory.count(
        levels=tuple(Held(sku=LAMP, warehouse=w, quantity=n) for w, n in levels.items())
    )
    return inventory


def lamps(quantity: int) -> tuple[Line, ...]:
    return (Line(sku=LAMP, quantity=quantity),)


async def available(inventory: Inventory) -> int:
    (found,) = await inventory.availability(skus=(LAMP,))
    return found.available


async def test_a_reservation_takes_from_what_can_be_sold(shop: Bench) -> None:
    inventory = await stock(shop, near=3, far=4)

    reservation = await inventory.reserve(reservation=FIRST, lines=lamps(5))

    assert {(one.warehouse, one.quantity) for one in reservation.held} == {("near", 3), ("far", 2)}
    assert await available(inventory) == 2


async def test_the_same_reservation_again_is_found_as_it_is(shop: Bench) -> None:
    inventory = await stock(shop, near=3)
    first = await inventory.reserve(reservation=FIRST, lines=lamps(2))

    again = await inventory.reserve(reservation=FIRST, lines=lamps(2))

    assert again == first
    assert await available(inventory) == 1


async def test_more_than_is_there_is_refused_with_what_is_there(shop: Bench) -> None:
    inventory = await stock(shop, near=1)

    with pytest.raises(OutOfStock) as refused:
        await inventory.reserve(reservation=FIRST, lines=lamps(2))

    assert (refused.value.asked, refused.value.available) == (2, 1)
    assert await available(inventory) == 1


async def test_a_released_reservation_gives_everything_back_once(shop: Bench) -> None:
    inventory = await stock(shop, near=3)
    await inventory.reserve(reservation=FIRST, lines=lamps(2))

    await inventory.release(reservation=FIRST)
    await inventory.release(reservation=FIRST)

    assert await available(inventory) == 3


async def test_a_reservation_that_comes_after_its_release_is_refused(shop: Bench) -> None:
    inventory = await stock(shop, near=3)
    await inventory.release(reservation=FIRST)

    with pytest.raises(ReservationOver):
        await inventory.reserve(reservation=FIRST, lines=lamps(2))

    assert await available(inventory) == 3


async def test_what_is_held_too_long_is_free_again(shop: Bench) -> None:
    inventory = await stock(shop, near=3)
    await inventory.reserve(reservation=FIRST, lines=lamps(1), minutes=10)
    await inventory.reserve(reservation=SECOND, lines=lamps(1), minutes=10)
    await inventory.allocate(reservation=SECOND)

    shop.clock.advance(601)
    await shop.app.rooms["inventory"].services[Inventory].expire_reservations()

    assert await available(inventory) == 2
    assert [event.reservation for event in await shop.told(ReservationExpired)] == [FIRST]
    with pytest.raises(ReservationOver):
        await inventory.allocate(reservation=FIRST)


async def test_goods_that_leave_are_neither_held_nor_there(shop: Bench) -> None:
    inventory = await stock(shop, near=3)
    await inventory.reserve(reservation=FIRST, lines=lamps(2))
    await inventory.allocate(reservation=FIRST)

    await inventory.ship(reservation=FIRST)
    await inventory.ship(reservation=FIRST)

    (level,) = await inventory.levels(skus=(LAMP,))
    assert (level.on_hand, level.reserved) == (1, 0)
    assert (await inventory.movements(sku=LAMP))[0].quantity == -2


async def test_a_movement_is_recorded_once(shop: Bench) -> None:
    inventory = await stock(shop, near=1)
    received = Movement(id=FIRST, sku=LAMP, warehouse="near", quantity=5, reason="received")

    await inventory.move(movements=(received,))
    await inventory.move(movements=(received, received))

    assert await available(inventory) == 6


async def test_stock_that_is_promised_cannot_be_written_off(shop: Bench) -> None:
    inventory = await stock(shop, near=3)
    await inventory.reserve(reservation=FIRST, lines=lamps(2))

    with pytest.raises(StockTooLow):
        await stock(shop, near=1)

    assert await available(inventory) == 1


async def test_an_unknown_warehouse_is_named(shop: Bench) -> None:
    with pytest.raises(UnknownWarehouse) as refused:
        await stock(shop, moon=1)

    assert refused.value.warehouse == "moon"


async def test_what_lies_in_an_inactive_warehouse_is_not_for_sale(shop: Bench) -> None:
    inventory = await stock(shop, near=3, far=4)

    await inventory.save_warehouse(
        warehouse=Warehouse(code="far", title="F", country="PL", active=False)
    )

    assert await available(inventory) == 3
    assert (await shop.told(StockChanged))[-1].levels[0].available == 3


async def test_what_was_counted_last_is_there(shop: Bench) -> None:
    inventory = await stock(shop, near=3)
    counts = tuple(Held(sku=LAMP, warehouse="near", quantity=n) for n in (5, 7))

    moved = await inventory.count(levels=counts)

    assert [one.quantity for one in moved] == [4]
    assert await available(inventory) == 7


async def test_what_is_new_and_what_was_there_is_counted_together(shop: Bench) -> None:
    await stock(shop, near=3)
    inventory = await stock(shop, near=1, far=2)

    levels = await inventory.levels(skus=(LAMP,))

    assert {one.warehouse: (one.on_hand, one.version) for one in levels} == {
        "near": (1, 2),
        "far": (2, 1),
    }
    assert sorted(one.quantity for one in await inventory.movements()) == [-2, 2, 3]


async def test_nothing_is_counted_where_a_sku_has_not_been(shop: Bench) -> None:
    inventory = await stock(shop, near=0)

    assert [(one.warehouse, one.on_hand) for one in await inventory.levels()] == [("near", 0)]
    assert await inventory.movements() == ()
    with pytest.raises(StockTooLow):
        await stock(shop, far=-1)


async def test_a_count_costs_as_many_statements_for_many_as_for_one(shop: Bench) -> None:
    async def cost(*skus: int) -> int:
        run = shop.watch()
        await shop.ask(Inventory).count(
            levels=tuple(Held(sku=Sku(f"sku-{n}"), warehouse="near", quantity=5) for n in skus)
        )
        return len(run)

    assert await cost(1) == await cost(*range(2, 50)) == 9


async def test_each_event_is_newer_than_the_one_before(shop: Bench) -> None:
    inventory = await stock(shop, near=3, far=1)
    await inventory.reserve(reservation=FIRST, lines=lamps(4))
    await inventory.release(reservation=FIRST)

    told = [event.levels[0] for event in await shop.told(StockChanged)]

    assert [one.available for one in told] == [4, 0, 4]
    assert [one.version for one in told] == sorted({one.version for one in told})


async def test_a_count_of_stock_that_has_changed_meanwhile_is_refused(shop: Bench) -> None:
    inventory = await stock(shop, near=3)
    seen = await inventory.level(sku=LAMP, warehouse="near")
    await inventory.reserve(reservation=FIRST, lines=lamps(1))

    with pytest.raises(StaleLevel):
        await inventory.set_level(
            sku=LAMP, warehouse="near", on_hand=9, backorder=True, expected=seen.version
        )

    assert await available(inventory) == 2


async def test_a_level_is_counted_and_opened_to_backorders_at_once(shop: Bench) -> None:
    inventory = await stock(shop, near=3)

    level = await inventory.set_level(sku=LAMP, warehouse="near", on_hand=5, backorder=True)
    again = await inventory.set_level(sku=LAMP, warehouse="near", on_hand=5, backorder=True)

    assert (level.on_hand, level.backorder) == (5, True)
    assert again == level == await inventory.level(sku=LAMP, warehouse="near")
    assert (await inventory.movements(sku=LAMP))[0].quantity == 2


async def test_a_warehouse_that_has_changed_meanwhile_is_not_overwritten(shop: Bench) -> None:
    inventory = shop.ask(Inventory)
    near = await inventory.warehouse(code="near")
    await inventory.save_warehouse(warehouse=replace(near, title="Nearer"), expected=near.version)

    with pytest.raises(StaleWarehouse):
        await inventory.save_warehouse(warehouse=near, expected=near.version)
    with pytest.raises(UnknownWarehouse):
        await inventory.warehouse(code="moon")


async def test_the_database_refuses_what_the_rules_would_refuse(shop: Bench) -> None:
    await stock(shop, near=1)
    database = shop.app.rooms["inventory"].database

    for statement in (
        "UPDATE levels SET on_hand = -1",
        "UPDATE levels SET reserved = 2",
        "UPDATE levels SET reserved = -1",
    ):
        with pytest.raises(asyncpg.CheckViolationError):
            await database.value(statement)
    for statement in ("UPDATE movements SET quantity = 9", "DELETE FROM movements"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await database.value(statement)


async def test_a_drifted_counter_is_found_and_mended(shop: Bench) -> None:
    inventory = await stock(shop, near=3)
    service = shop.app.rooms["inventory"].services[Inventory]
    await inventory.reserve(reservation=FIRST, lines=lamps(1))
    await shop.app.rooms["inventory"].database.value("UPDATE levels SET reserved = 3")

    found, mended, after = await service.audit(), await service.mend(), await service.audit()

    assert found == ["lamp in near: on hand 3, moved 3; reserved 3, kept 1"]
    assert mended == ["lamp in near: on hand 3 as moved, reserved 1 as kept"]
    assert after == []
    assert await available(inventory) == 2


async def test_each_warehouse_in_which_a_sku_has_drifted_is_mended_by_name(shop: Bench) -> None:
    inventory = await stock(shop, near=3, far=4)
    service = shop.app.rooms["inventory"].services[Inventory]
    await shop.app.rooms["inventory"].database.value("UPDATE levels SET on_hand = 7")

    mended = await service.mend()

    assert mended == [
        "lamp in far: on hand 4 as moved, reserved 0 as kept",
        "lamp in near: on hand 3 as moved, reserved 0 as kept",
    ]
    assert await available(inventory) == 7


async def test_a_reservation_costs_four_statements(shop: Bench) -> None:
    inventory = await stock(shop, near=3, far=4)
    run = shop.watch()

    await inventory.reserve(reservation=FIRST, lines=(*lamps(2), *lamps(3)))

    assert len(run) == 6, "BEGIN, known?, levels, write, outbox, COMMIT"


async def test_parallel_reservations_of_several_skus_do_not_lock_each_other_out(
    shop: Bench,
) -> None:
    inventory = shop.ask(Inventory)
    skus = [Sku(f"sku-{n}") for n in range(6)]
    await inventory.count(
        levels=tuple(Held(sku=sku, warehouse="near", quantity=20) for sku in skus)
    )

    async def buy(number: int) -> None:
        order = skus[number % 6 :] + skus[: number % 6]
        lines = tuple(Line(sku=sku, quantity=1) for sku in order)
        await inventory.reserve(reservation=UUID(int=100 + number), lines=lines)

    await asyncio.gather(*(buy(number) for number in range(20)))

    assert {one.available for one in await inventory.availability(skus=tuple(skus))} == {0}

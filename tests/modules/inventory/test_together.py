"""Reservations that are asked for at the same time: one commit, and each as if it were alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from banyan.kernel.contract import Problem
from banyan.kernel.idempotency import Idempotency
from banyan.kernel.link import Link, calling
from banyan.kernel.testing import Bench, Server, bench
from banyan.modules.inventory import store
from banyan.modules.inventory.contract import (
    Held,
    Inventory,
    OutOfStock,
    Reservation,
    ReservationOver,
    StockChanged,
    Warehouse,
)
from banyan.modules.inventory.module import module
from banyan.vocabulary import Line, Sku
from tests.kernel.replicated import eventually

LAMP = Sku("lamp")
UUIDS = tuple(UUID(int=number) for number in range(1, 6))
WAREHOUSES = (
    Warehouse(code="near", title="N", country="DE"),
    Warehouse(code="far", title="F", country="PL", position=1),
    Warehouse(code="shut", title="S", country="FR", position=-1, active=False),
)


@pytest.fixture
async def shop(server: Server, link: Link, tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench(server, [module], folder=tmp_path, link=link) as made:
        for warehouse in WAREHOUSES:
            await made.ask(Inventory).save_warehouse(warehouse=warehouse)
        yield made


async def stocked(shop: Bench, sku: Sku, **levels: int) -> Inventory:
    inventory = shop.ask(Inventory)
    await inventory.count(
        levels=tuple(Held(sku=sku, warehouse=w, quantity=n) for w, n in levels.items())
    )
    return inventory


async def buy(inventory: Inventory, number: int, **lines: int) -> Reservation | Problem:
    wanted = tuple(Line(sku=Sku(sku), quantity=n) for sku, n in lines.items())
    try:
        return await inventory.reserve(reservation=UUID(int=number), lines=wanted)
    except Problem as no:
        return no


async def test_a_thousand_buyers_of_a_hundred_units_share_a_few_commits(shop: Bench) -> None:
    inventory = await stocked(shop, LAMP, near=60, far=40)
    run = shop.watch()

    answers = await asyncio.gather(*(buy(inventory, number, lamp=1) for number in range(1, 1001)))

    held = [one for one in answers if isinstance(one, Reservation)]
    refused = [one for one in answers if isinstance(one, OutOfStock)]
    assert (len(held), len(refused)) == (100, 900)
    assert held == answers[:100], "who comes first is served first"
    assert run.count(("inventory", "BEGIN")) <= 20
    levels = {one.warehouse: one.reserved for one in await inventory.levels(skus=(LAMP,))}
    assert levels == {"near": 60, "far": 40}
    assert await shop.app.rooms["inventory"].services[Inventory].audit() == []


async def test_many_reservations_of_many_skus_cost_four_statements(shop: Bench) -> None:
    skus = [f"sku-{n}" for n in range(10)]
    for sku in skus:
        inventory = await stocked(shop, Sku(sku), near=3, far=4)
    told = len(await shop.told(StockChanged))
    run = shop.watch()

    await asyncio.gather(
        *(
            buy(inventory, number, **{skus[number % 10]: 1, skus[-number % 10]: 2})
            for number in range(20)
        )
    )

    assert len(run) == 2 * 6, "the first was under way alone, the others went together"
    levels = [event.levels for event in (await shop.told(StockChanged))[told:]]
    assert [len(one) for one in levels] == [1, 10]


async def test_what_is_told_is_what_can_be_sold(shop: Bench) -> None:
    inventory = await stocked(shop, LAMP, near=5, far=4, shut=3)
    await inventory.set_level(sku=LAMP, warehouse="far", backorder=True)
    database = shop.app.rooms["inventory"].database

    for number, quantity in enumerate((2, 4, 9), start=1):
        await buy(inventory, number, lamp=quantity)

        assert (await shop.told(StockChanged))[-1].levels == await store.sellable(database, [LAMP])


async def test_the_same_reservation_twice_at_once_is_made_once(shop: Bench) -> None:
    inventory = await stocked(shop, LAMP, near=5)

    other, *same = await asyncio.gather(*(buy(inventory, n, lamp=2) for n in (1, 2, 2, 2)))

    assert isinstance(other, Reservation)
    assert same == [same[0]] * 3
    assert [one.available for one in await inventory.availability(skus=(LAMP,))] == [1]


async def test_a_reservation_with_a_key_is_one_of_its_own(shop: Bench) -> None:
    inventory = await stocked(shop, LAMP, near=9)
    run = shop.watch()

    async def click(number: int) -> tuple[Reservation | Problem, bool]:
        key = Idempotency(f"key {number}", "buy a lamp")
        with calling(idempotency=key):
            return await buy(inventory, number, lamp=1), key.replayed

    first = await asyncio.gather(*map(click, range(3)))
    begun = run.count(("inventory", "BEGIN"))
    again = await asyncio.gather(*map(click, range(3)))

    assert begun == 3
    assert again == [(told, True) for told, _ in first]


async def test_allocations_that_are_asked_for_at_once_share_a_commit(shop: Bench) -> None:
    inventory = await stocked(shop, LAMP, near=9)
    await asyncio.gather(*(buy(inventory, number, lamp=1) for number in (1, 2, 3)))
    await inventory.release(reservation=UUID(int=3))
    run = shop.watch()

    answers = await asyncio.gather(
        *(inventory.allocate(reservation=UUID(int=number)) for number in (1, 2, 2, 3, 4)),
        return_exceptions=True,
    )
    kept = await inventory.reservations(ids=UUIDS)

    assert run.count(("inventory", "COMMIT")) == 2
    assert [type(one) for one in answers] == [Reservation] * 3 + [ReservationOver] * 2
    assert [one.state for one in kept] == ["allocated", "allocated", "released"]
    assert [*kept[:2], kept[1]] == answers[:3]


@pytest.mark.parametrize("state", ["held", "released"])
async def test_a_reservation_that_another_process_makes_meanwhile_is_found(
    shop: Bench, state: str
) -> None:
    inventory = await stocked(shop, LAMP, near=5)
    expires_at = shop.clock.now() if state == "held" else None
    elsewhere = await shop.app.rooms["inventory"].database.connect()

    async def is_waited_for() -> bool:
        return bool(await elsewhere.fetchval("SELECT true FROM pg_locks WHERE NOT granted"))

    async with elsewhere.transaction():
        await elsewhere.execute(
            "INSERT INTO reservations VALUES ($1, $2, $3)", UUID(int=2), state, expires_at
        )
        buying = [asyncio.ensure_future(buy(inventory, n, lamp=2)) for n in (1, 2, 3)]
        await eventually(is_waited_for)
    answers = await asyncio.gather(*buying)
    await elsewhere.close()

    found = answers.pop(1)
    assert [type(one) for one in answers] == [Reservation, Reservation]
    if state == "held":
        assert found == Reservation(id=UUID(int=2), state="held", expires_at=shop.clock.now())
    else:
        assert isinstance(found, ReservationOver)
    assert [one.available for one in await inventory.availability(skus=(LAMP,))] == [1]


reservations = st.integers(1, 5)
wishes = st.tuples(
    reservations, st.dictionaries(st.sampled_from("abc"), st.integers(1, 4), max_size=3)
)
levels = st.tuples(
    st.sampled_from("abc"), st.sampled_from(WAREHOUSES), st.integers(0, 6), st.booleans()
)


@given(st.lists(levels, max_size=6), st.sets(reservations), st.lists(wishes, max_size=12))
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_those_who_come_together_end_like_those_who_come_one_after_the_other(
    server: Server,
    tmp_path: Path,
    levels: list[tuple[str, Warehouse, int, bool]],
    released: set[int],
    wishes: list[tuple[int, dict[str, int]]],
) -> None:
    async def end(*, together: bool) -> tuple[object, ...]:
        async with bench(server, [module], folder=tmp_path) as shop:
            inventory = shop.ask(Inventory)
            for warehouse in WAREHOUSES:
                await inventory.save_warehouse(warehouse=warehouse)
            for sku, warehouse, on_hand, backorder in levels:
                await inventory.set_level(
                    sku=Sku(sku), warehouse=warehouse.code, on_hand=on_hand, backorder=backorder
                )
            for number in released:
                await inventory.release(reservation=UUID(int=number))
            buying = [buy(inventory, number, **lines) for number, lines in wishes]
            answers = await asyncio.gather(*buying) if together else [await one for one in buying]
            left = await inventory.levels()
            told = {
                level.sku: (level.available, level.backorder)
                for event in await shop.told(StockChanged)
                for level in event.levels
            }
            return (
                [plain(one) for one in answers],
                [plain(one) for one in await inventory.reservations(ids=UUIDS)],
                [(one.sku, one.warehouse, one.on_hand, one.reserved) for one in left],
                told,
                await shop.app.rooms["inventory"].services[Inventory].audit(),
            )

    at_once, in_turn = await end(together=True), await end(together=False)

    assert at_once == in_turn
    assert at_once[-1] == []


def plain(answer: Reservation | Problem) -> object:
    """Compare by content, in any order of what is held."""
    if isinstance(answer, Problem):
        return answer.code, answer.fields()
    held = sorted((one.sku, one.warehouse, one.quantity) for one in answer.held)
    return answer.id, answer.state, held, answer.expires_at

"""What a back office asks of inventory: what runs short, what lies where, and transfers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from banyan.kernel.http import build
from banyan.kernel.link import Link
from banyan.kernel.security import Caller, Gate
from banyan.kernel.testing import Bench, Server, bench
from banyan.modules.inventory import model
from banyan.modules.inventory.contract import (
    Availability,
    Held,
    Inventory,
    NothingMoved,
    StockChanged,
    StockTooLow,
    UnknownWarehouse,
    Warehouse,
)
from banyan.modules.inventory.module import module
from banyan.vocabulary import Line, Sku

STORE = "/api/admin/stock"
FIRST, SECOND = UUID(int=1), UUID(int=2)
NEAR = Warehouse(code="near", title="N", country="DE")
FAR = Warehouse(code="far", title="F", country="PL", position=1)
STOCK = {"lamp-a": (3, 4), "lamp-b": (0, 1), "Lamp-c": (9, 9), "sofa": (0, 0), "läufer": (2, 0)}

quantities = st.integers(min_value=1, max_value=10_000)
lines = st.lists(
    st.builds(Line, sku=st.sampled_from([Sku("lamp"), Sku("shade")]), quantity=quantities),
    max_size=5,
)


@given(lines, st.uuids())
def test_what_leaves_one_warehouse_arrives_in_the_other(given: list[Line], transfer: UUID) -> None:
    moved = model.transferred(transfer, given, "near", "far", "")

    left = {one.sku: -one.quantity for one in moved if one.warehouse == "near"}
    arrived = {one.sku: one.quantity for one in moved if one.warehouse == "far"}
    assert left == arrived
    assert sum(arrived.values()) == sum(line.quantity for line in given)
    assert len({one.id for one in moved}) == len(moved) == 2 * len({line.sku for line in given})
    assert moved == model.transferred(transfer, given, "near", "far", "")


@pytest.fixture
async def shop(server: Server, link: Link, tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench(server, [module], folder=tmp_path, link=link) as made:
        inventory = made.ask(Inventory)
        for warehouse in (NEAR, FAR):
            await inventory.save_warehouse(warehouse=warehouse)
        counted = [
            Held(sku=Sku(sku), warehouse=warehouse, quantity=quantity)
            for sku, levels in STOCK.items()
            for warehouse, quantity in zip(("near", "far"), levels, strict=True)
        ]
        await inventory.count(levels=tuple(counted))
        yield made


async def there(inventory: Inventory, sku: str) -> dict[str, int]:
    return {one.warehouse: one.on_hand for one in await inventory.levels(skus=(Sku(sku),))}


async def test_what_runs_short_is_told_the_fewest_first(shop: Bench) -> None:
    inventory = shop.ask(Inventory)
    run = shop.watch()

    few = await inventory.scarce(at_most=2)
    first = await inventory.scarce(at_most=7, limit=2)
    rest = await inventory.scarce(at_most=7, after=(first[-1].available, first[-1].sku))

    assert len(run) == 3
    assert few == (
        Availability(sku=Sku("sofa"), available=0),
        Availability(sku=Sku("lamp-b"), available=1),
        Availability(sku=Sku("läufer"), available=2),
    )
    assert [one.sku for one in (*first, *rest)] == ["sofa", "lamp-b", "läufer", "lamp-a"]


async def test_what_is_held_or_lies_in_a_closed_warehouse_cannot_be_sold(shop: Bench) -> None:
    inventory = shop.ask(Inventory)
    await inventory.reserve(reservation=FIRST, lines=(Line(sku=Sku("lamp-a"), quantity=2),))
    await inventory.save_warehouse(warehouse=replace(FAR, active=False))

    few = {one.sku: one.available for one in await inventory.scarce(at_most=2)}

    assert few == {"lamp-b": 0, "sofa": 0, "lamp-a": 1, "läufer": 2}


async def test_levels_are_found_by_how_a_sku_begins_and_by_warehouse(shop: Bench) -> None:
    inventory = shop.ask(Inventory)

    async def told(**sought: Any) -> list[str]:  # noqa: ANN401 - whatever is sought
        levels = await inventory.levels(**sought)
        return [f"{one.sku} {one.warehouse}" for one in levels]

    assert await told(prefix="lamp-") == [
        *("lamp-a far", "lamp-a near", "lamp-b far", "lamp-b near")
    ]
    assert await told(prefix="lä", warehouse="near") == ["läufer near"]
    assert await told(prefix="lamp", warehouse="far", limit=1) == ["lamp-a far"]
    assert await told(prefix="lamp", warehouse="far", after=Sku("lamp-a")) == ["lamp-b far"]
    assert await told(skus=(Sku("sofa"),), warehouse="far") == ["sofa far"]
    assert await told(prefix="%") == []
    assert len(await told()) == 2 * len(STOCK)


async def test_a_transfer_moves_all_once_and_tells_it_once(shop: Bench) -> None:
    inventory = shop.ask(Inventory)
    asked: dict[str, Any] = {
        "transfer": FIRST,
        "lines": (Line(sku=Sku("lamp-a"), quantity=3), Line(sku=Sku("lamp-b"), quantity=1)),
        "source": "far",
        "target": "near",
        "note": "van",
    }
    before = len(await shop.told(StockChanged))

    moved = await inventory.transfer(**asked)
    again = await inventory.transfer(**asked)

    assert again == moved
    assert {(one.reason, one.note) for one in moved} == {("transferred", "van")}
    assert await there(inventory, "lamp-a") == {"near": 6, "far": 1}
    assert await there(inventory, "lamp-b") == {"near": 1, "far": 0}
    assert len(await shop.told(StockChanged)) == before + 1


async def test_a_transfer_that_asks_for_too_much_moves_nothing(shop: Bench) -> None:
    inventory = shop.ask(Inventory)
    much = (Line(sku=Sku("lamp-a"), quantity=1), Line(sku=Sku("lamp-b"), quantity=2))

    with pytest.raises(StockTooLow):
        await inventory.transfer(transfer=FIRST, lines=much, source="far", target="near")
    with pytest.raises(NothingMoved):
        await inventory.transfer(transfer=SECOND, lines=much, source="far", target="far")
    with pytest.raises(UnknownWarehouse):
        await inventory.transfer(transfer=SECOND, lines=much, source="far", target="moon")

    assert await there(inventory, "lamp-a") == {"near": 3, "far": 4}


class Porter(Gate):
    """Knows somebody who may do everything."""

    async def caller(self, token: str) -> Caller | None:
        return Caller(subject=token, permissions=frozenset({"inventory:*"}))


async def test_the_same_can_be_asked_over_http(shop: Bench) -> None:
    app: Any = build(
        shop.app.routes(),
        dependencies=shop.app.dependencies(),
        gate=Porter(),
        ready=shop.app.ready,
    )
    van = {"lines": [{"sku": "lamp-a", "quantity": 1}], "source": "far", "target": "near"}

    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://shop",
        headers={"authorization": "Bearer clerk"},
    ) as http:
        scarce = await http.get(f"{STORE}/scarce", params={"at_most": 1, "limit": 1})
        following = await http.get(scarce.links["next"]["url"])
        moved = await http.post(f"{STORE}/transfers", json=van)
        levels = await http.get(STORE, params={"prefix": "lamp-", "warehouse": "near"})

    assert scarce.json()["items"] == [{"sku": "sofa", "available": 0, "backorder": False}]
    assert [one["sku"] for one in following.json()["items"]] == ["lamp-b"]
    assert moved.status_code == 201
    assert sorted(one["quantity"] for one in moved.json()["items"]) == [-1, 1]
    assert [one["on_hand"] for one in levels.json()["items"]] == [4, 0]

"""What tests of the back office do behind its back: buy something, and make things go wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar
from uuid import UUID

import asyncpg
import httpx

from banyan.engines.estate import Estate
from banyan.kernel.ids import Ids
from banyan.kernel.topology import monolith
from tests.journeys.running import Running, buy

T = TypeVar("T")

DEAD = """
    INSERT INTO search.inbox
        (event, reaction, source, type, time, body, due_at, status, attempt, error)
    VALUES ($1, 'stock_changed', '/modules/inventory', 'banyan.inventory.stock_changed.v1', now(),
        '{"levels": []}', now(), 'dead', 8, 'ValueError: no such thing')"""

STUCK = """
    INSERT INTO search.sagas (id, kind, arguments, status, due_at, attempt, trouble, started_at)
    VALUES ($1, 'make_anew@1', '{}', 'stuck', now(), 9, 'ValueError', now())"""


def apart(work: Coroutine[object, object, T]) -> T:
    """Do something in a thread of its own: a browser that is open keeps the loop of this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def ordered(shop: Running) -> str:
    """Let somebody buy a vase, and tell where the office sees the order."""

    async def done() -> str:
        async with httpx.AsyncClient(base_url=f"{shop.url}/api/store", timeout=20) as client:
            found = (await client.get("/products", params={"q": "vase"})).json()["items"]
            slug = next(one["slug"] for one in found if one["available"])
            variants = (await client.get(f"/products/{slug}")).json()["variants"]
            sku = next(one["sku"] for one in variants if one["available"])
            bought = (await buy(client, sku, str(Ids().new()))).raise_for_status()
            return str(bought.json()["order"]["id"])

    return f"/admin/orders/{apart(done())}"


def dead_letter(shop: Running) -> UUID:
    """Leave an event that a module could not digest."""
    event = Ids().new()
    apart(_in_database(shop, "search", DEAD, event))
    return event


def stuck_saga(shop: Running, name: str) -> None:
    """Leave a rebuild of the search that got stuck."""
    apart(_in_database(shop, "search", STUCK, name))


async def _in_database(shop: Running, module: str, sql: str, *values: object) -> None:
    address = Estate(shop.data, monolith(), lambda _: None).administrator(module)
    connection = await asyncpg.connect(address)
    try:
        await connection.execute(sql, *values)
    finally:
        await connection.close()

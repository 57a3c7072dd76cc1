"""A storm: everything is killed, part after part, under shoppers who go on buying."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from banyan.engines.control import Scale, ask
from tests.journeys.running import ADA, Running, doctor, lamp_with_units, standings

UNITS = 10_000
MOST_TRIES = 300
PAUSE_SECONDS = 0.2
PATIENCE_SECONDS = 60
PROCESSES = ("catalog", "pricing", "inventory", "ordering", "payments", "rest")


@pytest.fixture
def shop(microservices: Running, *, soak: bool) -> Iterator[Running]:
    """Have a shop in six processes; if there is time, two of each for a while."""
    if not soak:
        yield microservices
        return
    before = Counter(one.rpartition("-")[0] for one in standings(microservices))
    few = {name: before[name] for name in PROCESSES}
    scale(microservices, dict.fromkeys(PROCESSES, 2))
    yield microservices
    scale(microservices, few)


def scale(shop: Running, wanted: dict[str, int]) -> None:
    for _ in ask(shop.data, Scale(wanted=wanted)):
        pass  # It is done when nothing more is told.


class Shoppers:
    """People who buy one lamp after another, and ask again until they are answered."""

    def __init__(self, shop: Running, sku: str) -> None:
        self._client = httpx.AsyncClient(base_url=f"{shop.url}/api/store", timeout=30)
        self._sku = sku
        self._keys = 0
        self.over = asyncio.Event()
        self.orders: list[str] = []
        self.asked = 0
        self.failed = 0
        self.longest_seconds = 0.0

    async def buy_on(self) -> None:
        """Buy until it is over; what was begun is ended."""
        while not self.over.is_set():
            await self._buy()

    async def close(self) -> None:
        await self._client.aclose()

    async def _buy(self) -> None:
        cart = f"/carts/{(await self._ask('POST', '/carts', {}))['id']}"
        await self._ask("POST", f"{cart}/lines", {"sku": self._sku, "quantity": 1})
        details = {"email": "ada@example.com", "shipping_address": ADA}
        await self._ask("PATCH", cart, details)
        methods = (await self._ask("GET", f"{cart}/shipping-methods", None))["items"]
        await self._ask("PATCH", cart, {"shipping_method": methods[0]["code"]})
        payment = {"payment": {"method": "sandbox", "token": "tok_ok"}}
        order = (await self._ask("POST", f"{cart}/checkout", payment))["order"]
        while order["state"] == "pending":
            await asyncio.sleep(PAUSE_SECONDS)
            order = await self._ask("GET", f"/orders/{order['id']}", None)
        assert order["state"] == "confirmed", order
        assert [line["quantity"] for line in order["lines"]] == [1]
        self.orders.append(order["id"])

    async def _ask(self, method: str, path: str, body: object) -> dict[str, Any]:
        """Ask until there is an answer that is not our fault; a key makes it one question."""
        self._keys += 1
        headers = {"idempotency-key": f"storm-{self._keys}"} if method == "POST" else {}
        begun, told = time.monotonic(), ""
        for _ in range(MOST_TRIES):
            self.asked += 1
            try:
                answer = await self._client.request(method, path, json=body, headers=headers)
                told = answer.text
            except httpx.TransportError as trouble:
                told = str(trouble)
            else:
                if answer.status_code < 500:
                    assert answer.is_success, told
                    self.longest_seconds = max(self.longest_seconds, time.monotonic() - begun)
                    return answer.json()  # type: ignore[no-any-return]
            self.failed += 1
            await asyncio.sleep(PAUSE_SECONDS)
        raise AssertionError(f"{method} {path} is not answered: {told}")


async def strike(shop: Running, name: str) -> float:
    """Kill a process, and tell how long it takes until another one is ready in its place."""
    victim = (await asyncio.to_thread(standings, shop))[name]
    assert victim.pid
    heard = len(shop.said)
    os.kill(victim.pid, signal.SIGKILL)
    struck = time.monotonic()
    # Asking how it stands makes a shop measure itself, for which there is no time in a storm.
    while not any(line.startswith(f"{name} ready ") for line in shop.said[heard:]):
        assert time.monotonic() - struck < PATIENCE_SECONDS, f"{name} does not come back"
        await asyncio.sleep(0.05)
    return time.monotonic() - struck


async def sold(shop: Running) -> list[dict[str, Any]]:
    """List every order that the shop knows of."""
    orders: list[dict[str, Any]] = []
    async with httpx.AsyncClient(base_url=shop.url, headers=shop.admin, timeout=30) as client:
        params: dict[str, str | int] = {"limit": 100}
        while True:
            page = (await client.get("/api/admin/orders", params=params)).raise_for_status().json()
            orders += page["items"]
            if page["next"] is None:
                return orders
            params["cursor"] = page["next"]


@pytest.mark.timeout(400)
async def test_whatever_is_killed_no_order_is_lost_and_nobody_pays_twice(
    shop: Running, measured: Callable[[str], None], *, soak: bool
) -> None:
    calm_seconds, people, at_once = (3.0, 4, 1) if soak else (0.5, 2, 3)
    sku, _ = await lamp_with_units(shop, UNITS)
    before = {order["id"] for order in await sold(shop)}
    shoppers = Shoppers(shop, sku)
    buying = [asyncio.create_task(shoppers.buy_on()) for _ in range(people)]
    await asyncio.sleep(calm_seconds)

    blows = [*(f"{name}-1" for name in PROCESSES), "nats", "gateway", "postgres"]
    recovered: dict[str, float] = {}
    for first in range(0, len(blows), at_once):
        struck = blows[first : first + at_once]
        took = await asyncio.gather(*(strike(shop, name) for name in struck))
        recovered |= zip(struck, took, strict=True)
        await asyncio.sleep(calm_seconds)
    shoppers.over.set()
    await asyncio.gather(*buying)
    await shoppers.close()
    orders = [order for order in await sold(shop) if order["id"] not in before]
    code, told = await doctor(shop)

    back = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in recovered.items())
    measured(
        f"{len(orders)} orders; {shoppers.failed} of {shoppers.asked} requests failed; "
        f"the longest wait was {shoppers.longest_seconds:.1f} s; back after: {back}"
    )
    assert len(set(shoppers.orders)) == len(shoppers.orders)
    confirmed = {order["id"] for order in orders if order["state"] == "confirmed"}
    assert confirmed == set(shoppers.orders)
    assert {order["state"] for order in orders} == {"confirmed"}
    assert code == 0, told

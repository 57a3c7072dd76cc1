"""A running shop is looked after: scaled, restarted and robbed of its engines, with shoppers in."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar
from uuid import uuid4  # noqa: TID251 - an idempotency key, as a shopper makes one

import httpx
import pytest

from banyan.engines.control import Request, Restart, Scale, ask
from banyan.engines.processes import Standing
from banyan.engines.trouble import EngineError
from tests.journeys.running import Running, buy, command, doctor, lamp_with_units, standings

pytestmark = pytest.mark.timeout(300)

T = TypeVar("T")

SHOPPERS = 3
PAUSE_SECONDS = 0.05
RECOVERY_SECONDS = 30
PATIENCE_SECONDS = 30


@pytest.fixture
def shop(checkout_apart: Running) -> Running:
    """Look after a shop in two processes, two of each."""
    return checkout_apart


@dataclass
class Load:
    """What shoppers have seen so far: how often they were served, and how often not."""

    served: int = 0
    failures: list[str] = field(default_factory=list)


async def test_no_request_fails_while_processes_are_restarted_and_scaled(
    shop: Running, measured: Callable[[str], None], *, soak: bool
) -> None:
    whom, leaving = ([], 3) if soak else (["checkout"], 1)
    sku, _ = await lamp_with_units(shop, 10_000)
    before = replicas(shop)

    async with shopping(shop, sku) as load:
        # Afterwards there is one process with replicas, and one without.
        fewer = await command(shop, "scale", "checkout=1")
        restarted = await command(shop, "restart", *whom)
        more = await command(shop, "scale", "checkout=2")

    measured(f"{load.served} answers, {len(load.failures)} failed")
    assert [code for code, _ in (fewer, restarted, more)] == [0, 0, 0], (fewer, restarted, more)
    assert sum("has left" in line for line in restarted[1]) == leaving
    assert sum("is ready" in line for line in more[1]) == 1
    assert load.failures == []
    assert load.served > 150
    assert (len(before), len(replicas(shop))) == (4, 4)
    assert (await doctor(shop))[0] == 0


@pytest.mark.parametrize("engine", ["postgres", "nats", "gateway"])
async def test_an_engine_that_was_killed_comes_back_and_the_shop_sells_again(
    shop: Running, engine: str
) -> None:
    sku, _ = await lamp_with_units(shop, 1_000)
    victim = standings(shop)[engine]
    assert victim.pid

    refusals: set[int] = set()

    async def risen() -> Standing | None:
        await bought(shop, sku, refusals)
        return await back(shop, victim)

    os.kill(victim.pid, signal.SIGKILL)
    await come_true(risen)
    order = await come_true(lambda: bought(shop, sku, refusals))

    assert refusals <= {503}
    # Its confirmation was sent by a module of another process, which hears of it by an event.
    await come_true(lambda: told_by_mail(shop, order))
    await come_true(lambda: sound(shop))


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (Scale(wanted={"chekout": 2}), "did you mean 'checkout'[?] Allowed: checkout, shop[.]"),
        (Scale(wanted={"shop": 3, "checkout": 0}), "at least one must stay"),
        (Restart(process="nats"), "there is no process 'nats'"),
    ],
)
async def test_what_cannot_be_done_is_refused_whole(
    shop: Running, asked: Request, why: str
) -> None:
    before = [*standings(shop)]

    with pytest.raises(EngineError, match=why):
        list(ask(shop.data, asked))

    assert [*standings(shop)] == before


async def test_the_status_shows_every_process_in_a_line(shop: Running) -> None:
    code, lines = await command(shop, "status")

    names = {line.split()[0] for line in lines[1:] if line and not line.startswith("  ")}
    assert code == 0
    assert {"postgres", "nats", "gateway"} < names
    assert names >= {*replicas(shop)}
    assert shop.url in "\n".join(lines)


async def test_the_workers_of_a_single_process_are_scaled_and_restarted(monolith: Running) -> None:
    async with looking(monolith) as load:
        again = await command(monolith, "restart")
        more = await command(monolith, "scale", "monolith=3")
        most = replicas(monolith)
        fewer = await command(monolith, "scale", "monolith=2")

    assert (again[0], more[0], fewer[0]) == (0, 0, 0)
    assert (len(most), len(replicas(monolith))) == (3, 2)
    assert load.failures == []
    assert load.served > 100


@asynccontextmanager
async def shopping(shop: Running, sku: str) -> AsyncIterator[Load]:
    """Let shoppers look, fill carts and buy for as long as this lasts; note what fails."""

    async def purchase(client: httpx.AsyncClient) -> None:
        await client.get("/products", params={"q": "lamp"})
        await buy(client, sku, str(uuid4()))

    async with _crowd(shop, purchase) as load:
        yield load


@asynccontextmanager
async def looking(shop: Running) -> AsyncIterator[Load]:
    """Let shoppers look at what there is."""

    async def look(client: httpx.AsyncClient) -> None:
        await client.get("/products")

    async with _crowd(shop, look) as load:
        yield load


@asynccontextmanager
async def _crowd(
    shop: Running, visit: Callable[[httpx.AsyncClient], Awaitable[None]]
) -> AsyncIterator[Load]:
    load = Load()
    over = asyncio.Event()

    async def note(response: httpx.Response) -> None:
        if response.is_success:
            load.served += 1
        else:
            await response.aread()
            request = response.request
            told = f"{request.method} {request.url.path}: {response.status_code} {response.text}"
            load.failures.append(told)

    async def shopper(client: httpx.AsyncClient) -> None:
        while not over.is_set():
            try:
                await visit(client)
            except httpx.HTTPStatusError:
                continue  # It is noted already.
            except httpx.HTTPError as error:
                load.failures.append(repr(error))
            await asyncio.sleep(PAUSE_SECONDS)

    async with httpx.AsyncClient(
        base_url=f"{shop.url}/api/store", timeout=20, event_hooks={"response": [note]}
    ) as client:
        crowd = [asyncio.create_task(shopper(client)) for _ in range(SHOPPERS)]
        try:
            yield load
        finally:
            over.set()
            await asyncio.gather(*crowd)


def replicas(shop: Running) -> list[str]:
    """Name the processes of the shop's own, all but engines and companions."""
    own = re.compile(r"(checkout|shop|monolith)-\d+")
    return [name for name in standings(shop) if own.fullmatch(name)]


async def back(shop: Running, victim: Standing) -> Standing | None:
    now = (await asyncio.to_thread(standings, shop))[victim.name]
    risen = now.state == "ready" and now.pid != victim.pid and now.restarts > victim.restarts
    return now if risen else None


async def bought(shop: Running, sku: str, refusals: set[int]) -> str | None:
    """Try to buy, and tell the id of the order; note with which status it was refused."""
    async with httpx.AsyncClient(base_url=f"{shop.url}/api/store", timeout=15) as client:
        try:
            order = (await buy(client, sku, str(uuid4()))).raise_for_status().json()["order"]
        except httpx.HTTPStatusError as refusal:
            refusals.add(refusal.response.status_code)
            return None
        except httpx.TransportError:  # There is no gateway.
            return None
    return str(order["id"]) if order["state"] == "confirmed" else None


async def told_by_mail(shop: Running, order: str) -> bool | None:
    async with httpx.AsyncClient(base_url=shop.url, headers=shop.admin, timeout=15) as client:
        answer = await client.get("/api/admin/messages", params={"about": order})
    return True if answer.is_success and answer.json()["items"] else None


async def sound(shop: Running) -> bool | None:
    return (await doctor(shop))[0] == 0 or None


async def come_true(look: Callable[[], Awaitable[T | None]]) -> T:
    """Look again and again, until there is something to see."""
    until = time.monotonic() + RECOVERY_SECONDS
    while (seen := await look()) is None:
        assert time.monotonic() < until, "it does not come true"
        await asyncio.sleep(0.2)
    return seen

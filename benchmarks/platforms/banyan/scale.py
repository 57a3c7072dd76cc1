"""A shop with very many products: what asking costs there, and how soon a change is seen.

It is filled while it is stopped, by `banyan import`, and started; then it makes its documents.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import uvloop

from benchmarks import load
from benchmarks.client import Wrong
from benchmarks.load import Visitor
from benchmarks.meter import spent
from benchmarks.platforms.banyan import statements
from benchmarks.platforms.banyan.operations import browse_cold, seek, show_cold
from benchmarks.platforms.banyan.shop import BanyanShop
from benchmarks.report import Trial

BUDGETS_MS = {"LIST cold": 30, "SEARCH": 60}
ASKED = {"LIST cold": browse_cold, "SEARCH": seek, "DETAIL cold": show_cold}
VISITORS = (1, 4)
SECONDS, WARM_SECONDS = 10.0, 3.0
CHANGES, CHANGE_SECONDS = 10, 2.0
LOOK_SECONDS, TELL_SECONDS = 2.0, 60.0
PATIENCE_SECONDS = 600.0
"""How long nothing new may be seen to be made before we give up."""
DONE = """
    SELECT sum(n_tup_ins + n_tup_upd) FROM pg_stat_user_tables
    WHERE relname IN ('inbox', 'documents')"""
SMALL = 1000
"""A table of fewer rows may be read as a whole."""


def trials(folder: Path, products: int) -> Iterator[Trial]:
    """Fill a shop, look how fast it is, how soon it shows a change, and how it reads its tables."""
    shop = BanyanShop(folder, products=products, workers=1, topology=None, closed=True)
    try:
        speed, peak = products / shop.imported.seconds, shop.imported.peak_bytes / 1e6
        yield Trial(
            f"import of {products:,} products",
            f"{speed:,.0f} products/s, {peak:.0f} MB",
            "≥ 2,000/s, < 300 MB",
            held=speed >= 2000 and peak < 300,
        )
        yield _digested(shop, products)
        for name, budget in BUDGETS_MS.items():
            for visitors in VISITORS:
                yield _asked(shop, name, visitors, budget)
        yield uvloop.run(_changed(shop))
        yield asyncio.run(_read(shop))
    finally:
        shop.stop()


def _digested(shop: BanyanShop, products: int) -> Trial:
    """Wait until search has a document of each product and no module has anything left to hear."""
    begun, before = time.monotonic(), spent(shop.process, shop.kind_of)
    asyncio.run(_rested(shop.folder, products))
    seconds = time.monotonic() - begun
    cost = spent(shop.process, shop.kind_of).since(before).seconds
    each = ", ".join(f"{kind} {1000 * cpu / products:.2f} ms" for kind, cpu in cost.items() if cpu)
    return Trial(
        "what follows in all modules",
        f"{products / seconds:,.0f} products/s; CPU of each: {each}",
        "–",
        held=True,
    )


async def _rested(folder: Path, products: int) -> None:
    """Look now and then, by what costs the same however many products there are."""
    seen, told, until = -1, 0.0, time.monotonic() + PATIENCE_SECONDS
    async with statements.superuser(folder) as server:
        modules = [
            row["nspname"]
            for row in await server.fetch(
                "SELECT nspname FROM pg_namespace WHERE to_regclass(nspname || '.outbox') "
                "IS NOT NULL"
            )
        ]
        waits = " OR ".join(
            f"EXISTS (SELECT FROM {one}.outbox) "  # noqa: S608 - names of our own
            f"OR EXISTS (SELECT FROM {one}.inbox WHERE status = 'pending')"
            for one in modules
        )
        while await server.fetchval(f"SELECT {waits}"):
            done = await server.fetchval(DONE)
            if done != seen:
                seen, until = done, time.monotonic() + PATIENCE_SECONDS
            if time.monotonic() > until:
                raise TimeoutError(f"after {seen:,} events and documents there is no end")
            if time.monotonic() > told + TELL_SECONDS:
                told = time.monotonic()
                made = await server.fetchval("SELECT count(*) FROM search.documents")
                print(f"    {made:,} of {products:,} documents", flush=True)
            await asyncio.sleep(LOOK_SECONDS)
        if (made := await server.fetchval("SELECT count(*) FROM search.documents")) != products:
            raise Wrong(f"{made:,} documents of {products:,} products")


def _asked(shop: BanyanShop, name: str, visitors: int, budget: int) -> Trial:
    ask = partial(load.run, shop.url, ASKED[name], shop.context, concurrency=visitors)
    ask(seconds=WARM_SECONDS)
    before = shop.spent()
    figures = ask(seconds=SECONDS, seed=1)
    cpu = sum(shop.spent().since(before).seconds.values()) / max(figures.done, 1) * 1000
    if not figures.done:
        raise Wrong(f"{name}: {dict(figures.failures)}")
    slow = figures.percentile(95)
    return Trial(
        f"{name}, {visitors} at once",
        f"p50 {figures.percentile(50):.1f} ms, p95 {slow:.1f} ms, {cpu:.1f} ms CPU, "
        f"{figures.failures.total()} of {figures.done + figures.failures.total():,} failed",
        f"p95 < {budget} ms",
        held=slow < budget and not figures.failures,
    )


async def _changed(shop: BanyanShop) -> Trial:
    """Change titles, one after the other, and look until the page and the list show them."""
    visitor = Visitor(shop.url, random.Random("clerk"), shop.context)
    await visitor.connect()
    ask = visitor.connection.ask
    token = (shop.folder / "data" / "admin-token").read_text().strip()
    clerk = {"authorization": f"Bearer {token}"}
    took = []
    for number in range(CHANGES):
        category = shop.context["categories"][number]
        listed = f"/api/store/products?category={category}&limit=24"
        slug = (await ask("GET", listed)).json(200)["items"][0]["slug"]
        page = f"/api/store/products/{slug}"
        found = (await ask("GET", f"/api/admin/products?q={slug}", None, clerk)).json(200)
        product: dict[str, Any] = next(one for one in found["items"] if one["slug"] == slug)
        here, version = f"/api/admin/products/{product['id']}", product["version"]
        said = {name: told for name, told in product.items() if name not in UNSAID}
        said["title"] = title = f"Changed {number} {version}"
        match = {"if-match": f'"{version}"'}
        (await ask("PUT", here, said, {**clerk, **match})).json(200)
        begun, missing = time.perf_counter(), {page, listed}
        while missing and time.perf_counter() - begun < 10 * CHANGE_SECONDS:
            await asyncio.sleep(0.01)
            missing = {one for one in missing if not await _shows(visitor, one, title)}
        took.append(time.perf_counter() - begun)
    visitor.connection.close()
    return Trial(
        "a change is seen in the page and in the list",
        f"after {sorted(took)[len(took) // 2] * 1000:.0f} ms, at most {max(took) * 1000:.0f} ms",
        f"< {CHANGE_SECONDS:.0f} s",
        held=max(took) < CHANGE_SECONDS,
    )


UNSAID = {"id", "state", "version"}


async def _shows(visitor: Visitor, path: str, title: str) -> bool:
    reply = await visitor.connection.ask("GET", path)
    return json.dumps(title).encode() in reply.body


async def _read(shop: BanyanShop) -> Trial:
    """Explain the statements of each operation, as they were sent, and name what is read whole."""
    whole: set[str] = set()
    looked = 0
    for name, operation in ASKED.items():
        visitor = Visitor(shop.url, random.Random("shopper"), shop.context)
        runs = await statements.watched(shop.folder, visitor, operation)
        visitor.connection.close()
        async with statements.superuser(shop.folder) as server:
            sizes = await _sizes(server)
            for statement in {one[:2]: one for run in runs for one in run}.values():
                plan = await statements.explained(server, statement)
                looked += 1
                whole |= {f"{name}: {table}" for table in _whole(plan, sizes)}
    return Trial(
        "tables of products that are read as a whole",
        f"{', '.join(sorted(whole)) or 'none'}, in {looked} statements",
        "none",
        held=bool(looked) and not whole,
    )


async def _sizes(server: Any) -> Mapping[str, float]:
    rows = await server.fetch(
        "SELECT relnamespace::regnamespace || '.' || relname AS name, reltuples AS size "
        "FROM pg_class WHERE relkind = 'r'"
    )
    return {row["name"]: row["size"] for row in rows}


def _whole(plan: Mapping[str, Any], sizes: Mapping[str, float]) -> Iterator[str]:
    table = f"{plan.get('Schema')}.{plan.get('Relation Name')}"
    if plan["Node Type"] == "Seq Scan" and sizes[table] >= SMALL:
        yield table
    below: Sequence[Mapping[str, Any]] = plan.get("Plans", ())
    for one in below:
        yield from _whole(one, sizes)

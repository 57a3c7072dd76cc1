"""Measures a platform: `python -m benchmarks [banyan] --seconds 10`."""

from __future__ import annotations

import argparse
import importlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

from benchmarks import floors, load, meter
from benchmarks.platform import Platform, Shop
from benchmarks.report import Measured, Report, machine

BUDGETS_MS = {"LIST": 0.25, "DETAIL": 0.25, "SEARCH": 4.0, "ADD": 3.0, "CHECKOUT": 20.0}
WARM_SECONDS = 2.0


def main() -> None:
    """Start a shop, warm it, measure it, look whether it is still right, and write it down."""
    told = _arguments()
    platform: Platform = importlib.import_module(f"benchmarks.platforms.{told.platform}")
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        print(f"starting {platform.name} with {told.products:,} products …", flush=True)
        shop = platform.start(
            Path(folder), products=told.products, workers=told.workers, topology=told.topology
        )
        try:
            measured = list(_measure_all(platform, shop, told))
            flaws = shop.flaws()
            held = meter.spent(shop.process, shop.kind_of).resident_bytes
        finally:
            shop.stop()
    facts = {
        "import": f"{told.products / shop.imported_seconds:,.0f} products/s",
        "memory": ", ".join(f"{kind} {size / 1e6:.0f} MB" for kind, size in sorted(held.items())),
        "workers": str(told.workers),
    }
    report = Report(
        platform=platform.name,
        versions=platform.versions(),
        machine=machine(),
        data={"products": told.products},
        topology=told.topology.stem if told.topology else "monolith",
        facts=facts,
        measured=measured,
        flaws=flaws,
    )
    print(report.table())
    print(f"written to {report.write(told.results)}")


def _measure_all(platform: Platform, shop: Shop, told: argparse.Namespace) -> Iterator[Measured]:
    for name, operation in platform.operations.items():
        if told.only and name not in told.only:
            continue
        for concurrency in (1, told.concurrency):
            one = _measure(shop, name, operation, concurrency, told)
            print(
                f"  {name} × {concurrency}: {one.charged_ms:.3f} ms CPU, p50 {one.p50_ms:.2f} ms, "
                f"{one.per_second:,.0f}/s, {one.failed} failed",
                flush=True,
            )
            yield one


def _measure(
    shop: Shop, name: str, operation: load.Operation, concurrency: int, told: argparse.Namespace
) -> Measured:
    load.run(shop.url, operation, shop.context, concurrency=concurrency, seconds=WARM_SECONDS)
    before = meter.spent(shop.process, shop.kind_of)
    figures = load.run(
        shop.url,
        operation,
        shop.context,
        concurrency=concurrency,
        seconds=told.seconds,
        processes=min(told.processes, concurrency),
        seed=1,
    )
    cost = meter.spent(shop.process, shop.kind_of).since(before)
    done = max(figures.done, 1)
    return Measured(
        operation=name,
        concurrency=concurrency,
        done=figures.done,
        failed=figures.failures.total(),
        per_second=figures.per_second,
        p50_ms=figures.percentile(50) if figures.done else 0,
        p95_ms=figures.percentile(95) if figures.done else 0,
        p99_ms=figures.percentile(99) if figures.done else 0,
        cpu_ms={kind: seconds / done * 1000 for kind, seconds in cost.seconds.items()},
        budget_ms=BUDGETS_MS.get(name),
        floor_ms=_floor(shop, name, concurrency, told) if name in ("LIST", "DETAIL") else None,
        failures=dict(figures.failures),
    )


def _floor(shop: Shop, name: str, concurrency: int, told: argparse.Namespace) -> float:
    """Send the same bytes from a bare server."""
    with urlopen(f"{shop.url}{shop.page(name)}") as answer:  # noqa: S310 - our own
        body = answer.read()
    with floors.bare(body) as (url, process):
        load.run(url, floors.fetch, {}, concurrency=concurrency, seconds=WARM_SECONDS / 2)
        before = meter.spent(process, lambda _: "server")
        figures = load.run(url, floors.fetch, {}, concurrency=concurrency, seconds=told.seconds / 2)
        cost = meter.spent(process, lambda _: "server").since(before)
    return cost.seconds["server"] / max(figures.done, 1) * 1000


def _arguments() -> argparse.Namespace:
    told = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    told.add_argument("platform", nargs="?", default="banyan", help="an adapter's name")
    told.add_argument("--products", type=int, default=1000)
    told.add_argument("--seconds", type=float, default=8.0, help="of each measurement")
    told.add_argument("--concurrency", type=int, default=16)
    told.add_argument("--processes", type=int, default=1, help="of the load generator")
    told.add_argument("--workers", type=int, default=1, help="of the shop, in one process kind")
    told.add_argument("--topology", type=Path, default=None)
    told.add_argument("--only", nargs="*", default=(), help="LIST DETAIL SEARCH ADD CHECKOUT")
    told.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    return told.parse_args()


if __name__ == "__main__":
    main()

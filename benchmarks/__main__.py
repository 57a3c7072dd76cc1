"""Measures a platform: `python -m benchmarks [banyan] --seconds 10`."""

from __future__ import annotations

import argparse
import importlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks import load
from benchmarks.platform import Platform, Shop
from benchmarks.report import Measured, Report, Trial, machine

BUDGETS_MS = {
    "LIST": 0.25,
    "LIST cold": 1.5,
    "DETAIL": 0.25,
    "DETAIL cold": 1.5,
    "SEARCH": 4.0,
    "ADD": 3.0,
    "CHECKOUT": 20.0,
}
WARM_SECONDS = 2.0


def main() -> None:
    """Start a shop, warm it, measure it, look whether it is still right, and write it down."""
    told = _arguments()
    platform: Platform = importlib.import_module(f"benchmarks.platforms.{told.platform}")
    if told.scale:
        _grow(platform, told)
        return
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        print(f"starting {platform.name} with {told.products:,} products …", flush=True)
        shop = platform.start(
            Path(folder), products=told.products, workers=told.workers, topology=told.topology
        )
        try:
            measured = list(_measure_all(platform, shop, told))
            flaws = shop.flaws()
            trials = [] if told.only else list(_told(shop.trials()))
        finally:
            shop.stop()
    report = Report(
        platform=platform.name,
        versions=platform.versions(),
        machine=machine(),
        data={"products": told.products},
        topology=told.topology.stem if told.topology else "monolith",
        facts={} if told.topology else {"workers": str(told.workers)},
        measured=measured,
        trials=trials,
        flaws=flaws,
    )
    print(report.table())
    print(f"written to {report.write(told.results)}")


def _grow(platform: Platform, told: argparse.Namespace) -> None:
    """Try a very large shop, and write it down."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        print(f"filling {platform.name} with {told.scale:,} products …", flush=True)
        trials = list(_told(platform.grow(Path(folder), told.scale)))
    report = Report(
        platform=platform.name,
        versions=platform.versions(),
        machine=machine(),
        data={"products": told.scale},
        topology=f"with-{told.scale}-products",
        facts={},
        measured=(),
        trials=trials,
        flaws=(),
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


def _told(trials: Iterator[Trial]) -> Iterator[Trial]:
    for trial in trials:
        print(f"  {trial.name}: {trial.told}, budget {trial.budget}", flush=True)
        yield trial


def _measure(
    shop: Shop, name: str, operation: load.Operation, concurrency: int, told: argparse.Namespace
) -> Measured:
    load.run(shop.url, operation, shop.context, concurrency=concurrency, seconds=WARM_SECONDS)
    before = shop.spent()
    figures = load.run(
        shop.url,
        operation,
        shop.context,
        concurrency=concurrency,
        seconds=told.seconds,
        processes=min(told.processes, concurrency),
        seed=1,
    )
    cost = shop.spent().since(before)
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
        floor_ms=shop.floor_ms(name, concurrency=concurrency, seconds=told.seconds / 2),
        failures=dict(figures.failures),
    )


def _arguments() -> argparse.Namespace:
    told = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    told.add_argument("platform", nargs="?", default="banyan", help="an adapter's name")
    told.add_argument("--products", type=int, default=1000, help="480 at least: 24 a category")
    told.add_argument("--seconds", type=float, default=8.0, help="of each measurement")
    told.add_argument("--concurrency", type=int, default=16)
    told.add_argument("--processes", type=int, default=1, help="of the load generator")
    told.add_argument("--workers", type=int, default=1, help="of the shop, in one process kind")
    told.add_argument("--topology", type=Path, default=None)
    told.add_argument("--only", nargs="*", default=(), help="names of operations, and no trials")
    told.add_argument("--scale", type=int, default=0, help="try so many products, and no more")
    told.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    return told.parse_args()


if __name__ == "__main__":
    main()

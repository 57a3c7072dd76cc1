"""Banyan, as the benchmarks start, fill and use it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

from benchmarks.platforms.banyan import scale
from benchmarks.platforms.banyan.operations import operations
from benchmarks.platforms.banyan.shop import BanyanShop
from benchmarks.report import Trial

__all__ = ["grow", "name", "operations", "start", "versions"]

name = "banyan"


def versions() -> Mapping[str, str]:
    """Tell what is measured."""
    packages = ("banyan-commerce", "litestar", "msgspec", "asyncpg", "uvicorn", "nats-py")
    return {package: version(package) for package in packages}


def start(folder: Path, *, products: int, workers: int, topology: Path | None) -> BanyanShop:
    """Start a shop in an empty folder, and fill it."""
    return BanyanShop(folder, products=products, workers=workers, topology=topology)


def grow(folder: Path, products: int) -> Iterator[Trial]:
    """Try a shop with very many products, in an empty folder."""
    return scale.trials(folder, products)

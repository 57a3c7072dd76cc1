"""What the runner must know of a platform: an adapter file for each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from benchmarks.load import Context, Operation
from benchmarks.meter import Cost
from benchmarks.report import Trial


class Shop(Protocol):
    """A platform's shop that runs, filled with goods."""

    url: str
    context: Context
    """What its operations must know."""

    def spent(self) -> Cost:
        """Tell what its processes have cost: `application`, `database`, and what else there is."""
        ...

    def floor_ms(self, operation: str, *, concurrency: int, seconds: float) -> float | None:
        """Measure the CPU milliseconds that an operation takes at least, if that can be told."""
        ...

    def trials(self) -> Iterator[Trial]:
        """Try what no closed loop of visitors shows, such as how fast the shop starts again."""
        ...

    def flaws(self) -> Sequence[str]:
        """Look whether everything is right after the load, and tell what is not."""
        ...

    def stop(self) -> None:
        """End everything that was started."""
        ...


class Platform(Protocol):
    """A commerce platform."""

    name: str
    operations: Mapping[str, Operation]
    """LIST, DETAIL, SEARCH, ADD and CHECKOUT, as far as the platform has them.

    With `cold` after its name, an operation asks for what no cache has.
    """

    def versions(self) -> Mapping[str, str]:
        """Tell what is measured."""
        ...

    def start(self, folder: Path, *, products: int, workers: int, topology: Path | None) -> Shop:
        """Start a shop in an empty folder, and fill it."""
        ...

    def grow(self, folder: Path, products: int) -> Iterator[Trial]:
        """Try a shop with so many products that they do not all stay in memory."""
        ...

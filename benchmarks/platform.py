"""What the runner must know of a platform: an adapter file for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import psutil

from benchmarks.load import Context, Operation


class Shop(Protocol):
    """A platform's shop that runs, filled with goods."""

    url: str
    process: psutil.Process
    """The process that started all others of the shop."""

    context: Context
    """What its operations must know."""

    imported_seconds: float
    """How long it took to take in the goods."""

    def kind_of(self, process: psutil.Process) -> str:
        """Tell whether a process is `application`, `database`, or what else it is."""
        ...

    def page(self, operation: str) -> str:
        """Tell the path of an answer whose bytes a bare server sends, to compare with."""
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
    """LIST, DETAIL, SEARCH, ADD and CHECKOUT, as far as the platform has them."""

    def versions(self) -> Mapping[str, str]:
        """Tell what is measured."""
        ...

    def start(self, folder: Path, *, products: int, workers: int, topology: Path | None) -> Shop:
        """Start a shop in an empty folder, and fill it."""
        ...

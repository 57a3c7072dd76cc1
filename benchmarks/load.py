"""A closed loop: so many visitors, each of whom asks again when it is answered."""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import uvloop

from benchmarks.client import Connection, Wrong

Context = Mapping[str, Any]
"""What an operation must know of the shop, such as the slugs of its products."""

MOST_TOLD = 5


@dataclass
class Visitor:
    """Somebody who asks: a connection, chance of their own, and what there is to know."""

    url: str
    chance: random.Random
    context: Context
    connection: Connection = field(init=False)

    async def connect(self) -> None:
        """Connect, or connect anew."""
        self.connection = await Connection.to(self.url)


Operation = Callable[[Visitor], Awaitable[None]]
"""One operation, checked: whatever is not right raises `Wrong`."""


@dataclass
class Figures:
    """How a run went. What failed is counted, and is no success."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)

    @property
    def done(self) -> int:
        """How many operations succeeded."""
        return len(self.latencies)

    @property
    def per_second(self) -> float:
        """How many succeeded each second."""
        return self.done / self.seconds if self.seconds else 0.0

    def percentile(self, part: float) -> float:
        """Tell the milliseconds within which so many of a hundred were answered."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * part / 100))] * 1000


def run(
    url: str,
    operation: Operation,
    context: Context,
    *,
    concurrency: int,
    seconds: float,
    processes: int = 1,
    seed: int = 0,
) -> Figures:
    """Ask for so many seconds, from several processes where one would be the bottleneck."""
    shares = [concurrency // processes + (n < concurrency % processes) for n in range(processes)]
    if processes == 1:
        return _visit(url, operation, context, concurrency, seconds, seed)
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=spawning) as pool:
        asked = [
            pool.submit(_visit, url, operation, context, share, seconds, seed + number)
            for number, share in enumerate(shares)
        ]
        return merged([one.result() for one in asked])


def merged(parts: Sequence[Figures]) -> Figures:
    """Put the figures of several processes together."""
    whole = Figures(seconds=max(part.seconds for part in parts))
    for part in parts:
        whole.latencies += part.latencies
        whole.failures += part.failures
    return whole


def _visit(
    url: str, operation: Operation, context: Context, visitors: int, seconds: float, seed: int
) -> Figures:
    return uvloop.run(_together(url, operation, context, visitors, seconds, seed))


async def _together(
    url: str, operation: Operation, context: Context, visitors: int, seconds: float, seed: int
) -> Figures:
    figures = Figures()
    crowd = [Visitor(url, random.Random(f"{seed} {number}"), context) for number in range(visitors)]
    await asyncio.gather(*(one.connect() for one in crowd))
    begun = time.perf_counter()
    await asyncio.gather(*(_loop(one, operation, figures, begun + seconds) for one in crowd))
    figures.seconds = time.perf_counter() - begun
    for one in crowd:
        one.connection.close()
    return figures


async def _loop(visitor: Visitor, operation: Operation, figures: Figures, until: float) -> None:
    while (begun := time.perf_counter()) < until:
        try:
            if visitor.connection.closed:
                await visitor.connect()
            await operation(visitor)
        except (Wrong, OSError, TimeoutError) as no:
            if len(figures.failures) < MOST_TOLD or str(no) in figures.failures:
                figures.failures[f"{type(no).__name__}: {no}"] += 1
            else:
                figures.failures["other"] += 1
        else:
            figures.latencies.append(time.perf_counter() - begun)

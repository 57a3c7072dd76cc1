"""What the tests of search share: a shop that has heard what there is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from banyan.kernel.link import Link
from banyan.kernel.testing import Bench, Server, bench
from banyan.modules.search.module import module
from tests.modules.search.examples import EVENTS


@pytest.fixture
async def empty(server: Server, tmp_path: Path) -> AsyncIterator[Bench]:
    """Open a shop that knows of nothing yet."""
    async with bench(server, [module], folder=tmp_path) as made:
        yield made


@pytest.fixture
async def shop(empty: Bench) -> Bench:
    """Open a shop with three products in two markets."""
    await empty.hear(*EVENTS)
    return empty


@pytest.fixture
async def linked(server: Server, link: Link, tmp_path: Path) -> AsyncIterator[Bench]:
    """Open the same shop, and ask it over every link."""
    async with bench(server, [module], folder=tmp_path, link=link) as made:
        await made.hear(*EVENTS)
        yield made

"""What the kernel's tests share: a pond on a real database, and a database with a copy."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from banyan.kernel.link import Link
from banyan.kernel.testing import Bench, Server, bench
from tests.kernel.pond.contract import Pond
from tests.kernel.pond.module import module
from tests.kernel.pond.service import PondService
from tests.kernel.replicated import Pair, pair


@pytest.fixture(scope="session")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Run a server and a streaming replica of it."""
    with pair(tmp_path_factory.mktemp("pair")) as running:
        yield running


@pytest.fixture
async def water(server: Server, link: Link, tmp_path: Path) -> AsyncIterator[Bench]:
    """Set up a pond, over every link."""
    async with bench(server, [module], folder=tmp_path, link=link) as made:
        yield made


@pytest.fixture
async def pond(water: Bench) -> Pond:
    """Hold what callers of the pond hold; a frog and an echo live in it."""
    asked = water.ask(Pond)
    await asked.put(name="frog")
    await asked.put(name="echo")
    return asked


@pytest.fixture
def service(water: Bench) -> PondService:
    """Look behind the door."""
    made: PondService = water.app.rooms["pond"].services[Pond]
    return made

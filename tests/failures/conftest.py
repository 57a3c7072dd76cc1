"""What tests of failures between modules share: a furnished shop, and a bank that talks to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from banyan.kernel.link import Link
from banyan.kernel.testing import Server
from tests.failures.shop import Doorman, ShiftedClock, Shop
from tests.journeys.house import furnish, house, opened
from tests.plugins.sandbox_merchant import Merchant
from tests.plugins.sandbox_process import SandboxProcess

SLOW_SECONDS = 1.5


@pytest.fixture(scope="session")
def doorman() -> Iterator[Doorman]:
    doorman = Doorman()
    yield doorman
    doorman.close()


@pytest.fixture(scope="session")
def talking_bank(
    doorman: Doorman, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SandboxProcess]:
    folder = tmp_path_factory.mktemp("bank")
    with SandboxProcess(folder, webhook=doorman.url, slow_seconds=SLOW_SECONDS) as bank:
        yield bank


@pytest.fixture
async def shop(
    server: Server, talking_bank: SandboxProcess, doorman: Doorman, link: Link, tmp_path: Path
) -> AsyncIterator[Shop]:
    """Open the whole shop; the bank's webhooks wait outside until a test lets them in."""
    clock = ShiftedClock()
    async with (
        server.fresh(house().modules) as database,
        opened(server, database, talking_bank, tmp_path, link=link, clock=clock) as app,
    ):
        await furnish(app)
        with talking_bank.client() as client:
            yield Shop(app, clock, doorman, Merchant(client))

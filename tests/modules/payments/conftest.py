"""One bank for all tests of payments, and a counter opposite it for each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from banyan.kernel.testing import Server
from tests.modules.payments.counter import Counter, open_counter
from tests.plugins.sandbox_merchant import Shop
from tests.plugins.sandbox_process import SandboxProcess


@pytest.fixture(scope="session")
def door() -> Iterator[Shop]:
    """Receive the bank's webhooks, and keep them until a test lets them arrive."""
    door = Shop()
    yield door
    door.close()


@pytest.fixture(scope="session")
def bank(door: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    folder = tmp_path_factory.mktemp("bank")
    with SandboxProcess(folder, webhook=door.url, slow_seconds=0.6) as bank:
        yield bank


@pytest.fixture
async def counter(server: Server, bank: SandboxProcess, tmp_path: Path) -> AsyncIterator[Counter]:
    async with open_counter(server, bank, tmp_path) as counter:
        yield counter

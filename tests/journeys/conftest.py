"""What journeys share: the real bank, and a furnished shop to copy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

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
    with SandboxProcess(tmp_path_factory.mktemp("bank"), webhook=door.url) as bank:
        yield bank

"""What journeys share: the real bank, a furnished shop, and shoppers in front of it."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from banyan.kernel.testing import Server
from tests.journeys.counter import Counter, opened_to_the_public
from tests.journeys.trade import shopping
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


@pytest.fixture(scope="module")
def counter(
    server: Server, bank: SandboxProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Counter]:
    """Stand in front of a shop that the tests of a module share; each brings its own cart."""
    with opened_to_the_public(server, bank, tmp_path_factory.mktemp("shop")) as counter:
        yield counter
        assert counter.faults() == []


@pytest.fixture
def shopper(counter: Counter) -> Iterator[httpx.Client]:
    """Shop, as somebody of whom nothing is known."""
    with shopping(counter) as shopper:
        yield shopper


@pytest.fixture
def cart(shopper: httpx.Client) -> str:
    """Have an empty cart, and tell where it is."""
    return f"/carts/{shopper.post('/carts').raise_for_status().json()['id']}"

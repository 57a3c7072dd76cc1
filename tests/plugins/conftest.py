"""One sandbox bank, and one shop that hears its webhooks, for all tests of plugins."""

import secrets
from collections.abc import Iterator

import httpx
import pytest

from tests.plugins.sandbox_merchant import Merchant, Shop
from tests.plugins.sandbox_process import SandboxProcess


@pytest.fixture(scope="session")
def shop() -> Iterator[Shop]:
    shop = Shop()
    yield shop
    shop.close()


@pytest.fixture(scope="session")
def bank(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    with SandboxProcess(
        tmp_path_factory.mktemp("bank"),
        webhook=shop.url,
        slow_seconds=0.5,
        retry_seconds=0.02,
    ) as bank:
        yield bank


@pytest.fixture(scope="session")
def client(bank: SandboxProcess) -> Iterator[httpx.Client]:
    with bank.client() as client:
        yield client


@pytest.fixture
def merchant(client: httpx.Client) -> Iterator[Merchant]:
    yield Merchant(client)
    client.post("/v1/test/webhooks", json={"mode": "normal"}).raise_for_status()


@pytest.fixture
def reference() -> str:
    return f"order-{secrets.token_hex(6)}"

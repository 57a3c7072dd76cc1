"""What journeys share: the real bank, shops that run, and shoppers in front of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

import httpx
import pytest

from banyan.kernel.testing import Server
from tests.journeys.apart import TOPOLOGIES
from tests.journeys.counter import Counter, at_the_counter_of, opened_to_the_public
from tests.journeys.running import Running, opened
from tests.journeys.trade import furnish, shopping
from tests.plugins.sandbox_merchant import Shop
from tests.plugins.sandbox_process import SandboxProcess

RUNNING = ("together", "monolith", "checkout_apart", "microservices")
"""Shops that run as long as there are tests; a name is that of a fixture."""


def pytest_itemcollected(item: pytest.Item) -> None:
    """Let one worker run all tests of a shop, so that it is started once."""
    assert isinstance(item, pytest.Function)
    chosen = item.callspec.params if hasattr(item, "callspec") else {}
    needed = {chosen.get("counter"), chosen.get("running"), *item.fixturenames}
    for shop in needed & {*RUNNING}:
        item.add_marker(pytest.mark.xdist_group(shop))


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


@pytest.fixture(scope="session")
def monolith(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Run the demo shop as who tries it out does; whoever changes it, changes it back."""
    with opened(tmp_path_factory.mktemp("monolith"), "--workers", "2") as shop:
        yield shop


@contextmanager
def split(topology: str, factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Run a shop in the processes of a topology, with a lamp and a shade to sell."""
    file = str(TOPOLOGIES / f"{topology}.toml")
    with opened(factory.mktemp(topology), "--empty", "--topology", file) as shop:
        with closing(at_the_counter_of(shop)) as counter:
            furnish(counter)
        yield shop


@pytest.fixture(scope="session")
def checkout_apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Run a shop in two processes, two of each; whoever changes it, changes it back."""
    with split("checkout-apart", tmp_path_factory) as shop:
        yield shop


@pytest.fixture(scope="session")
def microservices(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Run a shop in six processes; whoever changes it, changes it back."""
    with split("microservices", tmp_path_factory) as shop:
        yield shop


@pytest.fixture(scope="session")
def together(
    server: Server, bank: SandboxProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Counter]:
    """Stand in front of a shop in one process, which all tests share; each brings its own cart."""
    with opened_to_the_public(server, bank, tmp_path_factory.mktemp("shop")) as counter:
        yield counter


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Ask in one process, and at the doors in many; with `--soak` everything everywhere."""
    chosen = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
    if "counter" in metafunc.fixturenames and "counter" not in chosen:
        many = ["microservices"] if metafunc.module.__name__.endswith("test_doors") else []
        if metafunc.config.getoption("--soak"):
            many = ["checkout_apart", "microservices"]
        metafunc.parametrize("counter", ["together", *many], indirect=True, scope="module")


@pytest.fixture(scope="module")
def counter(request: pytest.FixtureRequest) -> Iterator[Counter]:
    """Stand in front of a shop in one process, and in front of a gateway before several."""
    shop = request.getfixturevalue(request.param)
    if isinstance(shop, Running):
        shop = at_the_counter_of(shop)
    with closing(shop.since_now()) as counter:
        yield counter
        assert counter.faults() == []


@pytest.fixture(params=["monolith", "microservices"])
def running(request: pytest.FixtureRequest) -> Running:
    """Have a shop that runs, in one process and in many."""
    shop: Running = request.getfixturevalue(request.param)
    return shop


@pytest.fixture
def shopper(counter: Counter) -> Iterator[httpx.Client]:
    """Shop, as somebody of whom nothing is known."""
    with shopping(counter) as shopper:
        yield shopper


@pytest.fixture
def cart(shopper: httpx.Client) -> str:
    """Have an empty cart, and tell where it is."""
    return f"/carts/{shopper.post('/carts').raise_for_status().json()['id']}"

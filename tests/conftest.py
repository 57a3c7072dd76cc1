"""What tests share: a real PostgreSQL, a real NATS, and the links that calls travel by."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
from _pytest.nodeid import NodeId

from banyan.engines.postgres import EmbeddedPostgres
from banyan.kernel.link import Link, direct, wire
from banyan.kernel.testing import Server
from tests.engines.brokers import LentNats, lent

LINKS: dict[str, Link] = {"direct": direct, "wire": wire}
MEASURED = "measured"
NO_NEED_TO_SURVIVE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
NOBODY_GUESSES = {"scram_iterations": "1"}
"""Connections are opened by the thousand, and a password is made costly to try."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let `make soak` take its time, and people look at pages."""
    parser.addoption("--soak", action="store_true", help="Do all of what is else done in part.")
    parser.addoption("--shoot", action="store_true", help="Take pictures of pages.")


def pytest_configure(config: pytest.Config) -> None:
    """Try each rule with as many examples as there is time for, also on a busy machine."""
    busy = [hypothesis.HealthCheck.too_slow]
    for name, examples in {"quick": 40, "soak": 400}.items():
        hypothesis.settings.register_profile(
            name, max_examples=examples, suppress_health_check=busy
        )
    hypothesis.settings.load_profile("soak" if config.getoption("--soak") else "quick")


def pytest_collection_finish() -> None:
    """Leave what all tests share out of every search for garbage."""
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests of a group together: pytest-xdist 3.8 fails to, with pytest 9.2 in silence.

    It writes the group into an attribute by which pytest names its tests no longer.
    """
    if getattr(config.option, "loadgroup", False):
        for item in items:
            if group := item.get_closest_marker("xdist_group"):
                item._id = NodeId.parse(f"{item.nodeid}@{group.args[0]}")  # noqa: SLF001 - see above


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests have measured, wherever they ran."""
    told = {
        f"{report.nodeid.rpartition('::')[2]}: {text}": None
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport)
        for name, text in report.user_properties
        if name == MEASURED
    }
    if told:
        terminalreporter.section(MEASURED)
        for line in told:
            terminalreporter.line(line)


@pytest.fixture
def measured(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Have a figure printed when all is over."""
    return lambda told: record_property(MEASURED, told)


@pytest.fixture(scope="session")
def soak(request: pytest.FixtureRequest) -> bool:
    """Tell whether there is time for everything."""
    return bool(request.config.getoption("--soak"))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a PostgreSQL server whose data nobody will miss."""
    folder: Path = tmp_path_factory.mktemp("postgres")
    settings = NO_NEED_TO_SURVIVE | NOBODY_GUESSES
    with EmbeddedPostgres(folder, lambda _: None, settings=settings) as postgres:
        yield Server(postgres.dsn())


@pytest.fixture(scope="session")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LentNats]:
    """Run a NATS server that lets in whom a test grants something."""
    with lent(tmp_path_factory.mktemp("nats")) as running:
        yield running


@pytest.fixture(params=list(LINKS.values()), ids=list(LINKS))
def link(request: pytest.FixtureRequest) -> Link:
    """Run a test over every link: what holds in one process must hold over a wire."""
    chosen: Link = request.param
    return chosen

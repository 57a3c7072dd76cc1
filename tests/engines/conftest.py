"""Folders of servers, whole, spoiled and in use."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from banyan.engines.postgres import EmbeddedPostgres
from tests.engines.servers import (
    copied,
    eventually,
    line_of,
    living_postmaster,
    query,
    run_owner,
)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give the folder of a server that knows one word; each test leaves it stopped and whole."""
    grown = tmp_path_factory.mktemp("grown") / "pg"
    with EmbeddedPostgres(grown, print) as server:
        query(server, "CREATE TABLE words (word text); INSERT INTO words VALUES ('kept')")
    yield grown
    shutil.rmtree(grown)


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Iterator[Path]:
    """Give a copy of that folder, for a test that spoils it."""
    spoiled = copied(folder, tmp_path / "pg")
    yield spoiled
    shutil.rmtree(spoiled)


@pytest.fixture(scope="session")
def server(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """Give a running server to tests that only talk with it."""
    served = copied(folder, tmp_path_factory.mktemp("served") / "pg")
    with EmbeddedPostgres(served, print) as running:
        yield running
    shutil.rmtree(served)


@pytest.fixture
def heard() -> list[str]:
    return []


@pytest.fixture
def owner(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Start another process that owns the server of the folder."""
    with run_owner(folder) as process:
        try:
            assert line_of(process, "ready")
            yield process
        finally:
            process.kill()
    eventually(lambda: not living_postmaster(folder))

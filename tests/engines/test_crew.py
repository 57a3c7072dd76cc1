"""The processes that are ours to start, and what is kept ready for those of others."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from banyan.engines.crew import Crew
from banyan.engines.estate import Estate
from banyan.kernel.topology import Engines, Process, Topology

TOPOLOGY = Topology(
    engines=Engines(nats="embedded"),
    processes=(
        Process(name="theirs", modules=("pond",), channels=(), external=True),
        Process(name="ours", modules=("*",), channels=(), replicas=2),
    ),
    settings={},
)


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        yield bound


def test_who_is_external_is_not_started_and_finds_a_certificate(
    listening: socket.socket, tmp_path: Path
) -> None:
    estate = Estate(tmp_path, TOPOLOGY, print)

    children = Crew(estate, listening, None, None, lambda *_: 0).children()

    assert [child.name for child in children] == ["ours-1", "ours-2"]
    authority = tmp_path / "nats" / "authority"
    for file in ("ca.pem", "theirs.pem", "theirs.key"):
        assert (authority / file).exists()

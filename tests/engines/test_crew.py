"""The processes that are ours to start, and what is kept ready for those of others."""

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from banyan.engines.crew import Crew, grants
from banyan.engines.estate import Estate
from banyan.kernel import stage_door
from banyan.kernel.app import House
from banyan.kernel.backstage import Backstages
from banyan.kernel.http import Controller, get
from banyan.kernel.module import Channel, Module
from banyan.kernel.topology import Engines, Process, Topology
from tests.kernel.pond.contract import Pond
from tests.kernel.pond.module import module as pond

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


class Frogs(Controller):
    """Frogs, for whoever walks by."""

    path = "/frogs"
    pond: Pond

    @get()
    async def browse(self) -> int:
        return await self.pond.leaps(name="frog")


class Weather(Controller):
    """A page that asks nobody."""

    path = "/weather"

    @get()
    async def show(self) -> str:
        return "fair"


class Table:
    """A desk at which a contract is needed."""

    def __init__(self, pond: Pond | None) -> None:
        self.pond = pond


class Cellar:
    """A desk from which one goes backstage."""

    def __init__(self, backstage: Backstages) -> None:
        self.backstage = backstage


ASKED, TENDED = (
    ("banyan.call.pond.*",),
    ("banyan.call.marsh.backstage.*", "banyan.call.pond.backstage.*", "$SRV.PING"),
)


@pytest.mark.parametrize(
    ("channel", "may_publish"),
    [
        (Channel(name="shore", routes=[Weather]), ()),
        (Channel(name="shore", routes=[Frogs, Weather]), ASKED),
        (Channel(name="shore", routes=[Weather], desk=Table), ASKED),
        (Channel(name="shore", routes=[Weather], desk=Cellar), TENDED),
        (replace(stage_door.channel, name="shore"), TENDED),
    ],
)
def test_a_process_may_ask_whom_its_channels_name_and_nobody_else(
    channel: Channel, may_publish: tuple[str, ...]
) -> None:
    house = House(modules=[pond, Module(name="marsh", offers={})], channels=[channel])
    topology = Topology(
        engines=Engines(nats="embedded"),
        processes=(
            Process(name="land", modules=(), channels=("*",)),
            Process(name="water", modules=("*",), channels=()),
        ),
        settings={},
    )

    granted = grants(house, topology)

    assert granted["land"].publish == may_publish
    assert not {*TENDED} & {*granted["water"].publish}
    assert {*ASKED, *TENDED} <= {*granted["water"].subscribe}

"""The events document: valid AsyncAPI, and true of what travels."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import jsonschema_rs
import pytest

from banyan.kernel import asyncapi
from banyan.kernel.event import Envelope, on
from banyan.kernel.jetstream import broadcast
from banyan.kernel.module import Module
from banyan.kernel.nats import Broker
from tests.kernel.pond.contract import Leapt, Pond
from tests.kernel.pond.module import module as pond
from tests.kernel.pond.service import PondService

STANDARD = json.loads((Path(__file__).parent / "asyncapi-3.0.0.schema.json").read_text())
SHORE = Module(
    name="shore", offers={Pond: PondService}, reactions=[on(Leapt, PondService.hear)] * 2
)
DOCUMENT = asyncapi.document([pond], title="A pond", version="1")


def test_it_is_valid_asyncapi() -> None:
    jsonschema_rs.validate(STANDARD, DOCUMENT)


@pytest.mark.parametrize(
    "planted",
    [
        {"info": {}},
        {"channels": {"pond.leapt.v1": {"adress": "banyan.event.pond.leapt.v1"}}},
        {"operations": {"pond.tells": {"action": "tell", "channel": {"$ref": "#/channels/x"}}}},
        {"components": {"messages": {"pond.leapt.v1": {"payload": 1}}}},
    ],
)
def test_what_is_not_asyncapi_would_be_found(planted: dict[str, Any]) -> None:
    assert not jsonschema_rs.is_valid(STANDARD, DOCUMENT | planted)


def test_every_reference_leads_somewhere() -> None:
    for path in references(DOCUMENT):
        place: Any = DOCUMENT
        for step in path.removeprefix("#/").split("/"):
            place = place[step]


def test_it_says_who_tells_and_who_hears() -> None:
    document = asyncapi.document([pond, SHORE], title="A pond and a shore", version="1")

    said = {name: operation["action"] for name, operation in document["operations"].items()}

    assert said["pond.tells.pond.leapt.v1"] == "send"
    assert said["pond.hears.pond.leapt.v1"] == said["shore.hears.pond.leapt.v1"] == "receive"
    assert document["channels"]["pond.leapt.v1"]["address"] == "banyan.event.pond.leapt.v1"


async def test_an_event_travels_as_it_says() -> None:
    stream = Stream()
    broker = cast(Broker, stream)
    envelope = Envelope(
        id=UUID(int=1),
        source="/modules/pond",
        type=Leapt.type,
        time=datetime(2026, 1, 1, tzinfo=UTC),
        data=Leapt(name="Lily", leaps=3),
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )

    await broadcast(broker)([envelope])

    channel = DOCUMENT["channels"]["pond.leapt.v1"]
    message = DOCUMENT["components"]["messages"]["pond.leapt.v1"]
    assert stream.subject == channel["address"]
    assert stream.headers.keys() == message["headers"]["properties"].keys()
    jsonschema_rs.validate(message["headers"], stream.headers, validate_formats=True)
    jsonschema_rs.validate(DOCUMENT | message["payload"], json.loads(stream.payload))


class Stream:
    """A broker whose stream keeps the last message that was published."""

    def __init__(self) -> None:
        self.connected = True
        self.subject = ""
        self.payload = b""
        self.headers: dict[str, str] = {}

    def streams(self) -> Stream:
        return self

    async def publish_async(
        self, subject: str, payload: bytes, headers: dict[str, str]
    ) -> asyncio.Future[None]:
        self.subject, self.payload, self.headers = subject, payload, headers
        kept = asyncio.get_running_loop().create_future()
        kept.set_result(None)
        return kept


def references(part: object) -> Iterator[str]:
    """Find every reference in a document."""
    if isinstance(part, dict):
        if isinstance(ref := part.get("$ref"), str):
            yield ref
        for inner in part.values():
            yield from references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from references(inner)

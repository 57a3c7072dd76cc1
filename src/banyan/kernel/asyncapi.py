"""The events document (AsyncAPI 3.0): who tells what, how it travels, and who listens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from inspect import cleandoc
from operator import attrgetter

from banyan.kernel import example
from banyan.kernel.event import Event, known
from banyan.kernel.module import Module
from banyan.kernel.schemas import Json, Schemas
from banyan.kernel.subjects import EVENTS, of_event

ABOUT = f"""\
What modules tell each other once it has happened, on the stream `{EVENTS}` of NATS JetStream.

A message is an event of CloudEvents 1.0 in binary mode: its attributes are headers, its payload is
the data. It arrives at least once, and not always in order: `ce-source` with `ce-id` tells a
repeat, and a `version` in the payload tells newer from older. Fields are added with defaults, so
ignore those that you do not know; what would break a listener is told as another event, with a
higher number at its end."""


def document(modules: Sequence[Module], *, title: str, version: str) -> Json:
    """Describe every event that stands in a contract of these modules."""
    schemas = Schemas()
    kinds = sorted((kind for module in modules for kind in told(module)), key=attrgetter("type"))
    messages = {_name(kind): _message(kind, schemas) for kind in kinds}
    shared = schemas.write()
    for message in messages.values():
        message["examples"] = [
            {part: example.of(message[part], shared) for part in ("headers", "payload")}
        ]
    return {
        "asyncapi": "3.0.0",
        "info": {"title": title, "version": version, "description": ABOUT},
        "defaultContentType": "application/json",
        "servers": {"broker": _BROKER},
        "channels": {_name(kind): _channel(kind) for kind in kinds},
        "operations": dict(_operations(kinds, modules)),
        "components": {
            "messages": messages,
            "schemas": shared,
            "securitySchemes": {"certificate": _CERTIFICATE},
        },
    }


def told(module: Module) -> list[type[Event]]:
    """List what a module tells: the events that stand beside its contracts."""
    fronts = {protocol.__module__ for protocol in module.offers}
    return [kind for kind in known.values() if kind.__module__ in fronts]


def _name(kind: type[Event]) -> str:
    """Name an event within the house: `module.name.v1`."""
    return kind.type.removeprefix("banyan.")


def _channel(kind: type[Event]) -> Json:
    return {
        "address": of_event(kind.type),
        "messages": {kind.__name__: {"$ref": f"#/components/messages/{_name(kind)}"}},
    }


def _operations(
    kinds: Sequence[type[Event]], modules: Sequence[Module]
) -> Iterator[tuple[str, Json]]:
    for kind in kinds:
        yield f"{kind.module}.tells.{_name(kind)}", _operation("send", kind, kind.module)
        for module in modules:
            if any(reaction.event is kind for reaction in module.reactions):
                name = f"{module.name}.hears.{_name(kind)}"
                yield name, _operation("receive", kind, module.name)


def _operation(action: str, kind: type[Event], module: str) -> Json:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{_name(kind)}"},
        "tags": [{"name": module}],
    }


def _message(kind: type[Event], schemas: Schemas) -> Json:
    summary, _, description = cleandoc(kind.__doc__ or kind.__name__).partition("\n")
    message = {
        "name": kind.type,
        "title": kind.__name__,
        "summary": summary,
        "headers": _headers(kind),
        "payload": schemas.of(kind),
    }
    return message | ({"description": description.strip()} if description.strip() else {})


def _headers(kind: type[Event]) -> Json:
    """The attributes of CloudEvents as headers of NATS, and the id by which NATS drops repeats."""
    told: Json = {
        "ce-specversion": {"type": "string", "enum": ["1.0"]},
        "ce-type": {"type": "string", "enum": [kind.type]},
        "ce-source": {"type": "string", "enum": [f"/modules/{kind.module}"]},
        "ce-id": {"type": "string", "format": "uuid"},
        "ce-time": {"type": "string", "format": "date-time"},
        "ce-datacontenttype": {"type": "string", "enum": ["application/json"]},
        "Nats-Msg-Id": {"type": "string", "format": "uuid"},
    }
    trace = {"type": "string", "description": "The trace that it belongs to (W3C Trace Context)."}
    return {
        "type": "object",
        "properties": {**told, "ce-traceparent": trace},
        "required": [*told],
    }


_BROKER: Json = {
    "host": "{host}",
    "protocol": "nats",
    "description": "The broker of a shop whose modules live in several processes.",
    "variables": {"host": {"default": "127.0.0.1:4222"}},
    "security": [{"$ref": "#/components/securitySchemes/certificate"}],
}
_CERTIFICATE: Json = {
    "type": "X509",
    "description": "A certificate whose DNS name is that of the process: `<process>.banyan`.",
}

"""The reference of contracts and events as pages for people."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from inspect import cleandoc

from banyan.kernel.schemas import REF, Json

WRITTEN = "<!-- Written by `make docs` from the code; a change here is lost. -->"


def of_contracts(document: Json) -> str:
    """Write what a module answers."""
    module, shared = document["module"], document["components"]["schemas"]
    asked = document["operations"]
    apart = {_name(part["request"]) for part in asked.values()}
    apart |= {_name(part["fields"]) for part in document["problems"].values()}
    return _page(
        f"# {module}",
        document["description"],
        f"[How to ask](../README.md) · the same for programs: [{module}.json]({module}.json)",
        _table(
            ("operation", "mark", "what it does"),
            (
                (f"[{name}]({_anchor(f'{module}.{name}')})", part["mark"], part["summary"])
                for name, part in asked.items()
            ),
        ),
        *(
            text
            for name, part in asked.items()
            for text in _operation(f"{module}.{name}", part, shared)
        ),
        *_values(shared, apart),
        "## Problems",
        _table(
            ("kind", "status", "what it means", "fields"),
            (
                (f"`{kind}`", part["status"], part["title"], _fields(part["fields"], shared))
                for kind, part in document["problems"].items()
            ),
        ),
    )


def of_events(document: Json) -> str:
    """Write what modules tell each other."""
    shared = document["components"]["schemas"]
    messages = document["components"]["messages"]
    return _page(
        "# Events",
        document["info"]["description"],
        "The same for programs: [events.asyncapi.json](events.asyncapi.json)",
        _table(
            ("event", "who listens", "what has happened"),
            (
                (f"[{name}]({_anchor(name)})", _listeners(name, document), message["summary"])
                for name, message in messages.items()
            ),
        ),
        *(
            text
            for name, message in messages.items()
            for text in _event(name, message, document["channels"][name]["address"], shared)
        ),
        *_values(shared, {_name(message["payload"]) for message in messages.values()}),
    )


def _page(*parts: str) -> str:
    return "\n\n".join(part for part in (WRITTEN, *parts) if part) + "\n"


def _operation(title: str, part: Json, shared: Json) -> Iterator[str]:
    yield f"## {title}"
    yield part["summary"]
    yield part["description"]
    yield f"`{part['subject']}` · [{part['mark']}](../README.md#marks)"
    yield _struct(part["request"], shared)
    yield _code(part["example"])
    yield f"**Answer:** {_kind(part['answer'])}"
    if part["problems"]:
        yield "**Problems:** " + ", ".join(f"`{kind}`" for kind in part["problems"])


def _event(name: str, message: Json, address: str, shared: Json) -> Iterator[str]:
    yield f"## {name}"
    yield message["summary"]
    yield message.get("description", "")
    yield f"`{address}`"
    yield _struct(message["payload"], shared)
    yield _code(message["examples"][0]["payload"])


def _listeners(name: str, document: Json) -> str:
    channel = {"$ref": f"#/channels/{name}"}
    listening = [
        operation["tags"][0]["name"]
        for operation in document["operations"].values()
        if operation["action"] == "receive" and operation["channel"] == channel
    ]
    return ", ".join(listening) or "nobody yet"


def _values(shared: Json, apart: set[str]) -> Iterator[str]:
    """Define what the fields are made of, except for what was shown in another place."""
    yield "## Values"
    for name in sorted(shared.keys() - apart):
        yield f"### {name}"
        yield cleandoc(shared[name].get("description", ""))
        yield _struct(shared[name], shared)


def _struct(schema: Json, shared: Json) -> str:
    """Show the fields of an object."""
    fields = shared[_name(schema)] if "$ref" in schema else schema
    rows = [
        (f"`{name}`", _kind(field), _default(name, field, fields), field.get("description", ""))
        for name, field in fields.get("properties", {}).items()
    ]
    return _table(("field", "type", "default", ""), rows) if rows else ""


def _default(name: str, field: Json, fields: Json) -> str:
    if name in fields.get("required", ()):
        return "required"
    return f"`{_json(field['default'])}`" if "default" in field else ""


def _fields(schema: Json, shared: Json) -> str:
    fields: Json = shared[_name(schema)].get("properties", {})
    return ", ".join(f"`{name}`: {_kind(field)}" for name, field in fields.items())


def _kind(schema: Json) -> str:
    """Say in short what a value is."""
    match schema:
        case {"$ref": _}:
            said = f"[{_name(schema)}]({_anchor(_name(schema))})"
        case {"anyOf": kinds}:
            said = " or ".join(_kind(kind) for kind in kinds)
        case {"enum": known}:
            said = " or ".join(f"`{_json(one)}`" for one in known)
        case {"prefixItems": items}:
            said = f"list of {', then '.join(_kind(item) for item in items)}"
        case {"type": "array"}:
            said = f"list of {_kind(schema['items'])}"
        case {"type": "object", "additionalProperties": kind}:
            said = f"map to {_kind(kind)}"
        case {"type": "string"}:
            said = schema.get("format", "text")
        case _:
            said = schema.get("type", "anything")
    return said + _limits(schema)


def _limits(schema: Json) -> str:
    """Say what a value must keep to; what every integer keeps to goes without saying."""
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    signs |= {"minLength": "length ≥", "maxLength": "length ≤", "minItems": "at least"}
    signs |= {"maxItems": "at most"}
    kept = [
        f"{sign} {schema[name]}"
        for name, sign in signs.items()
        if name in schema and abs(schema[name]) < 2**63 - 1
    ]
    if "pattern" in schema:
        kept.append(f"`{schema['pattern']}`")
    return "".join(f", {one}" for one in kept)


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(text: object) -> str:
    return str(text).replace("|", "\\|").replace("\n", " ")


def _code(example: object) -> str:
    return f"```json\n{_json(example, indent=2)}\n```"


def _json(value: object, *, indent: int | None = None) -> str:
    return json.dumps(value, indent=indent, ensure_ascii=False)


def _anchor(title: str) -> str:
    return f"#{title.lower().replace('.', '')}"


def _name(schema: Json) -> str:
    return str(schema["$ref"]).removeprefix(REF)

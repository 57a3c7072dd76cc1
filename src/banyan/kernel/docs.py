"""The API document as a page for people: one file, no script, nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import msgspec

from banyan.kernel.contract import Problem
from banyan.kernel.schemas import REF, Json

_METHODS = ("get", "post", "put", "patch", "delete")
_DEEPEST = 4


@dataclass(frozen=True)
class Page:
    """A page, and what a browser may load for it: its own style and nothing else."""

    html: bytes
    security_policy: str


def page(document: Json, problems: Mapping[str, Sequence[type[Problem]]]) -> Page:
    """Write the page of an OpenAPI document."""
    template = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    ).get_template("docs_page.html")
    shared = document["components"]["schemas"]
    html = template.render(
        info=document["info"],
        document_at="/openapi.json",
        groups=_groups(document["paths"]),
        schemas=shared,
        problems=problems,
        name_of=_name,
        limits_of=lambda schema: " · ".join(_limits(schema)),
        curl=lambda path, method, operation: _curl(path, method, operation, shared),
    )
    return Page(html=html.encode(), security_policy=_policy(html))


def _groups(paths: Json) -> dict[str, list[tuple[str, str, Json]]]:
    """Sort operations by their first tag, and within it as the paths are sorted."""
    groups: dict[str, list[tuple[str, str, Json]]] = {}
    for path, item in paths.items():
        for method in _METHODS:
            if operation := item.get(method):
                groups.setdefault(operation["tags"][0], []).append((path, method, operation))
    return dict(sorted(groups.items()))


def _policy(html: str) -> str:
    """Allow the style that stands in the page, by its hash."""
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    assert style, "the page brings its style"
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


def _limits(schema: Json) -> Iterator[str]:
    """Say in short what a value must keep to."""
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    signs |= {"minLength": "length ≥", "maxLength": "length ≤"}
    for name, sign in signs.items():
        if name in schema and abs(schema[name]) < 2**63 - 1:
            yield f"{sign} {schema[name]}"
    if "default" in schema and schema["default"] is not None:
        yield f"by default {msgspec.json.encode(schema['default']).decode()}"


def _curl(path: str, method: str, operation: Json, shared: Json) -> str:
    """Show how to ask: what is obligatory, with made-up values."""
    said = [f'curl -X {method.upper()} "$BANYAN{path.replace("{", "$").replace("}", "")}"']
    if "security" in operation:
        said.append('-H "Authorization: Bearer $TOKEN"')
    said += [
        f"-H '{p['name']}: {_HEADERS.get(p['name'], '…')}'"
        for p in operation["parameters"]
        if p["in"] == "header" and p["required"]
    ]
    if body := operation.get("requestBody"):
        schema = body["content"]["application/json"]["schema"]
        text = msgspec.json.encode(_example(schema, shared, _DEEPEST)).decode()
        said += ["-H 'Content-Type: application/json'", "-d '" + text.replace("'", "'\\''") + "'"]
    return " \\\n  ".join(said)


_HEADERS = {"If-Match": '"1"', "Idempotency-Key": "0b0a4b0e-8d2f-4c5e-9d5b-6f1f0d2f7c11"}
_TEXTS = {
    "uuid": "0198f3a2-6c1e-7b3a-9c55-2f6d1e8a4b70",
    "date-time": "2026-01-01T12:00:00Z",
    "date": "2026-01-01",
}


def _example(schema: Json, shared: Json, depth: int) -> Any:
    """Make up a value: of an object what is obligatory, or one field if nothing is."""
    while "$ref" in schema or "anyOf" in schema:
        schema = shared[_name(schema)] if "$ref" in schema else schema["anyOf"][0]
    match schema.get("type"):
        case "object":
            fields = schema.get("properties", {}) if depth else {}
            names = [name for name in schema.get("required", ()) if name in fields]
            made_up: Any = {
                name: _example(fields[name], shared, depth - 1)
                for name in names or list(fields)[:1]
            }
        case "array":
            items = schema.get("prefixItems") or [one for one in (schema.get("items"),) if one]
            made_up = [_example(one, shared, depth - 1) for one in items] if depth else []
        case "integer" | "number":
            made_up = max(schema.get("minimum", 1), 1)
        case "boolean":
            made_up = True
        case _:
            known = [*schema.get("enum", ()), _TEXTS.get(schema.get("format", ""), "text")]
            made_up = known[0]
    return made_up


def _name(schema: Json) -> str:
    return str(schema["$ref"]).removeprefix(REF)

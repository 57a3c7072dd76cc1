"""The API document as a page for people: one file, no script, nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import takewhile
from pathlib import Path
from typing import Any, cast, get_type_hints

import jinja2
import msgspec
from markupsafe import Markup, escape

from banyan.kernel import example
from banyan.kernel.contract import Problem
from banyan.kernel.refusal import phrase
from banyan.kernel.schemas import REF, Json

_METHODS = ("get", "post", "put", "patch", "delete")
_DEEPEST = 5
_NARROW = 56
_FARTHEST = 2**63 - 1
"""A bound that only says how large the database's integers are, which nobody has to read."""


@dataclass(frozen=True)
class Page:
    """A page, and what a browser may load for it: its own style and nothing else."""

    html: bytes
    security_policy: str


@dataclass(frozen=True)
class Operation:
    """Something that can be asked, as the document tells it."""

    path: str
    method: str
    told: Json

    @property
    def name(self) -> str:
        """What the operation is called, and its place on the page."""
        return str(self.told["operationId"])

    @property
    def guarded(self) -> bool:
        """Whether a token is needed."""
        return "security" in self.told

    @property
    def body(self) -> Json | None:
        """The schema of what is sent."""
        told = self.told.get("requestBody")
        return told["content"]["application/json"]["schema"] if told else None

    @property
    def answer(self) -> Json | None:
        """The schema of what comes back when all goes well."""
        good = min(self.told["responses"])
        contents = self.told["responses"][good].get("content", {})
        return next((content["schema"] for content in contents.values()), None)

    @property
    def refusals(self) -> list[tuple[str, str, str]]:
        """What may be refused: status, code and why."""
        return [
            (status, code.strip("`"), why)
            for status, answer in self.told["responses"].items()
            if "x-codes" in answer
            for code, _, why in (
                line.partition(": ") for line in answer["description"].splitlines()
            )
        ]

    @property
    def codes(self) -> set[str]:
        """The codes of all problems that may come back."""
        return {code for _, code, _ in self.refusals}

    def asks(self, place: str, *, required: bool) -> list[Json]:
        """List the parameters of one place: `path`, `query` or `header`."""
        found = [one for one in self.told["parameters"] if one["in"] == place]
        return [one for one in found if one["required"] == required]


def page(document: Json, problems: Mapping[str, type[Problem]]) -> Page:
    """Write the page of an OpenAPI document."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(prose=_prose, limits=_limits, title=_title)
    told = list(_operations(document["paths"]))
    shared = document["components"]["schemas"]
    spread = environment.get_template("docs_page.html").render(
        info=document["info"],
        document_at="/openapi.json",
        groups=_groups(told),
        schemas=shared,
        problems=problems,
        usual=_usual(told),
        asked_by=lambda code: [one for one in told if code in one.codes],
        name_of=_name,
        phrase=phrase,
        curl=Curl(told, shared).of,
        example=lambda schema: _written(example.of(schema, shared, whole=True)),
        refusal=lambda kind: _written(_refusal(kind)),
        deepest=_DEEPEST,
    )
    html = re.sub(r"\n\s*(?=<)", "\n", spread)
    return Page(html=html.encode(), security_policy=_policy(html))


def _operations(paths: Json) -> Iterator[Operation]:
    for path, item in paths.items():
        for method in _METHODS:
            if told := item.get(method):
                yield Operation(path, method, told)


def _groups(told: Iterable[Operation]) -> dict[str, list[Operation]]:
    """Sort operations by their first tag; what is open to everybody comes first."""
    groups: dict[str, list[Operation]] = {}
    for one in told:
        groups.setdefault(one.told["tags"][0], []).append(one)
    return dict(sorted(groups.items(), key=lambda item: (item[1][0].guarded, item[0])))


def _usual(told: Sequence[Operation]) -> list[str]:
    """List the problems that every operation may answer, which need not be told with each."""
    return sorted(set[str].intersection(*(one.codes for one in told))) if told else []


def _policy(html: str) -> str:
    """Allow the style that stands in the page, by its hash."""
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    assert style, "the page brings its style"
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


def _prose(text: str) -> Markup:
    """Set as code what stands between backticks."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped


def _title(name: str) -> str:
    """Write the name of a schema as it is spoken: `Page_Toy_` is a page of toys."""
    return re.sub(r"^(\w+?)_(\w+)_$", r"\1 of \2", name)


def _limits(schema: Json) -> Iterator[str]:
    """Say in short what a value must keep to."""
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    for name, sign in signs.items():
        if name in schema and abs(schema[name]) < _FARTHEST:
            yield f"{sign} {schema[name]:,}"
    for kind, unit in (("Length", "characters"), ("Items", "items"), ("Properties", "entries")):
        least, most = schema.get(f"min{kind}"), schema.get(f"max{kind}")
        if least and most:
            yield f"{least:,} to {most:,} {unit}"
        elif least or most:
            yield f"{'at least' if least else 'up to'} {least or most:,} {unit}"
    if schema.get("default") not in (None, "", [], {}):
        yield f"default {msgspec.json.encode(schema['default']).decode()}"


class Curl:
    """Says in the words of curl how to ask: what is obligatory, ready to be pasted."""

    def __init__(self, told: Iterable[Operation], shared: Json) -> None:
        self.told = {(one.method, one.path): one for one in told}
        self.shared = shared

    def of(self, one: Operation) -> str:
        """Look up what the path and the request refer to, then ask."""
        found = {
            said["name"]: self._above(one, said["name"])
            or self._listed(said["name"])
            or f"'{self._made_up(said)}'"
            for said in one.asks("path", required=True)
        }
        sent = [said["name"] for said in one.asks("query", required=True)]
        sent += [name for name, text in self._body(one).items() if isinstance(text, str)]
        found |= {n: where for n in sent if n not in found and (where := self._listed(n))}
        return "\n".join([*(f"{n}={w}" for n, w in found.items()), self._ask(one, found)])

    def _ask(self, one: Operation, found: Iterable[str] = (), *, how: str = "") -> str:
        """Write one call; what was found before is put in by its name."""
        address = re.sub(r"{(\w+)}", r"$\1", one.path)
        query = "&".join(
            f"{name}={f'${name}' if name in found else self._made_up(said)}"
            for said in one.asks("query", required=True)
            for name in (said["name"],)
        )
        how += "" if one.method == "get" else f" -X {one.method.upper()}"
        words = [f'curl{how} "$BANYAN{address}{f"?{query}" if query else ""}"']
        if one.guarded:
            words.append('-H "Authorization: Bearer $TOKEN"')
        names = (said["name"] for said in one.asks("header", required=True))
        words += [f"-H {_HEADERS.get(name, repr(f'{name}: …'))}" for name in names]
        if one.body:
            body = self._body(one)
            body |= {name: f"<{name}>" for name in found if isinstance(body.get(name), str)}
            quoted = _written(body).replace("'", "'\\''")
            filled = re.sub(r'"<(\w+)>"', '"\'"$\\1"\'"', quoted)
            words += ["-H 'Content-Type: application/json'", f"-d '{filled}'"]
        line = " ".join(words)
        return line if len(line) < _NARROW else " \\\n  ".join(words)

    def _body(self, one: Operation) -> Json:
        body = example.of(one.body, self.shared) if one.body else {}
        return body if isinstance(body, dict) else {}

    def _made_up(self, parameter: Json) -> Any:
        return example.of(parameter["schema"], self.shared, name=parameter["name"])

    def _above(self, one: Operation, name: str) -> str | None:
        """Look into the list that a place in a path belongs to, or open what it stands for."""
        steps = takewhile(lambda step: step != f"{{{name}}}", one.path.split("/"))
        above = re.sub(r"(/{\w+})+$", "", "/".join(steps))
        if "{" in above:
            return None
        if (listing := self.told.get(("get", above))) and (found := self._first(listing, name)):
            return found
        opening = self.told.get(("post", above))
        if opening and "id" in self._fields(opening.answer):
            return f"$({self._ask(opening, how=' -s')} |\n  jq -r '.id')"
        return None

    def _listed(self, name: str) -> str | None:
        """Look into a list that is called after what it lists."""
        end = f"/{name.replace('_', '-')}s"
        lists = (o for (m, path), o in self.told.items() if m == "get" and path.endswith(end))
        return next((found for one in lists if (found := self._first(one, name))), None)

    def _first(self, listing: Operation, name: str) -> str | None:
        """Take what names the first thing in a list."""
        item = self._fields(self._fields(listing.answer).get("items", {}).get("items"))
        field = next((one for one in (name, "id", "code", "slug") if one in item), None)
        if field is None or "{" in listing.path:
            return None
        return f"$({self._ask(listing, how=' -s')} |\n  jq -r '.items[0].{field}')"

    def _fields(self, schema: Json | None) -> Json:
        while schema and "$ref" in schema:
            schema = self.shared[_name(schema)]
        return dict((schema or {}).get("properties", {}))


_HEADERS = {"If-Match": "'If-Match: *'", "Idempotency-Key": '"Idempotency-Key: $(date +%s)"'}


def _refusal(kind: type[Problem]) -> Json:
    """Make up the document of a problem: what all have, and the fields that explain it."""
    return {
        "type": f"/problems/{kind.code}",
        "title": kind.title(),
        "status": kind.status,
        "code": kind.code,
        **_explained(kind),
    }


def _explained(kind: type[Problem]) -> Json:
    try:
        hints = get_type_hints(kind)
        names = [field.name for field in fields(cast(Any, kind))]
        schemas, shared = msgspec.json.schema_components(
            [hints[name] for name in names], ref_template=f"{REF}{{name}}"
        )
    except (NameError, TypeError):
        # A field that JSON Schema has no word for is sent as text; the page does without it.
        return {}
    told = zip(names, schemas, strict=True)
    return {name: example.of(schema, shared, name=name, whole=True) for name, schema in told}


def _written(value: Any) -> str:
    """Write JSON on one line if it is short, else indented."""
    line = msgspec.json.encode(value)
    return (line if len(line) < _NARROW else msgspec.json.format(line, indent=2)).decode()


def _name(schema: Json) -> str:
    return str(schema["$ref"]).removeprefix(REF)

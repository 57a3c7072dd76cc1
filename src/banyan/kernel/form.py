"""Forms of HTML, read into values: what was said, and what is wrong with which field.

A field of a value within a value is named with dots, and one of several values by its number, too:
`toys.0.name`. Numbers tell the order and may have gaps; what is read has none any more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import parse_qs

import litestar
import msgspec
from msgspec import inspect

from banyan.kernel import refusal
from banyan.kernel.contract import Value

V = TypeVar("V", bound=Value)

Flaw = Literal["missing", "invalid"]

MEDIA_TYPE = "application/x-www-form-urlencoded"
_MOST_FIELDS = 20_000
_TICKED = "on"
_NEW = "new"


@dataclass(frozen=True)
class Form(Generic[V]):
    """A form that somebody sent: its fields as text, and the value that they make if none is wrong.

    A page that shows it again fills in `said` and explains `flaws`.
    """

    said: Mapping[str, Sequence[str]]
    flaws: Mapping[str, Flaw]
    value: V | None

    @classmethod
    def of(cls, value: V) -> Form[V]:
        """Fill in a form with what is there already."""
        return cls(said=dict(spread(value)), flaws={}, value=value)

    def text(self, name: str, otherwise: str = "") -> str:
        """Return what was said in a field."""
        return next(iter(self.said.get(name, ())), otherwise)

    def ticked(self, name: str) -> bool:
        """Tell whether a box was ticked."""
        return any(_is_ticked(one) for one in self.said.get(name, ()))

    def rows(self, name: str) -> list[str]:
        """List what the fields of each of several values begin with: `toys.0`, `toys.1`."""
        return [f"{name}.{number}" for number in _numbers(self.said, name)]

    def is_new(self, row: str) -> bool:
        """Tell whether a row was added and nobody has filled it in yet."""
        return f"{row}.{_NEW}" in self.said

    def rearranged(self, wish: str) -> Form[V]:
        """Add, remove or move a row, as a button wishes: `add toys`, `remove toys 2`, `up …`.

        Whoever presses it wants to go on writing, so nothing is explained as wrong yet.
        """
        what, _, rest = wish.partition(" ")
        name, _, told = rest.partition(" ")
        rows = self.rows(name)
        at = int(told) if re.fullmatch(r"[0-9]{1,6}", told) else -1
        if what == "add":
            rows.append("")
        elif 0 <= at < len(rows):
            row = rows.pop(at)
            if what != "remove":
                rows.insert(max(at - 1, 0) if what == "up" else at + 1, row)
        said = {key: texts for key, texts in self.said.items() if not key.startswith(f"{name}.")}
        for number, row in enumerate(rows):
            said |= {
                f"{name}.{number}{key.removeprefix(row)}": texts
                for key, texts in self.said.items()
                if row and key.startswith(f"{row}.")
            } or {f"{name}.{number}.{_NEW}": [""]}
        return replace(self, said=said, flaws={}, value=None)


async def received(request: litestar.Request[Any, Any, Any], kind: type[V]) -> Form[V]:
    """Read the body of a request as a form whose fields are those of a kind of value."""
    media_type, _ = request.content_type
    body = await request.body()
    if body and media_type != MEDIA_TYPE:
        raise refusal.UnsupportedMediaType(accepted=MEDIA_TYPE)
    return read(body.decode("utf-8", "replace"), kind)


def read(text: str, kind: type[V]) -> Form[V]:
    """Read a form. A field of spaces only was left empty; an empty one takes its default.

    A box that is not ticked is not sent, so a field that is true or false and missing is false. Of
    several values, those of which nothing that is required was said are left out.
    """
    try:
        raw = parse_qs(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        flaw = refusal.Flaw(detail=f"Expected at most {_MOST_FIELDS} fields")
        raise refusal.BadRequest(errors=(flaw,)) from None
    reading = _Reading(
        {name: [one.strip().replace("\r\n", "\n") for one in told] for name, told in raw.items()}
    )
    value = reading.value(kind, "", "")
    own = {field.encode_name for field in msgspec.structs.fields(kind)}
    rest = {name: told for name, told in reading.said.items() if name.split(".")[0] not in own}
    return Form(said=reading.read | rest, flaws=reading.flaws, value=value)


def spread(value: Value) -> Iterator[tuple[str, list[str]]]:
    """Write a value as the fields of a form that is read as the same value."""
    yield from _spread("", msgspec.to_builtins(value))


def _spread(name: str, told: object) -> Iterator[tuple[str, list[str]]]:
    match told:
        case dict():
            for key, one in told.items():
                yield from _spread(f"{name}.{key}" if name else str(key), one)
        case list() | tuple() if any(isinstance(one, dict) for one in told):
            for number, one in enumerate(told):
                yield from _spread(f"{name}.{number}", one)
        case list() | tuple():
            yield name, [str(one) for one in told]
        case bool():
            yield from [(name, [_TICKED])] if told else []
        case None:
            return
        case _:
            yield name, [str(told)]


class _Reading:
    """A form on its way to a value: what of it has been `read`, and the `flaws` found so far."""

    def __init__(self, said: Mapping[str, Sequence[str]]) -> None:
        self.said = said
        self.read: dict[str, Sequence[str]] = {}
        self.flaws: dict[str, Flaw] = {}

    def value(self, kind: Any, was: str, now: str) -> Any:
        """Read a value whose fields begin with what `was` sent; `now` they begin so."""
        found: dict[str, Any] = {}
        for field in msgspec.structs.fields(kind):
            name = field.encode_name
            shape = _plain(inspect.type_info(field.type))
            match shape:
                case inspect.StructType():
                    found[field.name] = self.value(shape.cls, f"{was}{name}.", f"{now}{name}.")
                case inspect.DictType():
                    found[field.name] = self._by_key(shape, was + name, now + name)
                case inspect.VarTupleType(item_type=inspect.StructType(cls=row)):
                    found[field.name] = self._rows(row, was + name, now + name)
                case _:
                    self._field(field, shape, was + name, now + name, found)
        return None if self.flaws else kind(**found)

    def _field(
        self,
        field: msgspec.structs.FieldInfo,
        shape: inspect.Type,
        was: str,
        now: str,
        found: dict[str, Any],
    ) -> None:
        if was in self.said:
            self.read[now] = self.said[was]
        told: list[Any] = [one for one in self.said.get(was, ()) if one]
        if told:
            several = isinstance(shape, inspect.VarTupleType | inspect.ListType)
            last = _is_ticked(told[-1]) if isinstance(shape, inspect.BoolType) else told[-1]
            try:
                found[field.name] = msgspec.convert(
                    told if several else last, field.type, strict=False
                )
            except msgspec.ValidationError:
                self.flaws[now] = "invalid"
        elif isinstance(shape, inspect.BoolType):
            found[field.name] = False
        elif field.required:
            self.flaws[now] = "missing"

    def _rows(self, kind: Any, was: str, now: str) -> tuple[Any, ...]:
        rows: list[Any] = []
        for number in _numbers(self.said, was):
            if self._is_said(kind, f"{was}.{number}."):
                rows.append(self.value(kind, f"{was}.{number}.", f"{now}.{len(rows)}."))
        return tuple(rows)

    def _is_said(self, kind: Any, at: str) -> bool:
        fields = msgspec.structs.fields(kind)
        wanted = [f"{at}{field.encode_name}" for field in fields if field.required]
        asked = wanted or [name for name in self.said if name.startswith(at)]
        return any(one for name in asked for one in self.said.get(name, ()))

    def _by_key(self, shape: inspect.DictType, was: str, now: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        inner = _plain(shape.value_type)
        for key in dict.fromkeys(_next(self.said, was)):
            if isinstance(inner, inspect.StructType):
                found[key] = self.value(inner.cls, f"{was}.{key}.", f"{now}.{key}.")
            elif told := self.said.get(f"{was}.{key}", ()):
                self.read[f"{now}.{key}"] = told
                found |= {key: told[-1]} if told[-1] else {}
        return found


def _plain(shape: inspect.Type) -> inspect.Type:
    """Look through the constraints of a type, and of the items of a tuple."""
    while isinstance(shape, inspect.Metadata):
        shape = shape.type
    return shape


def _is_ticked(text: str) -> bool:
    """Read a ticked box, which says "on"."""
    return text in (_TICKED, "true", "True", "1")


def _next(said: Mapping[str, object], name: str) -> Iterator[str]:
    """List the next part of all names that go on from a name."""
    at = f"{name}."
    return (one.removeprefix(at).split(".")[0] for one in said if one.startswith(at))


def _numbers(said: Mapping[str, object], name: str) -> list[int]:
    found = {part for part in _next(said, name) if re.fullmatch(r"0|[1-9][0-9]{0,5}", part)}
    return sorted(int(part) for part in found)

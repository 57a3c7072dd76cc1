"""JSON from outside, read strictly: right types, known fields, nothing that cannot be kept.

Values ignore unknown fields, so that versions can roll; a person's typing error in a command must
not be ignored. So strictness is a matter of the edge, not of the value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from banyan.kernel.refusal import BadRequest, Flaw

T = TypeVar("T", bound=inspect.Type)

LEAST, MOST = -(2**63), 2**63 - 1
"""The integers that a database can keep."""

MOST_FLAWS = 20

_PLACE = re.compile(r"(?P<what>.*?)(?: - at `(?P<path>[^`]*)`)?", re.DOTALL)
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]|(\[\.\.\.\])")
_MISSING = re.compile(r"missing required field `([^`]+)`")

Shape = inspect.Type | None
"""What a type expects at a place; None where anything may stand."""


def read(text: bytes, kind: Any) -> Any:
    """Make a value of JSON, or say in a `BadRequest` where it is not what was asked for."""
    flaws: list[Flaw] = []
    try:
        told = _checked(msgspec.json.decode(text), _shape(kind), "", flaws)
        if not flaws:
            return msgspec.convert(told, kind, str_keys=True)
    except msgspec.ValidationError as no:
        flaws = [_flaw(str(no))]
    except RecursionError:
        flaws = [Flaw(pointer="", detail="The JSON is nested too deeply")]
    except (msgspec.DecodeError, UnicodeDecodeError) as no:
        flaws = [Flaw(pointer="", detail=f"This is not JSON: {no}")]
    raise BadRequest(errors=tuple(flaws[:MOST_FLAWS]))


def is_text(kind: Any) -> bool:
    """Whether a type takes texts as they are, among other things perhaps."""
    return any(_of(inspect.StrType, _shape(kind)))


@cache
def _shape(kind: Any) -> Shape:
    return inspect.type_info(kind)


def _checked(told: Any, shape: Shape, at: str, flaws: list[Flaw]) -> Any:
    """Note what a type would let pass and we do not, and write 3.0 as the integer that it is."""
    match told:
        case float() if told.is_integer() and any(_of(inspect.IntType, shape)):
            return _checked(int(told), shape, at, flaws)
        case int() if not LEAST <= told <= MOST:
            flaws.append(Flaw(pointer=at, detail="The integer does not fit into 64 bits"))
        case str() if "\0" in told:
            flaws.append(Flaw(pointer=at, detail="The text contains a NUL character"))
        case str() if told.endswith("\n") and any(map(_ends, _of(inspect.StrType, shape))):
            flaws.append(Flaw(pointer=at, detail="The text ends with a line break"))
        case list():
            return [
                _checked(item, _item(shape, place), f"{at}/{place}", flaws)
                for place, item in enumerate(told)
            ]
        case dict():
            return _checked_object(told, shape, at, flaws)
    return told


def _checked_object(
    told: dict[str, Any], shape: Shape, at: str, flaws: list[Flaw]
) -> dict[str, Any]:
    struct = _meant(shape, told)
    fields = {one.encode_name: one.type for one in struct.fields} if struct else {}
    if struct and struct.tag_field:
        fields[struct.tag_field] = inspect.StrType()
    member = next((one.value_type for one in _of(inspect.DictType, shape)), None)
    checked = {}
    for name, item in told.items():
        here = f"{at}/{name.replace('~', '~0').replace('/', '~1')}"
        if "\0" in name:
            flaws.append(Flaw(pointer=at, detail="A name contains a NUL character"))
        elif struct and name not in fields:
            flaws.append(Flaw(pointer=here, detail="There is no such field"))
        else:
            checked[name] = _checked(item, fields.get(name, member), here, flaws)
    return checked


def _meant(shape: Shape, told: dict[str, Any]) -> inspect.StructType | None:
    """Find the struct that an object stands for: several are told apart by their tag."""
    structs = list(_of(inspect.StructType, shape))
    tagged = (one for one in structs if one.tag_field and told.get(one.tag_field) == one.tag)
    return next(tagged, structs[0] if structs else None)


def _item(shape: Shape, place: int) -> Shape:
    for fixed in _of(inspect.TupleType, shape):
        return fixed.item_types[place] if place < len(fixed.item_types) else None
    return next((one.item_type for one in _of(inspect.CollectionType, shape)), None)


def _of(kind: type[T], shape: Shape) -> Iterator[T]:
    """List what of a kind is expected, looking through unions and annotations."""
    match shape:
        case inspect.UnionType():
            for one in shape.types:
                yield from _of(kind, one)
        case inspect.Metadata():
            yield from _of(kind, shape.type)
        case _ if isinstance(shape, kind):
            yield shape


def _ends(text: inspect.StrType) -> bool:
    """Whether a pattern says where a text ends: Python's `$` lets one line break more pass."""
    return text.pattern is not None and text.pattern.endswith("$")


def _flaw(message: str) -> Flaw:
    """Turn msgspec's `… - at $.lines[0].name` into a JSON pointer (RFC 6901)."""
    found = _PLACE.fullmatch(message)
    assert found, "the pattern matches every text"
    pointer = ""
    for name, place, any_name in _STEP.findall(found["path"] or ""):
        if any_name:
            # Which name it was is not told: point to what contains it.
            break
        pointer += f"/{name or place}"
    if missing := _MISSING.search(found["what"]):
        pointer += f"/{missing[1]}"
    return Flaw(pointer=pointer, detail=found["what"])

"""JSON from outside becomes a value, or a refusal that says where it is wrong."""

from __future__ import annotations

import json
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from banyan.kernel import strict
from banyan.kernel.contract import Value
from banyan.kernel.refusal import BadRequest


class Circle(Value, frozen=True, kw_only=True, tag=True):
    radius: int


class Square(Value, frozen=True, kw_only=True, tag=True):
    side: int


class Drawing(Value, frozen=True, kw_only=True):
    shapes: tuple[Circle | Square, ...] = ()
    size: tuple[int, int] | None = None
    notes: dict[str, Circle] | None = None
    anything: Any = None
    colors: tuple[Annotated[str, Meta(pattern="^[a-z]+$")], ...] = ()


def places(text: str | bytes) -> list[str | None]:
    with pytest.raises(BadRequest) as refused:
        strict.read(text.encode() if isinstance(text, str) else text, Drawing)
    return [flaw.pointer for flaw in refused.value.errors]


@given(st.binary() | st.text().map(str.encode))
def test_whatever_comes_is_read_or_refused(text: bytes) -> None:
    try:
        read = strict.read(text, Any)
    except BadRequest:
        return

    assert json.loads(text) == read


@given(
    st.recursive(
        st.none() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_whatever_is_json_fits_or_is_refused_somewhere(told: object) -> None:
    text = json.dumps({"anything": told, "shapes": told}).encode()
    read, refused = None, None

    try:
        read = strict.read(text, Drawing)
    except BadRequest as no:
        refused = no

    if refused is None:
        assert read == Drawing(anything=[])
    else:
        assert all(isinstance(flaw.pointer, str) for flaw in refused.errors)


def test_an_integer_may_be_written_with_a_point() -> None:
    read = strict.read(b'{"size": [2.0, 3], "shapes": [{"type": "Square", "side": 4.0}]}', Drawing)

    assert read == Drawing(size=(2, 3), shapes=(Square(side=4),))
    assert all(type(side) is int for side in read.size)


def test_a_text_ends_where_its_pattern_says() -> None:
    told = json.dumps({"colors": ["red", "red\n"], "anything": "red\n"})

    assert places(told) == ["/colors/1"]


def test_the_fields_of_the_tagged_shape_count() -> None:
    told = '{"shapes": [{"type": "Circle", "radius": 1}, {"type": "Square", "radius": 1}]}'

    assert places(told) == ["/shapes/1/radius"]


def test_every_unknown_field_is_told_and_not_too_many() -> None:
    told = {"notes": {"a": {"type": "Circle", "radius": 1, "x": 0}}, "a~/b": 0}
    many = {f"x{place}": 0 for place in range(1000)}

    assert places(json.dumps(told)) == ["/notes/a/x", "/a~0~1b"]
    assert len(places(json.dumps(many))) == strict.MOST_FLAWS


def test_a_tuple_of_the_wrong_length_is_refused() -> None:
    assert places('{"size": [1, 2, 3]}') == ["/size"]


def test_what_no_database_keeps_is_refused_wherever_it_is() -> None:
    told = '{"anything": [{"a": "\\u0000"}, 9223372036854775808, {"\\u0000": 1}]}'

    assert places(told) == ["/anything/0/a", "/anything/1", "/anything/2"]


def test_deep_nesting_is_refused() -> None:
    assert places(b'{"anything": ' + b"[" * 50_000 + b"]" * 50_000 + b"}") == [""]

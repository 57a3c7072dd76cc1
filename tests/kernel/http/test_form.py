"""A form becomes a value, or shows what was said and where it is wrong."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from banyan.kernel.contract import Value
from banyan.kernel.form import Form, read, spread
from banyan.kernel.refusal import BadRequest

WORDS = st.text(st.characters(exclude_categories=("Cs", "Cc", "Z")), min_size=1, max_size=8)
KEYS = st.from_regex("[a-z][a-z0-9-]{0,5}", fullmatch=True)
COUNTS = st.integers(0, 10**6)


class Size(Value, frozen=True, kw_only=True):
    width: int = 0
    height: int | None = None


class Toy(Value, frozen=True, kw_only=True):
    name: Annotated[str, Meta(max_length=8)]
    price: Annotated[int, Meta(ge=0)] = 0
    loud: bool = False
    sizes: tuple[Size, ...] = ()


class Box(Value, frozen=True, kw_only=True):
    title: str
    tags: tuple[str, ...] = ()
    sealed: bool = True
    size: Size = Size()
    toys: Annotated[tuple[Toy, ...], Meta(max_length=9)] = ()
    words: dict[str, str] = {}  # noqa: RUF012 - a value is never changed
    labels: dict[str, Toy] = {}  # noqa: RUF012 - a value is never changed


SIZES = st.builds(Size, width=COUNTS, height=COUNTS | st.none())
TOYS = st.builds(
    Toy, name=WORDS, price=COUNTS, loud=st.booleans(), sizes=st.lists(SIZES, max_size=2).map(tuple)
)
BOXES = st.builds(
    Box,
    title=WORDS,
    tags=st.lists(WORDS, max_size=3).map(tuple),
    sealed=st.booleans(),
    size=SIZES,
    toys=st.lists(TOYS, max_size=3).map(tuple),
    words=st.dictionaries(KEYS, WORDS, max_size=3),
    labels=st.dictionaries(KEYS, TOYS, max_size=2),
)


@given(BOXES)
def test_a_value_spread_over_a_form_is_read_as_the_same_value(box: Box) -> None:
    text = urlencode(dict(spread(box)), doseq=True)

    assert read(text, Box).value == box


@given(st.text(alphabet="titlesoy.019=&+%", max_size=60))
def test_whatever_is_sent_is_a_value_or_has_flaws(text: str) -> None:
    form = read(text, Box)

    assert (form.value is None) == bool(form.flaws)


def test_gaps_in_numbers_are_closed_and_rows_of_nothing_left_out() -> None:
    form = read("title=x&toys.9.name=c&toys.2.name=a&toys.4.name=&toys.4.price=7", Box)

    assert form.value
    assert [toy.name for toy in form.value.toys] == ["a", "c"]
    assert [form.text(f"{row}.name") for row in form.rows("toys")] == ["a", "c"]


def test_a_flaw_is_named_like_the_field_that_is_shown_again() -> None:
    form = read("title=x&toys.3.name=&toys.7.name=far+too+long&toys.8.name=a&toys.8.price=-1", Box)

    assert form.flaws == {"toys.0.name": "invalid", "toys.1.price": "invalid"}
    assert form.text("toys.0.name") == "far too long"


def test_what_the_value_does_not_know_is_kept_beside_it() -> None:
    form = read("title=x&once=42", Box)

    assert form.text("once") == "42"


def test_lines_end_as_they_do_here_however_the_browser_sends_them() -> None:
    form = read("title=a%0D%0Ab", Box)

    assert form.value == Box(title="a\nb", sealed=False)


@pytest.mark.parametrize(
    ("wish", "names"),
    [
        ("up toys 1", ["b", "a", "c"]),
        ("down toys 1", ["a", "c", "b"]),
        ("remove toys 1", ["a", "c"]),
        ("add toys", ["a", "b", "c", ""]),
        ("up toys 0", ["a", "b", "c"]),
        ("down toys 2", ["a", "b", "c"]),
        ("remove toys 9", ["a", "b", "c"]),
        ("remove toys x", ["a", "b", "c"]),
        ("", ["a", "b", "c"]),
    ],
)
def test_rows_are_moved_as_a_button_wishes(wish: str, names: list[str]) -> None:
    form = Form.of(Box(title="x", toys=tuple(Toy(name=name) for name in "abc")))

    after = form.rearranged(wish)

    assert [after.text(f"{row}.name") for row in after.rows("toys")] == names
    assert [after.is_new(row) for row in after.rows("toys")] == [not name for name in names]


def test_a_form_of_too_many_fields_is_refused_and_not_taken_for_an_empty_one() -> None:
    with pytest.raises(BadRequest, match="at most 20000 fields"):
        read("a=1&" * 20_001, Size)

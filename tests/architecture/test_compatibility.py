"""Promises that were released: kept by the house, and seen broken by every planted change."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Meta

from banyan.kernel import reference
from banyan.kernel.app import discover
from banyan.kernel.schemas import Json, Schemas
from tests.architecture.compatibility import Comparison, broken_contracts, broken_events

RELEASED = Path(__file__).parents[2] / "docs/reference/released"
PROMISED = sorted(str(file.relative_to(RELEASED)) for file in RELEASED.rglob("*.json"))
TODAY = reference.released(discover().modules)

Fields = Mapping[str, Any]


def struct(name: str, fields: Fields) -> type[msgspec.Struct]:
    """Make a value whose fields have a type, or a type and a default."""
    return msgspec.defstruct(
        name,
        [
            (name, *told) if isinstance(told, tuple) else (name, told)
            for name, told in fields.items()
        ],
        kw_only=True,
    )


def event(fields: Fields, kind: str = "pond.leapt.v1") -> Json:
    """Make a document with one event."""
    schemas = Schemas()
    message = {"headers": {}, "payload": schemas.of(struct("Leapt", fields))}
    return {"components": {"messages": {kind: message}, "schemas": schemas.write()}}


def contract(request: Fields, answer: Fields, *, mark: str = "query") -> Json:
    """Make a document with one operation, `leap`, and one problem, whose field is `asked`."""
    schemas = Schemas()
    leap = {
        "subject": "banyan.call.pond.leap",
        "mark": mark,
        "request": schemas.of(struct("Leap", request)),
        "answer": schemas.of(struct("Leaps", answer)),
    }
    problem = {"status": 409, "fields": schemas.of(struct("TooFar", {"asked": int}))}
    return {
        "module": "pond",
        "operations": {"leap": leap},
        "problems": {"pond.too_far": problem},
        "components": {"schemas": schemas.write()},
    }


class Leg(msgspec.Struct):
    """What a frog stands on."""

    length: int


class LongLeg(msgspec.Struct):
    """What another frog stands on."""

    length: int
    toes: int


class Pond(msgspec.Struct):
    """A pond within a pond."""

    inner: "Pond | None" = None


OLD: dict[str, Any] = {
    "name": str,
    "weight": int,
    "color": Literal["green", "brown"],
    "legs": tuple[Leg, ...],
    "spots": dict[str, int],
    "nickname": (str | None, None),
    "pond": (Pond | None, None),
    "height": Annotated[int, Meta(ge=1, le=9)],
    "code": Annotated[str, Meta(pattern="^[a-z]+$")],
}

HARMLESS = [
    OLD,
    OLD | {"speed": (int, 0)},
    OLD | {"home": (Pond | None, None)},
    dict(reversed(OLD.items())),
]

# A change of one field of an event, and what is said of it.
BROKEN_EVENTS: list[tuple[dict[str, Any], str]] = [
    ({"weight": None}, ".weight is gone"),
    ({"nickname": None}, ".nickname is gone"),
    ({"speed": int}, ".speed is now required"),
    ({"nickname": str | None}, ".nickname is now required"),
    ({"weight": (int, 0)}, ".weight may now be absent"),
    ({"weight": str}, ".weight may no longer be integer"),
    ({"weight": int | None}, ".weight may now be null"),
    ({"weight": float}, ".weight may now be number"),
    ({"nickname": (str, "")}, ".nickname may no longer be null"),
    ({"nickname": (str | None, "Lily")}, "the default of pond.leapt.v1.nickname was"),
    ({"color": Literal["green"]}, ".color may no longer be brown"),
    ({"color": Literal["green", "brown", "blue"]}, ".color may now be blue"),
    ({"color": str}, ".color may now be anything else"),
    ({"name": Literal["Lily"]}, ".name may no longer be anything else"),
    ({"legs": tuple[LongLeg, ...]}, ".legs[].toes is now required"),
    ({"legs": Leg}, ".legs may no longer be array"),
    ({"legs": tuple[Leg, Leg]}, ".legs may no longer be array"),
    ({"spots": dict[str, str]}, ".spots{} may no longer be integer"),
    ({"spots": Leg}, ".spots may no longer be map"),
    ({"height": Annotated[int, Meta(ge=2, le=9)]}, "the minimum of pond.leapt.v1.height was 1"),
    ({"height": Annotated[int, Meta(ge=1, le=10)]}, "the maximum of pond.leapt.v1.height was 9"),
    ({"code": Annotated[str, Meta(pattern="^[A-Z]+$")]}, "the pattern of pond.leapt.v1.code was"),
    (
        {"name": Annotated[str, Meta(max_length=9)]},
        "the maxLength of pond.leapt.v1.name was absent",
    ),
    ({"code": str}, "the pattern of pond.leapt.v1.code was"),
]


@pytest.mark.parametrize("new", HARMLESS)
def test_an_event_may_grow_by_fields_with_defaults(new: dict[str, Any]) -> None:
    told = list(broken_events(event(OLD), event(new)))

    assert told == []


@pytest.mark.parametrize(("change", "expected"), BROKEN_EVENTS)
def test_an_event_that_changes_otherwise_is_told_to_become_another(
    change: dict[str, Any], expected: str
) -> None:
    new = {name: kind for name, kind in (OLD | change).items() if kind is not None}

    told = list(broken_events(event(OLD), event(new)))

    assert any(expected in one for one in told), told
    assert all("`major` + 1" in one for one in told)


def test_an_event_that_is_gone_is_missed() -> None:
    told = list(broken_events(event(OLD), event(OLD, kind="pond.leapt.v2")))

    assert told == [
        "pond.leapt.v1 is gone: make it a new class with `major` + 1, and tell both for a while"
    ]


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        ({"name": str, "by": (int, 1)}, {"leaps": int}),
        ({"name": str | None}, {"leaps": int}),
        ({"name": (str, "")}, {"leaps": int}),
        ({"name": str}, {"leaps": int, "splashes": int}),
        ({"name": str}, {"leaps": Annotated[int, Meta(ge=0)]}),
    ],
)
def test_an_operation_may_ask_for_less_and_answer_more(request_: Fields, answer: Fields) -> None:
    old = contract({"name": str}, {"leaps": int})

    told = list(broken_contracts(old, contract(request_, answer)))

    assert told == []


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (contract({"name": str, "by": int}, {"leaps": int}), "pond.leap(…).by is now required"),
        (contract({}, {"leaps": int}), "pond.leap(…).name is gone"),
        (contract({"name": int}, {"leaps": int}), "pond.leap(…).name may no longer be string"),
        (contract({"name": str}, {}), "pond.leap → ….leaps is gone"),
        (contract({"name": str}, {"leaps": (int, 0)}), "pond.leap → ….leaps may now be absent"),
        (contract({"name": str}, {"leaps": int | None}), "pond.leap → ….leaps may now be null"),
        (
            contract({"name": str}, {"leaps": int}, mark="command"),
            "the mark of pond.leap was query",
        ),
        (contract({"name": str}, {"leaps": int}) | {"operations": {}}, "pond.leap is gone"),
        (contract({"name": str}, {"leaps": int}) | {"problems": {}}, "pond.too_far is gone"),
    ],
)
def test_an_operation_that_asks_for_more_or_answers_less_is_told(new: Json, expected: str) -> None:
    old = contract({"name": str}, {"leaps": int})

    told = list(broken_contracts(old, new))

    assert len(told) == 1
    assert told[0].startswith((expected, f"the {expected}"))


def test_a_problem_that_has_another_status_or_explains_less_is_told() -> None:
    old, new = contract({}, {}), contract({}, {})
    new["problems"]["pond.too_far"]["status"] = 422
    new["components"]["schemas"]["TooFar"] |= {"properties": {}, "required": []}

    told = list(broken_contracts(old, new))

    assert [one.partition(":")[0] for one in told] == [
        "the status of pond.too_far was 409 and is 422",
        "pond.too_far.asked is gone",
    ]


# Kinds of values that could be mistaken for each other, each with its values.
INTEGERS, TEXTS = st.integers(-5, 5), st.text("ab", max_size=3)
FAMILIES: list[dict[Any, st.SearchStrategy[Any]]] = [
    {
        int: INTEGERS,
        float: st.floats(-5, 5),
        Annotated[int, Meta(ge=0, le=3)]: st.integers(0, 3),
        Annotated[int, Meta(ge=1)]: st.integers(1, 5),
    },
    {
        str: TEXTS,
        Annotated[str, Meta(pattern="^a*$")]: st.text("a", max_size=3),
        Annotated[str, Meta(max_length=1)]: st.text("ab", max_size=1),
        Literal["a", "b"]: st.sampled_from(["a", "b"]),
        Literal["a"]: st.just("a"),
    },
    {
        tuple[int, ...]: st.lists(INTEGERS, max_size=2),
        tuple[str | None, ...]: st.lists(TEXTS | st.none(), max_size=2),
        tuple[int, str]: st.tuples(INTEGERS, TEXTS),
        tuple[int, int]: st.tuples(INTEGERS, INTEGERS),
    },
    {
        dict[str, int]: st.dictionaries(TEXTS, INTEGERS, min_size=1, max_size=2),
        dict[str, str]: st.dictionaries(TEXTS, TEXTS, min_size=1, max_size=2),
        Leg: st.builds(Leg, length=INTEGERS),
        LongLeg: st.builds(LongLeg, length=INTEGERS, toes=INTEGERS),
    },
]
CHANGES = [
    (values, kind, other)
    for family in FAMILIES
    for kind, values in family.items()
    for other in (kind, kind | None, *family)
]


@pytest.mark.parametrize(("values", "old", "new"), CHANGES)
@settings(max_examples=20)
@given(data=st.data())
def test_what_is_found_unbroken_can_be_read(
    values: st.SearchStrategy[Any],
    old: type[object],
    new: type[object],
    data: st.DataObject,
) -> None:
    before, now = event({"it": old}), event({"it": new})
    payload = {"$ref": "#/components/schemas/Leapt"}
    written = {"it": data.draw(values)}

    broken = list(Comparison(before, now, accepting=True).broken("leapt", payload, payload))

    if not broken:
        reader = struct("Leapt", {"it": new})
        read = msgspec.json.decode(msgspec.json.encode(written), type=reader)
        assert json.loads(msgspec.json.encode(read)) == json.loads(msgspec.json.encode(written))


@pytest.mark.parametrize("path", PROMISED)
def test_the_house_keeps_what_was_released(path: str) -> None:
    before = json.loads((RELEASED / path).read_text())
    compare = broken_events if path == reference.EVENTS else broken_contracts

    assert path in TODAY, f"{path} was released, and a module is not taken back"
    told = "\n".join(compare(before, json.loads(TODAY[path])))

    assert not told, told


def test_something_was_released() -> None:
    assert reference.EVENTS in PROMISED
    assert len(PROMISED) > 1

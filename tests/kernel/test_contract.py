"""Contracts: what cannot travel is refused when it is imported."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec
import pytest

from banyan.kernel.contract import (
    Problem,
    Value,
    command,
    contract,
    operations,
    query,
    raises,
    revive,
    tell,
    undertaking,
)
from banyan.kernel.event import Event
from tests.kernel.pond.contract import NoSuchFrog, Pond


def test_an_operation_must_be_async() -> None:
    class Bad(Protocol):
        """A door."""

        @query
        def ask(self, *, name: str) -> int:
            """Ask."""
            ...

    with pytest.raises(TypeError, match="must be async"):
        contract("bad")(Bad)


def test_an_operation_takes_keywords_only() -> None:
    class Bad(Protocol):
        """A door."""

        @query
        async def ask(self, name: str) -> int:
            """Ask."""
            ...

    with pytest.raises(TypeError, match="keyword-only"):
        contract("bad")(Bad)


def test_an_operation_says_what_it_promises() -> None:
    class Bad(Protocol):
        """A door."""

        @query
        async def ask(self, *, name: str) -> int: ...

    with pytest.raises(TypeError, match="docstring"):
        contract("bad")(Bad)


def test_an_operation_is_a_query_a_command_or_an_undertaking() -> None:
    class Bad(Protocol):
        """A door."""

        async def ask(self, *, name: str) -> int:
            """Ask."""
            ...

    with pytest.raises(TypeError, match="must be marked"):
        contract("bad")(Bad)


def test_what_crosses_a_border_cannot_be_changed_on_the_way() -> None:
    class Bad(Protocol):
        """A door."""

        @command
        async def ask(self, *, names: list[str]) -> int:
            """Ask."""
            ...

    with pytest.raises(TypeError, match="tuples"):
        contract("bad")(Bad)


def test_an_empty_contract_is_none() -> None:
    class Bad(Protocol):
        """A door."""

    with pytest.raises(TypeError, match="no operation"):
        contract("bad")(Bad)


def test_operations_know_their_kind_and_their_problems() -> None:
    known = operations(Pond)

    assert {name: one.mark for name, one in known.items()} == {
        "put": "command",
        "leap": "command",
        "leaps": "query",
        "ask_around": "query",
        "travel": "undertaking",
        "burst": "query",
    }
    assert known["leap"].problems == (NoSuchFrog,)
    assert known["leap"].subject == "pond.leap"


def test_a_problem_needs_a_reason_in_words() -> None:
    with pytest.raises(TypeError, match="why it refuses"):

        class Wordless(Problem, status=409):
            pass


def test_no_two_problems_have_the_same_code() -> None:
    with pytest.raises(TypeError, match=r"no_such_frog has the code of pond\.no_such_frog"):
        type("NoSuchFrog", (Problem,), {"__doc__": "It left.", "__module__": __name__}, status=404)


def test_a_problem_is_made_anew_from_what_is_told_of_it() -> None:
    told = tell(NoSuchFrog(name="newt"))

    again = revive(msgspec.json.decode(msgspec.json.encode(told), type=type(told)))

    assert isinstance(again, NoSuchFrog)
    assert (again.name, again.code, again.status) == ("newt", "no_such_frog", 404)
    assert str(again) == "There is no such frog. (name=newt)"


def test_a_newer_problem_is_understood_by_an_older_version() -> None:
    told = tell(NoSuchFrog(name="newt"))

    again = revive(msgspec.structs.replace(told, fields={**told.fields, "color": "green"}))

    assert again.fields() == {"name": "newt"}


def test_values_and_events_are_frozen_and_bear_unknown_fields() -> None:
    class Fly(Value):
        """Something to eat."""

        legs: int

    class Eaten(Event):
        """Something was eaten."""

        legs: int

    for kind in (Fly, Eaten):
        made: Any = msgspec.json.decode(b'{"legs": 6, "wings": 2}', type=kind)
        assert made.legs == 6
        with pytest.raises(AttributeError):
            made.legs = 4


def test_an_event_is_named_after_its_module_and_version() -> None:
    class Swam(Event):
        """A frog has swum."""

        major = 2

    assert Swam.type == "banyan.test_contract.swam.v2"


def test_marks_do_not_change_the_function() -> None:
    async def ask() -> None:
        """Ask."""

    for mark in (query, command, undertaking, raises(NoSuchFrog)):
        assert mark(ask) is ask

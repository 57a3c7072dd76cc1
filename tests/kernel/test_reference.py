"""The reference of a module: what it says is what is asked, answered and refused."""

import json
import re
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

import jsonschema_rs
import msgspec
import pytest
from msgspec import Meta

from banyan.kernel import asyncapi, example, markdown, reference
from banyan.kernel.contract import operations
from banyan.kernel.remote import attend
from banyan.kernel.schemas import Schemas
from tests.kernel.pond.contract import NoSuchFrog, Pond
from tests.kernel.pond.module import module as pond

DOCUMENT = reference.contracts(pond)
LEAP = DOCUMENT["operations"]["leap"]


class Lonely:
    """A pond in which there is one frog."""

    async def leap(self, *, name: str, by: int = 1) -> int:
        if name != "Lily":
            raise NoSuchFrog(name=name)
        return by


async def ask(request: object) -> tuple[Any, dict[str, str]]:
    """Let a frog leap as somebody would who knows the document only."""
    operation = operations(Pond)["leap"]
    told, headers = await attend(Lonely(), operation, None, msgspec.json.encode(request), {})
    return json.loads(told), headers


def test_an_operation_says_where_and_how_it_is_asked() -> None:
    assert LEAP["subject"] == "banyan.call.pond.leap"
    assert LEAP["mark"] == "command"
    assert LEAP["summary"] == "Let a frog leap, and tell how often it has."
    assert LEAP["problems"] == ["pond.no_such_frog"]
    assert LEAP["example"] == {"name": "name"}


async def test_what_fits_the_request_is_answered_as_it_says() -> None:
    request = {"name": "Lily", "by": 3}
    jsonschema_rs.validate(DOCUMENT | LEAP["request"], request)

    told, headers = await ask(request)

    assert not headers
    jsonschema_rs.validate(DOCUMENT | LEAP["answer"], told)


@pytest.mark.parametrize(
    ("request_", "kind"),
    [({"name": "Rose"}, "pond.no_such_frog"), ({"name": 1}, "kernel.malformed")],
)
async def test_a_problem_is_told_as_it_says(request_: object, kind: str) -> None:
    told, headers = await ask(request_)

    said = DOCUMENT["problems"][told["kind"]]
    assert told["kind"] == kind
    assert kind in [*LEAP["problems"], *DOCUMENT["always"]]
    assert headers["Nats-Service-Error-Code"] == str(said["status"])
    assert headers["Nats-Service-Error"] == said["title"]
    jsonschema_rs.validate(DOCUMENT | said["fields"], told["fields"])


class Timed(msgspec.Struct):
    """A value with a time that may lack its zone."""

    made_at: datetime


class Nothing(msgspec.Struct):
    """A value of which nothing is required."""

    name: str = ""


class Tree(msgspec.Struct):
    """A value that holds its like."""

    kind: Literal["oak", "fir"]
    branches: tuple["Tree", ...]


@pytest.mark.parametrize(
    "kind",
    [
        bool,
        bytes,
        date,
        Annotated[datetime, Meta(tz=True)],
        Decimal,
        float,
        int,
        str,
        UUID,
        Nothing,
        Timed,
        Tree,
        Literal["oak", "fir"],
        None | int,
        tuple[int, str],
        tuple[Nothing, ...],
        dict[str, int],
        dict[Annotated[str, Meta(pattern="^[a-z]{2}$")], str],
        Annotated[int, Meta(ge=5, le=7)],
        Annotated[int, Meta(gt=5)],
        Annotated[int, Meta(lt=-5)],
        Annotated[str, Meta(pattern="^[A-Z]{3}$")],
        Annotated[str, Meta(pattern="^https?://", max_length=30)],
        Annotated[str, Meta(min_length=12)],
        Annotated[tuple[int, ...], Meta(min_length=2)],
    ],
)
def test_an_example_keeps_to_its_schema(kind: type[object]) -> None:
    schemas = Schemas()
    schema = schemas.of(kind)
    shared = schemas.write()

    made_up = example.of(schema, shared)

    msgspec.json.decode(msgspec.json.encode(made_up), type=kind)
    jsonschema_rs.validate({"components": {"schemas": shared}} | schema, made_up)


@pytest.mark.parametrize(
    "page",
    [
        markdown.of_contracts(DOCUMENT),
        markdown.of_events(asyncapi.document([pond], title="A pond", version="1")),
    ],
)
def test_a_page_leads_to_its_own_headings_and_closes_its_tables(page: str) -> None:
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    anchors = [re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings]

    rows = [re.sub(r"\\\||[^|]", "", row) for row in re.findall(r"^\|.*$", page, re.MULTILINE)]

    assert set(re.findall(r"\]\(#([^)]+)\)", page)) <= set(anchors)
    assert len(anchors) == len(set(anchors))
    assert {len(bars) for bars in rows} <= {4, 5}


def test_a_page_shows_each_operation_with_its_problems() -> None:
    page = markdown.of_contracts(DOCUMENT)

    part = page.partition("## pond.leap\n")[2].partition("\n## ")[0]

    assert "`banyan.call.pond.leap` · [command](../README.md#marks)" in part
    assert "| `name` | text | required |  |\n| `by` | integer | `1` |  |" in part
    assert "**Answer:** integer" in part
    assert "**Problems:** `pond.no_such_frog`" in part
    assert "| `pond.no_such_frog` | 404 | There is no such frog. | `name`: text |" in page


def test_what_was_written_for_a_module_that_is_gone_goes_too(tmp_path: Path) -> None:
    reference.write(tmp_path, {"contracts/pond.md": "frogs", "events.md": "leaps"})

    reference.write(tmp_path, {"contracts/lake.md": "fish", "events.md": "splashes"})

    assert {file.name: file.read_text() for file in tmp_path.rglob("*.md")} == {
        "lake.md": "fish",
        "events.md": "splashes",
    }


@pytest.mark.parametrize("words", [["--help"], ["a", "b"], []])
def test_a_reference_is_written_only_for_whoever_names_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(SystemExit):
        reference.main(words)

    assert list(tmp_path.iterdir()) == []

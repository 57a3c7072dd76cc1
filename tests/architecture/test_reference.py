"""The reference in docs/reference: what the code says now, and true of what travels."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import jsonschema_rs
import msgspec
import pytest

from banyan.kernel import nats, reference, remote
from banyan.kernel.app import discover
from banyan.kernel.contract import Operation, operations
from banyan.kernel.event import known

FOLDER = Path(__file__).parents[2] / "docs/reference"
CONTRACTS = {module.name: reference.contracts(module) for module in discover().modules}
OPERATIONS = [
    operation
    for module in discover().modules
    for protocol in module.offers
    for operation in operations(protocol).values()
]
EVENTS = reference.events(discover().modules)
HEADERS = (
    remote.DEADLINE,
    remote.HOPS,
    remote.CALLER,
    remote.KEY,
    remote.FINGERPRINT,
    remote.SCOPE,
    remote.TRACE,
    remote.REPLAYED,
    remote.ERROR,
    nats.ERROR_CODE,
)


def out_of_date(folder: Path, texts: Mapping[str, str]) -> Iterator[str]:
    """Tell which files are not what would be written now; the first page is written by hand."""
    there = {
        str(file.relative_to(folder)): file.read_text()
        for file in folder.rglob("*.*")
        if "released" not in file.relative_to(folder).parts and file != folder / "README.md"
    }
    for path in sorted(there.keys() | texts.keys()):
        if there.get(path) != texts.get(path):
            yield f"{path} is out of date: run make docs"


def test_the_reference_is_what_the_code_says() -> None:
    told = "\n".join(out_of_date(FOLDER, reference.files(discover().modules)))

    assert not told, told


def test_a_page_that_is_old_or_missing_or_left_over_is_told(tmp_path: Path) -> None:
    reference.write(tmp_path, {"contracts/a.md": "a", "contracts/b.md": "b", "events.md": "e"})

    told = list(out_of_date(tmp_path, {"contracts/a.md": "a", "contracts/c.md": "c"}))

    assert told == [
        f"{path} is out of date: run make docs"
        for path in ("contracts/b.md", "contracts/c.md", "events.md")
    ]


def test_the_first_page_leads_to_all_others() -> None:
    page = (FOLDER / "README.md").read_text()

    forgotten = [path for path in reference.files(discover().modules) if f"]({path})" not in page]

    assert forgotten == []


@pytest.mark.parametrize("header", HEADERS)
def test_the_first_page_explains_every_header(header: str) -> None:
    rows = re.findall(r"^\| `([\w-]+)` \|", (FOLDER / "README.md").read_text(), re.MULTILINE)

    assert header in rows


@pytest.mark.parametrize("kind", [*(problem.kind for problem in reference.HOUSE), "kernel.fault"])
def test_the_first_page_names_what_every_operation_may_answer(kind: str) -> None:
    assert f"`{kind}`" in (FOLDER / "README.md").read_text()


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.subject)
def test_an_example_is_what_its_operation_takes(operation: Operation) -> None:
    document = CONTRACTS[operation.module]
    shown = document["operations"][operation.name]

    msgspec.json.decode(msgspec.json.encode(shown["example"]), type=operation.arguments)
    jsonschema_rs.validate(document | shown["request"], shown["example"])


@pytest.mark.parametrize("name", EVENTS["components"]["messages"])
def test_an_example_is_what_an_event_looks_like(name: str) -> None:
    message = EVENTS["components"]["messages"][name]
    shown = message["examples"][0]["payload"]

    msgspec.convert(shown, known[message["name"]])
    jsonschema_rs.validate(EVENTS | message["payload"], shown)

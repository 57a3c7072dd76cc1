"""How the house says no over HTTP, and to whom: what every refusal must be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import httpx

from tests.journeys.counter import Counter
from tests.journeys.running import ADA

SOME_ID = "01a203ff-0f59-728a-9231-0131fcfd07e0"
EXAMPLES = {"market": "eu", "country": "DE", "region": "BE", "sku": "LAMP", "warehouse": "berlin"}
CARD_NUMBER = "4111111111111111"
PRIVATE = [
    *("bny_", CARD_NUMBER, "tok_"),
    *("ada@example", ADA["name"], ADA["street"], ADA["postal_code"]),
]


def refused(answer: httpx.Response, status: int, code: str, *, at: str = "") -> dict[str, Any]:
    """Insist on a problem document that says what is wrong and where, and nothing private."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    told: dict[str, Any] = answer.json()
    assert (told["code"], told["status"], told["type"]) == (code, status, f"/problems/{code}")
    assert unquote(told["instance"]) == unquote(answer.request.url.raw_path.partition(b"?")[0])
    assert told["title"]
    # What the gateway refuses itself has no trace, but an id in its log.
    assert re.fullmatch("[0-9a-f]{32}|gateway [0-9a-f-]+", told["trace_id"])
    assert told["trace_id"].removesuffix(" -") == answer.headers["trace-id"]
    said = [f"{name}: {value}" for name, value in answer.headers.items()]
    shown = without_ids("\n".join([answer.text, *said]))
    assert [one for one in PRIVATE if one in shown] == []
    if at:
        assert at in places(told), answer.text
    return told


def without_ids(text: str) -> str:
    """Leave out what is made of chance, in which any digits may stand."""
    return re.sub("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{16,32}", "…", text)


def places(told: dict[str, Any]) -> list[str]:
    """List where a problem document finds something wrong."""
    return [flaw.get("pointer", flaw.get("parameter")) for flaw in told["errors"]]


def operations(counter: Counter) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """List the operations of the API: their methods, their paths with examples, what is said."""
    for path, item in counter.document["paths"].items():
        for method, described in item.items():
            yield method.upper(), exemplary(path), described


def exemplary(path: str) -> str:
    """Put something well-formed into the place of each parameter."""
    return re.sub(
        r"{(\w+)}",
        lambda name: EXAMPLES.get(name[1], "eu" if "code" in name[1] else SOME_ID),
        path,
    )


def may_answer(described: dict[str, Any], code: str) -> bool:
    """Tell whether an operation documents a problem."""
    return any(code in answer.get("x-codes", ()) for answer in described["responses"].values())

"""What the house says about itself: whether it is well, and what its API is."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from typing import Any

import httpx
import msgspec
import pytest
import schemathesis
from hypothesis import strategies as st
from schemathesis.engine import events, from_schema

from banyan.kernel import openapi
from banyan.kernel.http import Answer, Controller, build, get
from banyan.kernel.paging import cursor
from tests.kernel.http.house import Parts, Porter, house
from tests.kernel.http.toybox import ToyboxService


async def test_the_house_is_ready_when_all_of_its_parts_are(
    client: httpx.AsyncClient, parts: Parts
) -> None:
    alive = await client.get("/health/live")
    ready = await client.get("/health/ready")
    parts.well["garden"] = False
    not_ready = await client.get("/health/ready")

    assert (alive.status_code, ready.status_code) == (200, 200)
    assert ready.json() == {"ready": ["toybox", "garden"]}
    assert (not_ready.status_code, not_ready.json()["waiting_for"]) == (503, ["garden"])


async def test_the_type_of_a_problem_leads_to_where_it_is_explained(
    client: httpx.AsyncClient,
) -> None:
    known = await client.get("/problems/unknown_toy")
    unknown = await client.get("/problems/unknown")

    assert (known.status_code, known.headers["location"]) == (303, "/docs#problem-unknown_toy")
    assert unknown.status_code == 404


@pytest.fixture
async def document(client: httpx.AsyncClient) -> dict[str, Any]:
    """Read the API document."""
    answer = await client.get("/openapi.json")
    document: dict[str, Any] = answer.json()
    return document


async def test_each_operation_is_named_after_its_controller(document: dict[str, Any]) -> None:
    named = {
        described["operationId"]: f"{method} {path}"
        for path, item in document["paths"].items()
        for method, described in item.items()
    }

    assert named == {
        "greetings_greet": "get /api/store/greetings",
        "toys_browse": "get /api/store/toys",
        "toys_show": "get /api/store/toys/{toy}",
        "toys_lend": "post /api/store/toys/{toy}/loans",
        "toys_admin_create": "post /api/admin/toys",
        "toys_admin_change": "patch /api/admin/toys/{toy}",
        "toys_admin_throw_away": "delete /api/admin/toys/{toy}",
    }


async def test_two_operations_never_share_a_name(parts: Parts) -> None:
    class Twins(Controller):
        @get("/one")
        async def one(self) -> None: ...

    class Others(Controller):
        @get("/two")
        async def one(self) -> None: ...

    Others.__name__ = "Twins"
    app: Any = build([Twins, Others], dependencies={}, gate=Porter(), ready=parts.look)

    with pytest.raises(TypeError, match="twins_one"):
        openapi.document(app, title="", version="")


async def test_an_answer_is_described_in_the_media_type_that_its_handler_declares(
    parts: Parts,
) -> None:
    class Pictures(Controller):
        @get("/drawing", media_type="image/svg+xml")
        async def drawing(self) -> Answer[str]:
            return Answer("<svg/>")

        @get("/caption")
        async def caption(self) -> str:
            return "A toy"

        @get("/size")
        async def size(self) -> Answer[int]:
            return Answer(7)

    app: Any = build([Pictures], dependencies={}, gate=Porter(), ready=parts.look)

    paths = openapi.document(app, title="", version="")["paths"]

    answers = {path: item["get"]["responses"] for path, item in paths.items()}
    assert {path: list(told["200"]["content"]) for path, told in answers.items()} == {
        "/drawing": ["image/svg+xml"],
        "/caption": ["text/plain"],
        "/size": ["application/json"],
    }
    assert answers["/drawing"]["200"]["content"]["image/svg+xml"] == {"schema": {"type": "string"}}
    assert [path for path, told in answers.items() if "304" in told] == ["/size"]


async def test_a_body_is_described_as_strictly_as_it_is_read(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]

    assert schemas["NewToy"]["additionalProperties"] is False
    assert schemas["Wheel"]["additionalProperties"] is False
    assert "additionalProperties" not in schemas["Toy"]
    assert schemas["NewToy"]["properties"]["pieces"] | {"default": 1} == {
        "type": "integer",
        "format": "int64",
        "minimum": 1,
        "maximum": 10_000,
        "default": 1,
    }


async def test_parameters_are_described_with_what_they_must_keep_to(
    document: dict[str, Any],
) -> None:
    described = document["paths"]["/api/store/toys"]["get"]["parameters"]
    limits = {
        one["name"]: (one["schema"].get("minimum"), one["schema"].get("maximum"))
        for one in described
    }

    assert limits == {"limit": (1, 100), "smallest": (0, 10_000), "cursor": (None, None)}


@pytest.mark.parametrize(
    ("method", "path", "header", "required"),
    [
        ("post", "/api/store/toys/{toy}/loans", "Idempotency-Key", True),
        ("post", "/api/admin/toys", "Idempotency-Key", False),
        ("patch", "/api/admin/toys/{toy}", "If-Match", True),
        ("get", "/api/store/toys/{toy}", "If-None-Match", False),
        ("get", "/api/store/greetings", "Accept-Language", False),
    ],
)
async def test_headers_that_matter_are_described(
    document: dict[str, Any], method: str, path: str, header: str, *, required: bool
) -> None:
    described = document["paths"][path][method]["parameters"]

    assert [one["required"] for one in described if one["name"] == header] == [required]


async def test_refusals_are_described_by_what_an_operation_asks_and_demands(
    document: dict[str, Any],
) -> None:
    lend = document["paths"]["/api/store/toys/{toy}/loans"]["post"]
    change = document["paths"]["/api/admin/toys/{toy}"]["patch"]

    assert set(lend["responses"]) == {
        *("201", "400", "401", "402", "404", "406", "413", "415", "422", "500", "503")
    }
    assert "`idempotency_key_missing`" in lend["responses"]["400"]["description"]
    assert "`not_for_rent`" in lend["responses"]["402"]["description"]
    assert {"403", "412", "428"} <= set(change["responses"])
    assert ("security" in change, "security" in lend) == (True, False)


async def test_people_can_read_the_document_without_running_anything(
    client: httpx.AsyncClient,
) -> None:
    page = await client.get("/docs")
    style = re.search(r"<style>(.*?)</style>", page.text, re.DOTALL)

    assert style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policy = page.headers["content-security-policy"]
    assert f"style-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert not re.search(r"<script|<link|<img|src=|@import|url\(", page.text)
    assert 'id="toys_browse"' in page.text
    assert 'id="schema-NewToy"' in page.text
    assert 'id="problem-not_for_rent"' in page.text


async def test_every_link_on_the_page_leads_to_something_on_it(client: httpx.AsyncClient) -> None:
    page = (await client.get("/docs")).text

    places = re.findall(r'id="([^"]+)"', page)
    links = set(re.findall(r'href="#([^"]+)"', page))
    assert len(places) == len(set(places))
    assert links
    assert links <= set(places)


async def test_a_sample_looks_up_what_it_asks_about(client: httpx.AsyncClient) -> None:
    show = await _sample(client, "toys_show")
    change = await _sample(client, "toys_admin_change")

    assert show.splitlines() == [
        """toy=$(curl -s "$BANYAN/api/store/toys" |""",
        """  jq -r '.items[0].id')""",
        """curl "$BANYAN/api/store/toys/$toy\"""",
    ]
    assert """curl -X PATCH "$BANYAN/api/admin/toys/$toy\"""" in change
    assert """-H "Authorization: Bearer $TOKEN\"""" in change
    assert "-H 'If-Match: *'" in change


async def test_a_sample_sends_a_body_that_is_accepted(client: httpx.AsyncClient) -> None:
    body = re.search(r"-d '(.+)'", await _sample(client, "toys_admin_create"), re.DOTALL)
    assert body

    made = await client.post(
        "/api/admin/toys",
        json=msgspec.json.decode(body[1]),
        headers={"authorization": "Bearer keeper"},
    )

    assert made.status_code == 201


async def test_a_problem_is_shown_as_it_is_sent(client: httpx.AsyncClient) -> None:
    sent = await client.get("/api/store/toys/0198f3a2-6c1e-7b3a-9c55-2f6d1e8a4b70")

    page = html.unescape((await client.get("/docs")).text)
    article = page.partition('id="problem-unknown_toy"')[2].partition("</article>")[0]
    shown = msgspec.json.decode(article.partition("<pre><code>")[2].partition("</code>")[0])
    assert shown == {name: sent.json()[name] for name in shown}
    assert set(sent.json()) - set(shown) == {"detail", "instance", "trace_id"}
    assert 'href="#toys_show"' in article


async def _sample(client: httpx.AsyncClient, operation: str) -> str:
    """Read how the page would ask."""
    page = html.unescape((await client.get("/docs")).text)
    article = page.partition(f'<article id="{operation}"')[2]
    return article.partition("<pre><code>")[2].partition("</code>")[0]


def test_nothing_that_can_be_made_up_finds_the_house_off_its_guard(
    box: ToyboxService, parts: Parts
) -> None:
    schemathesis.openapi.format("cursor", st.uuids().map(lambda toy: cursor(("car", toy))))
    config = schemathesis.Config.from_dict(
        {
            "generation": {"max-examples": 4, "deterministic": True, "allow-x00": False},
            "headers": {"Authorization": "Bearer keeper"},
            "checks": {
                # What is right in form may be refused for what there is.
                "positive_data_acceptance": {
                    "expected-statuses": ["2xx", "304", "401", "402", "404", "412"]
                },
                "missing_required_header": {"expected-statuses": ["400", "401", "428"]},
            },
        }
    )
    schema = schemathesis.openapi.from_asgi("/openapi.json", house(box, parts), config=config)

    found, tried = [], 0
    for event in from_schema(schema).execute():
        assert not isinstance(event, events.FatalError | events.NonFatalError), event
        if isinstance(event, events.ScenarioFinished):
            for case, checks in event.recorder.checks.items():
                tried += len(checks)
                label = event.recorder.cases[case].value.operation.label
                found += [
                    (label, check.failure_info.failure.title, check.failure_info.code_sample)
                    for check in checks
                    if check.failure_info
                ]

    assert found == []
    assert tried > 1000

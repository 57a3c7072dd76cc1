"""The HTTP API of the whole shop: the way of a purchase, and that it keeps what it documents."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
import schemathesis
from hypothesis import strategies as st
from schemathesis.engine import events, from_schema
from schemathesis.engine.recorder import ScenarioRecorder

from banyan.kernel.paging import cursor
from banyan.kernel.testing import Server
from tests.journeys.counter import Counter, eventually, opened_to_the_public
from tests.journeys.running import ADA
from tests.journeys.trade import (
    BACK,
    GRACE,
    STORE,
    buy_twice,
    check_out,
    filled,
    sell_in_america,
)
from tests.plugins.sandbox_process import SandboxProcess

EURO_49_99 = {"amount": 4999, "currency": "EUR"}
TOTALS = {"subtotal", "shipping", "tax", "total", "tax_inclusive", "estimated"}
LIST_OF_PRODUCTS = {
    *("items", "next", "facets", "market", "locale", "tax_inclusive"),
    *("category", "total", "uncounted"),
}
CARD_OF_A_PRODUCT = {
    *("slug", "title", "image", "image_alt", "price", "compare_at"),
    *("price_varies", "available", "brand", "category"),
}
MOST_PAGES = 50
LISTS = [
    *("/products", "/stock", "/stock/movements", "/prices", "/price-lists"),
    *("/orders", "/payments", "/messages"),
]


@pytest.fixture(scope="module")
def abroad(counter: Counter) -> Counter:
    """Stand in front of a shop that sells in America, too."""
    sell_in_america(counter)
    return counter


@pytest.fixture(scope="module")
def busy(abroad: Counter) -> Counter:
    """Stand in front of a shop that has at least two of everything that is listed."""
    buy_twice(abroad)
    return abroad


def test_a_purchase_takes_the_way_that_clients_rely_on(shopper: httpx.Client) -> None:
    listed = shopper.get("/products", params={"q": "lamp", "sort": "price", "limit": 10})
    page = shopper.get("/products/lamp")
    opened = shopper.post("/carts")
    here = f"/carts/{opened.json()['id']}"
    with_line = shopper.post(f"{here}/lines", json={"sku": "LAMP", "quantity": 1})
    line = f"{here}/lines/{with_line.json()['lines'][0]['id']}"
    more = shopper.patch(line, json={"quantity": 3})
    shade = shopper.post(f"{here}/lines", json={"sku": "SHADE", "quantity": 2})
    less = shopper.delete(f"{here}/lines/{shade.json()['lines'][1]['id']}")
    addressed = shopper.patch(here, json={"email": "ada@example.com", "shipping_address": ADA})
    methods = shopper.get(f"{here}/shipping-methods")
    ready = shopper.patch(here, json={"shipping_method": methods.json()["items"][0]["code"]})
    ordered = check_out(shopper, opened.json()["id"])
    order = shopper.get(f"/orders/{ordered.json()['order']['id']}")

    answers = [listed, page, opened, with_line, more, less, addressed, methods, ready, ordered]
    assert [one.status_code for one in answers] == [200, 200, 201, 201] + [200] * 5 + [201]
    assert set(listed.json()) == LIST_OF_PRODUCTS
    (item,) = listed.json()["items"]
    assert set(item) == CARD_OF_A_PRODUCT
    assert (item["slug"], item["price"], item["available"]) == ("lamp", EURO_49_99, True)
    (variant,) = page.json()["variants"]
    assert {"sku", "options", "price", "available"} <= set(variant)
    assert (variant["sku"], variant["price"]) == ("LAMP", EURO_49_99)
    assert (opened.json()["currency"], opened.json()["lines"]) == ("EUR", [])
    assert UUID(opened.json()["id"]).version == 7
    for cart in (opened, with_line, more, less, addressed, ready):
        assert set(cart.json()["totals"]) == TOTALS
    assert [one["quantity"] for one in more.json()["lines"]] == [3]
    assert more.json()["lines"][0]["total"] == {"amount": 3 * 4999, "currency": "EUR"}
    assert [one["sku"] for one in less.json()["lines"]] == ["LAMP"]
    assert addressed.json()["totals"]["estimated"] is True
    assert methods.json()["items"] == [
        {"code": "post", "title": "Post", "price": {"amount": 490, "currency": "EUR"}}
    ]
    assert ready.json()["totals"] == {
        "subtotal": {"amount": 3 * 4999, "currency": "EUR"},
        "shipping": {"amount": 490, "currency": "EUR"},
        "tax": {"amount": 2394 + 78, "currency": "EUR"},
        "total": {"amount": 3 * 4999 + 490, "currency": "EUR"},
        "tax_inclusive": True,
        "estimated": False,
    }
    assert set(ordered.json()) == {"order"}
    assert {"id", "number", "state", "totals", "lines"} <= set(ordered.json()["order"])
    assert ordered.json()["order"]["state"] == "confirmed"
    assert ordered.json()["order"]["totals"] == ready.json()["totals"]
    assert order.json() == ordered.json()["order"]


def test_the_house_answers_for_its_health(together: Counter) -> None:
    live, ready, metrics = (
        together.shopper.get(path) for path in ("/health/live", "/health/ready", "/metrics")
    )

    assert [one.status_code for one in (live, ready, metrics)] == [200, 200, 200]
    assert set(ready.json()["ready"]) == {
        *("catalog", "pricing", "inventory", "ordering", "payments"),
        *("fulfillment", "search", "notifications"),
    }
    assert "# TYPE" in metrics.text


@pytest.mark.parametrize("path", ["/products/lamp", "/products", "/categories", "/suggestions"])
def test_what_everybody_sees_may_be_kept_until_it_changes(shopper: httpx.Client, path: str) -> None:
    first = shopper.get(path)
    again = shopper.get(path, headers={"if-none-match": first.headers["etag"]})
    weakly = shopper.get(path, headers={"if-none-match": f"W/{first.headers['etag']}"})
    other = shopper.get(path, headers={"if-none-match": '"another"'})

    assert first.headers["cache-control"].startswith("public")
    assert [one.status_code for one in (first, again, weakly, other)] == [200, 304, 304, 200]
    assert again.content == b""
    assert again.headers["etag"] == first.headers["etag"]
    assert again.headers["vary"] == first.headers["vary"] == "Accept-Language, Banyan-Market"


def test_a_cart_is_private_and_changes_its_tag_with_every_change(shopper: httpx.Client) -> None:
    here = f"/carts/{shopper.post('/carts').json()['id']}"
    before = shopper.get(here)
    kept = shopper.get(here, headers={"if-none-match": before.headers["etag"]})
    changed = shopper.post(f"{here}/lines", json={"sku": "LAMP"})
    after = shopper.get(here, headers={"if-none-match": before.headers["etag"]})

    assert before.headers["cache-control"] == "private, no-cache"
    assert [one.status_code for one in (before, kept, changed, after)] == [200, 304, 201, 200]
    assert changed.headers["etag"] == after.headers["etag"] != before.headers["etag"]


def test_who_says_which_cart_was_seen_does_not_overwrite_what_was_not(
    shopper: httpx.Client,
) -> None:
    opened = shopper.post("/carts")
    lines = f"/carts/{opened.json()['id']}/lines"
    seen = {"if-match": opened.headers["etag"]}

    first = shopper.post(lines, json={"sku": "LAMP"}, headers=seen)
    late = shopper.post(lines, json={"sku": "LAMP"}, headers=seen)

    assert (first.status_code, late.status_code) == (201, 412)
    assert (late.json()["code"], late.json()["version"]) == ("stale_cart", 2)


def listed(counter: Counter, path: str, limit: int) -> list[httpx.Response]:
    """Walk through a list from its first page to its last."""
    pages = [counter.admin.get(path, params={"limit": limit})]
    while (link := pages[-1].links.get("next")) and len(pages) < MOST_PAGES:
        pages.append(counter.admin.get(link["url"]))
    return pages


def items(pages: list[httpx.Response]) -> list[object]:
    return [item for page in pages for item in page.json()["items"]]


def resting(counter: Counter, path: str) -> list[object] | None:
    """Tell what a list holds, once nothing is added to it or changed any more."""
    once, again = (items(listed(counter, path, 100)) for _ in range(2))
    return once if once == again else None


@pytest.mark.parametrize("path", [f"{STORE}/products", *(BACK + path for path in LISTS)])
def test_every_list_leads_from_page_to_page_and_ends(busy: Counter, path: str) -> None:
    whole = eventually(lambda: resting(busy, path))
    limit = min(100, max(1, len(whole) // 5))

    pages = listed(busy, path, limit)

    assert items(pages) == whole
    assert len(pages) > 1
    for page in pages[:-1]:
        assert httpx.URL(page.links["next"]["url"]).params["cursor"] == page.json()["next"]
        assert httpx.URL(page.links["next"]["url"]).params["limit"] == str(limit)
    assert pages[-1].json()["next"] is None


@pytest.mark.parametrize(
    ("wanted", "title", "language"),
    [
        ({"headers": {"accept-language": "de"}}, "Lampe", "de"),
        ({"headers": {"accept-language": "de-AT, en;q=0.8"}}, "Lampe", "de"),
        ({"headers": {"accept-language": "fr, en;q=0.8, de;q=0.9"}}, "Lampe", "de"),
        ({"headers": {"accept-language": "fr"}}, "Lamp", "en"),
        ({"headers": {"accept-language": "en"}, "params": {"locale": "de"}}, "Lampe", "de"),
        ({"params": {"locale": "de", "market": "us"}}, "Lamp", "en-US"),
        ({}, "Lamp", "en"),
    ],
)
def test_a_page_is_in_the_language_that_is_wanted_most(
    abroad: Counter, wanted: dict[str, Any], title: str, language: str
) -> None:
    page = abroad.shopper.get(f"{STORE}/products/lamp", **wanted)

    assert (page.json()["title"], page.json()["locale"]) == (title, language)
    assert page.headers["content-language"] == language


@pytest.mark.parametrize(
    ("wanted", "market", "price"),
    [
        ({"params": {"market": "us"}}, "us", {"amount": 5900, "currency": "USD"}),
        ({"headers": {"banyan-market": "us"}}, "us", {"amount": 5900, "currency": "USD"}),
        ({"params": {"market": "eu"}, "headers": {"banyan-market": "us"}}, "eu", EURO_49_99),
        ({}, "eu", EURO_49_99),
    ],
)
def test_a_price_is_that_of_the_market_where_the_visitor_is(
    abroad: Counter, wanted: dict[str, Any], market: str, price: dict[str, Any]
) -> None:
    page = abroad.shopper.get(f"{STORE}/products/lamp", **wanted).json()
    (listed,) = abroad.shopper.get(f"{STORE}/products", **_asking(wanted, q="lamp")).json()["items"]
    cart = abroad.shopper.post(f"{STORE}/carts", **wanted).json()

    assert (page["market"], page["price"], listed["price"]) == (market, price, price)
    assert (cart["market"], cart["currency"]) == (market, price["currency"])


def _asking(wanted: dict[str, Any], **more: str) -> dict[str, Any]:
    return {**wanted, "params": {**wanted.get("params", {}), **more}}


def test_an_american_pays_the_tax_on_top(abroad: Counter, shopper: httpx.Client) -> None:
    shopper.headers["banyan-market"] = "us"
    cart = filled(shopper, shipping_address=GRACE, shipping_method="parcel")

    order = check_out(shopper, cart).json()["order"]

    told = {name: order["totals"][name] for name in ("subtotal", "shipping", "tax", "total")}
    assert {name: one["amount"] for name, one in told.items()} == {
        "subtotal": 5900,
        "shipping": 900,
        "tax": 524 + 80,
        "total": 5900 + 900 + 524 + 80,
    }
    assert {one["currency"] for one in told.values()} == {"USD"}
    assert order["totals"]["tax_inclusive"] is False


def test_every_operation_is_named_and_explained(counter: Counter) -> None:
    described = [
        (path, method, operation)
        for path, item in counter.document["paths"].items()
        for method, operation in item.items()
    ]

    names = Tally(operation["operationId"] for _, _, operation in described)
    assert len(described) > 70
    assert set(names.values()) == {1}
    for path, method, operation in described:
        where = f"{method} {path}"
        assert operation["summary"], where
        assert operation["tags"], where
        assert ("security" in operation) == path.startswith(BACK), where
        assert {"400", "401", "500", "503"} <= operation["responses"].keys(), where


@pytest.mark.timeout(240)
def test_nothing_that_can_be_made_up_finds_the_shop_off_its_guard(
    server: Server, bank: SandboxProcess, tmp_path: Path
) -> None:
    with opened_to_the_public(server, bank, tmp_path) as counter:
        buy_twice(counter)
        tried, found = make_things_up(counter, BACK, STORE)
        unsound = counter.unsound()

    assert found == []
    assert tried > 250
    assert unsound == []
    assert counter.faults() == []


@pytest.mark.parametrize("counter", ["microservices"], indirect=True)
def test_what_a_shopper_makes_up_is_answered_by_many_processes_as_by_one(
    counter: Counter, *, soak: bool
) -> None:
    tried, found = make_things_up(counter, STORE, examples=7 if soak else 1)

    assert found == []
    assert tried > (80 if soak else 10)
    assert counter.unsound() == []


def make_things_up(
    counter: Counter, *below: str, examples: int = 4
) -> tuple[int, list[tuple[str, str, str]]]:
    """Ask for whatever the API document allows, and for what it does not, in some places."""
    schemathesis.openapi.format("cursor", st.uuids().map(cursor))
    config = schemathesis.Config.from_dict(
        {
            "generation": {"max-examples": examples, "deterministic": True, "allow-x00": False},
            "headers": {"Authorization": f"Bearer {counter.token}"},
            "phases": {"coverage": {"enabled": False}, "stateful": {"enabled": False}},
            "checks": {
                # What is right in form may be refused for what there is.
                "positive_data_acceptance": {
                    "expected-statuses": ["2xx", "304", "401", "402", "404", "409", "412", "422"]
                },
                "negative_data_rejection": {
                    "expected-statuses": ["400", "401", "404", "405", "406", "413", "415", "428"]
                },
                "missing_required_header": {"expected-statuses": ["400", "401", "428"]},
            },
        }
    )

    tried, found = 0, []
    schema = schemathesis.openapi.from_url(f"{counter.url}/openapi.json", config=config)
    for event in from_schema(schema.include(path_regex=f"^({'|'.join(below)})/")).execute():
        assert not isinstance(event, events.FatalError | events.NonFatalError), event
        if isinstance(event, events.ScenarioFinished):
            tried += len(event.recorder.interactions)
            found += list(_findings(counter, event.recorder))
    return tried, found


def _findings(counter: Counter, recorder: ScenarioRecorder) -> Iterator[tuple[str, str, str]]:
    """Tell what is wrong with the answers of a scenario."""
    for case, checks in recorder.checks.items():
        operation = recorder.cases[case].value.operation
        answer = recorder.interactions[case].response
        assert answer, operation.label
        described = counter.document["paths"][operation.path][operation.method]["responses"]
        code = answer.json()["code"] if answer.status_code >= 400 else ""
        if code in ("bad_cursor", "invalid_webhook"):
            # Whether we gave out a cursor, or a provider signed, is no matter of form.
            continue
        if code and code not in described[str(answer.status_code)]["x-codes"]:
            yield operation.label, "undocumented problem", code
        for check in checks:
            if told := check.failure_info:
                yield operation.label, told.failure.title, told.code_sample

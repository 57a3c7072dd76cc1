"""The HTTP face of fulfillment."""

from __future__ import annotations

from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import pytest

from banyan.kernel.http import build
from banyan.kernel.security import TokenGate, fingerprint
from banyan.kernel.testing import Server, bench
from banyan.modules.fulfillment.module import module

METHODS, ZONES = "/api/admin/shipping-methods", "/api/admin/zones"
UNION = {"code": "union", "title": "European Union", "places": ["AT", "DE"]}
DETAILS: dict[str, Any] = {
    "market": "eu",
    "title": {"en": "Parcel"},
    "rates": [
        {"zone": "union", "weight": "< 2000", "amount": 490},
        {"zone": "union", "amount": 990},
    ],
}
PARCEL = {"code": "parcel", **DETAILS}


@pytest.fixture
async def http(server: Server, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with bench(server, [module], folder=tmp_path) as shop:
        app: Any = build(
            shop.app.routes(),
            dependencies=shop.app.dependencies(),
            gate=TokenGate(fingerprint("open sesame")),
            ready=shop.app.ready,
        )
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url="http://shop",
            headers={"authorization": "Bearer open sesame"},
        ) as client:
            assert (await client.post(ZONES, json=UNION)).status_code == HTTPStatus.CREATED
            yield client


async def test_a_method_is_created_changed_and_retired(http: httpx.AsyncClient) -> None:
    created = await http.post(METHODS, json=PARCEL)
    changed = await http.put(
        f"{METHODS}/parcel",
        json={**DETAILS, "position": 3},
        headers={"if-match": created.headers["etag"]},
    )
    retired = await http.post(f"{METHODS}/parcel/retirement")
    shown = await http.get(f"{METHODS}/parcel")
    listed = await http.get(METHODS, params={"market": "eu"})

    assert (created.status_code, created.headers["etag"]) == (201, '"1"')
    assert (changed.json()["position"], changed.headers["etag"]) == (3, '"2"')
    assert (retired.json()["active"], retired.headers["etag"]) == (False, '"3"')
    assert shown.json() == retired.json()
    assert listed.json() == {"items": [shown.json()], "next": None}


async def test_a_change_names_what_it_changes(http: httpx.AsyncClient) -> None:
    await http.post(METHODS, json=PARCEL)

    blind = await http.put(f"{METHODS}/parcel", json=DETAILS)
    late = await http.put(
        f"{METHODS}/parcel", json={**DETAILS, "position": 1}, headers={"if-match": '"7"'}
    )
    taken = await http.post(METHODS, json={**PARCEL, "position": 1})
    repeated = await http.post(ZONES, json={**UNION, "title": "Europe"})

    told = [
        (answer.status_code, answer.json()["code"]) for answer in (blind, late, taken, repeated)
    ]
    assert told == [
        (428, "match_missing"),
        (412, "stale_method"),
        (412, "stale_method"),
        (412, "stale_zone"),
    ]


async def test_a_slip_in_the_table_is_pointed_to(http: httpx.AsyncClient) -> None:
    broken = {**PARCEL, "rates": [*DETAILS["rates"], {"weight": "light", "amount": 1}]}

    refused = await http.post(METHODS, json=broken)
    mistyped = await http.post(METHODS, json={**PARCEL, "rates": [{"wieght": "< 5"}]})

    assert (refused.status_code, refused.json()["pointer"]) == (422, "/rates/2/weight")
    assert mistyped.status_code == HTTPStatus.BAD_REQUEST
    assert mistyped.json()["errors"][0]["pointer"] == "/rates/0/wieght"


async def test_a_merchant_tries_a_table_and_takes_it_away(http: httpx.AsyncClient) -> None:
    await http.post(METHODS, json=PARCEL)
    total = {"amount": 5000, "currency": "EUR"}

    tried = await http.post(
        f"{METHODS}/parcel/try", json={"country": "DE", "total": total, "weight_grams": 2000}
    )
    table = await http.get(f"{METHODS}/parcel/table")

    price = {"amount": 990, "currency": "EUR"}
    assert tried.json() == {"zones": ["union"], "row": 1, "price": price}
    assert {node["type"] for node in table.json()["nodes"]} >= {"decisionTableNode", "inputNode"}


async def test_a_zone_is_changed_and_removed_unless_it_is_in_use(http: httpx.AsyncClient) -> None:
    known = await http.get(f"{ZONES}/union")
    changed = await http.put(
        f"{ZONES}/union",
        json={"title": "Union", "places": ["DE"]},
        headers={"if-match": known.headers["etag"]},
    )
    await http.post(METHODS, json=PARCEL)
    kept = await http.delete(f"{ZONES}/union")
    await http.put(f"{METHODS}/parcel", json={**DETAILS, "rates": []}, headers={"if-match": "*"})
    removed = await http.delete(f"{ZONES}/union")

    assert (changed.json()["places"], changed.json()["version"]) == (["DE"], 2)
    assert (kept.status_code, kept.json()["code"]) == (409, "zone_in_use")
    assert removed.status_code == HTTPStatus.NO_CONTENT
    assert (await http.get(ZONES)).json()["items"] == []


@pytest.mark.parametrize("path", [METHODS, ZONES])
async def test_strangers_are_not_told_anything(http: httpx.AsyncClient, path: str) -> None:
    refused = await http.get(path, headers={"authorization": ""})

    assert refused.status_code == HTTPStatus.UNAUTHORIZED

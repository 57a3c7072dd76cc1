"""The HTTP face of pricing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from banyan.kernel.http import build
from banyan.kernel.security import TokenGate, fingerprint
from banyan.kernel.testing import Server, bench
from banyan.modules.pricing.module import module

MARKETS, LISTS = "/api/admin/markets", "/api/admin/price-lists"
PRICES, RATES = "/api/admin/prices", "/api/admin/tax-rates"
EU: dict[str, Any] = {
    "code": "eu",
    "title": "Europe",
    "currency": "EUR",
    "countries": ["DE", "AT"],
    "locales": ["en", "de"],
    "tax_inclusive": True,
}
BASE: dict[str, Any] = {"code": "base", "market": "eu", "currency": "EUR"}
VAT: dict[str, Any] = {
    "market": "eu",
    "tax_class": "standard",
    "millionths": 190_000,
    "name": "VAT",
}


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
            for path, body in ((MARKETS, EU), (LISTS, BASE), (RATES, VAT)):
                (await client.post(path, json=body)).raise_for_status()
            yield client


@pytest.mark.parametrize(
    ("path", "change"),
    [
        (f"{MARKETS}/eu", {"title": "Europa"}),
        (f"{LISTS}/base", {"priority": 3}),
        (f"{RATES}/eu/standard/*/*", {"millionths": 200_000}),
    ],
)
async def test_what_was_read_can_be_changed_and_sent_back(
    http: httpx.AsyncClient, path: str, change: dict[str, Any]
) -> None:
    read = await http.get(path)

    changed = await http.put(
        path, json=read.json() | change, headers={"if-match": read.headers["etag"]}
    )

    assert changed.json() == read.json() | change | {"version": 2}
    assert (read.headers["etag"], changed.headers["etag"]) == ('"1"', '"2"')
    assert (await http.get(path)).json() == changed.json()


@pytest.mark.parametrize(
    ("path", "body", "stale"),
    [
        (f"{MARKETS}/eu", EU, "stale_market"),
        (f"{LISTS}/base", BASE, "stale_price_list"),
        (f"{RATES}/eu/standard/*/*", VAT, "stale_tax_rate"),
    ],
)
async def test_a_change_names_what_it_changes(
    http: httpx.AsyncClient, path: str, body: dict[str, Any], stale: str
) -> None:
    elsewhere = {**body, "code" if "code" in body else "tax_class": "other"}

    blind = await http.put(path, json=body)
    late = await http.put(path, json=body, headers={"if-match": '"7"'})
    taken = await http.post(path.split("/eu", maxsplit=1)[0].removesuffix("/base"), json=body)
    lost = await http.put(path, json=elsewhere, headers={"if-match": '"1"'})

    told = [(answer.status_code, answer.json()["code"]) for answer in (blind, late, taken, lost)]
    assert told == [(428, "match_missing"), (412, stale), (412, stale), (422, "invalid_price")]


@pytest.mark.parametrize("path", [f"{LISTS}/base", f"{RATES}/eu/standard/*/*"])
async def test_only_what_was_seen_is_removed(http: httpx.AsyncClient, path: str) -> None:
    blind = await http.delete(path)
    late = await http.delete(path, headers={"if-match": '"7"'})
    removed = await http.delete(path, headers={"if-match": '"1"'})
    gone = await http.get(path)

    answers = (blind, late, removed, gone)
    assert [answer.status_code for answer in answers] == [428, 412, 204, 404]


async def test_a_market_that_was_seen_is_closed_and_opened_again(http: httpx.AsyncClient) -> None:
    market, store = f"{MARKETS}/eu", "/api/store/markets"

    blind = await http.delete(market)
    late = await http.delete(market, headers={"if-match": '"7"'})
    closed = await http.delete(market, headers={"if-match": '"1"'})
    shown = await http.get(market)
    known = await http.get(store)
    opened = await http.put(market, json=EU, headers={"if-match": shown.headers["etag"]})

    answers = [blind, late, closed, shown, opened]
    assert [answer.status_code for answer in answers] == [428, 412, 204, 200, 200]
    assert (shown.json()["open"], opened.json()["open"]) == (False, True)
    assert known.json()["items"] == []
    assert (await http.get(store)).json()["items"] == [EU]


async def test_prices_are_set_listed_by_the_page_and_removed(http: httpx.AsyncClient) -> None:
    prices = [
        {"price_list": "base", "sku": sku, "amount": amount, "compare_at": None}
        for sku, amount in (("a/1", 1999), ("b", 250), ("c", 0))
    ]

    changed = await http.put(PRICES, json={"prices": prices})
    first = await http.get(PRICES, params={"limit": 2, "price_list": "base"})
    second = await http.get(first.links["next"]["url"])
    removed = await http.delete(PRICES, params={"price_list": "base", "sku": "a/1"})
    left = await http.get(PRICES, params={"sku": "a/1"})

    assert changed.json() == {"changed": 3}
    assert first.json()["items"] + second.json()["items"] == prices
    assert second.json()["next"] is None
    assert (removed.status_code, left.json()["items"]) == (204, [])


async def test_price_lists_are_listed_by_the_page(http: httpx.AsyncClient) -> None:
    await http.post(LISTS, json={**BASE, "code": "sale"})

    first = await http.get(LISTS, params={"limit": 1, "market": "eu"})
    second = await http.get(LISTS, params={"cursor": first.json()["next"]})

    codes = [one["code"] for page in (first, second) for one in page.json()["items"]]
    assert codes == ["base", "sale"]


async def test_shoppers_see_the_markets_without_a_token(http: httpx.AsyncClient) -> None:
    http.headers.pop("authorization")

    seen = await http.get("/api/store/markets")

    assert seen.json() == {"items": [EU], "next": None}


async def test_the_back_office_is_closed_to_strangers(http: httpx.AsyncClient) -> None:
    http.headers.pop("authorization")

    answers = [await http.get(path) for path in (MARKETS, LISTS, PRICES, RATES)]

    assert {answer.status_code for answer in answers} == {401}


async def test_what_cannot_be_is_pointed_to(http: httpx.AsyncClient) -> None:
    flawed = [
        (MARKETS, {**EU, "code": "de", "currency": "euro"}, "/currency"),
        (MARKETS, {**EU, "code": "de", "countries": []}, "/countries"),
        (MARKETS, {**EU, "code": "de", "colour": "red"}, "/colour"),
        (LISTS, {**BASE, "code": "No Code"}, "/code"),
        (LISTS, {**BASE, "code": "sale", "until": "2026-12-31"}, "/until"),
        (LISTS, {**BASE, "code": "sale", "until": "2026-12-31T23:59:59"}, "/until"),
        (RATES, {**VAT, "millionths": 0.19}, "/millionths"),
        (RATES, {**VAT, "region": "Bavaria"}, "/region"),
    ]

    answers = [await http.post(path, json=body) for path, body, _ in flawed]

    assert {answer.status_code for answer in answers} == {400}
    pointers = [answer.json()["errors"][0]["pointer"] for answer in answers]
    assert pointers == [pointer for _, _, pointer in flawed]


async def test_an_amount_is_a_whole_number_of_minor_units(http: httpx.AsyncClient) -> None:
    for amount in (19.99, "1999", -1, 10**12 + 1, None):
        prices = [{"price_list": "base", "sku": "lamp", "amount": amount}]

        answer = await http.put(PRICES, json={"prices": prices})

        assert answer.status_code == 400
        assert answer.json()["errors"][0]["pointer"] == "/prices/0/amount"

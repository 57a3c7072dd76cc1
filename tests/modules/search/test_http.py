"""The HTTP face of search."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from banyan.kernel.http import build
from banyan.kernel.security import Caller, Gate
from banyan.kernel.testing import Bench
from banyan.modules.pricing.contract import MarketChanged
from banyan.vocabulary import Locale
from tests.modules.search.examples import EUROPE, stock

PRODUCTS = "/api/store/products"
REBUILD = "/api/admin/search/rebuild"


class Porter(Gate):
    """Knows somebody who may rebuild, and somebody who may not."""

    async def caller(self, token: str) -> Caller | None:
        grants = {"operator": "search:write", "reader": "search:read"}
        return Caller(subject=token, permissions=frozenset({grants[token]}))


@pytest.fixture
async def http(shop: Bench) -> AsyncIterator[httpx.AsyncClient]:
    app: Any = build(
        shop.app.routes(),
        dependencies=shop.app.dependencies(),
        gate=Porter(),
        ready=shop.app.ready,
    )
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://shop"
    ) as client:
        yield client


async def test_a_list_has_the_shape_that_clients_rely_on(http: httpx.AsyncClient) -> None:
    answer = await http.get(PRODUCTS, params={"category": "lamps", "sort": "price", "limit": 1})

    assert answer.status_code == 200
    told = answer.json()
    assert set(told) >= {"items", "next", "facets"}
    (card,) = told["items"]
    assert card == {
        "slug": "desk-lamp",
        "title": "Desk Lamp",
        "image": "/media/desk-lamp.svg",
        "image_alt": "Desk Lamp",
        "price": {"amount": 4900, "currency": "EUR"},
        "compare_at": None,
        "price_varies": True,
        "available": True,
        "brand": "Acme",
        "category": "lamps",
    }
    assert told["facets"][0] == {
        "code": "price",
        "title": "Price",
        "values": [
            {"value": "2000-5000", "title": "€20.00 – €50.00", "count": 1},
            {"value": "10000-20000", "title": "€100.00 – €200.00", "count": 1},
        ],
    }


async def test_a_list_leads_to_its_next_page(http: httpx.AsyncClient) -> None:
    first = await http.get(PRODUCTS, params={"limit": 2, "filter": ["brand:acme", "brand:lumo"]})
    second = await http.get(first.links["next"]["url"])

    assert [card["slug"] for card in first.json()["items"]] == ["wooden-chair", "floor-lamp"]
    assert [card["slug"] for card in second.json()["items"]] == ["desk-lamp"]
    assert second.json()["next"] is None
    assert "next" not in second.links


async def test_a_list_is_narrowed_by_filters(http: httpx.AsyncClient) -> None:
    chosen = ["color:red", "material:oak", "price:-10000"]

    every = await http.get(PRODUCTS, params={"filter": chosen, "category": "", "cursor": ""})
    lamps = await http.get(PRODUCTS, params={"filter": chosen, "q": "lamp"})
    steel = await http.get(PRODUCTS, params={"filter": chosen, "q": "steel"})

    assert [card["slug"] for card in every.json()["items"]] == ["desk-lamp"]
    assert lamps.json()["items"] == every.json()["items"]
    assert steel.json()["items"] == []


async def test_a_page_can_be_kept_until_it_changes(shop: Bench, http: httpx.AsyncClient) -> None:
    first = await http.get(f"{PRODUCTS}/desk-lamp")
    tag = {"if-none-match": first.headers["etag"]}
    same = await http.get(f"{PRODUCTS}/desk-lamp", headers=tag)
    await shop.hear(stock(2, desk_lamp_1=1))
    changed = await http.get(f"{PRODUCTS}/desk-lamp", headers=tag)

    assert [one.status_code for one in (first, same, changed)] == [200, 304, 200]
    assert first.headers["cache-control"].startswith("public, max-age=")
    assert "stale-while-revalidate" in first.headers["cache-control"]
    assert "Banyan-Market" in first.headers["vary"]
    assert [one["left"] for one in changed.json()["variants"]] == [1, None]


async def test_a_page_is_told_in_the_market_and_language_of_the_visitor(
    http: httpx.AsyncClient,
) -> None:
    german = await http.get(f"{PRODUCTS}/desk-lamp", headers={"accept-language": "de-AT, en"})
    american = await http.get(f"{PRODUCTS}/desk-lamp", params={"market": "us"})

    assert german.json()["title"] == "Schreibtischlampe"
    assert german.headers["content-language"] == german.json()["locale"] == "de"
    assert american.headers["content-language"] == american.json()["locale"] == "en-US"
    assert american.json()["price"] == {"amount": 4900, "currency": "USD"}


@pytest.mark.parametrize(
    "path",
    [
        PRODUCTS,
        f"{PRODUCTS}/desk-lamp",
        f"{PRODUCTS}/desk-lamp/related",
        "/api/store/shelves",
        "/api/store/categories",
        "/api/store/suggestions",
    ],
)
@pytest.mark.parametrize(
    ("wishes", "locale"),
    [
        ({}, "fr"),
        ({"accept-language": "pl"}, "fr"),
        ({"accept-language": "pl, de-AT;q=0.8, fr;q=0.7"}, "de"),
        ({"accept-language": "en, de", "banyan-market": "us"}, "en-US"),
    ],
)
async def test_the_language_is_the_one_of_the_market_that_is_wished_for_most(
    shop: Bench, http: httpx.AsyncClient, path: str, wishes: dict[str, str], locale: str
) -> None:
    french = replace(EUROPE, locales=(Locale("fr"), Locale("de")), version=2)
    await shop.hear(MarketChanged(market=french))

    answer = await http.get(path, headers=wishes)

    assert answer.headers["content-language"] == answer.json()["locale"] == locale
    assert answer.headers["vary"] == "Accept-Language, Banyan-Market"


async def test_categories_and_suggestions_are_lists(http: httpx.AsyncClient) -> None:
    categories = await http.get("/api/store/categories")
    suggestions = await http.get("/api/store/suggestions", params={"q": "cha"})

    assert [one["slug"] for one in categories.json()["items"]] == ["home", "lamps", "chairs"]
    assert suggestions.json()["items"] == [
        {"kind": "category", "slug": "chairs", "title": "Chairs"},
        {"kind": "product", "slug": "wooden-chair", "title": "Wooden Chair"},
    ]
    assert "etag" in categories.headers
    assert "etag" in suggestions.headers


async def test_a_home_page_and_what_is_alike_have_the_shape_of_lists(
    http: httpx.AsyncClient,
) -> None:
    shelves = await http.get("/api/store/shelves", params={"limit": 1})
    alike = await http.get(f"{PRODUCTS}/desk-lamp/related", params={"limit": 1})

    newest, home = shelves.json()["items"]
    assert (newest["category"], newest["title"]) == (None, "New in")
    assert home["category"] == {
        "slug": "home",
        "title": "Home",
        "parent": None,
        "count": 3,
        "image": "/media/wooden-chair.svg",
    }
    assert [card["slug"] for card in home["cards"]] == ["wooden-chair"]
    assert [card["slug"] for card in alike.json()["items"]] == ["floor-lamp"]
    assert {"etag", "cache-control"} < set(shelves.headers)


async def test_a_sitemap_is_told_in_parts_that_can_be_fetched_at_once(
    http: httpx.AsyncClient,
) -> None:
    path = "/api/store/sitemap"
    first = await http.get(path, params={"limit": 2})
    following = await http.get(first.links["next"]["url"])
    parts = (await http.get(f"{path}/parts", params={"limit": 2})).json()["items"]
    fetched = [
        await http.get(path, params={"limit": 2, "cursor": part["cursor"]}) for part in parts
    ]

    assert [set(entry) for entry in first.json()["items"]] == [{"slug", "changed"}] * 2
    assert [entry["slug"] for entry in following.json()["items"]] == ["wooden-chair"]
    assert [one.json() for one in fetched] == [first.json(), following.json()]


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        (f"{PRODUCTS}/nothing/related", 404, "no_such_product"),
        ("/api/store/shelves?market=moon", 404, "unknown_market"),
        (f"{PRODUCTS}/nothing", 404, "no_such_product"),
        (f"{PRODUCTS}?category=nothing", 404, "no_such_category"),
        (f"{PRODUCTS}?market=moon", 404, "unknown_market"),
        ("/api/store/categories?market=moon", 404, "unknown_market"),
        ("/api/store/suggestions?market=moon", 404, "unknown_market"),
        (f"{PRODUCTS}?cursor=nonsense", 400, "bad_cursor"),
        (f"{PRODUCTS}?filter=price:cheap", 400, "bad_filter"),
        (f"{PRODUCTS}?filter=color", 400, "bad_request"),
        (f"{PRODUCTS}?sort=best", 400, "bad_request"),
        (f"{PRODUCTS}?limit=101", 400, "bad_request"),
        (f"{PRODUCTS}?q={'x' * 201}", 400, "bad_request"),
        (f"{PRODUCTS}?q=%00", 400, "bad_request"),
    ],
)
async def test_what_cannot_be_answered_is_refused_by_name(
    http: httpx.AsyncClient, asked: str, status: int, code: str
) -> None:
    refused = await http.get(asked)

    assert (refused.status_code, refused.json()["code"]) == (status, code)


async def test_only_an_operator_rebuilds(http: httpx.AsyncClient) -> None:
    stranger = await http.post(REBUILD)
    reader = await http.post(REBUILD, headers={"authorization": "Bearer reader"})
    operator = await http.post(REBUILD, headers={"authorization": "Bearer operator"})
    followed = await http.put(
        f"{REBUILD}/{operator.json()['id']}", headers={"authorization": "Bearer operator"}
    )

    assert [one.status_code for one in (stranger, reader, operator)] == [401, 403, 202]
    assert operator.json()["state"] == "done"
    assert followed.json() == operator.json()

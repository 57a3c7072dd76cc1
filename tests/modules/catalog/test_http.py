"""The HTTP face of the catalog."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from banyan.kernel.http import build
from banyan.kernel.security import Caller, Gate
from banyan.kernel.testing import Server, bench
from banyan.modules.catalog.module import module

PRODUCTS, CATEGORIES = "/api/admin/products", "/api/admin/categories"
ATTRIBUTES = "/api/admin/attributes"
SHIRT: dict[str, Any] = {
    "slug": "shirt",
    "title": "Shirt",
    "description": "<p onclick='x()'>Plain</p>",
    "options": [{"name": "Size", "values": ["S", "M"]}],
    "variants": [
        {"sku": "shirt-s", "options": {"Size": "S"}},
        {"sku": "shirt-m", "options": {"Size": "M"}},
    ],
}
CLOTHES = {"slug": "clothes", "title": {"en": "Clothes"}}
LENGTH = {"code": "length", "title": {"en": "Length"}, "kind": "number", "unit": "cm"}


class Porter(Gate):
    """Knows somebody who may do everything, and somebody who may only look."""

    async def caller(self, token: str) -> Caller | None:
        grants = {"merchant": "catalog:*", "reader": "catalog:read"}
        return Caller(subject=token, permissions=frozenset({grants[token]}))


@pytest.fixture
async def http(server: Server, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with bench(server, [module], folder=tmp_path) as shop:
        app: Any = build(
            shop.app.routes(),
            dependencies=shop.app.dependencies(),
            gate=Porter(),
            ready=shop.app.ready,
        )
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url="http://shop",
            headers={"authorization": "Bearer merchant"},
        ) as client:
            yield client


async def test_a_product_is_created_changed_published_and_retired(http: httpx.AsyncClient) -> None:
    created = await http.post(PRODUCTS, json=SHIRT)
    here = f"{PRODUCTS}/{created.json()['id']}"
    changed = await http.put(
        here, json={**SHIRT, "title": "Blue"}, headers={"if-match": created.headers["etag"]}
    )
    published = await http.post(f"{here}/publish", headers={"if-match": changed.headers["etag"]})
    retired = await http.post(f"{here}/retire")
    shown = await http.get(here)

    assert created.status_code == 201
    assert created.json()["description"] == "<p>Plain</p>"
    assert [one.status_code for one in (changed, published, retired, shown)] == [200] * 4
    assert [one.json()["state"] for one in (created, changed, published, retired)] == [
        "draft",
        "draft",
        "published",
        "retired",
    ]
    assert shown.json() == retired.json()
    assert shown.headers["etag"] == '"4"'
    assert shown.json()["title"] == "Blue"


async def test_a_product_is_not_changed_unseen(http: httpx.AsyncClient) -> None:
    created = await http.post(PRODUCTS, json=SHIRT)
    here = f"{PRODUCTS}/{created.json()['id']}"

    blind = await http.put(here, json=SHIRT)
    outdated = await http.put(here, json=SHIRT, headers={"if-match": '"7"'})
    unknown = await http.put(f"{PRODUCTS}/{UUID(int=1)}", json=SHIRT, headers={"if-match": "*"})

    assert (blind.status_code, outdated.status_code, unknown.status_code) == (428, 412, 404)
    assert outdated.json()["code"] == "stale_product"
    assert outdated.json()["version"] == 1


@pytest.mark.parametrize(
    ("wrong", "status", "pointer"),
    [
        ({"variants": [{"sku": "x"}]}, 422, "/variants/0/options/Size"),
        ({"attributes": {"height": 3}}, 422, "/attributes/height"),
        ({"categories": ["nowhere"]}, 422, "/categories/0"),
        ({"slug": "Not a slug"}, 400, "/slug"),
        ({"colour": "blue"}, 400, "/colour"),
        ({"version": 3}, 400, "/version"),
        ({"title": "a\0b"}, 400, "/title"),
        ({"variants": [{"sku": "x", "weight_grams": -1}]}, 400, "/variants/0/weight_grams"),
        ({"pictures": [{"url": "javascript:alert(1)"}]}, 400, "/pictures/0/url"),
    ],
)
async def test_what_is_wrong_with_a_product_is_told_by_its_place(
    http: httpx.AsyncClient, wrong: dict[str, Any], status: int, pointer: str
) -> None:
    refused = await http.post(PRODUCTS, json={**SHIRT, **wrong})

    told = refused.json()
    assert refused.status_code == status, told
    pointers = [told.get("pointer"), *(one["pointer"] for one in told.get("errors", ()))]
    assert pointer in pointers


async def test_a_slug_that_is_taken_is_told(http: httpx.AsyncClient) -> None:
    await http.post(PRODUCTS, json=SHIRT)

    refused = await http.post(PRODUCTS, json=SHIRT)

    assert refused.status_code == 409
    assert (refused.json()["what"], refused.json()["value"]) == ("sku", "shirt-m")


async def test_products_are_listed_by_the_page(http: httpx.AsyncClient) -> None:
    for number in range(5):
        await http.post(PRODUCTS, json={"slug": f"p-{number}", "title": f"Product {number}"})

    seen, address = [], f"{PRODUCTS}?limit=2&q=product"
    for _ in range(3):
        page = await http.get(address)
        seen += [one["slug"] for one in page.json()["items"]]
        address = page.links.get("next", {}).get("url", "")

    assert sorted(seen) == [f"p-{number}" for number in range(5)]
    assert not address
    assert (await http.get(PRODUCTS, params={"state": "published"})).json()["items"] == []
    assert (await http.get(PRODUCTS, params={"state": "lost"})).status_code == 400
    assert (await http.get(PRODUCTS, params={"cursor": "!"})).status_code == 400


async def test_a_repeated_post_with_its_key_creates_one_product(http: httpx.AsyncClient) -> None:
    key = {"idempotency-key": "once"}

    first = await http.post(PRODUCTS, json=SHIRT, headers=key)
    second = await http.post(PRODUCTS, json=SHIRT, headers=key)

    assert second.json() == first.json()
    assert second.headers["idempotent-replayed"] == "true"


@pytest.mark.parametrize(
    ("path", "new", "name", "change"),
    [
        (CATEGORIES, CLOTHES, "slug", {"title": {"en": "Clothes", "de": "Kleidung"}}),
        (ATTRIBUTES, LENGTH, "code", {"title": {"en": "Length"}, "kind": "number", "unit": "m"}),
    ],
)
async def test_categories_and_attributes_come_change_and_go(
    http: httpx.AsyncClient, path: str, new: dict[str, Any], name: str, change: dict[str, Any]
) -> None:
    here = f"{path}/{new[name]}"

    created = await http.post(path, json=new)
    again = await http.post(path, json=new)
    blind = await http.put(here, json=change)
    changed = await http.put(here, json=change, headers={"if-match": created.headers["etag"]})
    outdated = await http.put(here, json=change, headers={"if-match": created.headers["etag"]})
    shown = await http.get(here)
    listed = await http.get(path)
    kept = await http.delete(here, headers={"if-match": created.headers["etag"]})
    gone = await http.delete(here, headers={"if-match": changed.headers["etag"]})
    missing = await http.get(here)

    assert (created.status_code, again.status_code, again.json()["pointer"]) == (
        201,
        422,
        f"/{name}",
    )
    assert (blind.status_code, changed.status_code, outdated.status_code) == (428, 200, 412)
    assert shown.json() == changed.json() == {**new, **changed.json()}
    assert listed.json()["items"] == [shown.json()]
    assert (kept.status_code, gone.status_code, missing.status_code) == (412, 204, 404)


@pytest.mark.parametrize("path", [PRODUCTS, CATEGORIES, ATTRIBUTES])
async def test_who_may_only_look_changes_nothing(http: httpx.AsyncClient, path: str) -> None:
    reader = {"authorization": "Bearer reader"}

    looked = await http.get(path, headers=reader)
    wrote = await http.post(path, json={}, headers=reader)
    del http.headers["authorization"]
    nobody = await http.get(path)

    assert (looked.status_code, wrote.status_code, nobody.status_code) == (200, 403, 401)


async def test_products_are_sought_and_go_many_at_once(http: httpx.AsyncClient) -> None:
    first = (await http.post(PRODUCTS, json=SHIRT)).json()["id"]
    coat = SHIRT | {"slug": "coat", "title": "Coat", "variants": [{"sku": "coat"}], "options": []}
    second = (await http.post(PRODUCTS, json=coat)).json()["id"]

    page = await http.get(f"{PRODUCTS}/edited", params={"limit": 1})
    following = await http.get(page.links["next"]["url"])
    found = await http.get(f"{PRODUCTS}/edited", params={"q": "shirt-m", "state": "draft"})
    published = await http.post(f"{PRODUCTS}/publish", json={"products": [first, second]})
    none = await http.post(f"{PRODUCTS}/publish", json={"products": []})
    retired = await http.post(f"{PRODUCTS}/retire", json={"products": [second]})

    told = [*page.json()["items"], *following.json()["items"]]
    assert {one["product"]["slug"] for one in told} == {"shirt", "coat"}
    assert {"product", "at"} == set(told[0])
    assert [one["product"]["slug"] for one in found.json()["items"]] == ["shirt"]
    assert [one["state"] for one in published.json()["items"]] == ["published", "published"]
    assert none.status_code == 400
    assert [one["state"] for one in retired.json()["items"]] == ["retired"]

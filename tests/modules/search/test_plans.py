"""However many products there are, what shoppers ask for is found by indexes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import asyncpg
import pytest

from banyan.kernel.database import Database
from banyan.kernel.testing import Bench, Server
from banyan.kernel.transaction import Record
from banyan.modules.search.contract import Search
from tests.modules.search.examples import database, service

COPIES = 1000
OF_PRODUCTS = {"documents", "listings", "places", "products", "offers", "pricings", "stock"}
"""Tables that grow with the number of products."""

MANY = """
    INSERT INTO products SELECT md5(n || id::text)::uuid, version,
        ARRAY(SELECT unnest(skus) || '-' || n), categories, told, changed FROM products, copies;
    INSERT INTO documents SELECT md5(n || product::text)::uuid, slug || '-' || n, titles,
        sort_keys, image, image_alt, brand, category, facets, labels, glossary, languages, words,
        spelled, changed FROM documents, copies;
    INSERT INTO listings SELECT market, md5(n || product::text)::uuid, amount, compare_at,
        currency, varies, available FROM listings, copies;
    INSERT INTO pricings SELECT sku || '-' || n, version FROM pricings, copies;
    INSERT INTO offers SELECT sku || '-' || n, market, amount, compare_at, currency
        FROM offers, copies;
    INSERT INTO stock SELECT sku || '-' || n, version, available, backorder FROM stock, copies"""


class Explained:
    """Runs what a service asks for, and notes which tables it would read as a whole."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.whole: list[str] = []
        self.asked = 0

    async def one(self, sql: str, *values: object) -> Record | None:
        """Look at the plan that is made for all values, as the service's own."""
        async with self.db.begin() as tx:
            await tx.execute(f"PREPARE asked AS {sql}")
            nothing = f"({', '.join('NULL' for _ in values)})" if values else ""
            told = await tx.value(f"EXPLAIN (FORMAT JSON) EXECUTE asked{nothing}")
            await tx.execute("DEALLOCATE asked")
        self.asked += 1
        self.whole += [one for one in read_whole(told[0]["Plan"]) if one in OF_PRODUCTS]
        return await self.db.one(sql, *values)

    async def all(self, sql: str, *values: object) -> list[Record]:
        """Do the same for many rows."""
        await self.one(sql, *values)
        return await self.db.all(sql, *values)


def read_whole(plan: Mapping[str, Any]) -> Iterator[str]:
    """Name the tables that a plan reads from beginning to end."""
    if plan["Node Type"] == "Seq Scan":
        yield plan["Relation Name"]
    for below in plan.get("Plans", ()):
        yield from read_whole(below)


@pytest.fixture
async def explained(server: Server, shop: Bench, monkeypatch: pytest.MonkeyPatch) -> Explained:
    """Open a shop with thousands of products, known to the planner, and look at what is asked."""
    for statement in MANY.split(";"):
        copies = f"generate_series(1, {COPIES}) AS copies (n)"
        await database(shop).value(statement.replace("copies", copies))
    name = await database(shop).value("SELECT current_database()")
    administrator = await asyncpg.connect(server.address(name))
    for table in OF_PRODUCTS:
        await administrator.execute(f"ANALYZE search.{table}")
    await administrator.close()
    looking = Explained(database(shop))
    monkeypatch.setattr(service(shop), "db", looking)
    return looking


async def test_no_table_of_products_is_read_as_a_whole(shop: Bench, explained: Explained) -> None:
    search = shop.ask(Search)

    await search.find()
    await search.find(category="lamps")
    await search.find(category="lamps", sort="price")
    await search.find(q="desk lamp")
    await search.find(q="lamps", category="home")
    await search.find(q="dsek xyzzy")
    await search.suggest(q="la")
    await search.product_page(slug="desk-lamp")
    await search.related(slug="desk-lamp")
    await search.shelves()
    await search.categories()
    await search.sitemap(after="desk", limit=10)

    assert explained.asked == 12
    assert explained.whole == []


async def test_a_table_that_is_read_as_a_whole_is_noticed(explained: Explained) -> None:
    await explained.one("SELECT count(facets) FROM documents WHERE brand = $1::text", "Nord")

    assert explained.whole == ["documents"]

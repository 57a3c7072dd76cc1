"""Failures of other shops that search alone can prevent; names are the rows of the list."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from msgspec.structs import replace

from banyan.kernel.database import Database
from banyan.kernel.testing import Bench, Server, bench
from banyan.kernel.transaction import Record
from banyan.modules.catalog.contract import CategoriesChanged, ProductPublished
from banyan.modules.search import model
from banyan.modules.search.contract import NoSuchProduct, Search, Sort
from banyan.modules.search.module import module
from banyan.modules.search.sagas import BEFORE_ALL
from banyan.modules.search.store import lists, pages, shelves, sitemaps
from tests.modules.search.examples import (
    CHAIR,
    CHAIRS,
    DESK_LAMP,
    EUROPE,
    EVENTS,
    HOME,
    LAMPS,
    database,
    documents,
    prices,
    retired,
    service,
    stock,
)

PATIENCE = 5
"""How often a rebuild is given another minute, should the machine be busy."""
LARGE = {"documents", "listings", "offers", "places", "pricings", "products", "stock"}

# Told by hand, because so many events would take a while: 3,000 products, 30 in each category.
CATALOG = """
    INSERT INTO products (id, version, changed, skus, categories, told)
    SELECT lpad(to_hex(n), 32, '0')::uuid, 1, now(), ARRAY['sku-' || n], ARRAY['c-' || n % 100],
        jsonb_build_object('slug', 'p-' || n, 'title', 'Lamp ' || md5(n::text), 'brand', 'Acme',
            'description', 'Handmade', 'tags', '[]'::jsonb, 'translations', '{}'::jsonb,
            'attributes', '{}'::jsonb, 'categories', jsonb_build_array('c-' || n % 100),
            'pictures', '[]'::jsonb, 'options', '[]'::jsonb, 'variants',
            jsonb_build_array(jsonb_build_object('sku', 'sku-' || n, 'options', '{}'::jsonb)))
    FROM generate_series(1001, 4000) AS n;
    INSERT INTO categories (slug, path, title, position)
    SELECT 'c-' || n, ARRAY['c-' || n], '{}', n FROM generate_series(0, 99) AS n;
    INSERT INTO stock SELECT 'sku-' || n, 1, 5, false FROM generate_series(1001, 4000) AS n;
    INSERT INTO pricings SELECT 'sku-' || n, 1 FROM generate_series(1001, 4000) AS n;
    INSERT INTO offers
    SELECT 'sku-' || n, market, 1000 + n % 700, NULL, 'EUR'
    FROM generate_series(1001, 4000) AS n, unnest('{eu,us}'::text[]) AS market"""
MARKETS = """
    INSERT INTO markets SELECT 'm-' || n, 1, n, true, 'EUR', '{en}', true
    FROM generate_series(2, 1000) AS n;
    INSERT INTO offers SELECT 'sku-' || n, 'm-' || market, 5, NULL, 'EUR'
    FROM generate_series(1001, 1020) AS n, generate_series(2, 1000) AS market"""


@pytest.fixture
async def shop(server: Server, tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench(server, [module], folder=tmp_path) as made:
        await made.hear(*EVENTS)
        yield made


async def fill(shop: Bench, server: Server, statements: str) -> None:
    """Add facts by hand, make the documents, and let PostgreSQL learn what there is."""
    for statement in statements.split(";"):
        await database(shop).value(statement)
    rebuild = shop.app.ids.new()
    for _ in range(PATIENCE):
        rebuilt = await shop.ask(Search).rebuild(rebuild=rebuild)
        if rebuilt.state == "done":
            break
        await shop.pass_time(60)
    assert rebuilt.state == "done"
    name = await database(shop).value("SELECT current_database()")
    administrator = await asyncpg.connect(server.address(name))
    try:
        # What an earlier test has left in the indexes must not make them look dear.
        await administrator.execute("REINDEX SCHEMA search")
        await administrator.execute("VACUUM ANALYZE")
    finally:
        await administrator.close()


class Planned:
    """Asks the database as always, and notes which tables it read from end to end for it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.read_whole: set[str] = set()

    async def one(self, sql: str, *values: object) -> Record | None:
        """Return the first row."""
        await self._note(sql, *values)
        return await self.database.one(sql, *values)

    async def all(self, sql: str, *values: object) -> list[Record]:
        """Return all rows."""
        await self._note(sql, *values)
        return await self.database.all(sql, *values)

    async def value(self, sql: str, *values: object) -> Any:  # noqa: ANN401 - as the database does
        """Return the first column of the first row."""
        await self._note(sql, *values)
        return await self.database.value(sql, *values)

    async def _note(self, sql: str, *values: object) -> None:
        plan = await self.database.value(f"EXPLAIN (FORMAT JSON) {sql}", *values)
        self.read_whole |= {
            node["Relation Name"]
            for node in _nodes(plan[0]["Plan"])
            if node["Node Type"] == "Seq Scan"
        }


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for below in node.get("Plans", ()):
        yield from _nodes(below)


async def test_f4_f13_products_are_found_without_reading_the_others(
    server: Server, shop: Bench
) -> None:
    await fill(shop, server, CATALOG)
    planned = Planned(database(shop))

    row = await pages.product_page(planned, None, (), "p-1234", few=5)
    word = row["title"].split()[1]
    by_word = model.ask(word, None, {}, sort=None, market=None, wishes=(), limit=10)
    found = await lists.find(planned, by_word, counted=10_000)
    read_whole = {"a page or a query": planned.read_whole & LARGE}

    sorts: tuple[Sort, ...] = ("newest", "price", "-price", "title")
    for sort in sorts:
        planned = Planned(database(shop))
        first = model.ask("", "c-7", {}, sort=sort, market=None, wishes=(), limit=10)
        listed = await lists.find(planned, first, counted=10_000)
        second = model.turn_to(first, model.found(first, listed).next)
        listed_next = await lists.find(planned, second, counted=10_000)
        read_whole[sort] = planned.read_whole & LARGE
        assert (len(listed.hits), len(listed_next.hits)) == (11, 11)

    assert (row["slug"], len(found.hits)) == ("p-1234", 1)
    assert not any(read_whole.values()), read_whole


async def test_f4_what_is_shown_unasked_is_found_without_reading_all(
    server: Server, shop: Bench
) -> None:
    await fill(shop, server, CATALOG)
    planned = Planned(database(shop))

    shown = await shelves.shelves(planned, None, (), 4)
    alike = await shelves.related(planned, None, (), "p-1234", 8)
    tree = await pages.categories(planned, None, ())
    part = await sitemaps.entries(planned, "p-2", 10)

    shelved = {shelf.title: len(shelf.cards) for shelf in shown.items}
    assert (shelved.pop(""), shelved.pop("Home")) == (4, 3)
    assert (len(shelved), set(shelved.values())) == (100, {4})
    assert alike
    assert {card.category for card in alike.items} == {"c-34"}
    assert {one.count for one in tree.items if one.slug.startswith("c-")} == {30}
    assert len(part) == 10
    assert not planned.read_whole & LARGE


async def test_f9_a_thousand_markets_cost_a_visitor_nothing(server: Server, shop: Bench) -> None:
    await fill(shop, server, CATALOG + ";" + MARKETS)
    planned = Planned(database(shop))

    row = await pages.product_page(planned, "m-500", ("en",), "p-1007", few=5)
    first = model.ask("", None, {}, sort="price", market=row["market"], wishes=(), limit=10)
    listed = await lists.find(planned, first, counted=10_000)

    assert row["price"] == {"amount": 5, "currency": "EUR"}
    assert len(listed.hits) == 11
    assert planned.read_whole.isdisjoint({"markets", *LARGE})


async def test_f10_an_edit_touches_its_own_rows_only(shop: Bench) -> None:
    rows = (
        "SELECT product::text || xmin FROM documents "
        "UNION ALL SELECT product::text || market || xmin FROM listings"
    )
    before = {row[0] for row in await database(shop).all(rows)}

    await shop.hear(ProductPublished(product=replace(CHAIR, brand="Nord", version=2)))
    await shop.hear(prices(2, desk_lamp_1=4800))
    await shop.hear(stock(2, desk_lamp_1=2))
    renamed = replace(CHAIRS, position=9)
    await shop.hear(CategoriesChanged(categories=(HOME, LAMPS, renamed), version=2))

    after = {row[0] for row in await database(shop).all(rows)}
    changed = {row[:36] for row in after - before}
    assert changed == {str(CHAIR.id), str(DESK_LAMP.id)}
    assert len(after - before) == 3


async def test_f11_the_index_grows_with_products_and_with_nothing_else(shop: Bench) -> None:
    documents_before = await database(shop).value("SELECT count(*) FROM documents")

    for number in range(2, 8):
        market = replace(EUROPE, code=f"m-{number}", locales=(*EUROPE.locales, f"x{number}"))
        await shop.hear(replace(EVENTS[0], market=market))

    assert await database(shop).value("SELECT count(*) FROM documents") == documents_before == 3
    assert await database(shop).value("SELECT count(*) FROM listings") == 6


async def test_u9_a_rebuild_brings_nothing_back_that_is_gone(shop: Bench) -> None:
    await shop.hear(
        retired(CHAIR),
        ProductPublished(product=replace(DESK_LAMP, slug="task-lamp", version=2)),
        CategoriesChanged(categories=(HOME, replace(LAMPS, slug="lights")), version=2),
    )
    expected = await documents(shop)

    rebuilt = await shop.ask(Search).rebuild(rebuild=UUID(int=1))

    assert (rebuilt.state, rebuilt.corrected) == ("done", 0)
    assert await documents(shop) == expected
    for gone in ("wooden-chair", "desk-lamp"):
        with pytest.raises(NoSuchProduct):
            await shop.ask(Search).product_page(slug=gone)


async def test_u9_a_rebuild_is_seen_all_at_once_and_ends_as_the_events_do(shop: Bench) -> None:
    undertaking = service(shop).make_anew
    expected = await documents(shop)
    await database(shop).value("UPDATE documents SET brand = 'Wrong', facets = '{}'")
    wrong = await documents(shop)

    await undertaking.begin()
    await undertaking.make(after=BEFORE_ALL)
    during = await documents(shop)
    corrected = await undertaking.change_places()

    assert during == wrong
    assert corrected == 3
    assert await documents(shop) == expected

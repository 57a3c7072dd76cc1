"""Failures of other shops that the catalog alone can prevent; names are the rows of the list."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

import asyncpg
import pytest
from msgspec.structs import replace

from banyan.kernel.database import Database
from banyan.kernel.link import Link
from banyan.kernel.testing import Bench, Server, bench
from banyan.kernel.transaction import Record
from banyan.modules.catalog import store
from banyan.modules.catalog.contract import Attribute, Catalog, ProductPublished
from banyan.modules.catalog.module import module
from tests.modules.catalog.examples import EN, SHIRT, product


@pytest.fixture
async def shop(server: Server, link: Link, tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench(server, [module], folder=tmp_path, link=link) as made:
        yield made


async def test_f1_a_product_with_a_thousand_variants_is_changed_and_read_at_once(
    shop: Bench,
) -> None:
    catalog = shop.ask(Catalog)
    large = replace(product(1, skus=1000), state="published")
    await catalog.save(products=(large,))

    begun = perf_counter()
    await catalog.save(products=(replace(large, title="Changed"),))
    changed = perf_counter()
    found = await catalog.product(product=large.id)
    read = perf_counter()

    assert (found.title, len(found.variants)) == ("Changed", 1000)
    assert changed - begun < 1
    assert read - changed < 0.2


class Explained:
    """Asks the database how it would run each statement."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.plans: dict[str, str] = {}

    async def all(self, sql: str, *values: object) -> list[Record]:
        """Keep the plan, and find nothing."""
        plan = await self.database.all(f"EXPLAIN {sql}", *values)
        self.plans[sql] = "\n".join(row[0] for row in plan)
        return []

    async def one(self, sql: str, *values: object) -> Record | None:
        """Explain what would find a row."""
        await self.all(sql, *values)
        return None

    async def value(self, sql: str, *values: object) -> object:
        """Explain what would find a value."""
        return await self.one(sql, *values)


MANY = """
    INSERT INTO catalog.products
    SELECT id, 'p-' || n, 'Product ' || n, CASE n % 100 WHEN 0 THEN 'draft' ELSE 'published' END,
        '', '', 'standard', '{}', '{}', '{}', '[]', jsonb_build_array(jsonb_build_object('sku', n)),
        '[]', '{}', 1, now() - n * interval '1 second',
        concat_ws(chr(10), 'Product ' || n, 'p-' || n, 'p-' || n || '-s')
    FROM (SELECT n, md5(n::text)::uuid AS id FROM generate_series(1, 50000) AS n) AS numbered;
    INSERT INTO catalog.claims SELECT 'slug', slug, id FROM catalog.products;
    INSERT INTO catalog.claims SELECT 'sku', slug || '-s', id FROM catalog.products;
    ANALYZE catalog.products, catalog.claims
"""


async def test_f4_and_f14_nothing_reads_or_counts_the_whole_catalog(
    server: Server, tmp_path: Path
) -> None:
    async with bench(server, [module], folder=tmp_path) as shop:
        explained = Explained(shop.app.rooms["catalog"].database)
        name = await explained.database.value("SELECT current_database()")
        administrator = await asyncpg.connect(server.address(name))
        await administrator.execute(MANY)
        await administrator.close()
        somewhere = product(2**127).id

        await store.products(explained, [somewhere])
        await store.products_with(explained, ["p-7"], ["p-8-s"])
        await store.products_after(explained, somewhere, 24)
        await store.products_in_state(explained, "draft", somewhere, 24)
        await store.products_like(explained, "4711", None, somewhere, 24)
        await store.edited(explained, [], None, None, None, 24)
        await store.edited(
            explained, [], "draft", None, (datetime(2026, 1, 1, tzinfo=UTC), somewhere), 24
        )
        await store.edited(explained, ["4711", "4712"], None, None, None, 24)

    assert len(explained.plans) == 8
    for sql, plan in explained.plans.items():
        assert "Seq Scan" not in plan, f"{sql}\n{plan}"
        assert "count(" not in sql.lower()


async def test_u7_a_new_attribute_needs_no_change_of_the_schema(shop: Bench) -> None:
    catalog = shop.ask(Catalog)
    weight = Attribute(code="weight", title={EN: "Weight"}, kind="number", unit="kg", facet=True)

    run = shop.watch()
    await catalog.save_attribute(attribute=weight)
    (saved,) = await catalog.save(products=(replace(SHIRT, attributes={"weight": 0.25}),))

    assert saved.attributes == {"weight": 0.25}
    assert not [sql for _, sql in run if sql.startswith(("ALTER", "CREATE", "DROP"))]


async def test_e4_a_change_is_told_once_and_no_change_not_at_all(shop: Bench) -> None:
    catalog = shop.ask(Catalog)
    many = tuple(replace(product(n), state="published") for n in range(1, 101))

    await catalog.save(products=many)
    await catalog.save(products=(replace(many[0], title="Changed"), *many[1:]))

    assert len(await shop.told(ProductPublished)) == 101

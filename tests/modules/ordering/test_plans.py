"""However many orders, carts and goods there are, they are found by indexes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import asyncpg

from banyan.kernel.database import Database
from banyan.kernel.testing import Server
from banyan.modules.ordering.store import carts, figures, orders
from banyan.modules.ordering.store.orders import Sought
from banyan.vocabulary import MarketCode
from tests.modules.ordering.conftest import CART, Shop

DAY = timedelta(days=1)

MANY = """
    INSERT INTO orders (id, number, state, cart, market, locale, currency, email, shipping_address,
        billing_address, shipping_method, lines, totals, total, payment, placed_at, confirmed_at)
    SELECT lpad(to_hex(n), 32, '0')::uuid, n, 'confirmed', gen_random_uuid(), 'm-' || n % 50, 'en',
        'EUR', 'shopper-' || n || '@example.com', '{}', '{}', '', '[]', '{}', n,
        gen_random_uuid(), now() - n * interval '1 hour', now()
    FROM generate_series(5000, 9999) AS n;
    INSERT INTO carts (id, market, locale, currency, lines, totals, opened_at, changed_at)
    SELECT gen_random_uuid(), 'eu', 'en', 'EUR', '[]', '{}', now() - n * interval '1 hour', now()
    FROM generate_series(5000, 9999) AS n;
    INSERT INTO goods (sku, product, slug, title, words, image, options, weight_grams, for_sale,
        version)
    SELECT 'sku-' || n, gen_random_uuid(), 'p-' || n, 'P', '{}', '', '{}', n, true, 1
    FROM generate_series(5000, 5999) AS n"""


class Explained:
    """Keeps how the database was going to answer; of a list it finds nothing."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.plans: list[str] = []

    async def one(self, sql: str, *values: object) -> Any:  # noqa: ANN401 - as the database does
        """Return the first row."""
        await self._explain(sql, *values)
        return await self.database.one(sql, *values)

    async def all(self, sql: str, *values: object) -> Any:  # noqa: ANN401 - as the database does
        """Return all rows."""
        await self._explain(sql, *values)
        return []

    async def value(self, sql: str, *values: object) -> Any:  # noqa: ANN401 - as the database does
        """Return the first column of the first row."""
        await self._explain(sql, *values)
        return await self.database.value(sql, *values)

    async def _explain(self, sql: str, *values: object) -> None:
        rows = await self.database.all(f"EXPLAIN {sql}", *values)
        self.plans.append("\n".join(row[0] for row in rows))


async def fill(shop: Shop, server: Server) -> None:
    """Add thousands of rows, and let PostgreSQL learn what there is."""
    for statement in MANY.split(";"):
        await shop.service.db.value(statement)
    owner = await asyncpg.connect(
        server.address(await shop.service.db.value("SELECT current_database()"))
    )
    for table in ("orders", "carts", "goods"):
        await owner.execute(f"ANALYZE ordering.{table}")
    await owner.close()


async def test_what_a_cart_weighs_is_known_without_reading_all_goods(
    shop: Shop, server: Server
) -> None:
    await shop.filled(2)
    await fill(shop, server)
    explained = Explained(shop.service.db)

    cart, weight = await carts.cart_with_weight(explained, CART)

    assert (cart.id, weight) == (CART, 2 * 900)
    assert [plan for plan in explained.plans if "Seq Scan" in plan] == []


async def test_neither_a_list_nor_the_figures_read_every_order(shop: Shop, server: Server) -> None:
    await fill(shop, server)
    explained = Explained(shop.service.db)

    for sought in (
        Sought(),
        Sought(state="pending"),
        Sought(number="77"),
        Sought(email="Shopper-7000@example.com"),
        Sought(market=MarketCode("m-7")),
    ):
        await orders.orders(explained, sought, 25)
    newest = await shop.service.db.value("SELECT max(placed_at) FROM orders")
    await figures.figures(explained, newest - DAY, newest + DAY, "UTC", None)

    assert len(explained.plans) == 6
    assert [plan for plan in explained.plans if "Seq Scan" in plan] == []

"""What others have told, kept by version, and which products each fact concerns.

Events come in any order, twice and late: of each fact the highest version stays, so that the end
is the same whatever the way. What is not newer concerns no product.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from banyan.kernel.transaction import Record, Transaction
from banyan.modules.catalog.contract import Attribute, Category, Product
from banyan.modules.inventory.contract import StockLevel
from banyan.modules.pricing.contract import Market, PricesChanged
from banyan.vocabulary import ProductId

# The products of SKUs about which something newer was told: looked up one by one, because an index
# of arrays compares each product that it finds with all that it was asked for.
OF_NEWER = (
    "newer CROSS JOIN LATERAL "
    "(SELECT id FROM products WHERE told IS NOT NULL AND skus @> ARRAY[newer.sku]) AS concerned"
)


async def take_turns(tx: Transaction) -> None:
    """Let one writer at a time make documents.

    A document is made of several facts. Two writers that each see only their own fact would leave
    a document that knows one of them. And a batch of events touches rows in no order that could be
    sorted.
    """
    await tx.value("SELECT pg_advisory_xact_lock('documents'::regclass::oid::integer, 0)")


async def keep_products(tx: Transaction, products: Sequence[Product], now: datetime) -> list[UUID]:
    """Note products that shoppers can see."""
    rows = await tx.all(
        "INSERT INTO products (id, version, skus, categories, told, changed) "
        "SELECT DISTINCT ON (id) id, version, "
        "ARRAY(SELECT value ->> 'sku' FROM jsonb_array_elements(told -> 'variants')), "
        "ARRAY(SELECT jsonb_array_elements_text(told -> 'categories')), told, $4::timestamptz "
        "FROM unnest($1::uuid[], $2::bigint[], $3::jsonb[]) AS told (id, version, told) "
        "ORDER BY id, version DESC "
        "ON CONFLICT (id) DO UPDATE SET version = excluded.version, skus = excluded.skus, "
        "categories = excluded.categories, told = excluded.told, changed = excluded.changed "
        "WHERE products.version < excluded.version RETURNING id",
        [product.id for product in products],
        [product.version for product in products],
        products,
        now,
    )
    return _ids(rows)


async def forget_product(tx: Transaction, product: ProductId, version: int) -> list[UUID]:
    """Keep nothing of a product that shoppers can no longer see but its version."""
    rows = await tx.all(
        "INSERT INTO products (id, version) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE "
        "SET version = excluded.version, skus = '{}', categories = '{}', told = NULL, "
        "changed = NULL "
        "WHERE products.version < excluded.version RETURNING id",
        product,
        version,
    )
    return _ids(rows)


async def keep_offers(tx: Transaction, changes: Sequence[PricesChanged]) -> list[UUID]:
    """Note what SKUs cost in every market; where there is no offer any more, it is forgotten."""
    rows = await tx.all(
        "WITH changes AS (SELECT * FROM jsonb_to_recordset($1) "
        "AS change (skus text[], offers jsonb, version bigint)), "
        "newer AS (INSERT INTO pricings AS known (sku, version) "
        "SELECT sku, max(version) FROM changes, unnest(skus) AS sku GROUP BY sku "
        "ON CONFLICT (sku) DO UPDATE SET version = excluded.version "
        "WHERE known.version < excluded.version RETURNING sku, version), "
        "offered AS MATERIALIZED (SELECT offer.*, version FROM changes, jsonb_to_recordset(offers) "
        "AS offer (sku text, market text, price jsonb, compare_at jsonb)), "
        "told AS (SELECT DISTINCT ON (sku, market) sku, market, "
        "(price -> 'amount')::bigint, (compare_at -> 'amount')::bigint, price ->> 'currency' "
        "FROM offered JOIN newer USING (sku, version) ORDER BY sku, market), "
        "gone AS (DELETE FROM offers USING newer WHERE offers.sku = newer.sku "
        "AND (offers.sku, market) NOT IN (SELECT sku, market FROM told)), "
        "kept AS (INSERT INTO offers (sku, market, amount, compare_at, currency) "
        "SELECT * FROM told ON CONFLICT (sku, market) DO UPDATE "
        "SET amount = excluded.amount, compare_at = excluded.compare_at, "
        f"currency = excluded.currency) SELECT DISTINCT id FROM {OF_NEWER}",
        changes,
    )
    if rows:  # A page shows the price of every variant, a listing only the lowest.
        tx.changed()
    return _ids(rows)


async def keep_stock(tx: Transaction, levels: Sequence[StockLevel], *, few: int) -> list[UUID]:
    """Note what can be sold of SKUs; where so few are left, everybody is shown how many."""
    rows = await tx.all(
        "WITH told AS (SELECT DISTINCT ON (sku) * FROM jsonb_to_recordset($1) "
        "AS level (sku text, version bigint, available bigint, backorder boolean) "
        "ORDER BY sku, version DESC), "
        "before AS (SELECT sku, stock.available FROM told JOIN stock USING (sku)), "
        "newer AS (INSERT INTO stock AS known (sku, version, available, backorder) "
        "SELECT * FROM told ON CONFLICT (sku) DO UPDATE SET version = excluded.version, "
        "available = excluded.available, backorder = excluded.backorder "
        "WHERE known.version < excluded.version RETURNING sku, available) "
        "SELECT id, bool_or(least(newer.available, coalesce(before.available, 0)) <= $2) AS few "
        f"FROM {OF_NEWER} LEFT JOIN before USING (sku) GROUP BY id",
        levels,
        few,
    )
    if any(row["few"] for row in rows):
        tx.changed()
    return _ids(rows)


async def keep_market(tx: Transaction, market: Market) -> bool:
    """Note a market; False when something newer is known of it."""
    return bool(
        await tx.value(
            "INSERT INTO markets AS known "
            "(code, version, position, open, currency, locales, tax_inclusive) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (code) DO UPDATE "
            "SET version = excluded.version, position = excluded.position, "
            "open = excluded.open, currency = excluded.currency, locales = excluded.locales, "
            "tax_inclusive = excluded.tax_inclusive WHERE known.version < excluded.version "
            "RETURNING true",
            market.code,
            market.version,
            market.position,
            market.open,
            market.currency,
            market.locales,
            market.tax_inclusive,
        )
    )


async def keep_version(tx: Transaction, what: str, version: int) -> bool:
    """Note the version of a list that is told as a whole; False when a newer one is known."""
    return bool(
        await tx.value(
            "INSERT INTO versions AS known (list, version) VALUES ($1, $2) "
            "ON CONFLICT (list) DO UPDATE SET version = excluded.version "
            "WHERE known.version < excluded.version RETURNING true",
            what,
            version,
        )
    )


async def keep_categories(
    tx: Transaction, tree: Sequence[Category], paths: Mapping[str, Sequence[str]]
) -> list[UUID]:
    """Note the whole tree, in its order.

    It concerns what is in a branch that was moved or has a new title.
    """
    rows = await tx.all(
        "WITH told AS (SELECT * FROM jsonb_to_recordset($1) "
        "AS told (slug text, path text[], title jsonb, position bigint)), "
        "gone AS (DELETE FROM categories WHERE slug NOT IN (SELECT slug FROM told)), "
        "kept AS (INSERT INTO categories (slug, path, title, position) SELECT * FROM told "
        "ON CONFLICT (slug) DO UPDATE "
        "SET path = excluded.path, title = excluded.title, position = excluded.position), "
        "changed AS (SELECT slug FROM told FULL JOIN categories AS known USING (slug) "
        "WHERE (told.path, told.title) IS DISTINCT FROM (known.path, known.title)), "
        "branches AS (SELECT slug FROM changed UNION SELECT slug FROM told "
        "WHERE path && ARRAY(SELECT slug FROM changed)) "
        "SELECT id FROM products WHERE products.told IS NOT NULL "
        "AND categories && ARRAY(SELECT slug FROM branches)",
        [
            {
                "slug": category.slug,
                "path": paths[category.slug],
                "title": category.title,
                "position": position,
            }
            for position, category in enumerate(tree)
        ],
    )
    return _ids(rows)


async def keep_attributes(tx: Transaction, attributes: Sequence[Attribute]) -> list[UUID]:
    """Note all attributes; it concerns what has one that became or was a facet, or is reworded."""
    rows = await tx.all(
        "WITH told AS (SELECT * FROM jsonb_to_recordset($1) "
        "AS told (code text, title jsonb, unit text, choices text[], words jsonb, facet boolean)), "
        "gone AS (DELETE FROM attributes WHERE code NOT IN (SELECT code FROM told)), "
        "kept AS (INSERT INTO attributes (code, title, unit, choices, glossary, facet) "
        "SELECT * FROM told ON CONFLICT (code) DO UPDATE "
        "SET title = excluded.title, unit = excluded.unit, choices = excluded.choices, "
        "glossary = excluded.glossary, facet = excluded.facet), "
        "changed AS (SELECT code FROM told FULL JOIN attributes AS known USING (code) "
        "WHERE coalesce(told.facet, false) <> coalesce(known.facet, false) "
        "OR coalesce(told.words, '{}') <> coalesce(known.glossary, '{}')) "
        "SELECT id FROM products WHERE products.told IS NOT NULL "
        "AND products.told -> 'attributes' ?| ARRAY(SELECT code FROM changed)",
        attributes,
    )
    return _ids(rows)


async def products_after(tx: Transaction, after: UUID, limit: int) -> list[UUID]:
    """List the products that can be seen, by id."""
    rows = await tx.all(
        "SELECT id FROM products WHERE id > $1 AND told IS NOT NULL ORDER BY id LIMIT $2",
        after,
        limit,
    )
    return _ids(rows)


def _ids(rows: Sequence[Record]) -> list[UUID]:
    return [row["id"] for row in rows]

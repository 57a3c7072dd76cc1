"""The SQL of the catalog: one function, one statement."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Literal

from banyan.kernel.database import convert, convert_all, where
from banyan.kernel.transaction import Statements, Transaction
from banyan.modules.catalog.contract import Attribute, Category, Edited, Product, ProductState
from banyan.modules.catalog.model import Claim
from banyan.vocabulary import ProductId

_PRODUCT = Product.__struct_fields__
PRODUCT = ", ".join(_PRODUCT)
NEW_PRODUCT = ", ".join(f"excluded.{name}" for name in _PRODUCT)
CATEGORY = "slug, title, parent, position, version"
ATTRIBUTE = "code, title, kind, unit, choices, words, facet, version"


async def claim(tx: Transaction, claims: Iterable[Claim]) -> int:
    """Note whom slugs and SKUs belong to, unless they have an owner, and tell how many had none.

    Whoever claims the same in this moment waits here for the other.
    """
    return await tx.execute(
        "INSERT INTO claims (what, value, product) "
        "SELECT * FROM unnest($1::text[], $2::text[], $3::uuid[]) ORDER BY 1, 2 "
        "ON CONFLICT DO NOTHING",
        *_columns(claims),
    )


async def first_clash(tx: Transaction, claims: Iterable[Claim]) -> Claim | None:
    """Find something that is claimed, but belongs to another product."""
    row = await tx.one(
        "SELECT what, value, wanted.product "
        "FROM unnest($1::text[], $2::text[], $3::uuid[]) AS wanted (what, value, product) "
        "JOIN claims USING (what, value) WHERE claims.product <> wanted.product "
        "ORDER BY what, value LIMIT 1",
        *_columns(claims),
    )
    return (row["what"], row["value"], ProductId(row["product"])) if row else None


async def lock_products(tx: Transaction, products: Sequence[ProductId]) -> dict[ProductId, Product]:
    """Read products that are about to change; others wait for us."""
    rows = await tx.all(
        f"SELECT {PRODUCT} FROM products WHERE id = ANY($1) ORDER BY id FOR UPDATE", products
    )
    return {product.id: product for product in convert_all(rows, Product)}


async def write_products(tx: Transaction, products: Sequence[Product], now: datetime) -> int:
    """Write the next version of products, and return of how many it was the next."""
    return await tx.execute(
        f"INSERT INTO products ({PRODUCT}, changed_at, words) "
        f"SELECT {PRODUCT}, $2, concat_ws(chr(10), title, ("
        "SELECT string_agg(value, chr(10)) FROM claims WHERE product = id)) "
        "FROM jsonb_populate_recordset(NULL::products, $1) "
        f"ON CONFLICT (id) DO UPDATE SET ({PRODUCT}, changed_at, words) = "
        f"({NEW_PRODUCT}, excluded.changed_at, excluded.words) "
        "WHERE products.version = excluded.version - 1",
        products,
        now,
    )


async def products(db: Statements, ids: Sequence[ProductId]) -> tuple[Product, ...]:
    """Read products."""
    rows = await db.all(f"SELECT {PRODUCT} FROM products WHERE id = ANY($1)", ids)
    return convert_all(rows, Product)


async def products_after(db: Statements, after: ProductId, limit: int) -> tuple[Product, ...]:
    """List products by id."""
    rows = await db.all(
        f"SELECT {PRODUCT} FROM products WHERE id > $1 ORDER BY id LIMIT $2", after, limit
    )
    return convert_all(rows, Product)


async def products_in_state(
    db: Statements, state: ProductState, after: ProductId, limit: int
) -> tuple[Product, ...]:
    """List the products in a state by id."""
    rows = await db.all(
        f"SELECT {PRODUCT} FROM products WHERE state = $1 AND id > $2 ORDER BY id LIMIT $3",
        state,
        after,
        limit,
    )
    return convert_all(rows, Product)


async def products_like(
    db: Statements, part: str, state: ProductState | None, after: ProductId, limit: int
) -> tuple[Product, ...]:
    """List the products with a part in their title, slug or SKUs, by id."""
    rows = await db.all(
        f"SELECT {PRODUCT} FROM products WHERE id > $3 AND ($2::text IS NULL OR state = $2) "
        "AND words ILIKE $1 ORDER BY id LIMIT $4",
        _part(part),
        state,
        after,
        limit,
    )
    return convert_all(rows, Product)


SOUGHT = {
    "q": "words ILIKE ({0}::text[])[1] AND words ILIKE ALL ({0}::text[])",
    "state": "state = {0}",
    "category": """categories && ARRAY(
        WITH RECURSIVE branch AS (
            SELECT slug FROM categories WHERE slug = {0}
            UNION SELECT below.slug FROM categories AS below JOIN branch ON parent = branch.slug)
        SELECT slug FROM branch)""",
    "before": "(changed_at, id) < (({0}::jsonb ->> 0)::timestamptz, ({0}::jsonb ->> 1)::uuid)",
}


async def edited(
    db: Statements,
    words: Sequence[str],
    state: ProductState | None,
    category: str | None,
    before: tuple[datetime, ProductId] | None,
    limit: int,
) -> tuple[Edited, ...]:
    """List products, those that changed last first; the longest word leads to them."""
    parts = [_part(word) for word in sorted(words, key=len, reverse=True)]
    sought = {"q": parts or None, "state": state, "category": category, "before": before}
    those, values = where(SOUGHT, sought)
    rows = await db.all(
        " ".join(
            (
                f"SELECT {PRODUCT}, changed_at FROM products",
                those,
                "ORDER BY changed_at DESC, id DESC LIMIT $1",
            )
        ),
        limit,
        *values,
    )
    return tuple(Edited(product=convert(row, Product), at=row["changed_at"]) for row in rows)


async def products_with(
    db: Statements, slugs: Sequence[str], skus: Sequence[str]
) -> tuple[Product, ...]:
    """Read the products that have one of these slugs, or have or had one of these SKUs."""
    rows = await db.all(
        f"SELECT {PRODUCT} FROM products WHERE id IN ("
        "SELECT id FROM products WHERE slug = ANY($1) "
        "UNION SELECT product FROM claims WHERE what = 'sku' AND value = ANY($2)) ORDER BY id",
        slugs,
        skus,
    )
    return convert_all(rows, Product)


async def revise(tx: Transaction, what: Literal["attributes", "categories"]) -> int:
    """Begin to change the tree or the attributes, and count it; others wait for us."""
    version: int = await tx.value(
        "UPDATE revisions SET version = version + 1 WHERE what = $1 RETURNING version", what
    )
    return version


async def categories(db: Statements) -> dict[str, Category]:
    """Read all categories."""
    rows = await db.all(f"SELECT {CATEGORY} FROM categories")
    return {category.slug: category for category in convert_all(rows, Category)}


async def keep_categories(tx: Transaction, slugs: Sequence[str]) -> set[str]:
    """Tell which of these categories there are; they stay until we have committed."""
    rows = await tx.all(
        "SELECT slug FROM categories WHERE slug = ANY($1) ORDER BY slug FOR KEY SHARE", slugs
    )
    return {row["slug"] for row in rows}


async def lock_category(tx: Transaction, slug: str) -> None:
    """Wait until nobody is busy putting products into a category that is about to go."""
    await tx.execute("SELECT FROM categories WHERE slug = $1 FOR UPDATE", slug)


async def is_category_used(tx: Transaction, slug: str) -> bool:
    """Tell whether a category has products."""
    return bool(
        await tx.value(
            "SELECT true FROM products "
            "WHERE categories @> ARRAY[$1] AND state <> 'retired' LIMIT 1",
            slug,
        )
    )


async def write_category(tx: Transaction, category: Category) -> None:
    """Write the next version of a category."""
    await tx.execute(
        f"INSERT INTO categories ({CATEGORY}) VALUES ($1, $2, $3, $4, $5) "
        "ON CONFLICT (slug) DO UPDATE SET title = $2, parent = $3, position = $4, version = $5",
        category.slug,
        category.title,
        category.parent,
        category.position,
        category.version,
    )


async def remove_category(tx: Transaction, slug: str) -> None:
    """Remove a category."""
    await tx.execute("DELETE FROM categories WHERE slug = $1", slug)


async def attributes(db: Statements) -> dict[str, Attribute]:
    """Read all attributes, by code."""
    rows = await db.all(f"SELECT {ATTRIBUTE} FROM attributes ORDER BY code")
    return {attribute.code: attribute for attribute in convert_all(rows, Attribute)}


async def keep_attributes(tx: Transaction, codes: Sequence[str]) -> dict[str, Attribute]:
    """Read attributes, which stay as they are until we have committed."""
    rows = await tx.all(
        f"SELECT {ATTRIBUTE} FROM attributes WHERE code = ANY($1) ORDER BY code FOR SHARE", codes
    )
    return {attribute.code: attribute for attribute in convert_all(rows, Attribute)}


async def lock_attribute(tx: Transaction, code: str) -> None:
    """Wait until nobody is busy with products that must fit an attribute as it was."""
    await tx.execute("SELECT FROM attributes WHERE code = $1 FOR UPDATE", code)


async def values_of_attribute(tx: Transaction, code: str) -> list[Any]:
    """Read what products say of an attribute, each value once."""
    rows = await tx.all(
        "SELECT DISTINCT attributes -> $1 AS value FROM products "
        "WHERE attributes ? $1 AND state <> 'retired'",
        code,
    )
    return [row["value"] for row in rows]


async def is_attribute_used(tx: Transaction, code: str) -> bool:
    """Tell whether products say something of an attribute."""
    return bool(
        await tx.value(
            "SELECT true FROM products WHERE attributes ? $1 AND state <> 'retired' LIMIT 1", code
        )
    )


async def write_attribute(tx: Transaction, attribute: Attribute) -> None:
    """Write the next version of an attribute."""
    await tx.execute(
        f"INSERT INTO attributes ({ATTRIBUTE}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) "
        "ON CONFLICT (code) DO UPDATE "
        "SET title = $2, kind = $3, unit = $4, choices = $5, words = $6, facet = $7, version = $8",
        attribute.code,
        attribute.title,
        attribute.kind,
        attribute.unit,
        attribute.choices,
        attribute.words,
        attribute.facet,
        attribute.version,
    )


async def remove_attribute(tx: Transaction, code: str) -> None:
    """Remove an attribute."""
    await tx.execute("DELETE FROM attributes WHERE code = $1", code)


async def strays(db: Statements) -> list[str]:
    """Find what products name, but do not own or what does not exist, a sentence each."""
    rows = await db.all(
        "SELECT p.slug AS product, what, named.value FROM products AS p CROSS JOIN LATERAL ("
        "SELECT 'slug' AS what, p.slug AS value UNION ALL "
        "SELECT 'sku', v ->> 'sku' FROM jsonb_array_elements(p.variants) AS v UNION ALL "
        "SELECT 'category', unnest(p.categories) WHERE p.state <> 'retired' UNION ALL "
        "SELECT 'attribute', jsonb_object_keys(p.attributes) WHERE p.state <> 'retired') AS named "
        "WHERE NOT CASE what "
        "WHEN 'category' THEN EXISTS (SELECT FROM categories AS c WHERE c.slug = named.value) "
        "WHEN 'attribute' THEN EXISTS (SELECT FROM attributes AS a WHERE a.code = named.value) "
        "ELSE EXISTS (SELECT FROM claims AS c "
        "WHERE (c.what, c.value, c.product) = (named.what, named.value, p.id)) END "
        "ORDER BY product, what, value"
    )
    return [
        f"product {row['product']} names the {row['what']} {row['value']}, "
        "which is not there or not its own"
        for row in rows
    ]


def _part(text: str) -> str:
    """Say in a pattern that this is a part of something."""
    return "%" + re.sub(r"([\\%_])", r"\\\1", text) + "%"


def _columns(claims: Iterable[Claim]) -> tuple[list[str], list[str], list[ProductId]]:
    claims = list(claims)
    return [c[0] for c in claims], [c[1] for c in claims], [c[2] for c in claims]

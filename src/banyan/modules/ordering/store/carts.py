"""Carts, and what they need to know of markets and goods: one function, one statement."""

from __future__ import annotations

from datetime import datetime

from banyan.kernel.database import Database, convert
from banyan.kernel.transaction import Record, Statements, Transaction
from banyan.modules.ordering.contract import Cart, UnknownCart
from banyan.modules.ordering.model import Good, Terms
from banyan.vocabulary import CartId, MarketCode, OrderId, Sku

CART = (
    "id, market, locale, currency, lines, totals, email, shipping_address, billing_address, "
    "shipping_method, order_id AS order, version"
)


async def terms(db: Statements, market: MarketCode | None) -> Terms | None:
    """Read what is known of an open market, or of the first one."""
    row = await db.one(
        "SELECT code, currency, tax_inclusive, locales FROM markets "
        "WHERE open AND ($1::text IS NULL OR code = $1) ORDER BY position, code LIMIT 1",
        market,
    )
    return convert(row, Terms) if row else None


async def add_cart(db: Database, cart: Cart, now: datetime) -> bool:
    """Write a new cart; False if there is one of this id."""
    made = await db.write(
        "INSERT INTO carts (id, market, locale, currency, lines, totals, opened_at, changed_at) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $7) ON CONFLICT DO NOTHING RETURNING true",
        cart.id,
        cart.market,
        cart.locale,
        cart.currency,
        cart.lines,
        cart.totals,
        now,
    )
    return made is not None


async def cart(db: Statements, cart: CartId) -> Cart:
    """Read a cart."""
    return _cart(cart, await db.one(f"SELECT {CART} FROM carts WHERE id = $1", cart))


async def cart_with_weight(db: Statements, cart: CartId) -> tuple[Cart, int]:
    """Read a cart, and what its lines weigh, in grams."""
    # One by one: nobody knows ahead how few lines there are, so a join would read all goods.
    row = await db.one(
        f"SELECT {CART}, (SELECT coalesce(sum((line -> 'quantity')::bigint * "
        "(SELECT weight_grams FROM goods WHERE sku = line ->> 'sku')), 0) "
        "FROM jsonb_array_elements(lines) AS line) AS weight FROM carts WHERE id = $1",
        cart,
    )
    return _cart(cart, row), int(row["weight"]) if row else 0


async def cart_with_good(db: Statements, cart: CartId, sku: Sku) -> tuple[Cart, Good | None]:
    """Read a cart, and what is known of a SKU in its open market."""
    row = await db.one(
        f"SELECT {CART}, (SELECT json_build_object('sku', g.sku, 'slug', slug, 'title', title, "
        "'words', words, 'image', image, 'options', options, 'for_sale', for_sale, "
        "'amount', (SELECT prices -> carts.market FROM offers WHERE sku = g.sku "
        "AND carts.market IN (SELECT code FROM markets WHERE open))) "
        "FROM goods AS g WHERE g.sku = $2) AS good FROM carts WHERE id = $1",
        cart,
        sku,
    )
    found = _cart(cart, row)
    good = row["good"] if row else None
    return found, convert(good, Good) if good else None


async def save_cart(db: Database, cart: Cart, now: datetime) -> Cart | None:
    """Write a changed cart and return it; None if somebody else has changed it meanwhile."""
    row = await db.write(
        "UPDATE carts SET lines = $2, totals = $3, email = $4, shipping_address = $5, "
        "billing_address = $6, shipping_method = $7, changed_at = $8, version = version + 1 "
        f"WHERE id = $1 AND version = $9 RETURNING {CART}",
        cart.id,
        cart.lines,
        cart.totals,
        cart.email,
        cart.shipping_address,
        cart.billing_address,
        cart.shipping_method,
        now,
        cart.version,
    )
    return convert(row, Cart) if row else None


def close_cart(tx: Transaction, cart: Cart, order: OrderId) -> None:
    """Give a cart to its order, unless somebody else has changed it meanwhile."""
    tx.put(
        "UPDATE carts SET order_id = $3, version = version + 1 WHERE id = $1 AND version = $2",
        cart.id,
        cart.version,
        order,
        rows=1,
    )


async def reopen_cart(tx: Transaction, order: OrderId) -> None:
    """Take a cart back from an order that came to nothing."""
    await tx.execute(
        "UPDATE carts SET order_id = NULL, version = version + 1 WHERE order_id = $1", order
    )


async def drop_abandoned(tx: Transaction, before: datetime, limit: int) -> int:
    """Drop carts that nobody has touched for long and nobody ordered."""
    return await tx.execute(
        "DELETE FROM carts WHERE id IN (SELECT id FROM carts WHERE order_id IS NULL "
        "AND changed_at < $1 ORDER BY changed_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
        before,
        limit,
    )


def _cart(cart: CartId, row: Record | None) -> Cart:
    if row is None:
        raise UnknownCart(cart=cart)
    return convert(row, Cart)

"""The SQL of ordering: one function, one statement."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from banyan.kernel.database import Record, Statements, Transaction, convert, convert_all
from banyan.modules.catalog.contract import Product
from banyan.modules.ordering.contract import (
    Action,
    Cart,
    Order,
    OrderState,
    UnknownCart,
    UnknownOrder,
)
from banyan.modules.ordering.model import Good, Terms
from banyan.modules.pricing.contract import Market, Offer
from banyan.vocabulary import CartId, MarketCode, OrderId, ProductId, Sku

CART = (
    "id, market, locale, currency, lines, totals, email, shipping_address, billing_address, "
    "shipping_method, order_id AS order, version"
)
ORDER = (
    "id, number::text AS number, state, cart, market, locale, currency, email, shipping_address, "
    "billing_address, shipping_method, lines, totals, payment, action, placed_at, confirmed_at, "
    "canceled_at, cancel_reason, version"
)


async def terms(db: Statements, market: MarketCode | None) -> Terms | None:
    """Read what is known of an open market, or of the first one."""
    row = await db.one(
        "SELECT code, currency, tax_inclusive, locales FROM markets "
        "WHERE open AND ($1::text IS NULL OR code = $1) ORDER BY position, code LIMIT 1",
        market,
    )
    return convert(row, Terms) if row else None


async def add_cart(tx: Transaction, cart: Cart, now: datetime) -> bool:
    """Write a new cart; False if there is one of this id."""
    return bool(
        await tx.value(
            "INSERT INTO carts (id, market, locale, currency, lines, totals, changed_at) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING RETURNING true",
            cart.id,
            cart.market,
            cart.locale,
            cart.currency,
            cart.lines,
            cart.totals,
            now,
        )
    )


async def cart(db: Statements, cart: CartId) -> Cart:
    """Read a cart."""
    return _cart(cart, await db.one(f"SELECT {CART} FROM carts WHERE id = $1", cart))


async def lock_cart(tx: Transaction, cart: CartId) -> Cart:
    """Read a cart that is about to change; others wait for us."""
    return _cart(cart, await tx.one(f"SELECT {CART} FROM carts WHERE id = $1 FOR UPDATE", cart))


async def lock_cart_with_good(tx: Transaction, cart: CartId, sku: Sku) -> tuple[Cart, Good | None]:
    """Read a cart that is about to change, and what is known of a SKU in its open market."""
    row = await tx.one(
        f"SELECT {CART}, (SELECT jsonb_build_object('sku', g.sku, 'slug', slug, 'title', title, "
        "'titles', titles, 'image', image, 'options', options, 'for_sale', for_sale, "
        "'amount', (SELECT prices -> carts.market FROM offers WHERE sku = g.sku "
        "AND carts.market IN (SELECT code FROM markets WHERE open))) "
        "FROM goods AS g WHERE g.sku = $2) AS good FROM carts WHERE id = $1 FOR UPDATE OF carts",
        cart,
        sku,
    )
    found = _cart(cart, row)
    good = row["good"] if row else None
    return found, convert(good, Good) if good else None


async def save_cart(tx: Transaction, cart: Cart, now: datetime) -> Cart:
    """Write a changed cart, and return it with its new version."""
    row = await tx.one(
        "UPDATE carts SET lines = $2, totals = $3, email = $4, shipping_address = $5, "
        "billing_address = $6, shipping_method = $7, changed_at = $8, version = version + 1 "
        f"WHERE id = $1 RETURNING {CART}",
        cart.id,
        cart.lines,
        cart.totals,
        cart.email,
        cart.shipping_address,
        cart.billing_address,
        cart.shipping_method,
        now,
    )
    return _cart(cart.id, row)


async def weight(db: Statements, skus: Sequence[Sku], quantities: Sequence[int]) -> int:
    """Add up what lines weigh, in grams."""
    return int(
        await db.value(
            "SELECT coalesce(sum(weight_grams * quantity), 0) "
            "FROM unnest($1::text[], $2::bigint[]) AS line (sku, quantity) JOIN goods USING (sku)",
            skus,
            quantities,
        )
    )


async def close_cart(tx: Transaction, cart: CartId, order: OrderId) -> None:
    """Give a cart to its order."""
    await tx.execute(
        "UPDATE carts SET order_id = $2, version = version + 1 WHERE id = $1", cart, order
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


async def add_order(tx: Transaction, order: Order) -> None:
    """Write a new order."""
    await tx.execute(
        "INSERT INTO orders (id, state, cart, market, locale, currency, email, shipping_address, "
        "billing_address, shipping_method, lines, totals, total, placed_at) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        order.id,
        order.state,
        order.cart,
        order.market,
        order.locale,
        order.currency,
        order.email,
        order.shipping_address,
        order.billing_address,
        order.shipping_method,
        order.lines,
        order.totals,
        order.totals.total.amount,
        order.placed_at,
    )


async def order(db: Statements, order: OrderId) -> Order:
    """Read an order."""
    return _order(order, await db.one(f"SELECT {ORDER} FROM orders WHERE id = $1", order))


async def lock_order(tx: Transaction, order: OrderId) -> Order:
    """Read an order that is about to change; others wait for us."""
    return _order(
        order, await tx.one(f"SELECT {ORDER} FROM orders WHERE id = $1 FOR UPDATE", order)
    )


async def save_order(tx: Transaction, order: Order) -> Order:
    """Write a changed order, and return it with its new version."""
    row = await tx.one(
        "UPDATE orders SET number = $2::text::bigint, state = $3, lines = $4, totals = $5, "
        "total = $6, payment = $7, action = $8, confirmed_at = $9, canceled_at = $10, "
        f"cancel_reason = $11, version = version + 1 WHERE id = $1 RETURNING {ORDER}",
        order.id,
        order.number,
        order.state,
        order.lines,
        order.totals,
        order.totals.total.amount,
        order.payment,
        order.action,
        order.confirmed_at,
        order.canceled_at,
        order.cancel_reason,
    )
    return _order(order.id, row)


async def set_action(tx: Transaction, order: OrderId, action: Action | None) -> None:
    """Say what the shopper has to do."""
    await tx.execute(
        "UPDATE orders SET action = $2, version = version + 1 WHERE id = $1 AND state = 'pending'",
        order,
        action,
    )


async def next_number(tx: Transaction) -> int:
    """Take the next order number; it is given back if the transaction fails."""
    return int(
        await tx.value("UPDATE numbers SET last = last + 1 WHERE series = 'orders' RETURNING last")
    )


async def orders(
    db: Statements,
    state: OrderState | None,
    number: str | None,
    before: OrderId | None,
    limit: int,
) -> tuple[Order, ...]:
    """List orders, newest first."""
    rows = await db.all(
        f"SELECT {ORDER} FROM orders WHERE ($1::text IS NULL OR state = $1) "
        "AND ($2::text IS NULL OR number::text = $2) AND ($3::uuid IS NULL OR id < $3) "
        "ORDER BY id DESC LIMIT $4",
        state,
        number,
        before,
        limit,
    )
    return convert_all(rows, Order)


async def states(db: Statements, orders: Sequence[OrderId]) -> dict[OrderId, OrderState]:
    """Read how far some orders are."""
    rows = await db.all("SELECT id, state FROM orders WHERE id = ANY($1)", orders)
    return {row["id"]: row["state"] for row in rows}


async def save_terms(tx: Transaction, market: Market) -> None:
    """Note what a market is like now, unless something newer is known."""
    await tx.execute(
        "INSERT INTO markets (code, currency, tax_inclusive, locales, position, open, version) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (code) DO UPDATE SET "
        "currency = excluded.currency, tax_inclusive = excluded.tax_inclusive, "
        "locales = excluded.locales, position = excluded.position, open = excluded.open, "
        "version = excluded.version WHERE markets.version < excluded.version",
        market.code,
        market.currency,
        market.tax_inclusive,
        list(market.locales),
        market.position,
        market.open,
        market.version,
    )


async def save_goods(tx: Transaction, product: Product) -> None:
    """Note what a product is like now, unless something newer is known."""
    image = product.pictures[0].url if product.pictures else ""
    titles = {locale: text.title for locale, text in product.translations.items() if text.title}
    variants = product.variants
    await tx.execute(
        "INSERT INTO goods (sku, product, slug, title, titles, image, options, weight_grams, "
        "for_sale, version) SELECT sku, $1, $2, $3, $4, $5, options, weight, true, $6 "
        "FROM unnest($7::text[], $8::jsonb[], $9::bigint[]) AS variant (sku, options, weight) "
        "ON CONFLICT (sku) DO UPDATE SET product = excluded.product, slug = excluded.slug, "
        "title = excluded.title, titles = excluded.titles, image = excluded.image, "
        "options = excluded.options, weight_grams = excluded.weight_grams, "
        "for_sale = excluded.for_sale, version = excluded.version "
        "WHERE goods.version < excluded.version",
        product.id,
        product.slug,
        product.title,
        titles,
        image,
        product.version,
        [variant.sku for variant in variants],
        [variant.options for variant in variants],
        [variant.weight_grams for variant in variants],
    )


async def retire_goods(
    tx: Transaction, product: ProductId, version: int, keep: Sequence[Sku] = ()
) -> None:
    """Sell no more of a product, apart from the SKUs to keep, unless something newer is known."""
    await tx.execute(
        "UPDATE goods SET for_sale = false, version = $2 "
        "WHERE product = $1 AND version < $2 AND sku <> ALL($3)",
        product,
        version,
        keep,
    )


async def bury_goods(
    tx: Transaction, product: ProductId, slug: str, skus: Sequence[Sku], version: int
) -> None:
    """Note SKUs that were never heard of as not for sale, so that late news cannot revive them."""
    await tx.execute(
        "INSERT INTO goods (sku, product, slug, title, titles, image, options, weight_grams, "
        "for_sale, version) SELECT sku, $1, $2, '', '{}', '', '{}', 0, false, $3 "
        "FROM unnest($4::text[]) AS sku ON CONFLICT DO NOTHING",
        product,
        slug,
        version,
        skus,
    )


async def save_offers(
    tx: Transaction, skus: Sequence[Sku], offers: Sequence[Offer], version: int
) -> None:
    """Note what SKUs cost now in every market, unless something newer is known."""
    prices: dict[Sku, dict[str, int]] = {sku: {} for sku in skus}
    for offer in offers:
        prices[offer.sku][offer.market] = offer.price.amount
    await tx.execute(
        "INSERT INTO offers (sku, prices, version) "
        "SELECT sku, prices, $3 FROM unnest($1::text[], $2::jsonb[]) AS told (sku, prices) "
        "ORDER BY sku ON CONFLICT (sku) DO UPDATE SET prices = excluded.prices, "
        "version = excluded.version WHERE offers.version < excluded.version",
        list(prices),
        list(prices.values()),
        version,
    )


def _cart(cart: CartId, row: Record | None) -> Cart:
    if row is None:
        raise UnknownCart(cart=cart)
    return convert(row, Cart)


def _order(order: OrderId, row: Record | None) -> Order:
    if row is None:
        raise UnknownOrder(order=order)
    return convert(row, Order)

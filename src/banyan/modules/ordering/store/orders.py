"""Orders: one function, one statement."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec.structs import asdict

from banyan.kernel.contract import Value
from banyan.kernel.database import convert, convert_all, where
from banyan.kernel.transaction import Record, Statements, Transaction
from banyan.modules.ordering.contract import Action, Order, OrderState, UnknownOrder
from banyan.vocabulary import MarketCode, OrderId, PaymentId

ORDER = (
    "id, number::text AS number, state, cart, market, locale, currency, email, shipping_address, "
    "billing_address, shipping_method, lines, totals, payment, action, placed_at, confirmed_at, "
    "canceled_at, cancel_reason, version"
)


def add_order(tx: Transaction, order: Order) -> None:
    """Write a new order."""
    tx.put(
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


async def confirm_order(
    tx: Transaction, order: OrderId, payment: PaymentId | None, now: datetime
) -> Order:
    """Let an order stand under the next number, which is given back if the transaction fails."""
    row = await tx.one(
        "WITH next AS (UPDATE numbers SET last = last + 1 WHERE series = 'orders' RETURNING last) "
        "UPDATE orders SET state = 'confirmed', number = last, payment = $2, action = NULL, "
        f"confirmed_at = $3, version = version + 1 FROM next WHERE id = $1 RETURNING {ORDER}",
        order,
        payment,
        now,
    )
    return _order(order, row)


class Sought(Value, frozen=True, kw_only=True):
    """Which orders are asked for: those for which all holds that is given."""

    state: OrderState | None = None
    number: str | None = None
    email: str | None = None
    market: MarketCode | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: OrderId | None = None


# After 9 comes a colon.
SOUGHT = {
    "state": "state = {}",
    "number": 'number::text COLLATE "C" >= {0} AND number::text COLLATE "C" < {0} || \':\'',
    "email": "lower(email) = lower({})",
    "market": "market = {}",
    "since": "placed_at >= {}",
    "until": "placed_at < {}",
    "before": "id < {}",
}


async def orders(db: Statements, sought: Sought, limit: int) -> tuple[Order, ...]:
    """List orders, newest first."""
    those, values = where(SOUGHT, asdict(sought))
    rows = await db.all(
        " ".join((f"SELECT {ORDER} FROM orders", those, "ORDER BY id DESC LIMIT $1")),
        limit,
        *values,
    )
    return convert_all(rows, Order)


async def states(db: Statements, orders: Sequence[OrderId]) -> dict[OrderId, OrderState]:
    """Read how far some orders are."""
    rows = await db.all("SELECT id, state FROM orders WHERE id = ANY($1)", orders)
    return {row["id"]: row["state"] for row in rows}


def _order(order: OrderId, row: Record | None) -> Order:
    if row is None:
        raise UnknownOrder(order=order)
    return convert(row, Order)

"""How business goes: orders and carts of a time, counted in one statement from two indexes."""

from __future__ import annotations

from datetime import datetime

from banyan.kernel.database import convert
from banyan.kernel.transaction import Statements
from banyan.modules.ordering.contract import Figures
from banyan.vocabulary import MarketCode

REVENUE = """
    coalesce(json_agg(json_build_object('amount', amount, 'currency', currency)
        ORDER BY currency) FILTER (WHERE amount IS NOT NULL), '[]')"""

FIGURES = f"""
    WITH sold AS MATERIALIZED (
        SELECT (placed_at AT TIME ZONE $3)::date AS day, currency,
            CASE WHEN state = 'canceled' AND confirmed_at IS NULL THEN 'failed' ELSE state END
                AS state,
            count(*) AS orders, sum(total) FILTER (WHERE state = 'confirmed') AS amount
        FROM orders
        WHERE placed_at >= $1 AND placed_at < $2 AND ($4::text IS NULL OR market = $4)
        GROUP BY 1, 2, 3
    ), kept AS (
        SELECT currency, sum(amount)::bigint AS amount,
            round(sum(amount) / sum(orders))::bigint AS average
        FROM sold WHERE state = 'confirmed' GROUP BY currency
    ), daily AS (
        SELECT day, sum(orders)::bigint AS orders, {REVENUE} AS revenue
        FROM (
            SELECT day, currency, sum(orders) AS orders, sum(amount) AS amount
            FROM sold GROUP BY day, currency) AS by_currency
        GROUP BY day
    )
    SELECT
        (SELECT json_build_object('placed', coalesce(sum(orders), 0),
            'pending', coalesce(sum(orders) FILTER (WHERE state = 'pending'), 0),
            'confirmed', coalesce(sum(orders) FILTER (WHERE state = 'confirmed'), 0),
            'canceled', coalesce(sum(orders) FILTER (WHERE state = 'canceled'), 0),
            'failed', coalesce(sum(orders) FILTER (WHERE state = 'failed'), 0))
        FROM sold) AS orders,
        (SELECT {REVENUE} FROM kept) AS revenue,
        (SELECT coalesce(json_agg(json_build_object('amount', average, 'currency', currency)
            ORDER BY currency), '[]') FROM kept) AS average,
        (SELECT json_build_object('opened', count(*),
            'filled', count(*) FILTER (WHERE stage >= 1),
            'addressed', count(*) FILTER (WHERE stage >= 2),
            'ordered', count(*) FILTER (WHERE stage >= 3))
        FROM carts
        WHERE opened_at >= $1 AND opened_at < $2 AND ($4::text IS NULL OR market = $4)) AS carts,
        (SELECT coalesce(json_agg(daily ORDER BY day), '[]') FROM daily) AS days"""


async def figures(
    db: Statements, since: datetime, until: datetime, zone: str, market: MarketCode | None
) -> Figures:
    """Count what happened in a time, by days of a zone that the database knows."""
    row = await db.one(FIGURES, since, until, zone, market)
    assert row, "one row always stands there"
    return convert(row, Figures)

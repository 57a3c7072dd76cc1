"""The SQL of pricing: one function, one statement."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from banyan.kernel.contract import Value
from banyan.kernel.database import convert, convert_all
from banyan.kernel.transaction import Statements, Transaction
from banyan.modules.catalog.contract import Product
from banyan.modules.pricing.contract import (
    Market,
    Offer,
    Price,
    PriceList,
    TaxRate,
    UnknownPriceList,
)
from banyan.modules.pricing.model import Terms
from banyan.vocabulary import MarketCode, Sku, UnknownMarket

MARKET = (
    "code, title, currency, countries, locales, tax_inclusive, rounding, position, open, version"
)
PRICE_LIST = "code, market, currency, title, priority, since, until, version"
TAX_RATE = "market, tax_class, country, region, millionths, name, version"

# What SKUs ($1) cost in each market at a moment ($2): the valid list of highest priority decides.
OFFERED = """
    SELECT DISTINCT ON (sku, market) sku, market, currency, amount, compare_at
    FROM prices JOIN price_lists ON code = price_list
    WHERE sku = ANY($1::text[]) AND valid @> $2::timestamptz
    ORDER BY sku, market, priority DESC, code"""

# How SKUs ($1) are taxed: the newer product decides while one moves from product to product.
CLASSED = """
    SELECT DISTINCT ON (sku) sku, tax_class FROM goods
    WHERE sku = ANY($1::text[]) ORDER BY sku, product DESC"""


class Turn(Value, frozen=True, kw_only=True):
    """The right to change prices: how they were when last told, and from when on we tell."""

    told_until: datetime
    now: datetime
    version: int


async def terms(
    db: Statements,
    market: MarketCode,
    skus: Sequence[Sku],
    now: datetime,
    *,
    country: str,
    region: str,
) -> Terms:
    """Read all that a quote is computed from, as it was at one moment."""
    row = await db.one(
        f"WITH offered AS ({OFFERED}), classed AS ({CLASSED}) SELECT to_json(m) AS market, "
        "to_json(ARRAY(SELECT rate FROM tax_rates AS rate WHERE rate.market = m.code "
        "AND country IN ('*', $4, m.countries[1]) AND region IN ('*', $5))) AS rates, "
        "to_json(ARRAY(SELECT one FROM ("
        "SELECT asked.sku, amount, coalesce(tax_class, 'standard') AS tax_class "
        "FROM unnest($1::text[]) AS asked (sku) LEFT JOIN classed ON classed.sku = asked.sku "
        "LEFT JOIN offered ON offered.sku = asked.sku AND market = $3) AS one)) AS goods "
        "FROM markets AS m WHERE code = $3 AND open",
        skus,
        now,
        market,
        country,
        region,
    )
    if row is None:
        raise UnknownMarket(market=market)
    return convert(row, Terms)


async def offers(db: Statements, skus: Sequence[Sku], moment: datetime) -> tuple[Offer, ...]:
    """Read what SKUs cost at a moment; a former price is shown only where it was higher."""
    rows = await db.all(
        f"WITH offered AS ({OFFERED}) SELECT sku, market, "
        "json_build_object('amount', amount, 'currency', currency) AS price, "
        "CASE WHEN compare_at > amount THEN "
        "json_build_object('amount', compare_at, 'currency', currency) END AS compare_at "
        "FROM offered ORDER BY sku, market",
        skus,
        moment,
    )
    return convert_all(rows, Offer)


async def take_turn(tx: Transaction, now: datetime) -> Turn:
    """Become the only one who changes prices until we commit; the time never runs backwards."""
    row = await tx.one(
        "UPDATE told SET until = greatest(told.until, $1), version = told.version + 1 "
        "FROM (SELECT until FROM told FOR UPDATE) AS before "
        "RETURNING before.until AS told_until, told.until AS now, told.version",
        now,
    )
    assert row, "the migration has put the row there"
    return convert(row, Turn)


async def concerned(
    tx: Transaction, turn: Turn, skus: Sequence[Sku], price_list: str | None
) -> list[Sku]:
    """Add to SKUs those of a list, and those of all lists whose window has opened or closed."""
    rows = await tx.all(
        "SELECT unnest($1::text[]) AS sku UNION "
        "SELECT sku FROM prices JOIN price_lists ON code = price_list WHERE code = $2 "
        "OR (valid @> $3::timestamptz) <> (valid @> $4::timestamptz)",
        skus,
        price_list,
        turn.told_until,
        turn.now,
    )
    return [row["sku"] for row in rows]


async def markets(db: Statements) -> tuple[Market, ...]:
    """Read all markets, open ones first."""
    rows = await db.all(f"SELECT {MARKET} FROM markets ORDER BY open DESC, position, code")
    return convert_all(rows, Market)


async def market(db: Statements, code: MarketCode) -> Market:
    """Read a market."""
    row = await db.one(f"SELECT {MARKET} FROM markets WHERE code = $1", code)
    if row is None:
        raise UnknownMarket(market=code)
    return convert(row, Market)


async def lock_market(tx: Transaction, code: MarketCode) -> Market | None:
    """Read a market that is about to change, itself or its lists and rates; others wait for us."""
    row = await tx.one(f"SELECT {MARKET} FROM markets WHERE code = $1 FOR UPDATE", code)
    return convert(row, Market) if row else None


async def save_market(tx: Transaction, market: Market) -> bool:
    """Write the next version of a market; False if somebody was faster to open it."""
    return bool(
        await tx.value(
            f"INSERT INTO markets ({MARKET}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) "
            "ON CONFLICT (code) DO UPDATE SET title = excluded.title, "
            "currency = excluded.currency, countries = excluded.countries, "
            "locales = excluded.locales, tax_inclusive = excluded.tax_inclusive, "
            "rounding = excluded.rounding, position = excluded.position, open = excluded.open, "
            "version = excluded.version WHERE markets.version = excluded.version - 1 "
            "RETURNING true",
            market.code,
            market.title,
            market.currency,
            market.countries,
            market.locales,
            market.tax_inclusive,
            market.rounding,
            market.position,
            market.open,
            market.version,
        )
    )


async def price_lists(
    db: Statements, market: MarketCode | None, after: str | None, limit: int | None
) -> tuple[PriceList, ...]:
    """List price lists by code."""
    rows = await db.all(
        f"SELECT {PRICE_LIST} FROM price_lists WHERE ($1::text IS NULL OR market = $1) "
        "AND ($2::text IS NULL OR code > $2) ORDER BY code LIMIT $3",
        market,
        after,
        limit,
    )
    return convert_all(rows, PriceList)


async def find_price_list(db: Statements, code: str) -> PriceList | None:
    """Read a price list, if it is there."""
    row = await db.one(f"SELECT {PRICE_LIST} FROM price_lists WHERE code = $1", code)
    return convert(row, PriceList) if row else None


async def save_price_list(tx: Transaction, price_list: PriceList) -> None:
    """Write a price list."""
    await tx.execute(
        f"INSERT INTO price_lists ({PRICE_LIST}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) "
        "ON CONFLICT (code) DO UPDATE SET title = excluded.title, priority = excluded.priority, "
        "since = excluded.since, until = excluded.until, version = excluded.version",
        price_list.code,
        price_list.market,
        price_list.currency,
        price_list.title,
        price_list.priority,
        price_list.since,
        price_list.until,
        price_list.version,
    )


async def remove_price_list(tx: Transaction, code: str) -> None:
    """Remove a price list, and its prices with it."""
    await tx.execute("DELETE FROM price_lists WHERE code = $1", code)


async def require_price_lists(tx: Transaction, codes: Sequence[str]) -> None:
    """Insist that price lists are there."""
    unknown = await tx.value(
        "SELECT code FROM unnest($1::text[]) AS asked (code) "
        "WHERE NOT EXISTS (SELECT FROM price_lists WHERE code = asked.code) ORDER BY code LIMIT 1",
        codes,
    )
    if unknown is not None:
        raise UnknownPriceList(price_list=unknown)


async def set_prices(tx: Transaction, prices: Sequence[Price]) -> int:
    """Write prices and return how many of them are new or different."""
    return await tx.execute(
        "INSERT INTO prices (price_list, sku, amount, compare_at) "
        "SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[]) "
        "ON CONFLICT (sku, price_list) DO UPDATE "
        "SET amount = excluded.amount, compare_at = excluded.compare_at "
        "WHERE (prices.amount, prices.compare_at) "
        "IS DISTINCT FROM (excluded.amount, excluded.compare_at)",
        [price.price_list for price in prices],
        [price.sku for price in prices],
        [price.amount for price in prices],
        [price.compare_at for price in prices],
    )


async def remove_prices(tx: Transaction, price_list: str, skus: Sequence[Sku]) -> int:
    """Remove prices from a list and return how many there were."""
    return await tx.execute(
        "DELETE FROM prices WHERE price_list = $1 AND sku = ANY($2)", price_list, skus
    )


async def prices_of(
    db: Statements,
    price_list: str | None,
    skus: Sequence[Sku],
    *,
    after: Sku | None,
    after_list: str | None,
    limit: int,
) -> tuple[Price, ...]:
    """List the prices of some SKUs by SKU and list; `~` comes after the code of any list."""
    rows = await db.all(
        "SELECT price_list, sku, amount, compare_at FROM prices WHERE sku = ANY($2) "
        "AND ($1::text IS NULL OR price_list = $1) "
        "AND (sku, price_list) > (coalesce($3, ''), coalesce($4, '~')) "
        "ORDER BY sku, price_list LIMIT $5",
        price_list,
        skus,
        after,
        after_list,
        limit,
    )
    return convert_all(rows, Price)


async def prices(
    db: Statements,
    price_list: str | None,
    *,
    after: Sku | None,
    after_list: str | None,
    limit: int,
) -> tuple[Price, ...]:
    """List all prices by SKU and list."""
    rows = await db.all(
        "SELECT price_list, sku, amount, compare_at FROM prices "
        "WHERE (sku, price_list) > (coalesce($2, ''), coalesce($3, '~')) "
        "AND ($1::text IS NULL OR price_list = $1) ORDER BY sku, price_list LIMIT $4",
        price_list,
        after,
        after_list,
        limit,
    )
    return convert_all(rows, Price)


async def tax_rates(db: Statements, market: MarketCode | None) -> tuple[TaxRate, ...]:
    """List tax rates."""
    rows = await db.all(
        f"SELECT {TAX_RATE} FROM tax_rates WHERE ($1::text IS NULL OR market = $1) "
        "ORDER BY market, tax_class, country, region",
        market,
    )
    return convert_all(rows, TaxRate)


async def find_tax_rate(
    db: Statements, market: MarketCode, tax_class: str, country: str, region: str
) -> TaxRate | None:
    """Read a tax rate, if it is there."""
    row = await db.one(
        f"SELECT {TAX_RATE} FROM tax_rates "
        "WHERE (market, tax_class, country, region) = ($1, $2, $3, $4)",
        market,
        tax_class,
        country,
        region,
    )
    return convert(row, TaxRate) if row else None


async def save_tax_rate(tx: Transaction, rate: TaxRate) -> None:
    """Write a tax rate."""
    await tx.execute(
        f"INSERT INTO tax_rates ({TAX_RATE}) VALUES ($1, $2, $3, $4, $5, $6, $7) "
        "ON CONFLICT (market, tax_class, country, region) DO UPDATE SET "
        "millionths = excluded.millionths, name = excluded.name, version = excluded.version",
        rate.market,
        rate.tax_class,
        rate.country,
        rate.region,
        rate.millionths,
        rate.name,
        rate.version,
    )


async def remove_tax_rate(
    tx: Transaction, market: MarketCode, tax_class: str, country: str, region: str
) -> None:
    """Remove a tax rate."""
    await tx.execute(
        "DELETE FROM tax_rates WHERE (market, tax_class, country, region) = ($1, $2, $3, $4)",
        market,
        tax_class,
        country,
        region,
    )


async def learn_products(tx: Transaction, products: Sequence[Product]) -> None:
    """Keep how products are taxed, each unless we know something newer."""
    await tx.execute(
        "WITH told AS (SELECT DISTINCT ON (id) * FROM jsonb_to_recordset($1) "
        "AS told (id uuid, version bigint, tax_class text, skus text[]) "
        "ORDER BY id, version DESC), "
        "newer AS (INSERT INTO products AS known (id, version) SELECT id, version FROM told "
        "ON CONFLICT (id) DO UPDATE SET version = excluded.version "
        "WHERE known.version < excluded.version RETURNING id), "
        "learned AS (SELECT id, tax_class, skus FROM told JOIN newer USING (id)), "
        "gone AS (DELETE FROM goods USING learned WHERE product = id AND sku <> ALL(skus)) "
        "INSERT INTO goods (product, tax_class, sku) "
        "SELECT id, tax_class, unnest(skus) FROM learned "
        "ON CONFLICT (sku, product) DO UPDATE SET tax_class = excluded.tax_class",
        [
            {
                "id": product.id,
                "version": product.version,
                "tax_class": product.tax_class,
                "skus": [variant.sku for variant in product.variants],
            }
            for product in products
        ],
    )

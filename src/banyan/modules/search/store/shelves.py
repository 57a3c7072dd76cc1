"""Reading what is shown unasked: the shelves of the home page, and what is like a product."""

from __future__ import annotations

from collections.abc import Sequence

from banyan.kernel.database import convert
from banyan.kernel.transaction import Statements
from banyan.modules.search.contract import ProductCard, Shelf, Told
from banyan.modules.search.store.cards import ALWAYS, BRANCH, BRANCHES, CARD, SHOWN, TOLD
from banyan.modules.search.store.visits import VISIT

CARDS = f"SELECT json_agg(card) AS cards FROM shown CROSS JOIN LATERAL ({CARD}) AS card"

# Of each category the newest thousand are looked at, should few of them be for sale in the market.
SHELVES = f"""{VISIT}{BRANCHES}, shelves AS (
        SELECT -1 AS position, NULL::json AS category, '' AS title, cards
        FROM (
            WITH shown AS (
                SELECT {SHOWN} FROM visit, listings JOIN documents USING (product)
                WHERE listings.market = (SELECT market FROM visit)
                ORDER BY product DESC LIMIT $3)
            {CARDS}) AS newest
        UNION ALL
        SELECT position, (SELECT to_json(branch) FROM (SELECT {BRANCH}) AS branch), title, cards
        FROM branches CROSS JOIN LATERAL (
            WITH shown AS (
                SELECT {SHOWN} FROM (
                    SELECT product FROM places WHERE place = 'category:' || branches.slug
                    ORDER BY product DESC LIMIT 1000) AS newest
                JOIN listings USING (product) JOIN documents USING (product), visit
                WHERE listings.market = (SELECT market FROM visit)
                ORDER BY product DESC LIMIT $3)
            {CARDS}) AS newest
        WHERE parent IS NULL
    ), items AS (
        SELECT category, title, cards FROM shelves WHERE cards IS NOT NULL ORDER BY position
    ){TOLD}{ALWAYS}"""


async def shelves(
    db: Statements, market: str | None, wishes: Sequence[str], limit: int
) -> Told[Shelf]:
    """Read the newest products of all, and those of each category at the root."""
    row = await db.one(SHELVES, market, wishes, limit)
    assert row, "one row always stands there"
    return convert(row, Told[Shelf])


# The newest fifty of each place where the product stands are compared with it.
RELATED = f"""{VISIT}, this AS (
        SELECT product, category, facets FROM documents
        WHERE slug = $3 ORDER BY product DESC LIMIT 1
    ), near AS MATERIALIZED (
        SELECT DISTINCT near.product FROM this CROSS JOIN unnest(facets) AS own
        CROSS JOIN LATERAL (
            SELECT product FROM places WHERE place = own AND product <> this.product
            ORDER BY product DESC LIMIT 50) AS near
    ), shown AS (
        SELECT {SHOWN}
        FROM near JOIN listings USING (product) JOIN documents USING (product), visit
        WHERE listings.market = (SELECT market FROM visit)
        ORDER BY available DESC, (
            SELECT ROW(count(*) FILTER (WHERE starts_with(shared, 'category:')), count(*)) FROM (
                SELECT unnest(facets) INTERSECT SELECT unnest(facets) FROM this
            ) AS common (shared)) DESC, product DESC
        LIMIT $4
    ), items AS (
        SELECT card.* FROM shown CROSS JOIN LATERAL ({CARD}) AS card
    ){TOLD}, EXISTS (SELECT FROM this) AS known{ALWAYS}"""


async def related(
    db: Statements, market: str | None, wishes: Sequence[str], slug: str, limit: int
) -> Told[ProductCard] | None:
    """Read what is most like a product; None when there is no such product."""
    row = await db.one(RELATED, market, wishes, slug, limit)
    assert row, "one row always stands there"
    return convert(row, Told[ProductCard]) if row["known"] else None

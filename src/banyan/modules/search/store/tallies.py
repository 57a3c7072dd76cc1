"""How often each value occurs in a place, counted ahead: whoever lists a category counts nothing.

What is counted stands here once. Counts change by the difference between what was and what is,
in the statement that makes the difference, and the audit counts them anew.
"""

from __future__ import annotations

from banyan.kernel.transaction import Statements, Transaction

# Each value of each listing, once for each place where it is counted. Of '' each listing has one,
# and all stand in the place ''.
TOKENS = """
    SELECT market, place, token, coalesce(label, '') AS label, CASE
            WHEN glossary = '{}' OR label IS NULL THEN '{}'
            ELSE coalesce((
                SELECT jsonb_object_agg(locale, words -> label)
                FROM jsonb_each(glossary) AS known (locale, words) WHERE words ? label), '{}')
        END AS said"""
STANDING = """
    CROSS JOIN LATERAL (
        SELECT '' AS place
        UNION ALL
        SELECT facet FROM unnest(facets) AS facet WHERE starts_with(facet, 'category:')) AS places
    CROSS JOIN LATERAL (
        SELECT unnest(ARRAY['', 'available:' || available, 'price:' || price_step(amount)]), NULL
        UNION ALL
        SELECT unnest(facets), unnest(labels)) AS tokens (token, label)"""

TALLY = "market, place, token, label, said"
COUNTED = f"""
    SELECT {TALLY}, count(*) AS products
    FROM ({TOKENS} FROM listings JOIN documents USING (product) {STANDING}) AS standing
    GROUP BY {TALLY}"""

CHANGE = (
    f"INSERT INTO tallies ({TALLY}, products) SELECT {TALLY}, sum(more) FROM (SELECT standing.*, 1"
)
CHANGED = f"""
    ) AS changes (market, place, token, label, said, more)
    GROUP BY {TALLY} HAVING sum(more) <> 0
    ON CONFLICT (market, place, token, label, md5(said::text))
    DO UPDATE SET products = tallies.products + excluded.products"""

# For a statement that makes documents and their listings anew: of its products ($1) counts what is
# new, and no longer what they were when it began.
DOCUMENTS_TALLIED = f"""{CHANGE}
    FROM ({TOKENS} FROM listing JOIN document USING (product) {STANDING}) AS standing
    UNION ALL
    SELECT standing.*, -1
    FROM ({TOKENS} FROM listings JOIN documents USING (product) {STANDING}
        WHERE product = ANY($1)) AS standing
    {CHANGED}"""

# For one that makes listings only: of nearly all of them, what is counted stays the same.
MOVED = """
    SELECT market, product FROM (
        SELECT market, product, available, price_step(amount) AS step, 1 AS side FROM listing
        UNION ALL
        SELECT market, product, available, price_step(amount), -1 FROM listings
        WHERE product = ANY($1)) AS sides
    GROUP BY market, product, available, step HAVING sum(side) <> 0"""
LISTINGS_TALLIED = f"""WITH moved AS MATERIALIZED ({MOVED}) {CHANGE}
    FROM ({TOKENS} FROM listing JOIN documents USING (product) {STANDING}
        WHERE (market, product) IN (SELECT market, product FROM moved)) AS standing
    UNION ALL
    SELECT standing.*, -1
    FROM ({TOKENS} FROM listings JOIN documents USING (product) {STANDING}
        WHERE (market, product) IN (SELECT market, product FROM moved)) AS standing
    {CHANGED}"""


async def count_anew(tx: Transaction) -> None:
    """Count all there is; what nothing has any more is forgotten."""
    await tx.execute("DELETE FROM tallies")
    await tx.execute(f"INSERT INTO tallies ({TALLY}, products) {COUNTED}")


async def drifted(db: Statements) -> list[str]:
    """Find the places where something else is counted than what stands there."""
    rows = await db.all(
        f"SELECT DISTINCT market, place FROM (SELECT {TALLY}, products FROM tallies "
        f"WHERE products <> 0) AS told FULL JOIN ({COUNTED}) AS counted "
        f"USING ({TALLY}, products) WHERE told IS NULL OR counted IS NULL ORDER BY market, place"
    )
    return [
        f"{row['place'] or 'everywhere'} in {row['market']}: other products are counted than stand "
        "there"
        for row in rows
    ]

"""Documents that are being made anew beside those in use."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from banyan.kernel.transaction import Transaction
from banyan.modules.search.store.documents import (
    DOCUMENT,
    DOCUMENTS,
    LISTING,
    LISTINGS,
    REPLACE_DOCUMENT,
    REPLACE_LISTING,
    SPELLINGS,
)


async def make(tx: Transaction, products: Sequence[UUID]) -> None:
    """Make the shadows of products; what has one already was made of the same facts."""
    await tx.execute(
        f"WITH made AS (INSERT INTO shadow_documents ({DOCUMENT}) "
        f"SELECT {DOCUMENT} FROM ({DOCUMENTS}) AS made WHERE product = ANY($1) "
        "ON CONFLICT DO NOTHING) "
        f"INSERT INTO shadow_listings ({LISTING}) "
        f"SELECT {LISTING} FROM ({LISTINGS}) AS made WHERE product = ANY($1) "
        "ON CONFLICT DO NOTHING",
        products,
    )


async def change_places(tx: Transaction) -> int:
    """Put shadows in the place of what differs from them; return how many products it concerns."""
    tx.changed()
    return int(
        await tx.value(
            "WITH gone AS (DELETE FROM documents WHERE NOT EXISTS ("
            "SELECT FROM products WHERE id = product AND told IS NOT NULL) RETURNING product), "
            "unlisted AS (DELETE FROM listings USING shadow_documents AS made "
            "WHERE listings.product = made.product AND NOT EXISTS (SELECT FROM shadow_listings "
            "AS kept WHERE kept.product = made.product AND kept.market = listings.market) "
            "RETURNING made.product), "
            f"document AS (SELECT spelled FROM shadow_documents), spelled AS ({SPELLINGS}), "
            f"replaced AS (INSERT INTO documents ({DOCUMENT}) SELECT {DOCUMENT} "
            f"FROM shadow_documents {REPLACE_DOCUMENT} RETURNING product), "
            f"listed AS (INSERT INTO listings ({LISTING}) SELECT {LISTING} "
            f"FROM shadow_listings {REPLACE_LISTING} RETURNING product) "
            "SELECT count(*) FROM (SELECT product FROM gone UNION SELECT product FROM unlisted "
            "UNION SELECT product FROM replaced UNION SELECT product FROM listed) AS corrected"
        )
    )


async def clear(tx: Transaction) -> None:
    """Leave no shadow."""
    await tx.execute("DELETE FROM shadow_documents")


async def forget_spellings(tx: Transaction) -> None:
    """Forget the words that no document has any more."""
    await tx.execute(
        "DELETE FROM spellings WHERE spelling NOT IN ("
        "SELECT unnest(string_to_array(spelled, ' ')) FROM documents)"
    )

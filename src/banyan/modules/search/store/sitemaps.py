"""Reading what search engines are told: every product by its slug, from one index alone."""

from __future__ import annotations

from banyan.kernel.database import convert_all
from banyan.kernel.transaction import Statements
from banyan.modules.search.contract import Entry


async def entries(db: Statements, after: str, limit: int) -> tuple[Entry, ...]:
    """List what follows a slug."""
    rows = await db.all(
        "SELECT slug, changed FROM documents WHERE slug > $1 ORDER BY slug LIMIT $2", after, limit
    )
    return convert_all(rows, Entry)


async def parts(db: Statements, limit: int) -> tuple[str, ...]:
    """List the slugs after which parts of so many begin, in one pass."""
    rows = await db.all(
        "SELECT '' AS slug UNION ALL (SELECT slug FROM ("
        "SELECT slug, row_number() OVER by_slug AS place, lead(slug) OVER by_slug AS following "
        "FROM documents WINDOW by_slug AS (ORDER BY slug)) AS numbered "
        "WHERE place % $1 = 0 AND following IS NOT NULL ORDER BY slug)",
        limit,
    )
    return tuple(row["slug"] for row in rows)

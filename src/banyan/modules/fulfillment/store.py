"""The SQL of fulfillment: one function, one statement."""

from __future__ import annotations

from collections.abc import Sequence

from banyan.kernel.database import convert, convert_all
from banyan.kernel.transaction import Statements, Transaction
from banyan.modules.fulfillment.contract import ShippingMethod, Zone
from banyan.vocabulary import MarketCode

METHOD = "code, market, title, rates, position, active, version"
ZONE = "code, title, places, version"


async def offered(
    db: Statements, market: MarketCode, places: Sequence[str]
) -> tuple[tuple[ShippingMethod, ...], tuple[str, ...]]:
    """Read the active methods of a market, and the zones that any of these places lies in."""
    rows = await db.all(
        f"SELECT {METHOD}, ARRAY(SELECT zones.code FROM zones WHERE zones.places && $2::text[] "
        "ORDER BY zones.code) AS zones "
        "FROM methods WHERE market = $1 AND active ORDER BY position, code",
        market,
        places,
    )
    return convert_all(rows, ShippingMethod), tuple(rows[0]["zones"]) if rows else ()


async def methods(db: Statements, market: MarketCode | None) -> tuple[ShippingMethod, ...]:
    """Read all methods, of one market or of all."""
    rows = await db.all(
        f"SELECT {METHOD} FROM methods WHERE $1::text IS NULL OR market = $1 "
        "ORDER BY position, code",
        market,
    )
    return convert_all(rows, ShippingMethod)


async def method(db: Statements, code: str) -> ShippingMethod | None:
    """Read one method."""
    row = await db.one(f"SELECT {METHOD} FROM methods WHERE code = $1", code)
    return convert(row, ShippingMethod) if row else None


async def claim_code(tx: Transaction, kind: str, code: str) -> None:
    """Let nobody else save under this code meanwhile, even if nothing is there yet."""
    await tx.value("SELECT pg_advisory_xact_lock(hashtextextended($1 || ' ' || $2, 0))", kind, code)


async def save_method(tx: Transaction, method: ShippingMethod) -> None:
    """Create or replace a method."""
    await tx.execute(
        "INSERT INTO methods (code, market, title, rates, position, active, version) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (code) DO UPDATE SET "
        "market = excluded.market, title = excluded.title, rates = excluded.rates, "
        "position = excluded.position, active = excluded.active, version = excluded.version",
        method.code,
        method.market,
        method.title,
        method.rates,
        method.position,
        method.active,
        method.version,
    )


async def refer(tx: Transaction, method: str, zones: Sequence[str]) -> None:
    """Note which zones a method refers to, and no others."""
    await tx.execute(
        "WITH dropped AS (DELETE FROM references_to_zones "
        "WHERE method = $1 AND zone <> ALL($2::text[])) "
        "INSERT INTO references_to_zones (method, zone) SELECT $1, unnest($2::text[]) "
        "ON CONFLICT DO NOTHING",
        method,
        zones,
    )


async def hold_zones(tx: Transaction, codes: Sequence[str]) -> tuple[str, ...]:
    """Tell which zones there are, and let none of them be removed meanwhile."""
    rows = await tx.all(
        "SELECT code FROM zones WHERE code = ANY($1) ORDER BY code FOR KEY SHARE", codes
    )
    return tuple(row["code"] for row in rows)


async def zones(db: Statements) -> tuple[Zone, ...]:
    """Read all zones."""
    return convert_all(await db.all(f"SELECT {ZONE} FROM zones ORDER BY code"), Zone)


async def zone(db: Statements, code: str) -> Zone | None:
    """Read one zone."""
    row = await db.one(f"SELECT {ZONE} FROM zones WHERE code = $1", code)
    return convert(row, Zone) if row else None


async def zones_at(db: Statements, places: Sequence[str]) -> tuple[str, ...]:
    """Tell in which zones any of these places lies."""
    rows = await db.all("SELECT code FROM zones WHERE places && $1::text[] ORDER BY code", places)
    return tuple(row["code"] for row in rows)


async def save_zone(tx: Transaction, zone: Zone) -> None:
    """Create or replace a zone."""
    await tx.execute(
        "INSERT INTO zones (code, title, places, version) VALUES ($1, $2, $3, $4) "
        "ON CONFLICT (code) DO UPDATE SET title = excluded.title, places = excluded.places, "
        "version = excluded.version",
        zone.code,
        zone.title,
        zone.places,
        zone.version,
    )


async def lock_zone(tx: Transaction, code: str) -> bool:
    """Let no method begin to refer to a zone meanwhile; False if there is none."""
    return bool(await tx.value("SELECT true FROM zones WHERE code = $1 FOR UPDATE", code))


async def method_referring_to(tx: Transaction, zone: str) -> str | None:
    """Name a method that refers to a zone, if one does."""
    found: str | None = await tx.value(
        "SELECT method FROM references_to_zones WHERE zone = $1 ORDER BY method LIMIT 1", zone
    )
    return found


async def remove_zone(tx: Transaction, code: str) -> None:
    """Remove a zone."""
    await tx.execute("DELETE FROM zones WHERE code = $1", code)


async def misreferred(db: Statements) -> list[str]:
    """Find methods whose rows name other zones than are noted as referred to."""
    rows = await db.all(
        "SELECT code FROM methods WHERE ARRAY(SELECT DISTINCT row ->> 'zone' "
        "FROM jsonb_array_elements(rates) AS row WHERE row ->> 'zone' <> '' ORDER BY 1) <> "
        "ARRAY(SELECT zone FROM references_to_zones WHERE method = code ORDER BY 1) ORDER BY code"
    )
    return [row["code"] for row in rows]

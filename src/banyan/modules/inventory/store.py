"""The SQL of inventory: one function, one statement."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec.structs import replace

from banyan.kernel.database import convert, convert_all
from banyan.kernel.transaction import Statements, Transaction
from banyan.modules.inventory.contract import (
    Availability,
    Held,
    Level,
    Movement,
    Reservation,
    ReservationState,
    StockLevel,
    UnknownWarehouse,
    Warehouse,
)
from banyan.vocabulary import Sku

LEVEL = "sku, warehouse, on_hand, reserved, on_hand - reserved AS available, backorder, version"
WAREHOUSE = "code, title, country, position, active, version"
PLACED = ("sku", "warehouse", "quantity")
MOVED = ("id", *PLACED, "reason", "note")
RESERVATION = """
    SELECT id, state, expires_at, coalesce((
        SELECT json_agg(json_build_object(
            'sku', sku, 'warehouse', warehouse, 'quantity', quantity) ORDER BY sku, warehouse)
        FROM held WHERE reservation = reservations.id), '[]') AS held
    FROM reservations"""
KEEP = """
    WITH made AS (
        INSERT INTO reservations (id, state, expires_at)
        SELECT id, 'held', expires_at
        FROM unnest($1::uuid[], $2::timestamptz[]) AS made (id, expires_at)),
    kept AS (
        INSERT INTO held (reservation, sku, warehouse, quantity)
        SELECT * FROM unnest($3::uuid[], $4::text[], $5::text[], $6::bigint[])),
    change AS (
        SELECT sku, warehouse, sum(quantity)::bigint AS quantity
        FROM unnest($4::text[], $5::text[], $6::bigint[]) AS held (sku, warehouse, quantity)
        GROUP BY sku, warehouse),
    changed AS (
        UPDATE levels SET reserved = reserved + change.quantity, version = version + 1
        FROM change WHERE levels.sku = change.sku AND levels.warehouse = change.warehouse)
    SELECT sku,
        coalesce(sum(on_hand - reserved - coalesce(change.quantity, 0)) FILTER (WHERE active), 0)
            ::bigint AS available,
        coalesce(bool_or(backorder) FILTER (WHERE active), false) AS backorder,
        (sum(levels.version) + count(change.quantity))::bigint AS version
    FROM levels JOIN warehouses ON code = warehouse LEFT JOIN change USING (sku, warehouse)
    WHERE sku = ANY($4) GROUP BY sku ORDER BY sku"""


async def mark_released(tx: Transaction, reservation: UUID) -> bool:
    """Leave a mark where nothing was held yet; False if something was."""
    return bool(
        await tx.value(
            "INSERT INTO reservations (id, state) VALUES ($1, 'released') "
            "ON CONFLICT DO NOTHING RETURNING true",
            reservation,
        )
    )


async def lock_reservations(tx: Transaction, ids: Sequence[UUID]) -> dict[UUID, Reservation]:
    """Read those reservations that are known and about to change; others wait for us."""
    rows = await tx.all(f"{RESERVATION} WHERE id = ANY($1) ORDER BY id FOR UPDATE", ids)
    return {known.id: known for known in convert_all(rows, Reservation)}


async def lock_expired(tx: Transaction, now: datetime, limit: int) -> tuple[Reservation, ...]:
    """Read what has expired and nobody else is busy with."""
    rows = await tx.all(
        f"{RESERVATION} WHERE state = 'held' AND expires_at <= $1 "
        "ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED",
        now,
        limit,
    )
    return convert_all(rows, Reservation)


async def reservations(db: Statements, ids: Sequence[UUID]) -> tuple[Reservation, ...]:
    """Read reservations."""
    rows = await db.all(f"{RESERVATION} WHERE id = ANY($1) ORDER BY id", ids)
    return convert_all(rows, Reservation)


def allocate(tx: Transaction, ids: Sequence[UUID]) -> None:
    """Keep for good what is held, unless somebody else has given some of it up meanwhile."""
    tx.put(
        "UPDATE reservations SET state = 'allocated', expires_at = NULL "
        "WHERE id = ANY($1) AND state = 'held'",
        ids,
        rows=len(ids),
    )


async def set_state(tx: Transaction, ids: Sequence[UUID], state: ReservationState) -> None:
    """Move reservations on; what is not merely held any more does not expire."""
    await tx.execute(
        "UPDATE reservations SET state = $2, expires_at = NULL WHERE id = ANY($1)", ids, state
    )


async def lock_levels(
    tx: Transaction, skus: Sequence[Sku], *, for_sale: bool = False
) -> tuple[Level, ...]:
    """Read all that is there of some SKUs, in the order in which it is sold; others wait for us.

    What lies in a warehouse that is not active is there, but not for sale.
    """
    rows = await tx.all(
        f"SELECT {LEVEL} FROM (SELECT * FROM levels WHERE sku = ANY($1) "
        "ORDER BY sku, warehouse FOR UPDATE) AS locked "
        "JOIN (SELECT code, position, active FROM warehouses) AS place "
        "ON code = warehouse AND (active OR NOT $2) "
        "ORDER BY sku, position, warehouse",
        skus,
        for_sale,
    )
    return convert_all(rows, Level)


async def keep(tx: Transaction, made: Sequence[Reservation]) -> tuple[StockLevel, ...]:
    """Write down reservations and what they hold, count that as reserved, and add up what is left.

    All in one statement, which sees what was there before: the levels must be locked.
    """
    held = [(known.id, one) for known in made for one in known.held]
    rows = await tx.all(
        KEEP,
        *_columns(made, ("id", "expires_at")),
        [reservation for reservation, _ in held],
        *_columns([one for _, one in held], PLACED),
    )
    return convert_all(rows, StockLevel)


async def change_levels(
    tx: Transaction, changes: Sequence[Held], *, on_hand: int = 0, reserved: int = 0
) -> None:
    """Add quantities, times a factor, to what is on hand and to what is reserved."""
    await tx.execute(
        "UPDATE levels SET on_hand = on_hand + $4 * change.quantity, "
        "reserved = reserved + $5 * change.quantity, version = version + 1 "
        "FROM unnest($1::text[], $2::text[], $3::bigint[]) AS change (sku, warehouse, quantity) "
        "WHERE levels.sku = change.sku AND levels.warehouse = change.warehouse",
        *_columns(changes, PLACED),
        on_hand,
        reserved,
    )


async def lock_skus(tx: Transaction, skus: Sequence[Sku]) -> None:
    """Let nobody else add a first level of these SKUs meanwhile."""
    await tx.all(
        "SELECT pg_advisory_xact_lock(hashtextextended(sku, 0)) "
        "FROM (SELECT unnest($1::text[]) AS sku ORDER BY 1) AS sorted",
        skus,
    )


async def add_levels(tx: Transaction, places: Sequence[tuple[Sku, str]]) -> None:
    """Make room for SKUs in warehouses where they have not been before."""
    await tx.execute(
        "INSERT INTO levels (sku, warehouse) SELECT * FROM unnest($1::text[], $2::text[]) "
        "ON CONFLICT DO NOTHING",
        [sku for sku, _ in places],
        [warehouse for _, warehouse in places],
    )


async def open_levels(tx: Transaction, counted: Sequence[Held]) -> None:
    """Note what is on hand where a SKU has not been before: nobody else may add it meanwhile."""
    await tx.execute(
        "INSERT INTO levels (sku, warehouse, on_hand) "
        "SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])",
        *_columns(counted, PLACED),
    )


MOVE = """
    INSERT INTO movements (id, sku, warehouse, quantity, reason, note, at)
    SELECT *, $7::timestamptz FROM
    unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[])"""


async def record(
    tx: Transaction, movements: Sequence[Movement], now: datetime
) -> tuple[Movement, ...]:
    """Record what comes and goes by our own doing, under ids that nobody has had."""
    await tx.execute(MOVE, *_columns(movements, MOVED), now)
    return tuple(replace(one, at=now) for one in movements)


async def add_movements(
    tx: Transaction, movements: Sequence[Movement], now: datetime
) -> tuple[Movement, ...]:
    """Record what came and went; return what had not been recorded before."""
    rows = await tx.all(
        f"{MOVE} ON CONFLICT DO NOTHING RETURNING id", *_columns(movements, MOVED), now
    )
    fresh = {row["id"] for row in rows}
    return tuple(replace(one, at=now) for one in movements if one.id in fresh)


def _columns(values: Sequence[object], names: Sequence[str]) -> list[list[Any]]:
    return [[getattr(one, name) for one in values] for name in names]


async def movements_by_id(db: Statements, ids: Sequence[UUID]) -> tuple[Movement, ...]:
    """Read movements in the order in which they were recorded."""
    rows = await db.all(
        "SELECT id, sku, warehouse, quantity, reason, note, at FROM movements "
        "WHERE id = ANY($1) ORDER BY number",
        ids,
    )
    return convert_all(rows, Movement)


async def movements(
    db: Statements, sku: Sku | None, before: UUID | None, limit: int
) -> tuple[Movement, ...]:
    """List what came and went, newest first."""
    rows = await db.all(
        "SELECT id, sku, warehouse, quantity, reason, note, at FROM movements "
        "WHERE ($1::text IS NULL OR sku = $1) AND ($2::uuid IS NULL OR number < "
        "(SELECT number FROM movements WHERE id = $2)) ORDER BY number DESC LIMIT $3",
        sku,
        before,
        limit,
    )
    return convert_all(rows, Movement)


async def sellable(db: Statements, skus: Sequence[Sku]) -> tuple[StockLevel, ...]:
    """Add up what can be sold of SKUs in all active warehouses together."""
    rows = await db.all(
        "SELECT sku, coalesce(sum(on_hand - reserved) FILTER (WHERE active), 0)::bigint "
        "AS available, coalesce(bool_or(backorder) FILTER (WHERE active), false) AS backorder, "
        "sum(levels.version)::bigint AS version FROM levels JOIN warehouses ON code = warehouse "
        "WHERE sku = ANY($1) GROUP BY sku ORDER BY sku",
        skus,
    )
    return convert_all(rows, StockLevel)


async def availability(db: Statements, skus: Sequence[Sku]) -> tuple[Availability, ...]:
    """Add up what can be sold."""
    rows = await db.all(
        "SELECT asked.sku, coalesce(sum(on_hand - reserved), 0)::bigint AS available, "
        "coalesce(bool_or(backorder), false) AS backorder "
        "FROM unnest($1::text[]) WITH ORDINALITY AS asked (sku, place) "
        "LEFT JOIN (levels JOIN warehouses ON code = warehouse AND active) USING (sku) "
        "GROUP BY asked.sku, place ORDER BY place",
        skus,
    )
    return convert_all(rows, Availability)


async def levels(
    db: Statements, skus: Sequence[Sku], warehouse: str | None = None
) -> tuple[Level, ...]:
    """Read what is there of some SKUs."""
    rows = await db.all(
        f"SELECT {LEVEL} FROM levels WHERE sku = ANY($1) "
        "AND ($2::text IS NULL OR warehouse = $2) ORDER BY sku, warehouse",
        skus,
        warehouse,
    )
    return convert_all(rows, Level)


async def levels_after(
    db: Statements, after: Sku, prefix: str, warehouse: str | None, limit: int
) -> tuple[Level, ...]:
    """List what is there; a page ends with a whole SKU. No character comes after the last one."""
    rows = await db.all(
        f"SELECT {LEVEL} FROM levels WHERE sku IN (SELECT DISTINCT sku FROM levels "
        "WHERE sku > $1 AND sku >= $2 AND sku < $2 || chr(1114111) "
        "AND ($3::text IS NULL OR warehouse = $3) ORDER BY sku LIMIT $4) "
        "AND ($3::text IS NULL OR warehouse = $3) ORDER BY sku, warehouse",
        after,
        prefix,
        warehouse,
        limit,
    )
    return convert_all(rows, Level)


# Every level is added up: an index on what can be sold would have to follow each sale.
SCARCE = """
    SELECT sku, available, backorder
    FROM (
        SELECT sku, sum(on_hand - reserved)::bigint AS available, bool_or(backorder) AS backorder
        FROM levels JOIN warehouses ON code = warehouse AND active
        GROUP BY sku) AS total
    WHERE available <= $1 AND ($2::bigint IS NULL OR (available, sku) > ($2, $3::text))
    ORDER BY available, sku LIMIT $4"""


async def scarce(
    db: Statements, at_most: int, after: tuple[int, Sku] | None, limit: int
) -> tuple[Availability, ...]:
    """List that of which little can be sold."""
    rows = await db.all(SCARCE, at_most, *(after or (None, None)), limit)
    return convert_all(rows, Availability)


async def set_backorder(tx: Transaction, sku: Sku, warehouse: str, *, allowed: bool) -> None:
    """Say whether a SKU may be sold beyond what is there."""
    await tx.execute(
        "UPDATE levels SET backorder = $3, version = version + 1 WHERE sku = $1 AND warehouse = $2",
        sku,
        warehouse,
        allowed,
    )


async def save_warehouse(tx: Transaction, warehouse: Warehouse) -> Warehouse:
    """Create or replace a warehouse, and return it with its new version."""
    row = await tx.one(
        "INSERT INTO warehouses AS known (code, title, country, position, active) "
        "VALUES ($1, $2, $3, $4, $5) ON CONFLICT (code) DO UPDATE SET title = excluded.title, "
        "country = excluded.country, position = excluded.position, active = excluded.active, "
        f"version = known.version + 1 RETURNING {WAREHOUSE}",
        warehouse.code,
        warehouse.title,
        warehouse.country,
        warehouse.position,
        warehouse.active,
    )
    assert row
    return convert(row, Warehouse)


async def lock_warehouse(tx: Transaction, code: str) -> Warehouse | None:
    """Read a warehouse that is about to change; others wait for us."""
    row = await tx.one(f"SELECT {WAREHOUSE} FROM warehouses WHERE code = $1 FOR UPDATE", code)
    return convert(row, Warehouse) if row else None


async def warehouse(db: Statements, code: str) -> Warehouse:
    """Read a warehouse."""
    row = await db.one(f"SELECT {WAREHOUSE} FROM warehouses WHERE code = $1", code)
    if row is None:
        raise UnknownWarehouse(warehouse=code)
    return convert(row, Warehouse)


async def warehouses(db: Statements) -> tuple[Warehouse, ...]:
    """Read all warehouses."""
    rows = await db.all(f"SELECT {WAREHOUSE} FROM warehouses ORDER BY position, code")
    return convert_all(rows, Warehouse)


async def touch_levels(tx: Transaction, warehouse: str) -> list[Sku]:
    """Count a change of all that is in a warehouse, and return what that is."""
    rows = await tx.all(
        "UPDATE levels SET version = version + 1 WHERE warehouse = $1 RETURNING sku", warehouse
    )
    return [row["sku"] for row in rows]


DRIFT = """
    SELECT sku, warehouse, on_hand, reserved,
        coalesce((SELECT sum(quantity) FROM movements AS m
            WHERE m.sku = l.sku AND m.warehouse = l.warehouse), 0)::bigint AS moved,
        coalesce((SELECT sum(quantity) FROM held AS h JOIN reservations AS r ON r.id = h.reservation
            WHERE h.sku = l.sku AND h.warehouse = l.warehouse
            AND r.state IN ('held', 'allocated')), 0)::bigint AS kept
    FROM levels AS l"""


async def drift(db: Statements) -> list[str]:
    """Find levels that are not the sum of what moved and of what is kept."""
    rows = await db.all(f"SELECT * FROM ({DRIFT}) AS d WHERE on_hand <> moved OR reserved <> kept")
    return [
        f"{row['sku']} in {row['warehouse']}: on hand {row['on_hand']}, moved {row['moved']}; "
        f"reserved {row['reserved']}, kept {row['kept']}"
        for row in rows
    ]


async def mend_drift(tx: Transaction) -> tuple[Level, ...]:
    """Set levels to what the record says, and return those that were wrong as they are now."""
    rows = await tx.all(
        f"WITH mended AS (UPDATE levels SET on_hand = moved, reserved = kept, "
        f"version = version + 1 FROM ({DRIFT}) AS d WHERE levels.sku = d.sku "
        "AND levels.warehouse = d.warehouse AND (d.on_hand <> moved OR d.reserved <> kept) "
        f"RETURNING levels.*) SELECT {LEVEL} FROM mended ORDER BY sku, warehouse"
    )
    return convert_all(rows, Level)

"""The SQL of payments: one function, one statement."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from banyan.kernel.database import Database, convert, convert_all
from banyan.kernel.transaction import Statements, Transaction
from banyan.modules.payments.contract import (
    LedgerEntry,
    Transfer,
    TransferKind,
    UnknownPayment,
)
from banyan.modules.payments.model import Claim
from banyan.modules.payments.ports import Position, ProviderEvent
from banyan.vocabulary import OrderId, PaymentId

CLAIM = (
    'id, order_id AS "order", provider, state, currency, amount, reference, authorized, voided, '
    "capturing, captured, refunding, refunded, decline_reason, redirect_url, card_brand, "
    "card_last4, waiting_since, due_at, version"
)
TRANSFERS = """
    coalesce((
        SELECT json_agg(json_build_object(
            'id', t.id, 'kind', kind, 'state', t.state, 'reason', reason, 'failure', failure,
            'amount', json_build_object('amount', t.amount, 'currency', currency),
            'at', coalesce(settled_at, begun_at)) ORDER BY begun_at, kind, t.id)
        FROM transfers AS t WHERE t.payment = payments.id), '[]') AS transfers"""
HEAR = (
    "INSERT INTO webhooks AS w (provider, id, kind, payment, body, heard_at, settled_at) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7) "
    "ON CONFLICT (provider, id) DO UPDATE SET times = w.times + 1, "
    "settled_at = coalesce(w.settled_at, excluded.settled_at)"
)
ENTRY = "booking, account, amount, currency, payment, at"
POSITIONS = """
    SELECT payment, provider, currency, set_aside AS authorized, taken AS captured,
        -let_go - taken AS voided, -given_back AS refunded
    FROM (
        SELECT payment, provider, entries.currency,
            coalesce(sum(entries.amount) FILTER (
                WHERE account LIKE '%:authorized' AND entries.amount > 0), 0)::bigint AS set_aside,
            coalesce(sum(entries.amount) FILTER (
                WHERE account LIKE '%:authorized' AND entries.amount < 0), 0)::bigint AS let_go,
            coalesce(sum(entries.amount) FILTER (
                WHERE account LIKE '%:captured' AND entries.amount > 0), 0)::bigint AS taken,
            coalesce(sum(entries.amount) FILTER (
                WHERE account LIKE '%:captured' AND entries.amount < 0), 0)::bigint AS given_back
        FROM entries JOIN payments ON payments.id = payment
        WHERE starts_with(account, 'provider:')
        GROUP BY payment, provider, entries.currency
    ) AS moved"""


async def open_claim(db: Database, claim: Claim) -> bool:
    """Write a payment down as begun; False if its id is in use or its order has another."""
    opened = await db.write(
        "INSERT INTO payments (id, order_id, provider, currency, amount, state, "
        "waiting_since, due_at) VALUES ($1, $2, $3, $4, $5, 'pending', $6, $7) "
        "ON CONFLICT DO NOTHING RETURNING true",
        claim.id,
        claim.order,
        claim.provider,
        claim.currency,
        claim.amount,
        claim.waiting_since,
        claim.due_at,
    )
    return opened is not None


async def is_buried(db: Statements, payment: PaymentId) -> bool:
    """Tell whether a payment was voided before it was begun."""
    return bool(
        await db.value("SELECT true FROM payments WHERE id = $1 AND provider IS NULL", payment)
    )


async def lock_claim(tx: Transaction, payment: PaymentId) -> Claim:
    """Read a payment that is about to change, without its transfers; others wait for us."""
    row = await tx.one(
        f"SELECT {CLAIM} FROM payments WHERE id = $1 AND provider IS NOT NULL FOR UPDATE", payment
    )
    if row is None:
        raise UnknownPayment(payment=payment)
    return convert(row, Claim)


async def lock_or_bury(tx: Transaction, payment: PaymentId) -> Claim | None:
    """Read a payment that is about to change; where there is none, leave a tombstone."""
    row = await tx.one(
        "INSERT INTO payments (id, state) VALUES ($1, 'voided') "
        f"ON CONFLICT (id) DO UPDATE SET state = payments.state RETURNING {CLAIM}",
        payment,
    )
    return convert(row, Claim) if row and row["provider"] else None


async def claim(db: Statements, payment: PaymentId) -> Claim | None:
    """Read a payment with its transfers."""
    row = await db.one(
        f"SELECT {CLAIM}, {TRANSFERS} FROM payments WHERE id = $1 AND provider IS NOT NULL",
        payment,
    )
    return convert(row, Claim) if row else None


def save_claim(tx: Transaction, claim: Claim, *, before: Claim) -> None:
    """Save what a provider may change, if nobody has meanwhile; transfers count for themselves."""
    tx.put(
        "UPDATE payments SET state = $2, reference = $3, authorized = $4, voided = $5, "
        "decline_reason = $6, redirect_url = $7, card_brand = $8, card_last4 = $9, "
        "waiting_since = $10, due_at = $11, version = $12 WHERE id = $1 AND version = $13",
        claim.id,
        claim.state,
        claim.reference,
        claim.authorized,
        claim.voided,
        claim.decline_reason,
        claim.redirect_url,
        claim.card_brand,
        claim.card_last4,
        claim.waiting_since,
        claim.due_at,
        claim.version,
        before.version,
        rows=1,
    )


async def newest(db: Statements, before: PaymentId | None, limit: int) -> tuple[Claim, ...]:
    """List payments, newest first."""
    rows = await db.all(
        f"SELECT {CLAIM} FROM payments WHERE provider IS NOT NULL "
        "AND ($1::uuid IS NULL OR number < (SELECT number FROM payments WHERE id = $1)) "
        "ORDER BY number DESC LIMIT $2",
        before,
        limit,
    )
    return convert_all(rows, Claim)


async def of_orders(
    db: Statements, orders: Sequence[OrderId], before: PaymentId | None, limit: int
) -> tuple[Claim, ...]:
    """List the payments of some orders, newest first."""
    rows = await db.all(
        f"SELECT {CLAIM} FROM payments WHERE order_id = ANY($1) "
        "AND ($2::uuid IS NULL OR number < (SELECT number FROM payments WHERE id = $2)) "
        "ORDER BY number DESC LIMIT $3",
        orders,
        before,
        limit,
    )
    return convert_all(rows, Claim)


async def claim_due(tx: Transaction, now: datetime, limit: int) -> tuple[Claim, ...]:
    """Take up what is due and put it off: the longer it has been waiting, the longer."""
    rows = await tx.all(
        "UPDATE payments SET due_at = $1 + least("
        "greatest($1 - waiting_since, interval '1 minute'), interval '15 minutes') "
        "WHERE id IN (SELECT id FROM payments WHERE due_at <= $1 ORDER BY due_at LIMIT $2 "
        f"FOR UPDATE SKIP LOCKED) RETURNING {CLAIM}, {TRANSFERS}",
        now,
        limit,
    )
    return convert_all(rows, Claim)


async def make_due(tx: Transaction, payment: PaymentId, now: datetime, due_at: datetime) -> None:
    """Have the provider be asked about a payment later, if it is not about to be anyway."""
    await tx.execute(
        "UPDATE payments SET waiting_since = coalesce(waiting_since, $2), "
        "due_at = least(due_at, $3) WHERE id = $1",
        payment,
        now,
        due_at,
    )


async def waiting(
    db: Statements, *, since: datetime, challenged_since: datetime, limit: int
) -> tuple[Claim, ...]:
    """List the payments that have been waiting for too long."""
    rows = await db.all(
        f"SELECT {CLAIM}, {TRANSFERS} FROM payments WHERE due_at IS NOT NULL "
        "AND waiting_since < CASE state WHEN 'challenged' THEN $2::timestamptz ELSE $1 END "
        "ORDER BY waiting_since LIMIT $3",
        since,
        challenged_since,
        limit,
    )
    return convert_all(rows, Claim)


async def transfer(
    db: Statements, payment: PaymentId, kind: TransferKind, identity: UUID
) -> Transfer | None:
    """Read a transfer."""
    row = await db.one(
        "SELECT t.id, kind, t.state, reason, failure, coalesce(settled_at, begun_at) AS at, "
        "json_build_object('amount', t.amount, 'currency', currency) AS amount "
        "FROM transfers AS t JOIN payments ON payments.id = t.payment "
        "WHERE t.payment = $1 AND kind = $2 AND t.id = $3",
        payment,
        kind,
        identity,
    )
    return convert(row, Transfer) if row else None


async def add_transfers(tx: Transaction, payment: PaymentId, transfers: Sequence[Transfer]) -> None:
    """Write transfers down; the counters of their payment follow, or the database refuses them."""
    await tx.execute(
        "INSERT INTO transfers (payment, kind, id, amount, state, reason, begun_at, settled_at) "
        "SELECT $1, kind, id, amount, state, reason, at, "
        "CASE WHEN state <> 'pending' THEN at END FROM unnest($2::text[], $3::uuid[], "
        "$4::bigint[], $5::text[], $6::text[], $7::timestamptz[]) "
        "AS t (kind, id, amount, state, reason, at)",
        payment,
        [one.kind for one in transfers],
        [one.id for one in transfers],
        [one.amount.amount for one in transfers],
        [one.state for one in transfers],
        [one.reason for one in transfers],
        [one.at for one in transfers],
    )


async def settle_transfer(
    tx: Transaction, payment: PaymentId, transfer: Transfer, now: datetime
) -> bool:
    """Note what came of a transfer; False if somebody else has done so."""
    return bool(
        await tx.value(
            "UPDATE transfers SET state = $4, failure = $5, settled_at = $6 "
            "WHERE payment = $1 AND kind = $2 AND id = $3 AND state = 'pending' RETURNING true",
            payment,
            transfer.kind,
            transfer.id,
            transfer.state,
            transfer.failure,
            now,
        )
    )


def book(tx: Transaction, entries: Sequence[LedgerEntry]) -> None:
    """Write into the ledger; at the commit each booking must add up to zero."""
    tx.put(
        "INSERT INTO entries (booking, account, amount, currency, payment, at) "
        "SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::uuid[], "
        "$6::timestamptz[])",
        [entry.booking for entry in entries],
        [entry.account for entry in entries],
        [entry.amount for entry in entries],
        [entry.currency for entry in entries],
        [entry.payment for entry in entries],
        [entry.at for entry in entries],
    )


async def entries_of(db: Statements, payment: PaymentId, limit: int) -> tuple[LedgerEntry, ...]:
    """Read the bookings of a payment, oldest first."""
    rows = await db.all(
        f"SELECT {ENTRY} FROM entries WHERE payment = $1 ORDER BY number LIMIT $2", payment, limit
    )
    return convert_all(rows, LedgerEntry)


async def newest_entries(db: Statements, limit: int) -> tuple[LedgerEntry, ...]:
    """Read the newest bookings of all."""
    rows = await db.all(f"SELECT {ENTRY} FROM entries ORDER BY number DESC LIMIT $1", limit)
    return convert_all(rows, LedgerEntry)


async def hear(db: Database, provider: str, event: ProviderEvent, body: str, now: datetime) -> bool:
    """Keep a webhook once; False if it was dealt with before."""
    row = await db.write(
        f"{HEAR} RETURNING settled_at IS NULL AS new",
        provider,
        event.id,
        event.kind,
        event.payment,
        body,
        now,
        None,
    )
    return bool(row and row["new"])


def hear_with(
    tx: Transaction, provider: str, event: ProviderEvent, body: str, now: datetime
) -> None:
    """Keep a webhook once, which this transaction deals with."""
    tx.put(HEAR, provider, event.id, event.kind, event.payment, body, now, now)


async def settle_webhook(db: Database, provider: str, webhook: str, now: datetime) -> None:
    """Note that a webhook has been dealt with."""
    await db.write(
        "UPDATE webhooks SET settled_at = $3 WHERE provider = $1 AND id = $2",
        provider,
        webhook,
        now,
    )


async def forget_webhooks(tx: Transaction, before: datetime) -> None:
    """Drop webhooks that no provider will send again."""
    await tx.execute("DELETE FROM webhooks WHERE heard_at < $1", before)


async def positions(
    db: Statements, provider: str, *, after: PaymentId | None, last: PaymentId | None
) -> tuple[Position, ...]:
    """Add up what our ledger says of each payment at a provider, in a range of payments."""
    rows = await db.all(
        f"{POSITIONS} WHERE provider = $1 "
        "AND payment > coalesce($2, '00000000-0000-0000-0000-000000000000'::uuid) "
        "AND payment <= coalesce($3, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)",
        provider,
        after,
        last,
    )
    return convert_all(rows, Position)


async def contradictions(db: Statements, limit: int) -> list[str]:
    """Find bookings that do not balance, and payments that differ from transfers or ledger."""
    rows = await db.all(
        "SELECT 'booking ' || booking || ' does not add up to zero' AS finding FROM entries "
        "GROUP BY booking, currency HAVING sum(amount) <> 0 "
        "UNION ALL "
        "SELECT 'payment ' || id || ' differs from its transfers' FROM payments "
        "LEFT JOIN (SELECT payment, "
        "sum(amount) FILTER (WHERE kind = 'capture' AND state = 'pending') AS capturing, "
        "sum(amount) FILTER (WHERE kind = 'capture' AND state = 'done') AS captured, "
        "sum(amount) FILTER (WHERE kind = 'refund' AND state = 'pending') AS refunding, "
        "sum(amount) FILTER (WHERE kind = 'refund' AND state = 'done') AS refunded "
        "FROM transfers GROUP BY payment) AS t ON t.payment = id "
        "WHERE (payments.capturing, payments.captured, payments.refunding, payments.refunded) <> "
        "(coalesce(t.capturing, 0), coalesce(t.captured, 0), "
        "coalesce(t.refunding, 0), coalesce(t.refunded, 0)) "
        "UNION ALL "
        "SELECT 'payment ' || id || ' differs from the ledger' FROM payments "
        f"LEFT JOIN ({POSITIONS}) AS p ON p.payment = id "
        "WHERE (payments.authorized, payments.captured, payments.voided, payments.refunded) <> "
        "(coalesce(p.authorized, 0), coalesce(p.captured, 0), "
        "coalesce(p.voided, 0), coalesce(p.refunded, 0)) "
        "LIMIT $1",
        limit,
    )
    return [row["finding"] for row in rows]

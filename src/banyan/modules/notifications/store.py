"""The SQL of notifications: one function, one statement."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from banyan.kernel.database import convert, convert_all
from banyan.kernel.transaction import Statements, Transaction
from banyan.modules.notifications.contract import Message
from banyan.modules.notifications.model import Letter

MESSAGE = "id, template, about, locale, state, created_at, sent_at, error"
LETTER = "id, template, about, locale, facts, recipient, state, sending"


async def add_letter(tx: Transaction, letter: Letter, now: datetime) -> bool:
    """Keep a letter that is to be sent; False if it is there already."""
    return bool(
        await tx.value(
            "INSERT INTO messages (id, template, about, locale, facts, recipient, created_at) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO NOTHING RETURNING true",
            letter.id,
            letter.template,
            letter.about,
            letter.locale,
            letter.facts,
            letter.recipient,
            now,
        )
    )


async def letter(db: Statements, message: UUID) -> Letter | None:
    """Read a letter."""
    row = await db.one(f"SELECT {LETTER} FROM messages WHERE id = $1", message)
    return convert(row, Letter) if row else None


async def lock_letter(tx: Transaction, message: UUID) -> Letter | None:
    """Read a letter that is about to be sent again; others wait for us."""
    row = await tx.one(f"SELECT {LETTER} FROM messages WHERE id = $1 FOR UPDATE", message)
    return convert(row, Letter) if row else None


async def messages(
    db: Statements, about: str | None, before: UUID | None, limit: int
) -> tuple[Message, ...]:
    """List messages, newest first."""
    rows = await db.all(
        f"SELECT {MESSAGE} FROM messages WHERE ($1::text IS NULL OR about = $1) "
        "AND ($2::uuid IS NULL OR number < (SELECT number FROM messages WHERE id = $2)) "
        "ORDER BY number DESC LIMIT $3",
        about,
        before,
        limit,
    )
    return convert_all(rows, Message)


async def send_again(tx: Transaction, message: UUID, sending: int) -> Message:
    """Let a message wait to be sent once more."""
    row = await tx.one(
        "UPDATE messages SET state = 'pending', error = NULL, sending = $2 WHERE id = $1 "
        f"RETURNING {MESSAGE}",
        message,
        sending,
    )
    assert row, "the message is locked"
    return convert(row, Message)


def mark_sent(tx: Transaction, message: UUID, sending: int, now: datetime) -> None:
    """Note that a message was handed over."""
    tx.put(
        "UPDATE messages SET state = 'sent', sent_at = $3 WHERE id = $1 AND sending = $2 "
        "AND state = 'pending'",
        message,
        sending,
        now,
    )


def mark_failed(tx: Transaction, message: UUID, sending: int, reason: str) -> None:
    """Note that a message was given up."""
    tx.put(
        "UPDATE messages SET state = 'failed', error = $3 WHERE id = $1 AND sending = $2 "
        "AND state = 'pending'",
        message,
        sending,
        reason,
    )


async def erase_recipients(tx: Transaction, before: datetime, limit: int) -> int:
    """Forget whom old messages were for; return of how many."""
    return await tx.execute(
        "UPDATE messages SET recipient = NULL WHERE id IN ("
        "SELECT id FROM messages WHERE recipient IS NOT NULL AND created_at < $1 "
        "ORDER BY created_at LIMIT $2)",
        before,
        limit,
    )

"""The database itself refuses impossible money, whoever writes the SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import pytest

from banyan.vocabulary import PaymentId
from tests.modules.payments.counter import IDS, Counter, dying, euros, some_payment

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BEGIN = "INSERT INTO transfers (payment, kind, id, amount, state, begun_at, settled_at) "


async def partly_given_back(counter: Counter) -> PaymentId:
    """Take 600 of 1000, and give 200 back."""
    payment = some_payment()
    await counter.authorize(payment)
    await counter.payments.capture(payment=payment, capture=IDS.new(), amount=euros(600))
    await counter.payments.refund(payment=payment, refund=IDS.new(), amount=euros(200))
    return payment


async def run(counter: Counter, sql: str, *values: object) -> None:
    """Write with the rights of the module, past all of its code."""
    async with counter.room.database.begin() as tx:
        await tx.execute(sql, *values)


@pytest.mark.parametrize(
    ("kind", "state", "left"),
    [
        ("capture", "pending", 400),
        ("capture", "done", 400),
        ("refund", "pending", 400),
        ("refund", "done", 400),
    ],
)
async def test_transfers_written_by_hand_stay_within_what_is_left(
    counter: Counter, kind: str, state: str, left: int
) -> None:
    payment = await partly_given_back(counter)
    settled = None if state == "pending" else NOW
    sql = f"{BEGIN} VALUES ($1, $2, $3, $4, $5, $6, $7)"

    with pytest.raises(asyncpg.CheckViolationError):
        await run(counter, sql, payment, kind, IDS.new(), left + 1, state, NOW, settled)
    await run(counter, sql, payment, kind, IDS.new(), left, state, NOW, settled)
    with pytest.raises(asyncpg.CheckViolationError):
        await run(counter, sql, payment, kind, IDS.new(), 1, state, NOW, settled)


async def test_nothing_more_is_taken_once_the_rest_is_being_let_go(counter: Counter) -> None:
    payment = await partly_given_back(counter)
    begin = f"{BEGIN} VALUES ($1, 'capture', $2, 1, 'pending', $3, NULL)"

    with dying("before call sandbox.void"):
        await counter.payments.void(payment=payment)
    with pytest.raises(asyncpg.CheckViolationError, match="released_means_no_more_is_taken"):
        await run(counter, begin, payment, IDS.new(), NOW)


@pytest.mark.parametrize("state", ["pending", "done"])
async def test_nothing_more_is_taken_once_the_rest_is_let_go_whatever_the_payment_says(
    counter: Counter, state: str
) -> None:
    payment = await partly_given_back(counter)
    await counter.payments.void(payment=payment)
    settled = None if state == "pending" else NOW
    sql = f"{BEGIN} VALUES ($1, 'capture', $2, 1, $3, $4, $5)"

    await run(counter, "UPDATE payments SET state = 'authorized' WHERE id = $1", payment)
    with pytest.raises(asyncpg.CheckViolationError, match="stay_within_what_is_authorized"):
        await run(counter, sql, payment, IDS.new(), state, NOW, settled)


async def test_a_release_is_not_forgotten_before_the_bank_has_answered(counter: Counter) -> None:
    payment = await partly_given_back(counter)
    with dying("before call sandbox.void"):
        await counter.payments.void(payment=payment)
    forget = "UPDATE payments SET due_at = NULL, waiting_since = NULL WHERE id = $1"

    with pytest.raises(asyncpg.CheckViolationError, match="what_is_closed_holds_nothing"):
        await run(counter, forget, payment)


WITHOUT_RIGHT = (
    "UPDATE payments SET captured = 1000 WHERE id = $1",
    "UPDATE payments SET refunded = 0 WHERE id = $1",
    "UPDATE payments SET amount = 1 WHERE id = $1",
    "DELETE FROM payments WHERE id = $1",
    "UPDATE transfers SET amount = 1 WHERE payment = $1",
    "DELETE FROM transfers WHERE payment = $1",
    "UPDATE entries SET amount = 1 WHERE payment = $1",
    "DELETE FROM entries WHERE payment = $1",
    "INSERT INTO payments (id, state, captured) VALUES ($1, 'authorized', 5)",
)
IMPOSSIBLE = (
    "UPDATE transfers SET state = 'pending', settled_at = NULL WHERE payment = $1",
    "UPDATE transfers SET state = 'failed' WHERE payment = $1",
    "UPDATE payments SET state = 'voided' WHERE id = $1",
    "UPDATE payments SET authorized = 0 WHERE id = $1",
    "UPDATE payments SET authorized = 999 WHERE id = $1",
    "UPDATE payments SET voided = 401 WHERE id = $1",
    "UPDATE payments SET state = 'pending' WHERE id = $1",
)


async def errors(counter: Counter, offences: Sequence[str]) -> dict[str, str]:
    """Try offences on a payment, and tell what becomes of each."""
    payment = await partly_given_back(counter)
    found = {}
    for offence in offences:
        try:
            await run(counter, offence, payment)
        except asyncpg.PostgresError as no:
            found[offence] = type(no).__name__
        else:
            found[offence] = "done"
    return found


async def test_the_module_has_no_right_to_change_what_has_happened(counter: Counter) -> None:
    assert await errors(counter, WITHOUT_RIGHT) == dict.fromkeys(
        WITHOUT_RIGHT, "InsufficientPrivilegeError"
    )


async def test_the_database_refuses_states_that_cannot_be(counter: Counter) -> None:
    assert await errors(counter, IMPOSSIBLE) == dict.fromkeys(IMPOSSIBLE, "CheckViolationError")


async def test_what_is_under_way_cannot_be_forgotten(counter: Counter) -> None:
    payment = some_payment()
    await counter.authorize(payment, "tok_challenge")

    with pytest.raises(asyncpg.CheckViolationError):
        await run(
            counter,
            "UPDATE payments SET due_at = NULL, waiting_since = NULL WHERE id = $1",
            payment,
        )


@pytest.mark.parametrize(
    ("amounts", "currencies"),
    [((5,), ("EUR",)), ((5, -4), ("EUR", "EUR")), ((5, -5), ("EUR", "USD"))],
)
async def test_a_booking_that_does_not_add_up_is_refused_at_the_commit(
    counter: Counter, amounts: tuple[int, ...], currencies: tuple[str, ...]
) -> None:
    payment = await partly_given_back(counter)
    before = await counter.payments.ledger(payment=payment)

    with pytest.raises(asyncpg.CheckViolationError, match="does not add up to zero"):
        async with counter.room.database.begin() as tx:
            for account, (amount, currency) in enumerate(zip(amounts, currencies, strict=True)):
                await tx.execute(
                    "INSERT INTO entries (booking, account, amount, currency, payment, at) "
                    "VALUES ($1, $2, $3, $4, $5, $6)",
                    UUID(int=1),
                    f"account {account}",
                    amount,
                    currency,
                    payment,
                    NOW,
                )

    assert await counter.payments.ledger(payment=payment) == before


async def test_the_books_agree_with_transfers_and_bookings(counter: Counter) -> None:
    payment = await partly_given_back(counter)
    good = await counter.service.audit_books()
    sql = f"{BEGIN} VALUES ($1, 'refund', $2, 100, 'done', $3, $3)"

    await run(counter, sql, payment, IDS.new(), NOW)

    assert good == []
    assert await counter.service.audit_books() == [f"payment {payment} differs from the ledger"]

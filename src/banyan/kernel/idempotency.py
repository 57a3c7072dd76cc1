"""The same request twice: a key and its answer, stored in the transaction of the effect.

Follows the Internet-Draft "The Idempotency-Key HTTP Header Field": the same key with another
request is refused; the same request again gets the first answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec

from banyan.kernel.contract import Operation, Problem, ToldProblem, Value, revive, tell
from banyan.kernel.database import Database, noting
from banyan.kernel.transaction import Statements, Transaction

KEPT_HOURS = 48

CLAIM = (
    "INSERT INTO idempotency_keys (scope, key, fingerprint, created_at) "
    "VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING"
)
REMEMBER = (
    "INSERT INTO idempotency_keys AS known (scope, key, fingerprint, created_at, answer) "
    "VALUES ($1, $2, $3, $4, $5) ON CONFLICT (scope, key) DO UPDATE "
    "SET answer = excluded.answer WHERE known.answer IS NULL"
)


class KeyReused(Problem, status=422):
    """This Idempotency-Key was used for a different request; take a new key."""

    key: str


@dataclass
class Idempotency:
    """A client's key for one request: `fingerprint` tells one request from another."""

    key: str
    fingerprint: str
    scope: str = ""
    replayed: bool = False


class _Said(Value, frozen=True, kw_only=True):
    """An answer as it is stored: what was returned, or which problem was raised."""

    answer: Any = None
    problem: ToldProblem | None = None


async def once(
    database: Database,
    key: Idempotency,
    operation: Operation,
    run: Callable[[], Awaitable[Any]],
) -> Any:
    """Run a command in one transaction with its key; a repeat waits for the first and answers it.

    A problem rolls both back: nothing has happened, and the same key may try again.
    """
    async with database.begin() as tx:
        if not await tx.value(f"{CLAIM} RETURNING true", *_claim(database, key, operation)):
            said = await _said(tx, key, operation)
            assert said, "a command's key is committed together with its answer"
            return _speak(said, key, operation)
        answer = await run()
        tx.put(REMEMBER, *_answer(database, key, operation, _Said(answer=answer)))
    return answer


async def resumed(
    database: Database,
    key: Idempotency,
    operation: Operation,
    run: Callable[[], Awaitable[Any]],
) -> Any:
    """Run an undertaking whose first transaction carries the key; a repeat gets the stored answer.

    If there is no stored answer yet, the undertaking finds by its id what it has begun.
    """
    said = await _said(database, key, operation)
    if said is not None:
        return _speak(said, key, operation)

    claimed = False

    def claim(_: int) -> None:
        nonlocal claimed
        claimed = True

    def note(tx: Transaction) -> None:
        if not claimed:
            tx.put(CLAIM, *_claim(database, key, operation), then=claim)

    token = noting.set((database, note))
    try:
        said = _Said(answer=(answer := await run()))
    except Problem as no:
        if operation.declares(no):
            said = _Said(problem=tell(no))
            await database.write(REMEMBER, *_answer(database, key, operation, said))
        raise
    finally:
        noting.reset(token)
    await database.write(REMEMBER, *_answer(database, key, operation, said))
    return answer


async def forget_old(database: Database) -> None:
    """Drop keys that no client will send again."""
    async with database.begin() as tx:
        await tx.execute(
            "DELETE FROM idempotency_keys WHERE created_at < $1",
            database.clock.now() - timedelta(hours=KEPT_HOURS),
        )


def _claim(database: Database, key: Idempotency, operation: Operation) -> tuple[object, ...]:
    return _scope(key, operation), key.key, key.fingerprint, database.clock.now()


def _answer(
    database: Database, key: Idempotency, operation: Operation, said: _Said
) -> tuple[object, ...]:
    return *_claim(database, key, operation), said


async def _said(db: Statements, key: Idempotency, operation: Operation) -> _Said | None:
    row = await db.one(
        "SELECT fingerprint, answer FROM idempotency_keys WHERE scope = $1 AND key = $2",
        _scope(key, operation),
        key.key,
    )
    if row is None:
        return None
    if row["fingerprint"] != key.fingerprint:
        raise KeyReused(key=key.key)
    return msgspec.convert(row["answer"], _Said | None)


def _speak(said: _Said, key: Idempotency, operation: Operation) -> Any:
    """Give the stored answer once more."""
    key.replayed = True
    if said.problem is not None:
        raise revive(said.problem)
    return msgspec.convert(said.answer, operation.answer, str_keys=True)


def _scope(key: Idempotency, operation: Operation) -> str:
    return f"{key.scope} {operation.subject}"

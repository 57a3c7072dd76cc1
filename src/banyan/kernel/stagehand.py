"""Answers for the events and sagas of one module to whoever operates the house."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from banyan.kernel import telemetry
from banyan.kernel.backstage import (
    Backstage,
    EventHealth,
    Letter,
    ModuleHealth,
    NoSuchSaga,
    Replayed,
    SagaEnded,
    SagaHealth,
    SagaHistory,
    SagaSummary,
    SagaUnderWay,
    State,
    Step,
    StepBack,
)
from banyan.kernel.contract import ToldProblem, tell
from banyan.kernel.database import Database, convert
from banyan.kernel.driver import Sagas
from banyan.kernel.journal import COLUMNS, Entry, Row
from banyan.kernel.letters import Letters
from banyan.kernel.link import Unavailable, caller
from banyan.kernel.outbox import Inbox
from banyan.kernel.security import discreet
from banyan.kernel.transaction import Record, Transaction

OVERDUE_SECONDS = 120

_NO_JOB = "NOT starts_with(kind, 'job:')"
_STATE = (
    "CASE WHEN status = 'undo' THEN 'undoing' WHEN status <> 'run' THEN status "
    "WHEN owner IS NULL AND journal -> -1 ->> 'until' IS NOT NULL THEN 'waiting' "
    "ELSE 'running' END"
)
_SHOWN = (
    f"id, kind, {_STATE} AS state, coalesce(journal -> -1 ->> 'step', '') AS step, attempt, "
    "CASE WHEN attempt > 0 THEN coalesce(trouble, '') ELSE '' END AS trouble, error, "
    "started_at, due_at, ended_at"
)
_FREE = "id = $1 AND (owner IS NULL OR due_at <= $2)"


class Stagehand(Backstage):
    """The events and sagas of a module; jobs are no sagas here.

    What is looked at is the original, never a copy that may be late.
    """

    def __init__(self, inbox: Inbox, sagas: Sagas) -> None:
        self.database: Database = inbox.database
        self.dead = Letters(inbox)
        self._sagas = sagas

    async def health(self) -> ModuleHealth:
        """Count in one look."""
        async with self.database.begin() as tx:
            now = self.database.clock.now()
            row = await tx.one(
                "SELECT count(*) AS undelivered, min(time) AS undelivered_since, "
                "(SELECT count(*) FROM inbox WHERE status = 'pending') AS pending, "
                "(SELECT count(*) FROM inbox WHERE status = 'pending' AND due_at < $1) AS overdue, "
                "(SELECT count(*) FROM inbox WHERE status = 'dead') AS dead FROM outbox",
                now - timedelta(seconds=OVERDUE_SECONDS),
            )
            sagas = await tx.one(
                "SELECT count(*) FILTER (WHERE state = 'running') AS running, "
                "count(*) FILTER (WHERE state = 'waiting') AS waiting, "
                "count(*) FILTER (WHERE state = 'undoing') AS undoing, "
                "count(*) FILTER (WHERE state <> 'stuck' AND due_at < $1) AS overdue, "
                "count(*) FILTER (WHERE state = 'stuck') AS stuck "
                f"FROM (SELECT {_STATE} AS state, due_at FROM sagas "
                f"WHERE status IN ('run', 'undo', 'stuck') AND {_NO_JOB}) AS known",
                now - timedelta(seconds=OVERDUE_SECONDS),
            )
        assert row is not None
        assert sagas is not None
        return ModuleHealth(events=convert(row, EventHealth), sagas=convert(sagas, SagaHealth))

    async def letters(self, *, limit: int = 100, before: int | None = None) -> tuple[Letter, ...]:
        """List what is dead."""
        return await self.dead.dead(limit=limit, before=before)

    async def replay(self, *, events: tuple[UUID, ...] | None = None) -> Replayed:
        """Give the dead another try."""
        replayed = await self.dead.replay(events)
        self._note("dead letters replayed", count=replayed.count, left=replayed.left)
        return replayed

    async def discard(self, *, events: tuple[UUID, ...]) -> int:
        """Bury the dead."""
        count = await self.dead.discard(events)
        self._note("dead letters discarded", events=[str(one) for one in events])
        return count

    async def sagas(
        self,
        *,
        state: State | None = None,
        limit: int = 100,
        before: tuple[datetime, str] | None = None,
    ) -> tuple[SagaSummary, ...]:
        """List from the latest on."""
        started_at, identity = before or (None, None)
        async with self.database.begin() as tx:
            rows = await tx.all(
                f"SELECT {_SHOWN} FROM sagas WHERE {_NO_JOB} "
                f"AND ($2::text IS NULL OR {_STATE} = $2) "
                "AND ($3::timestamptz IS NULL OR (started_at, id) < ($3, $4::text)) "
                "ORDER BY started_at DESC, id DESC LIMIT $1",
                limit,
                state,
                started_at,
                identity,
            )
        return tuple(_summary(row) for row in rows)

    async def saga(self, *, saga: str) -> SagaHistory:
        """Show the journal, and rehearse the way back of what has not ended."""
        async with self.database.begin() as tx:
            summary = await self._find(tx, saga)
            found = await tx.one(f"SELECT {COLUMNS} FROM sagas WHERE id = $1", saga)
        assert found is not None
        row = convert(found, Row)
        way_back = () if summary.ended_at else await self._sagas.way_back(row)
        return SagaHistory(
            saga=summary,
            steps=tuple(_step(entry) for entry in row.journal),
            way_back=tuple(
                StepBack(name=name, taken=place < row.undone) for place, name in enumerate(way_back)
            ),
            trace=row.traceparent,
        )

    async def retry(self, *, saga: str) -> SagaSummary:
        """Make it due now; whoever resumes it fences off who drove it before."""
        async with self.database.begin() as tx:
            taken = await tx.execute(
                "UPDATE sagas SET status = CASE status WHEN 'stuck' THEN 'undo' ELSE status END, "
                "attempt = 0, owner = NULL, epoch = epoch + 1, due_at = $2 "
                f"WHERE {_FREE} AND status IN ('run', 'undo', 'stuck') AND {_NO_JOB}",
                saga,
                self.database.clock.now(),
            )
            return await self._sent(tx, saga, taken=taken, how="retried")

    async def turn_back(self, *, saga: str) -> SagaSummary:
        """Fence off who drove it last, and have it resumed as one that turns back.

        A step whose answer nobody waits for any more may yet have its effect; its way back was
        declared before, and bears that.
        """
        async with self.database.begin() as tx:
            taken = await tx.execute(
                "UPDATE sagas SET status = 'undo', attempt = 0, owner = NULL, epoch = epoch + 1, "
                "due_at = $2, error = CASE status WHEN 'run' THEN $3::jsonb ELSE error END "
                f"WHERE {_FREE} AND status IN ('run', 'undo', 'stuck') AND {_NO_JOB}",
                saga,
                self.database.clock.now(),
                tell(Unavailable(what=f"{saga}, given up by an operator")),
            )
            return await self._sent(tx, saga, taken=taken, how="turned back")

    async def _sent(self, tx: Transaction, saga: str, *, taken: int, how: str) -> SagaSummary:
        """Tell how a saga stands that was sent on its way, or why it was not."""
        found = await self._find(tx, saga)
        if found.ended_at:
            raise SagaEnded(saga=saga, state=found.state)
        if not taken:
            raise SagaUnderWay(saga=saga)
        self._note(f"saga {how}", saga=saga)
        tx.after_commit(self.database.wake)
        return found

    async def _find(self, tx: Transaction, saga: str) -> SagaSummary:
        row = await tx.one(f"SELECT {_SHOWN} FROM sagas WHERE id = $1 AND {_NO_JOB}", saga)
        if row is None:
            raise NoSuchSaga(saga=saga)
        return _summary(row)

    def _note(self, done: str, **what: Any) -> None:
        log = telemetry.log(__name__)
        log.info(done, module=self.database.module, by=caller().subject, **what)


def _summary(row: Record) -> SagaSummary:
    told = convert(row, SagaSummary)
    return msgspec.structs.replace(told, error=_discreet(told.error))


def _step(entry: Entry) -> Step:
    return Step(
        name=entry.step,
        at=entry.at,
        answer=discreet(entry.step, entry.answer),
        problem=_discreet(entry.problem),
        until=entry.until,
    )


def _discreet(problem: ToldProblem | None) -> ToldProblem | None:
    if problem is None:
        return None
    return ToldProblem(kind=problem.kind, fields=discreet("", problem.fields))

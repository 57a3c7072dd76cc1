"""Starts, drives and resumes the sagas and jobs of one module; any replica can carry on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from math import inf
from typing import Any, Generic, ParamSpec, TypeVar

import msgspec
from msgspec import structs

from banyan.kernel import telemetry
from banyan.kernel.contract import Problem, ToldProblem, Value, revive, snake, tell
from banyan.kernel.database import DOWN, Database, convert, convert_all
from banyan.kernel.journal import COLUMNS, LEASE_SECONDS, LostLease, Row
from banyan.kernel.link import Unavailable, calling, current
from banyan.kernel.saga import Paused, Saga, StepFailed, Turned, Undertaking, kind_of, types_of
from banyan.kernel.transaction import Transaction

P = ParamSpec("P")
R = TypeVar("R")

MOST_ATTEMPTS = 8
FIRST_WAIT_SECONDS = 0.2
LONGEST_WAIT_SECONDS = 300.0
KEPT_DAYS = 30
PATIENCE_SECONDS = 1.0
"""A shorter wait is waited for on the spot: whoever asked is still there."""
LOOK_SECONDS = 0.05
RESERVE_SECONDS = 0.5
"""What is left of a caller's time when we stop waiting, so that it gets an answer in time."""
_NOBODYS = -1


@dataclass(frozen=True)
class Job:
    """Something that a module does again and again: a method of its service."""

    seconds: float
    work: Callable[..., Awaitable[object]]

    @property
    def name(self) -> str:
        """Tell jobs apart: `job:expire_reservations`."""
        return f"job:{snake(self.work.__name__)}"


def every(seconds: float, work: Callable[[Any], Awaitable[object]]) -> Job:
    """Declare a job: `every(60, InventoryService.expire_reservations)`."""
    return Job(seconds, work)


class Running(Generic[R]):
    """A saga that has been written down and has set out."""

    def __init__(self, sagas: Sagas, identity: str, answer: Any) -> None:
        self._sagas = sagas
        self._id = identity
        self._answer = answer

    async def settled(self) -> R | None:
        """Wait for the result; None when it waits for somebody or takes longer than we may.

        Raises the problem that made the saga turn back. It goes on, whether we listen or not.
        """
        row: Row | _Seen | None
        while (patience := current().left() - RESERVE_SECONDS) > 0:
            if task := self._sagas.tasks.get(self._id):
                arrived, _ = await asyncio.wait({task}, timeout=patience)
                failed = not arrived or task.cancelled() or task.exception()
                if not failed and (row := task.result()).ended:
                    break
            row = await self._sagas.look(self._id)
            if row is None or row.owner is None or row.error is not None or row.ended:
                break
            await asyncio.sleep(LOOK_SECONDS)
        else:
            return None
        if row is None:
            return None
        if row.error is not None:
            raise revive(row.error)
        return msgspec.convert(row.result, self._answer) if row.ended else None


class _Seen(Value, frozen=True, kw_only=True):
    """How far a saga is, as anybody may see it."""

    owner: str | None
    status: str
    error: ToldProblem | None
    result: Any

    @property
    def ended(self) -> bool:
        return self.status in ("done", "undone")


class Sagas:
    """The sagas of a module. Starting one is part of the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.tasks: dict[str, asyncio.Task[Row]] = {}
        self.signaled = False
        self._me = f"{database.instance}:{database.ids.new().hex}"
        self._undertakings: dict[str, Any] = {}
        self._jobs: dict[str, tuple[Job, Callable[[], Awaitable[object]]]] = {}

    def know(self, undertakings: list[Any], jobs: Mapping[Job, Callable[[], Any]]) -> None:
        """Learn what this module undertakes; only known kinds are ever claimed."""
        self._undertakings = {kind_of(one): one for one in undertakings}
        self._jobs = {job.name: (job, work) for job, work in jobs.items()}

    @property
    def kinds(self) -> list[str]:
        """Name what can be driven here."""
        return [*self._undertakings, *self._jobs]

    async def open(self) -> None:
        """Take back what an earlier life of this instance held, and put the jobs on the list."""
        now = self.database.clock.now()
        async with self.database.begin() as tx:
            await tx.execute(
                "UPDATE sagas SET owner = NULL, due_at = $2 "
                "WHERE starts_with(owner, $1) AND status IN ('run', 'undo')",
                f"{self.database.instance}:",
                now,
            )
            if self._jobs:
                await tx.execute(
                    "INSERT INTO sagas (id, kind, arguments, due_at, started_at) "
                    "SELECT name, name, '{}', $2, $2 FROM unnest($1::text[]) AS name "
                    "ON CONFLICT DO NOTHING",
                    list(self._jobs),
                    now,
                )

    async def close(self) -> None:
        """Stop driving; what is under way is left to others at once."""
        tasks = list(self.tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        async with self.database.begin() as tx:
            await tx.execute(
                "UPDATE sagas SET owner = NULL, due_at = $2 WHERE owner = $1 "
                "AND status IN ('run', 'undo')",
                self._me,
                self.database.clock.now(),
            )

    def start(
        self,
        tx: Transaction,
        undertaking: Undertaking[P, R],
        identity: object,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Running[R]:
        """Write a saga down; it sets out with the commit. The same id again finds the first."""
        assert not args, "sagas take keywords only"
        now = self.database.clock.now()
        row = Row(
            id=str(identity),
            kind=kind_of(undertaking),
            arguments=msgspec.to_builtins(kwargs, str_keys=True),
            traceparent=telemetry.carry(),
            written_at=now,
        )
        tx.put(
            "INSERT INTO sagas (id, kind, arguments, due_at, owner, traceparent, started_at) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO NOTHING",
            row.id,
            row.kind,
            row.arguments,
            now + timedelta(seconds=LEASE_SECONDS),
            self._me,
            row.traceparent,
            now,
            then=lambda begun: self._set_out(row) if begun else None,
        )
        return self.running(undertaking, identity)

    def running(self, undertaking: Undertaking[P, R], identity: object) -> Running[R]:
        """Find a saga that was started before."""
        answer = types_of(type(undertaking).__call__).get("return")
        return Running(self, str(identity), answer)

    async def signal(self, tx: Transaction, identity: object, name: str, value: object) -> bool:
        """Bring news to a saga and wake it if it waits; False when it has ended already."""
        known = await tx.value(
            "UPDATE sagas SET signals = signals || jsonb_build_object($2::text, $3::jsonb), "
            "news = news + 1, due_at = CASE WHEN owner IS NULL THEN $4 ELSE due_at END "
            "WHERE id = $1 AND status = 'run' RETURNING true",
            str(identity),
            name,
            value,
            self.database.clock.now(),
        )
        tx.after_commit(self._hear)
        return bool(known)

    async def resume(self, limit: int = 16) -> int:
        """Claim what is due and set it out; return how many."""
        self.signaled = False
        now = self.database.clock.now()
        rows = await self.database.all(
            "UPDATE sagas SET owner = $1, epoch = epoch + 1, due_at = $2 WHERE id IN ("
            "SELECT id FROM sagas WHERE status IN ('run', 'undo') AND due_at <= $3 "
            "AND kind = ANY($4) ORDER BY due_at LIMIT $5 FOR UPDATE SKIP LOCKED) "
            f"RETURNING {COLUMNS}",
            self._me,
            now + timedelta(seconds=LEASE_SECONDS),
            now,
            self.kinds,
            limit,
        )
        for row in convert_all(rows, Row):
            row.written_at = now
            self._set_out(row)
        return len(rows)

    async def look(self, identity: str) -> _Seen | None:
        """See how far a saga is."""
        row = await self.database.one(
            "SELECT owner, status, error, result FROM sagas WHERE id = $1", identity
        )
        return convert(row, _Seen) if row else None

    async def way_back(self, row: Row) -> tuple[str, ...]:
        """Rehearse an undertaking, and tell the steps back that it has declared so far.

        It takes no step beyond its journal, and writes nothing: nobody has that epoch.
        """
        unfit = structs.replace(row, status="undo", epoch=_NOBODYS)
        saga = Saga(self.database, unfit, self._undertakings.get(row.kind))
        try:
            await self._call(saga, unfit)
        except Exception:  # noqa: BLE001 - where the code has changed, nobody knows the way
            return saga.way_back
        return saga.way_back

    async def forget_old(self) -> None:
        """Drop the journals of what ended long ago."""
        async with self.database.begin() as tx:
            await tx.execute(
                "DELETE FROM sagas WHERE ended_at < $1",
                self.database.clock.now() - timedelta(days=KEPT_DAYS),
            )

    def _hear(self) -> None:
        self.signaled = True
        self.database.wake()

    def _set_out(self, row: Row) -> None:
        task = asyncio.get_running_loop().create_task(self._drive(row), name=f"saga {row.id}")
        self.tasks[row.id] = task
        task.add_done_callback(lambda done: self._arrived(row.id, done))

    def _arrived(self, identity: str, task: asyncio.Task[Row]) -> None:
        if self.tasks.get(identity) is task:
            del self.tasks[identity]
        self.database.wake()

    async def _drive(self, row: Row) -> Row:
        """Take the saga as far as it goes: to its end, to a wait, or to a later attempt."""
        with (
            telemetry.follow(row.traceparent),
            telemetry.span(f"saga {row.kind}"),
            suppress(LostLease, *DOWN),
        ):
            while not await self._attempt(row):
                pass
        return row

    async def _attempt(self, row: Row) -> bool:
        """Go once; False when the next attempt may follow at once."""
        try:
            if row.kind in self._jobs:
                await self._work(row)
            elif row.status == "run":
                await self._go(row)
            else:
                await self._turn_back(row)
        except LostLease:
            raise
        except Exception as defect:  # noqa: BLE001 - whatever it is, the row remembers
            return await self._failed(row, defect)
        return True

    async def _go(self, row: Row) -> None:
        saga = self._saga(row)
        try:
            answer = await self._call(saga, row)
            if not row.ended:
                await row.end(self.database, "done", answer)
        except Paused as pause:
            await row.leave(self.database, pause.until)
        except Problem as no:
            await row.turn(self.database, tell(no))
            await self._turn_back(row)

    async def _turn_back(self, row: Row) -> None:
        saga = self._saga(row)
        try:
            answer = await self._call(saga, row)
        except (Turned, Problem):
            await saga.turn_back()
            await row.end(self.database, "undone")
        else:  # It was told to turn back after its last step: there is no way back from the end.
            row.error = None
            await row.end(self.database, "done", answer)

    def _saga(self, row: Row) -> Saga:
        return Saga(self.database, row, self._undertakings[row.kind])

    async def _call(self, saga: Saga, row: Row) -> Any:
        undertaking = self._undertakings[row.kind]
        hints = types_of(type(undertaking).__call__)
        arguments = {
            name: msgspec.convert(value, hints[name], str_keys=True)
            for name, value in row.arguments.items()
        }
        return await undertaking(saga, **arguments)

    def _tries(self, kind: str) -> float:
        if kind in self._jobs:
            return inf
        return float(getattr(self._undertakings[kind], "tries", MOST_ATTEMPTS))

    async def _work(self, row: Row) -> None:
        job, work = self._jobs[row.kind]
        with calling():
            await work()
        row.attempt = 0
        await row.leave(self.database, self.database.clock.now() + timedelta(seconds=job.seconds))

    async def _failed(self, row: Row, defect: Exception) -> bool:
        """Plan the next attempt; after too many, turn back or ask for help."""
        await row.refresh(self.database)
        if row.ended:
            return True
        row.attempt += 1
        row.trouble = type(defect.__cause__ or defect).__name__
        telemetry.log(__name__).warning(
            "saga step failed", saga=row.id, kind=row.kind, attempt=row.attempt, exc_info=defect
        )
        if row.attempt >= self._tries(row.kind):
            if row.status == "undo":
                await row.park(self.database)
                return True
            step = str(defect) if isinstance(defect, StepFailed) else row.kind
            await row.turn(self.database, tell(Unavailable(what=step)))
            return False
        wait = min(FIRST_WAIT_SECONDS * 2 ** (row.attempt - 1), LONGEST_WAIT_SECONDS)
        if wait < PATIENCE_SECONDS:
            await row.renew(self.database)
            await self.database.clock.sleep(wait)
            return False
        await row.leave(self.database, self.database.clock.now() + timedelta(seconds=wait))
        return True

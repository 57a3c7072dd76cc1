"""A copy of a module's data that may be late: when it is read, and when it is left alone."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from math import inf
from typing import Annotated, Any, TypeVar

import msgspec

from banyan.kernel import seen, telemetry
from banyan.kernel.settings import Settings

R = TypeVar("R")
Borrow = Callable[[], AbstractAsyncContextManager[Any]]
"""Lends a connection."""

POSITION = "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint"
"""Where a database is, once a commit has returned: never before that commit."""

_FLUSHED = "SELECT (pg_current_wal_flush_lsn() - '0/0')::bigint"
_REPLAYED = (
    "SELECT CASE WHEN pg_is_in_recovery() THEN (pg_last_wal_replay_lsn() - '0/0')::bigint END"
)
_IDENTITY = "SELECT system_identifier FROM pg_control_system()"
_MOST_MARKS = 10_000


class ReplicaSettings(Settings):
    """How late a replica may be and still be read, and how it is looked after.

    It is looked at so often; who has written reads the original until then. Nobody waits for a
    replica any longer than its patience lasts.
    """

    most_lag_seconds: Annotated[float, msgspec.Meta(gt=0, le=300)] = 10.0
    look_seconds: Annotated[float, msgspec.Meta(ge=0.01, le=10)] = 0.25
    patience_seconds: Annotated[float, msgspec.Meta(gt=0, le=10)] = 1.0


class NoReplica(Exception):
    """What the topology calls a replica is none, or one of another server."""


class Unread(Exception):
    """The replica gave no answer: ask the original."""


class Replica:
    """A streaming replica of one module's database, watched from this process.

    Now and then it is asked how far it is. So a read knows without asking whether the replica is
    well, and whether it has what the caller has seen. The first failure keeps everybody away until
    a look has found it well again.
    """

    def __init__(
        self,
        module: str,
        settings: ReplicaSettings,
        *,
        copy: Borrow,
        original: Borrow,
        visit: Borrow,
    ) -> None:
        self._module = module
        self._settings = settings
        self._copy = copy
        self._original = original
        self._visit = visit
        self._is_near: bool | None = None
        self._replayed = -1
        self._is_proven = False
        self._marks: deque[tuple[float, int]] = deque(maxlen=_MOST_MARKS)
        self._woken = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None
        self._ending = False

    def open(self) -> None:
        """Begin to look after it."""
        loop = asyncio.get_running_loop()
        self._loop = loop.create_task(self._watch(), name=f"replica {self._module}")

    async def close(self) -> None:
        """Leave it alone."""
        self._ending = True  # A library may swallow the cancellation.
        if self._loop:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)

    def will_do(self) -> bool:
        """Tell whether what is read now may come from here."""
        reader = seen.reader()
        if reader is None:
            return False
        if not self._is_near:
            telemetry.count("banyan.replica.passed_over", module=self._module, reason="away")
            return False
        if reader.of(self._module) > self._replayed:
            telemetry.count("banyan.replica.passed_over", module=self._module, reason="behind")
            return False
        return True

    async def read(self, ask: Callable[[Any], Awaitable[R]]) -> R:
        """Read here; whatever goes wrong, the original will tell what is true."""
        try:
            async with asyncio.timeout(self._settings.patience_seconds), self._copy() as connection:
                return await ask(connection)
        except Exception as trouble:
            telemetry.count("banyan.replica.passed_over", module=self._module, reason="failed")
            self._judge(inf, type(trouble).__name__)
            self._woken.set()
            raise Unread from trouble

    async def _watch(self) -> None:
        while not self._ending:
            try:
                async with self._visit() as connection:
                    await self._recognize(connection)
                    while not self._ending:
                        await self._look(connection)
                        await self._nap()
            except Exception as trouble:  # noqa: BLE001 - whatever it is, nobody shall read there
                self._forget()
                self._judge(inf, type(trouble).__name__)
            await asyncio.sleep(self._settings.look_seconds)

    async def _recognize(self, connection: Any) -> None:
        """Positions of another server would mean nothing."""
        async with asyncio.timeout(self._settings.patience_seconds), self._original() as one:
            if await one.fetchval(_IDENTITY) != await connection.fetchval(_IDENTITY):
                raise NoReplica

    async def _look(self, connection: Any) -> None:
        await self._mark()
        async with asyncio.timeout(self._settings.patience_seconds):
            replayed = await connection.fetchval(_REPLAYED)
        if replayed is None:
            raise NoReplica
        self._replayed = replayed
        while self._marks and self._marks[0][1] <= replayed:
            self._marks.popleft()
            self._is_proven = True
        missing_since = self._marks[0][0] if self._marks else self._now()
        self._judge(self._now() - missing_since if self._is_proven else inf, "late")

    def _forget(self) -> None:
        """Trust it again only when it has got to where the original is by then."""
        self._replayed, self._is_proven = -1, False
        self._marks.clear()

    async def _mark(self) -> None:
        """Note where the original is; as long as that is down, the replica gets no later."""
        now = self._now()
        try:
            async with asyncio.timeout(self._settings.patience_seconds), self._original() as one:
                flushed = await one.fetchval(_FLUSHED)
        except Exception:  # noqa: BLE001 - who asks the original will say what it is
            return
        if flushed > max(self._replayed, self._marks[-1][1] if self._marks else -1):
            self._marks.append((now, flushed))

    async def _nap(self) -> None:
        self._woken.clear()
        try:
            async with asyncio.timeout(self._settings.look_seconds):
                await self._woken.wait()
        except TimeoutError:
            return

    def _judge(self, lag: float, reason: str) -> None:
        is_near = lag <= self._settings.most_lag_seconds
        if is_near:
            telemetry.level("banyan.replica.lag", lag, module=self._module)
        if is_near is self._is_near:
            return
        self._is_near = is_near
        telemetry.level("banyan.replica.away", int(not is_near), module=self._module)
        log = telemetry.log(__name__)
        if is_near:
            log.info("replica at hand", module=self._module)
        else:
            log.warning("replica away", module=self._module, reason=reason)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

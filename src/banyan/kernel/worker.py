"""The background of one module: carries its events, reacts to others', resumes its sagas."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import NamedTuple

from banyan.kernel import idempotency, telemetry
from banyan.kernel.database import DOWN, Database
from banyan.kernel.driver import Sagas
from banyan.kernel.outbox import Inbox, Outbox

POLL_SECONDS = 1.0
PAUSE_SECONDS = 1.0
MANY = 16
"""After a round that did so much, the next one follows at once."""
REST_SECONDS = 0.2
"""At least that long lies between two rounds otherwise: what is told meanwhile goes together.

The first thing after a while is done at once.
"""
HOUSEKEEPING_SECONDS = 3600.0


class _Due(NamedTuple):
    """What there is to do: events to carry, events to react to, sagas to resume."""

    told: bool
    heard: bool
    resumed: bool


class Worker:
    """One loop per module and process. It naps until something is due, or somebody wakes it.

    It is woken in this process only; what another process left behind is found by a poll, so
    that nothing has to be announced through the database while people are waiting.
    """

    def __init__(self, database: Database, outbox: Outbox, inbox: Inbox, sagas: Sagas) -> None:
        self.database = database
        self.outbox = outbox
        self.inbox = inbox
        self.sagas = sagas
        self._woken = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None
        self._cleaned_at = 0.0
        self._nap = 0.0
        self._ending = False
        database.wake = self._woken.set

    async def step(self) -> int:
        """Do what is due now, a batch of each kind, and return how much the most was."""
        due = await self._look()
        told = await self.outbox.relay() if due.told else 0
        heard = await self.inbox.drain() if due.heard else 0
        # What was heard may be what a saga has been waiting for.
        resumed = await self.sagas.resume() if due.resumed or self.sagas.signaled else 0
        return max(told, heard, resumed)

    async def deliver(self) -> int:
        """Carry a batch of what was told, react to one of what was heard; return how much."""
        return await self.outbox.relay() + await self.inbox.drain()

    def start(self) -> None:
        """Begin to work in the background."""
        name = f"worker {self.database.module}"
        self._loop = asyncio.get_running_loop().create_task(self._run(), name=name)

    async def stop(self) -> None:
        """End the loop, and leave what is under way to others."""
        self._ending = True  # Before Python 3.12, `asyncio.wait_for` may swallow a cancellation.
        if self._loop:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)
        await self.sagas.close()

    async def _run(self) -> None:
        while not self._ending:
            self._woken.clear()
            nap = await self._round()
            begun = asyncio.get_running_loop().time()
            with suppress(TimeoutError):
                async with asyncio.timeout(nap):
                    await self._woken.wait()
            if nap:
                rested = asyncio.get_running_loop().time() - begun
                await asyncio.sleep(max(0.0, REST_SECONDS - rested))

    async def _round(self) -> float:
        """Do what is due, and tell for how long nothing else will be."""
        try:
            done = await self.step()
            await self._clean()
        except DOWN as down:
            telemetry.log(__name__).warning(
                "database away", module=self.database.module, error=type(down).__name__
            )
            return PAUSE_SECONDS
        except Exception as defect:  # noqa: BLE001 - the loop outlives every defect
            telemetry.log(__name__).error("worker", module=self.database.module, exc_info=defect)
            return PAUSE_SECONDS
        if done:
            return 0.0 if done >= MANY else REST_SECONDS
        return self._nap

    async def _look(self) -> _Due:
        """Look what there is to do, and until when nothing else will be due."""
        row = await self.database.one(
            "SELECT EXISTS (SELECT FROM outbox) AS told, "
            "(SELECT min(due_at) FROM inbox "
            "WHERE status = 'pending' AND reaction = ANY($1)) AS heard, "
            "(SELECT min(due_at) FROM sagas "
            "WHERE status IN ('run', 'undo') AND kind = ANY($2)) AS resumed",
            self.inbox.names,
            self.sagas.kinds,
        )
        assert row, "one row always stands there"
        now = self.database.clock.now()
        moments = [moment for moment in (row["heard"], row["resumed"]) if moment]
        left = (min(moments) - now).total_seconds() if moments else POLL_SECONDS
        self._nap = min(POLL_SECONDS, max(REST_SECONDS, left))
        heard, resumed = (bool(row[of] and row[of] <= now) for of in ("heard", "resumed"))
        return _Due(row["told"], heard, resumed)

    async def _clean(self) -> None:
        """Once an hour, drop what is only kept for a while."""
        now = self.database.clock.monotonic()
        if now - self._cleaned_at >= HOUSEKEEPING_SECONDS:
            self._cleaned_at = now
            await self.inbox.forget_old()
            await self.sagas.forget_old()
            await idempotency.forget_old(self.database)

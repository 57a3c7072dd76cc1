"""Hears at once, in every worker, that what a module shows everybody has changed.

`Transaction.changed` says so, and PostgreSQL passes it on together with the commit. Whoever cannot
hear, such as a process that lost its connection, is told so, and trusts nothing that it has kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from banyan.kernel import telemetry
from banyan.kernel.database import DOWN, Database
from banyan.kernel.transaction import CHANGED

PAUSE_SECONDS = 1.0


class Changes:
    """Listens to the changes of one module, over a connection of its own."""

    def __init__(self, database: Database, heard: Callable[[], None]) -> None:
        self.listening = False
        self._database = database
        self._heard = heard
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Begin to listen, unless it was begun already."""
        if self._task is None:
            name = f"changes {self._database.module}"
            self._task = asyncio.get_running_loop().create_task(self._run(), name=name)

    async def close(self) -> None:
        """Listen no longer."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            try:
                await self._listen()
            except DOWN:
                await asyncio.sleep(PAUSE_SECONDS)
            except Exception as defect:  # noqa: BLE001 - the loop outlives every defect
                module = self._database.module
                telemetry.log(__name__).error("changes", module=module, exc_info=defect)
                await asyncio.sleep(PAUSE_SECONDS)

    async def _listen(self) -> None:
        connection = await self._database.connect()
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _: lost.set())
        try:
            await connection.add_listener(CHANGED, self._hear)
            # What was read before may have changed since, and nobody has heard it.
            self._heard()
            self.listening = True
            await lost.wait()
        finally:
            self.listening = False
            self._heard()
            connection.terminate()

    def _hear(self, *told: object) -> None:
        if told[-1] == self._database.module:
            self._heard()

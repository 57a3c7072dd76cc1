"""The embedded PostgreSQL of a shop that runs, started again whenever it dies."""

import asyncio
from collections.abc import Callable

from banyan.engines.postgres import EmbeddedPostgres
from banyan.engines.processes import Backoff, Standing, State, memory_of
from banyan.engines.trouble import EngineError
from banyan.kernel.clock import Clock, SystemClock

NAME = "postgres"
LOOK_SECONDS = 0.2


class Tended:
    """A server that somebody looks after: its processes connect again by themselves."""

    def __init__(
        self, postgres: EmbeddedPostgres, say: Callable[[str], None], clock: Clock | None = None
    ) -> None:
        self._postgres = postgres
        self._say = say
        self._clock = clock or SystemClock()
        self._state: State = "ready"
        self._since = self._clock.now()
        self._restarts = 0

    async def watch(self) -> None:
        """Look every moment whether the server lives, and start it again if it does not."""
        backoff = Backoff()
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            if self._postgres.pid is None:
                ran = (self._clock.now() - self._since).total_seconds()
                self._turn("restarting")
                pause = backoff.after(ran)
                self._say(f"{NAME} has died; starting it again in {pause:g} s")
                await self._clock.sleep(pause)
                await self._revive()

    def standing(self) -> Standing:
        """Tell how the server stands."""
        pid = self._postgres.pid
        return Standing(
            name=NAME,
            state=self._state,
            since=self._since,
            place=str(self._postgres.socket),
            pid=pid,
            memory_bytes=memory_of(pid) if pid else 0,
            restarts=self._restarts,
        )

    async def _revive(self) -> None:
        try:
            await asyncio.to_thread(self._postgres.revive)
        except EngineError as trouble:
            self._say(f"{NAME} | {trouble}")
        else:
            self._restarts += 1
            self._turn("ready")
            self._say(f"{NAME} ready {self._postgres.socket}")

    def _turn(self, state: State) -> None:
        self._state, self._since = state, self._clock.now()

"""Child processes kept alive: started together, restarted when they die, ended together."""

import asyncio
import signal
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Self

from banyan.engines.child import Child, ask_to_end, kill_group
from banyan.engines.guard import Guard
from banyan.engines.trouble import EngineError


class ChildFailed(EngineError):
    """A child process ended that we cannot do without."""


@dataclass
class Backoff:
    """How long to wait before the next start: twice as long each time, anew after a good run."""

    first_seconds: float = 0.2
    longest_seconds: float = 10.0
    good_run_seconds: float = 10.0
    _next_seconds: float = 0.0

    def after(self, ran_seconds: float) -> float:
        """Give the pause that follows a run of so many seconds."""
        if ran_seconds >= self.good_run_seconds or not self._next_seconds:
            self._next_seconds = self.first_seconds
        pause = self._next_seconds
        self._next_seconds = min(pause * 2, self.longest_seconds)
        return pause


class Supervisor:
    """The keeper of child processes.

    They do not hear the terminal's Ctrl-C: we end them, in our own order. If we are killed, the
    guard ends them.
    """

    def __init__(
        self,
        children: Sequence[Child],
        *,
        say: Callable[[str], None],
        grace_seconds: float = 10.0,
        patience_seconds: float = 60.0,
    ) -> None:
        self._children = children
        self._say = say
        self._grace_seconds = grace_seconds
        self._patience_seconds = patience_seconds
        self._leaders: dict[str, int] = {}
        self._ready = {child.name: asyncio.Event() for child in children}
        self._stopping = asyncio.Event()
        self._keepers: list[asyncio.Task[None]] = []
        self._guard: Guard | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start all children at once and return when each has said that it is ready."""
        self._guard = Guard(
            gently=signal.SIGTERM, firmly=signal.SIGKILL, grace_seconds=self._grace_seconds
        )
        self._keepers = [asyncio.create_task(self._keep(child)) for child in self._children]
        try:
            async with asyncio.timeout(self._patience_seconds):
                await self._unless_one_fails(self._all_ready())
        except TimeoutError:
            await self.stop()
            late = ", ".join(name for name, ready in self._ready.items() if not ready.is_set())
            raise ChildFailed(f"{late} took too long to get ready.") from None
        except BaseException:
            await self.stop()
            raise

    async def watch(self) -> None:
        """Return once stopped; raise `ChildFailed` when a child has ended for good."""
        await self._unless_one_fails(self._stopping.wait())

    async def stop(self) -> None:
        """End all children politely and, after the grace, firmly; harmless when none runs."""
        self._stopping.set()
        for leader in self._leaders.values():
            ask_to_end(leader)
        if self._keepers:
            await asyncio.wait(self._keepers, timeout=self._grace_seconds)
            for leader in self._leaders.values():
                kill_group(leader)
            await asyncio.gather(*self._keepers, return_exceptions=True)
            self._keepers = []
        if self._guard:
            self._guard.dismiss()
            self._guard = None

    async def _all_ready(self) -> None:
        for child in self._children:
            if child.awaited:
                await self._ready[child.name].wait()

    async def _unless_one_fails(self, hope: Coroutine[None, None, object]) -> None:
        """Wait for what we hope for, or raise what a keeper gave up for."""
        hoping = asyncio.ensure_future(hope)
        try:
            done, _ = await asyncio.wait(
                {hoping, *self._keepers}, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            hoping.cancel()
        for keeper in done - {hoping}:
            await keeper

    async def _keep(self, child: Child) -> None:
        """Run a child again and again until we stop or it fails for good."""
        clock = asyncio.get_running_loop().time
        backoff = Backoff()
        first = True
        while not self._stopping.is_set():
            began = clock()
            how = await child.run(
                first=first,
                started=partial(self._started, child),
                wrote=partial(self._wrote, child),
            )
            first = False
            self._leaders.pop(child.name, None)
            self._tell_guard()
            if self._stopping.is_set():
                return
            if not (child.restarts and self._ready[child.name].is_set()):
                raise ChildFailed(f"{child.name} {how}.")
            pause = backoff.after(clock() - began)
            self._say(f"{child.name} {how}; starting it again in {pause:g} s")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)

    def _started(self, child: Child, leader: int) -> None:
        self._leaders[child.name] = leader
        self._tell_guard()
        if self._stopping.is_set():  # It was on its way when the others were told to end.
            ask_to_end(leader)

    def _wrote(self, child: Child, line: str) -> None:
        self._say(f"{child.name} | {line}")
        if line.startswith(child.ready):
            self._ready[child.name].set()

    def _tell_guard(self) -> None:
        assert self._guard
        self._guard.watch(self._leaders.values())

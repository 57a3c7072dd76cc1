"""Child processes kept alive: added, restarted when they die, ended politely."""

import asyncio
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Literal, Self

import psutil

from banyan.engines.child import Child, ask_to_end, kill_group
from banyan.engines.guard import Guard
from banyan.engines.trouble import EngineError
from banyan.kernel.clock import Clock, SystemClock
from banyan.kernel.contract import Value

State = Literal["starting", "ready", "ending", "restarting"]


class ChildFailed(EngineError):
    """A child process ended that we cannot do without."""


class Standing(Value):
    """How a process stands; its memory is what it would give back, with all its helpers'."""

    name: str
    state: State
    since: datetime
    place: str = ""
    pid: int | None = None
    memory_bytes: int = 0
    restarts: int = 0


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


@dataclass(kw_only=True)
class _Kept:
    """A child in our care. `proven` means that it was ready once, `leaving` that it shall end."""

    child: Child
    since: datetime
    state: State = "starting"
    place: str = ""
    leader: int | None = None
    restarts: int = 0
    proven: asyncio.Event = field(default_factory=asyncio.Event)
    leaving: asyncio.Event = field(default_factory=asyncio.Event)
    keeper: asyncio.Task[None] | None = None

    def standing(self) -> Standing:
        return Standing(
            name=self.child.name,
            state=self.state,
            since=self.since,
            place=self.place,
            pid=self.leader,
            memory_bytes=memory_of(self.leader) if self.leader else 0,
            restarts=self.restarts,
        )


class Supervisor:
    """The keeper of child processes.

    They do not hear the terminal's Ctrl-C: we end them, in our own order. If we are killed, the
    guard ends them. What they write is said, and each that gets ready is shown to `greet` instead,
    if there is one. One that is removed ends on SIGTERM, and all that are left on `closing`.
    """

    def __init__(
        self,
        children: Sequence[Child],
        *,
        say: Callable[[str], None],
        greet: Callable[[Standing], None] | None = None,
        grace_seconds: float = 10.0,
        patience_seconds: float = 60.0,
        closing: signal.Signals = signal.SIGTERM,
        clock: Clock | None = None,
    ) -> None:
        self._children = children
        self._say = say
        self._greet = greet
        self._grace_seconds = grace_seconds
        self._patience_seconds = patience_seconds
        self._closing = closing
        self._clock = clock or SystemClock()
        self._kept: dict[str, _Kept] = {}
        self._over = asyncio.Event()
        self._trouble: ChildFailed | None = None
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
            gently=self._closing, firmly=signal.SIGKILL, grace_seconds=self._grace_seconds
        )
        try:
            await asyncio.gather(*(self._begin(child, warm=True) for child in self._children))
        except BaseException:
            await self.stop()
            raise

    async def add(self, child: Child) -> None:
        """Start one more child and return when it is ready; one that fails to is let go."""
        await self._begin(child, warm=False)

    async def remove(self, name: str) -> None:
        """Ask a child to end and wait until it has; after the grace, make it."""
        await self._end([self._kept[name]], all_end=False)
        del self._kept[name]

    def standings(self) -> list[Standing]:
        """Tell how every child stands."""
        return [kept.standing() for kept in self._kept.values()]

    async def watch(self) -> None:
        """Return once stopped; raise `ChildFailed` when a child has ended for good."""
        await self._over.wait()
        if self._trouble:
            raise self._trouble

    async def stop(self) -> None:
        """End all children and, after the grace, firmly; harmless when none runs."""
        self._over.set()
        await self._end(list(self._kept.values()), all_end=True)
        self._kept.clear()
        if self._guard:
            self._guard.dismiss()
            self._guard = None

    def hurry(self) -> None:
        """Give nobody any more time: all that still run end at once."""
        for kept in self._kept.values():
            kept.leaving.set()
            if kept.leader:
                kill_group(kept.leader)

    async def _begin(self, child: Child, *, warm: bool) -> None:
        kept = _Kept(child=child, place=child.place, since=self._clock.now())
        self._kept[child.name] = kept
        kept.keeper = asyncio.create_task(self._keep(kept, warm=warm))
        if not child.awaited:
            return
        proven = asyncio.create_task(kept.proven.wait())
        try:
            done, _ = await asyncio.wait(
                {proven, kept.keeper},
                timeout=self._patience_seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            proven.cancel()
        if kept.keeper in done:
            self._kept.pop(child.name, None)
            await kept.keeper
        elif not done:
            await self.remove(child.name)
            raise ChildFailed(f"{child.name} took too long to get ready.")

    async def _end(self, ending: Sequence[_Kept], *, all_end: bool) -> None:
        """Ask some children to end and, after the grace, make them."""
        for kept in ending:
            kept.leaving.set()
            self._turn(kept, "ending")
            if kept.leader:
                ask_to_end(kept.leader, self._closing if all_end else signal.SIGTERM)
        keepers = [kept.keeper for kept in ending if kept.keeper]
        if keepers:
            await asyncio.wait(keepers, timeout=self._grace_seconds)
            for kept in ending:
                if kept.leader:
                    kill_group(kept.leader)
            await asyncio.gather(*keepers, return_exceptions=True)

    async def _keep(self, kept: _Kept, *, warm: bool) -> None:
        """Run a child again and again until it shall end or fails for good."""
        clock = asyncio.get_running_loop().time
        child, backoff = kept.child, Backoff()
        while not kept.leaving.is_set():
            began = clock()
            how = await child.run(
                first=warm, started=partial(self._started, kept), wrote=partial(self._wrote, kept)
            )
            warm = False
            kept.leader = None
            self._tell_guard()
            if kept.leaving.is_set():
                return
            if not (child.restarts and kept.proven.is_set()):
                raise self._failed(kept, how)
            kept.restarts += 1
            self._turn(kept, "restarting")
            pause = backoff.after(clock() - began)
            self._say(f"{child.name} {how}; starting it again in {pause:g} s")
            with suppress(TimeoutError):
                await asyncio.wait_for(kept.leaving.wait(), pause)

    def _failed(self, kept: _Kept, how: str) -> ChildFailed:
        """Give a child up; the watch ends, unless somebody waits for just this one."""
        trouble = ChildFailed(f"{kept.child.name} {how}.")
        if kept.proven.is_set() or not kept.child.awaited:
            self._trouble = trouble
            self._over.set()
        return trouble

    def _started(self, kept: _Kept, leader: int) -> None:
        kept.leader = leader
        self._tell_guard()
        if kept.leaving.is_set():  # It was on its way when it was told to end.
            ask_to_end(leader)
        else:
            self._turn(kept, "starting")

    def _wrote(self, kept: _Kept, line: str) -> None:
        ready = kept.state == "starting" and line.startswith(kept.child.ready)
        if ready:
            kept.place = line.removeprefix(kept.child.ready).strip() or kept.place
            kept.proven.set()
            self._turn(kept, "ready")
        if ready and self._greet:
            self._greet(kept.standing())
        else:
            self._say(f"{kept.child.name} | {line}")

    def _turn(self, kept: _Kept, state: State) -> None:
        kept.state, kept.since = state, self._clock.now()

    def _tell_guard(self) -> None:
        if self._guard:
            self._guard.watch([kept.leader for kept in self._kept.values() if kept.leader])


def memory_of(leader: int) -> int:
    """Measure what a process and its helpers use; what they share with others counts in parts."""
    total = 0
    with suppress(psutil.Error):
        process = psutil.Process(leader)
        for one in (process, *process.children(recursive=True)):
            with suppress(psutil.Error):
                told = one.memory_full_info()
                total += getattr(told, "pss", told.rss)  # Only Linux knows shares.
    return total

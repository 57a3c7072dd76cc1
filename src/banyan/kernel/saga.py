"""Undertakings that survive a crash: remembered steps, the way back, waits, and jobs.

A saga is straight code. After a crash it runs again from the top and remembered steps answer at
once, so between steps there is no I/O, clock or chance. One row is state, timer, lease and retry;
every write of progress names the owner's epoch, so an owner that was taken over stops unheard.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any, ParamSpec, Protocol, TypeVar, cast, get_type_hints

import msgspec

from banyan.kernel import fault
from banyan.kernel.contract import Problem, asked, revive, snake, tell
from banyan.kernel.database import Database
from banyan.kernel.journal import WAIT, Entry, LostLease, Row
from banyan.kernel.link import Unavailable, calling, limited

P = ParamSpec("P")
R = TypeVar("R")
Answer_co = TypeVar("Answer_co", covariant=True)

STEP_SECONDS = 6.0


class Paused(Exception):
    """The saga waits for a signal, at most until a moment."""

    def __init__(self, until: datetime) -> None:
        super().__init__()
        self.until = until


class Turned(Exception):
    """The way there ends here, because the saga is turning back."""


class StepFailed(Exception):
    """A step did not come to an answer; whether it had an effect is unknown."""


class Undertaking(Protocol[P, Answer_co]):
    """A saga as modules write it: a class with `__call__`, wired like a service.

    A class may set `version`: a changed order of steps is a new version, so that what was begun
    on the old code ends on the old code. It may set `tries`, the number of attempts after which a
    step that does not answer turns the saga back.
    """

    def __call__(self, saga: Saga, /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[Answer_co]:
        """Take the steps."""
        ...


class Saga:
    """The way so far: does each step once, remembers it, and knows how to step back."""

    def __init__(self, database: Database, row: Row, undertaking: object) -> None:
        self.id = row.id
        self._undertaking = undertaking
        self._database = database
        self._row = row
        self._next = 0
        self._way_back: list[tuple[Callable[..., Awaitable[object]], dict[str, Any]]] = []

    async def do(self, step: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs) -> R:
        """Take one step, or return the remembered answer of a step already taken.

        A method of the saga itself shares its transaction with the note that it was taken: exactly
        once. What is asked of a neighbor, or of a plugin, may be asked for twice, and must bear it.
        """
        return await self._done(lambda: step(*args, **kwargs), step, last=False)

    async def conclude(
        self, step: Callable[P, Awaitable[R]], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Take the last step, a method of the saga itself, and end in its transaction."""
        assert self._is_ours(step), "a neighbor's transaction cannot end our saga"
        return await self._done(lambda: step(*args, **kwargs), step, last=True)

    def undo(self, step: Callable[P, Awaitable[object]], *args: P.args, **kwargs: P.kwargs) -> None:
        """Say how to step back from the step that comes next, should it or a later one fail.

        It is said before the step is taken, because a step that did not answer may yet have had
        its effect. It must bear to be done where there is nothing to undo.
        """
        assert not args, "steps take keywords only"
        self._way_back.append((step, dict(kwargs)))

    @property
    def way_back(self) -> tuple[str, ...]:
        """Name the steps back that were declared, in the order in which they would be taken."""
        return tuple(_name(step) for step, _ in reversed(self._way_back))

    async def wait(self, signal: str, *, seconds: float) -> Any:
        """Wait for a signal and return what it brought, or None when the time is over."""
        now = self._database.clock.now()
        entry = self._recall(WAIT + signal)
        if entry is None:
            entry = Entry(step=WAIT + signal, until=now + timedelta(seconds=seconds))
            await self._row.remember(self._database, entry)
        if entry.until is None:
            return entry.answer
        heard = self._row.signals.get(signal)
        if heard is None and now < entry.until:
            raise Turned if self._row.status == "undo" else Paused(entry.until)
        await self._row.settle(self._database, Entry(step=entry.step, answer=heard))
        return heard

    async def turn_back(self) -> None:
        """Undo what was done, last first; steps back that were already taken are not repeated."""
        way = list(reversed(self._way_back))
        for step, arguments in way[self._row.undone :]:
            if not self._is_ours(step):
                fault.reached(f"before undo {_name(step)}")
                with calling(seconds=STEP_SECONDS):
                    async with limited():
                        await step(**arguments)
                fault.reached(f"after undo {_name(step)}")
                await self._row.step_back(self._database)
            else:
                async with asyncio.timeout(STEP_SECONDS), self._database.begin() as tx:
                    await step(**arguments)
                    self._row.note_back(tx)

    def _is_ours(self, step: Callable[..., Any]) -> bool:
        return getattr(step, "__self__", None) is self._undertaking

    def _recall(self, name: str) -> Entry | None:
        """Return the remembered entry of the step that is due now, if there is one."""
        at, self._next = self._next, self._next + 1
        if at >= len(self._row.journal):
            if self._row.status == "undo":
                raise Turned
            return None
        entry = self._row.journal[at]
        if entry.step != name:
            raise RuntimeError(
                f"saga {self.id} remembers step {at} as {entry.step!r}, but the code now takes "
                f"{name!r}; a changed order of steps needs a new version"
            )
        return entry

    async def _done(
        self, act: Callable[[], Awaitable[R]], step: Callable[..., Any], *, last: bool
    ) -> R:
        entry = self._recall(_name(step))
        if entry is None:
            return await self._take(act, step, last=last)
        if entry.problem is not None:
            raise revive(entry.problem)
        return cast(R, msgspec.convert(entry.answer, _answer_of(step), str_keys=True))

    async def _take(
        self, act: Callable[[], Awaitable[R]], step: Callable[..., Any], *, last: bool
    ) -> R:
        """Take a step for the first time. Whatever is not a declared no is an unknown outcome."""
        operation, name = asked(step), _name(step)
        try:
            with calling(seconds=STEP_SECONDS):
                if self._is_ours(step):
                    async with limited(), self._database.begin() as tx:
                        answer = await act()
                        self._row.note(tx, Entry(step=name, answer=answer), last=last)
                    return answer
                fault.reached(f"before call {name}")
                async with limited():
                    answer = await act()
                fault.reached(f"after call {name}")
        except Problem as no:
            undeclared = operation is not None and not operation.declares(no)
            if undeclared or isinstance(no, Unavailable):
                raise StepFailed(name) from no
            await self._row.remember(self._database, Entry(step=name, problem=tell(no)))
            raise
        except LostLease:
            raise
        except Exception as unknown:
            raise StepFailed(name) from unknown
        await self._row.remember(self._database, Entry(step=name, answer=answer))
        return answer


def _name(step: Callable[..., Any]) -> str:
    operation = asked(step)
    return operation.subject if operation else step.__name__


def _answer_of(step: Callable[..., Any]) -> Any:
    operation = asked(step)
    if operation:
        return operation.answer
    return types_of(getattr(step, "__func__", step)).get("return")


@cache
def types_of(function: Callable[..., Any]) -> Mapping[str, Any]:
    """Read the types of a function's arguments and of its answer, once."""
    return get_type_hints(function)


def kind_of(undertaking: object) -> str:
    """Name a saga class with its version: `check_out@1`."""
    return f"{snake(type(undertaking).__name__)}@{getattr(undertaking, 'version', 1)}"

"""How a call travels: straight to the service, or through the codec as if by wire."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from contextvars import ContextVar
from functools import partial
from types import TracebackType
from typing import Any, Protocol, TypeVar

import msgspec
from msgspec.structs import replace

from banyan.kernel import seen, telemetry
from banyan.kernel.contract import (
    Operation,
    Problem,
    ToldProblem,
    operations,
    proxy,
    revive,
    tell,
)
from banyan.kernel.database import DOWN, RETRY, Database, in_transaction
from banyan.kernel.doors import through
from banyan.kernel.idempotency import Idempotency, KeyReused, once, resumed
from banyan.kernel.security import Caller

C = TypeVar("C")
R = TypeVar("R")

ANYBODY = Caller.anonymous()
DEADLINE_SECONDS = 10.0
MOST_HOPS = 2
TRIES = 3


class Unavailable(Problem, status=503):
    """Something that is needed here does not answer in time; try again later."""

    what: str


ALWAYS = (Unavailable, KeyReused)
"""Problems of the house itself, which every operation may raise."""


class Fault(Exception):
    """A defect of ours. The caller learns the trace id and nothing else."""

    def __init__(self, trace_id: str) -> None:
        super().__init__(f"something went wrong here; the logs know it as trace {trace_id}")
        self.trace_id = trace_id


class Call(msgspec.Struct, frozen=True):
    """What travels with a request from one module to the next.

    `asked` gathers the modules that were asked, where somebody wants to know.
    """

    deadline: float
    hops: int = 0
    caller: Caller = ANYBODY
    idempotency: Idempotency | None = None
    answering: Operation | None = None
    asked: set[str] | None = None

    def left(self) -> float:
        """Return the seconds until the deadline."""
        return self.deadline - asyncio.get_running_loop().time()


_call: ContextVar[Call | None] = ContextVar("call", default=None)


def current() -> Call:
    """Return the call that is being answered; outside of any, a fresh one."""
    return _call.get() or Call(deadline=asyncio.get_running_loop().time() + DEADLINE_SECONDS)


def caller() -> Caller:
    """Return who is asking."""
    call = _call.get()
    return call.caller if call else ANYBODY


def calling(
    *,
    seconds: float = DEADLINE_SECONDS,
    caller: Caller = ANYBODY,
    idempotency: Idempotency | None = None,
    asked: set[str] | None = None,
) -> AbstractContextManager[Call]:
    """Open a call at the edge of the house: an HTTP request, an event, a step of a saga."""
    deadline = asyncio.get_running_loop().time() + seconds
    return answering(Call(deadline=deadline, caller=caller, idempotency=idempotency, asked=asked))


class answering(AbstractContextManager[Call]):  # noqa: N801 - it reads as what happens inside
    """Take up a call, be it from here or from another process: inside, it is the current one."""

    __slots__ = ("_taken", "_token")

    def __init__(self, call: Call) -> None:
        self._taken = call

    def __enter__(self) -> Call:
        self._token = _call.set(self._taken)
        return self._taken

    def __exit__(self, *_: object) -> None:
        _call.reset(self._token)


class limited(AbstractAsyncContextManager[None]):  # noqa: N801 - as above
    """Keep what is inside to the deadline of the current call, or to a shorter one."""

    __slots__ = ("_seconds", "_timeout", "_token")

    def __init__(self, seconds: float | None = None) -> None:
        self._seconds = seconds

    async def __aenter__(self) -> None:
        call = current()
        if self._seconds is not None:
            soon = asyncio.get_running_loop().time() + self._seconds
            call = replace(call, deadline=min(call.deadline, soon))
        self._token = _call.set(call)
        self._timeout = asyncio.timeout_at(call.deadline)
        await self._timeout.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _call.reset(self._token)
        await self._timeout.__aexit__(kind, error, trace)


async def spare(answer: Awaitable[R], *, otherwise: R, seconds: float = 0.2) -> R:
    """Ask for what is not vital: make do with `otherwise` when it does not come in time."""
    try:
        async with limited(seconds):
            return await answer
    except (Unavailable, Fault, TimeoutError):
        return otherwise


class Link(Protocol):
    """Binds a contract to a service that answers it."""

    def __call__(self, protocol: type[C], service: C, database: Database | None = None) -> C:
        """Return what callers of the contract hold."""
        ...


def direct(protocol: type[C], service: C, database: Database | None = None) -> C:
    """Call the service in this process."""
    _refuse_unanswered(protocol, service)

    async def send(operation: Operation, arguments: dict[str, Any]) -> Any:
        with hop(operation):
            return await answer(service, operation, arguments, database)

    return proxy(protocol, send)


def wire(protocol: type[C], service: C, database: Database | None = None) -> C:
    """Encode and decode every call, so that a test sees what another process would."""
    _refuse_unanswered(protocol, service)

    async def send(operation: Operation, arguments: dict[str, Any]) -> Any:
        with hop(operation):
            asked = _through_codec(operation.arguments(**arguments), operation.arguments)
            try:
                told = await answer(service, operation, _arguments(asked), database)
            except Problem as no:
                raise revive(_through_codec(tell(no), ToldProblem)) from None
            return _through_codec(told, operation.answer)

    return proxy(protocol, send)


async def answer(
    service: object,
    operation: Operation,
    arguments: dict[str, Any],
    database: Database | None = None,
) -> Any:
    """Answer a call where its service lives; only declared problems leave from here."""
    run: Callable[[], Awaitable[Any]] = partial(getattr(service, operation.name), **arguments)
    call = current()
    key = call.idempotency if call.hops == 1 else None
    work = run
    if key and database and operation.mark == "command":
        work = partial(once, database, key, operation, run)
    elif key and database and operation.mark == "undertaking":
        work = partial(resumed, database, key, operation, run)
    with (
        through("call", operation.subject, operation=operation.subject),
        seen.latest(wanted=operation.mark != "query"),
    ):
        try:
            return await _tried(operation, work)
        except Problem as no:
            if operation.declares(no) or isinstance(no, ALWAYS):
                raise
            raise _fault(operation, no) from no
        except (TimeoutError, *DOWN) as down:
            raise Unavailable(what=operation.module) from down
        except Fault:
            raise
        except Exception as defect:
            raise _fault(operation, defect) from defect


async def _tried(operation: Operation, work: Callable[[], Awaitable[Any]]) -> Any:
    """Run within the deadline; a lost race for a lock is run again here and never told."""
    for attempt in range(1, TRIES + 1):
        try:
            async with limited():
                return await work()
        except RETRY:
            if attempt == TRIES:
                raise Unavailable(what=operation.module) from None
    raise AssertionError("unreachable")


def _fault(operation: Operation, defect: Exception) -> Fault:
    trace = telemetry.trace_id()
    telemetry.log(__name__).error("fault", operation=operation.subject, exc_info=defect)
    return Fault(trace)


def hop(operation: Operation) -> AbstractContextManager[Call]:
    """Count the hop, and refuse what a distant call could not do either."""
    if owner := in_transaction():
        raise RuntimeError(f"{operation.subject} was called inside a transaction of {owner}")
    call = current()
    if call.hops >= MOST_HOPS:
        raise RuntimeError(f"{operation.subject} would be hop {call.hops + 1} of a call")
    if call.answering and call.answering.mark == "command":
        raise RuntimeError(
            f"{call.answering.subject} is a command and asks {operation.subject}; "
            "what involves a neighbor is marked @undertaking"
        )
    if call.asked is not None:
        call.asked.add(operation.module)
    key = call.idempotency if call.hops == 0 else None
    return answering(replace(call, hops=call.hops + 1, idempotency=key, answering=operation))


def _arguments(asked: msgspec.Struct) -> dict[str, Any]:
    return {name: getattr(asked, name) for name in asked.__struct_fields__}


def _through_codec(value: Any, kind: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value), type=kind)


def _refuse_unanswered(protocol: type[C], service: C) -> None:
    for name in operations(protocol):
        method = getattr(type(service), name, None)
        if method is None or method is getattr(protocol, name):
            raise TypeError(f"{type(service).__name__} does not answer {name}")

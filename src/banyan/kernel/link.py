"""How a call travels: straight to the service, or through the codec as if by wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import msgspec

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


@dataclass(frozen=True)
class Call:
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


@contextmanager
def calling(
    *,
    seconds: float = DEADLINE_SECONDS,
    caller: Caller = ANYBODY,
    idempotency: Idempotency | None = None,
    asked: set[str] | None = None,
) -> Iterator[Call]:
    """Open a call at the edge of the house: an HTTP request, an event, a step of a saga."""
    deadline = asyncio.get_running_loop().time() + seconds
    call = Call(deadline=deadline, caller=caller, idempotency=idempotency, asked=asked)
    token = _call.set(call)
    try:
        yield call
    finally:
        _call.reset(token)


@contextmanager
def answering(call: Call) -> Iterator[Call]:
    """Take up a call that has come from another process."""
    token = _call.set(call)
    try:
        yield call
    finally:
        _call.reset(token)


@asynccontextmanager
async def limited(seconds: float | None = None) -> AsyncIterator[None]:
    """Keep what is inside to the deadline of the current call, or to a shorter one."""
    call = current()
    deadline = call.deadline
    if seconds is not None:
        deadline = min(deadline, asyncio.get_running_loop().time() + seconds)
    token = _call.set(replace(call, deadline=deadline) if deadline < call.deadline else call)
    try:
        async with asyncio.timeout_at(deadline):
            yield
    finally:
        _call.reset(token)


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
        async with hop(operation):
            return await answer(service, operation, arguments, database)

    return proxy(protocol, send)


def wire(protocol: type[C], service: C, database: Database | None = None) -> C:
    """Encode and decode every call, so that a test sees what another process would."""
    _refuse_unanswered(protocol, service)

    async def send(operation: Operation, arguments: dict[str, Any]) -> Any:
        async with hop(operation):
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

    async def run() -> Any:
        return await getattr(service, operation.name)(**arguments)

    key = current().idempotency if current().hops == 1 else None
    work: Callable[[], Awaitable[Any]] = run
    if key and database and operation.mark == "command":
        work = lambda: once(database, key, operation, run)  # noqa: E731
    elif key and database and operation.mark == "undertaking":
        work = lambda: resumed(database, key, operation, run)  # noqa: E731
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


@asynccontextmanager
async def hop(operation: Operation) -> AsyncIterator[None]:
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
    token = _call.set(replace(call, hops=call.hops + 1, idempotency=key, answering=operation))
    try:
        yield
    finally:
        _call.reset(token)


def _arguments(asked: msgspec.Struct) -> dict[str, Any]:
    return {name: getattr(asked, name) for name in asked.__struct_fields__}


def _through_codec(value: Any, kind: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value), type=kind)


def _refuse_unanswered(protocol: type[C], service: C) -> None:
    for name in operations(protocol):
        method = getattr(type(service), name, None)
        if method is None or method is getattr(protocol, name):
            raise TypeError(f"{type(service).__name__} does not answer {name}")

"""How a call travels to a module in another process, and how it is answered there."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

import msgspec

from banyan.kernel import link, subjects, telemetry
from banyan.kernel.contract import Operation, Problem, ToldProblem, proxy, revive, tell
from banyan.kernel.database import Database
from banyan.kernel.idempotency import Idempotency
from banyan.kernel.link import Call, Fault, hop
from banyan.kernel.nats import ERROR_CODE, Broker
from banyan.kernel.resilience import Neighbor
from banyan.kernel.security import Caller
from banyan.kernel.seen import Seen, following, reader, writer

C = TypeVar("C")

DEADLINE = "Banyan-Deadline-Ms"
HOPS = "Banyan-Hops"
CALLER = "Banyan-Caller"
KEY = "Idempotency-Key"
FINGERPRINT = "Banyan-Fingerprint"
SCOPE = "Banyan-Scope"
REPLAYED = "Idempotent-Replayed"
SEEN = "Banyan-Seen"
TRACE = "traceparent"
ERROR = "Nats-Service-Error"

Headers = Mapping[str, str]


class Malformed(Problem, status=400):
    """The request does not fit its schema; the reference of the contract shows it."""

    detail: str


def remote(protocol: type[C], broker: Broker, neighbor: Neighbor, *, replicated: bool = False) -> C:
    """Ask for a contract wherever on the broker it is answered; perhaps from a replica there."""

    async def send(operation: Operation, arguments: dict[str, Any]) -> Any:
        asked = operation.arguments(**arguments)
        seen = reader() if replicated else None
        with hop(operation):
            return await neighbor.ask(operation, lambda: _ask(broker, operation, asked, seen))

    return proxy(protocol, send)


async def _ask(
    broker: Broker, operation: Operation, asked: msgspec.Struct, seen: Seen | None
) -> Any:
    call = link.current()
    said = _headers(call) | ({SEEN: str(seen)} if seen else {})
    told = await broker.ask(subjects.of_call(operation), msgspec.json.encode(asked), said)
    headers = told.headers or {}
    if SEEN in headers and (writing := writer()):
        writing.hear(headers[SEEN])
    if ERROR_CODE in headers:
        raise _problem(told.data)
    if call.idempotency and REPLAYED in headers:
        call.idempotency.replayed = True
    return _decoder(operation).decode(told.data)


async def attend(
    service: object,
    operation: Operation,
    database: Database | None,
    data: bytes,
    headers: Headers,
) -> tuple[bytes, dict[str, str]]:
    """Answer a request where the service lives: with bytes, and headers that tell of trouble."""
    with following(Seen.read(headers.get(SEEN, "")), late=SEEN in headers) as seen:
        told, said = await _attended(service, operation, database, data, headers)
    position = await seen.told()
    return told, said | ({SEEN: position} if position else {})


async def _attended(
    service: object,
    operation: Operation,
    database: Database | None,
    data: bytes,
    headers: Headers,
) -> tuple[bytes, dict[str, str]]:
    try:
        call = _call(headers, operation)
        arguments = _read(data, operation)
        with telemetry.follow(headers.get(TRACE, "")), link.answering(call):
            told = await link.answer(service, operation, arguments, database)
        replayed = call.idempotency and call.idempotency.replayed
        return msgspec.json.encode(told), {REPLAYED: "true"} if replayed else {}
    except Problem as no:
        return msgspec.json.encode(tell(no)), {ERROR_CODE: str(no.status), ERROR: no.title()}
    except Fault as fault:
        said = ToldProblem(kind=_FAULT, fields={"trace_id": fault.trace_id})
        return msgspec.json.encode(said), {ERROR_CODE: "500", ERROR: "A fault of ours"}


_FAULT = "kernel.fault"


def _problem(data: bytes) -> Exception:
    told = msgspec.json.decode(data, type=ToldProblem)
    if told.kind == _FAULT:
        return Fault(told.fields["trace_id"])
    return revive(told)


def _headers(call: Call) -> dict[str, str]:
    """Write down what travels with a call; a deadline as what is left, as clocks differ."""
    headers = {DEADLINE: str(max(0, int(call.left() * 1000))), HOPS: str(call.hops)}
    if traceparent := telemetry.carry():
        headers[TRACE] = traceparent
    if call.caller is not link.ANYBODY:
        headers[CALLER] = msgspec.json.encode(call.caller).decode()
    if key := call.idempotency:
        headers |= {KEY: key.key, FINGERPRINT: key.fingerprint, SCOPE: key.scope}
    return headers


def _call(headers: Headers, operation: Operation) -> Call:
    """Read what came with a call; of a stranger who says nothing, we know nothing."""
    try:
        seconds = int(headers.get(DEADLINE, link.DEADLINE_SECONDS * 1000)) / 1000
        hops = int(headers.get(HOPS, "1"))
        told = headers.get(CALLER)
        caller = msgspec.json.decode(told, type=Caller) if told else link.ANYBODY
    except ValueError as refusal:
        raise Malformed(detail=f"{DEADLINE}, {HOPS} or {CALLER}: {refusal}") from None
    key = headers.get(KEY)
    keyed = Idempotency(key, headers.get(FINGERPRINT, ""), headers.get(SCOPE, "")) if key else None
    return Call(
        deadline=asyncio.get_running_loop().time() + min(seconds, link.DEADLINE_SECONDS),
        hops=hops,
        caller=caller,
        idempotency=keyed,
        answering=operation,
    )


def _read(data: bytes, operation: Operation) -> dict[str, Any]:
    try:
        asked = _argument_decoder(operation).decode(data or b"{}")
    except msgspec.DecodeError as refusal:
        raise Malformed(detail=str(refusal)) from None
    return {name: getattr(asked, name) for name in asked.__struct_fields__}


@cache
def _decoder(operation: Operation) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(operation.answer)


@cache
def _argument_decoder(operation: Operation) -> msgspec.json.Decoder[msgspec.Struct]:
    return msgspec.json.Decoder(operation.arguments)

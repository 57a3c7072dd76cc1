"""How the house says no over HTTP: every refusal is a problem document (RFC 9457)."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus

import msgspec

from banyan.kernel import telemetry
from banyan.kernel.contract import Problem, Value
from banyan.kernel.link import Fault, Unavailable

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 1

Headers = list[tuple[bytes, bytes]]


class Flaw(Value, frozen=True, kw_only=True, omit_defaults=True):
    """What is wrong with one part of a request: a place in its body, or a parameter."""

    detail: str
    pointer: str | None = None
    parameter: str | None = None


class BadRequest(Problem, status=400):
    """The request cannot be understood; its errors say where."""

    errors: tuple[Flaw, ...]

    def __str__(self) -> str:
        return "; ".join(
            f"{flaw.pointer or flaw.parameter or 'body'}: {flaw.detail}" for flaw in self.errors
        )


class IdempotencyKeyMissing(Problem, status=400):
    """This needs an Idempotency-Key, so that a repeat of it has no second effect."""


class Unauthenticated(Problem, status=401):
    """This needs a bearer token that is known here."""


class Forbidden(Problem, status=403):
    """The caller is known, but was not granted this."""

    permission: str


class CrossSite(Problem, status=403):
    """A page of another site sent this form; go to the page here, and send it from there."""


class NotFound(Problem, status=404):
    """There is nothing at this address."""


class MethodNotAllowed(Problem, status=405):
    """What is at this address cannot be asked in this way."""

    allowed: tuple[str, ...]


class NotAcceptable(Problem, status=406):
    """The answer cannot be given in any of the media types that were asked for."""

    offered: str


class Stale(Problem, status=412):
    """It has changed since it was read; read it again and decide anew."""

    current: int


class BodyTooLarge(Problem, status=413):
    """The body of the request is larger than is accepted here."""

    limit_bytes: int


class UnsupportedMediaType(Problem, status=415):
    """The body of the request is not in the media type that is accepted here."""

    accepted: str


class MatchMissing(Problem, status=428):
    """This needs an If-Match header with the ETag of what is to be changed (RFC 6585)."""


class TooManyRequests(Problem, status=429):
    """This client asks more often than is allowed here."""


class HeadersTooLarge(Problem, status=431):
    """The headers of the request are larger than is accepted here."""


class InternalFault(Problem, status=500):
    """Something went wrong here that is not the caller's doing; the logs know it by its trace."""


class NotReady(Problem, status=503):
    """The house is starting, or something that it stands on does not answer."""

    waiting_for: tuple[str, ...]


class ProblemDocument(Value, frozen=True, kw_only=True):
    """A problem as it is sent (RFC 9457); the fields that explain it stand beside these."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    trace_id: str
    errors: tuple[Flaw, ...] = ()


def problem_of(error: Exception) -> Problem:
    """Tell what the caller may know of an error; whatever is not a problem is logged here."""
    if isinstance(error, Problem):
        return error
    if not isinstance(error, Fault):
        # A fault was logged where it happened.
        telemetry.log(__name__).error("fault", exc_info=error)
    return InternalFault()


def written(problem: Problem, *, path: str) -> tuple[int, Headers, bytes]:
    """Write a problem as status, headers and body of an answer."""
    document = {
        "type": f"/problems/{problem.code}",
        "title": problem.title(),
        "status": problem.status,
        "detail": str(problem),
        "instance": path,
        "code": problem.code,
        "trace_id": telemetry.trace_id(),
    }
    body = msgspec.json.encode(document | problem.fields() | document, enc_hook=str)
    headers = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", b"%d" % len(body)),
        *((name, value.encode("latin-1", "replace")) for name, value in _headers(problem)),
    ]
    return problem.status, headers, body


def known_problems() -> dict[str, type[Problem]]:
    """List all kinds of problems that this process can raise, by code."""
    found: dict[str, type[Problem]] = {}
    waiting = list(Problem.__subclasses__())
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        found[kind.code] = kind
    return dict(sorted(found.items()))


def phrase(status: int) -> str:
    """Name a status as RFC 9110 does."""
    return HTTPStatus(status).phrase


def _headers(problem: Problem) -> Iterator[tuple[bytes, str]]:
    """What a client needs beside the document to do better."""
    match problem:
        case Unavailable() | NotReady():
            yield b"retry-after", str(RETRY_AFTER_SECONDS)
        case MethodNotAllowed():
            yield b"allow", ", ".join(problem.allowed)
        case Stale():
            yield b"etag", f'"{problem.current}"'
        case UnsupportedMediaType():
            yield b"accept", problem.accepted
        case _ if problem.status == HTTPStatus.UNAUTHORIZED:
            yield b"www-authenticate", 'Bearer realm="banyan"'

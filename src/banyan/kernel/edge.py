"""The edge of the house: what every request passes on its way in, and every answer on its way out.

It is plain ASGI around the router, so that what finds no route is met in the same way.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from time import perf_counter
from typing import Any

from banyan.kernel import link, seen, telemetry
from banyan.kernel.idempotency import Idempotency
from banyan.kernel.limits import UNLIMITED, Limiter
from banyan.kernel.refusal import (
    BadRequest,
    BodyTooLarge,
    Flaw,
    Headers,
    TooManyRequests,
    Unauthenticated,
    problem_of,
    written,
)
from banyan.kernel.security import Caller, Gate
from banyan.kernel.seen import Seen

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MOST_BYTES = 1024 * 1024

IDEMPOTENCY_KEY = r'^("(?:[ !#-\[\]-~]|\\["\\]){1,255}"|[A-Za-z0-9!#$%&\'*+.^_`|~:/=-]{1,255})$'
"""A structured string (RFC 9651), or the bare key that most clients send."""

SEEN = b"banyan-seen"
"""The header, and the cookie, by which whoever wrote is told how much it has seen."""

SEEN_FOR_SECONDS = 600
"""Longer than any replica that is read may be late."""

VISIT = "banyan_visit"
"""Where the scope tells the edge that the answer depends on market and language."""

_COOKIE = re.compile(rb"(?:^|;)\s*" + SEEN + rb"=([^;\s]*)")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_ALWAYS: Headers = [(b"x-content-type-options", b"nosniff")]
_UNLESS_SAID: dict[bytes, bytes] = {
    b"cache-control": b"no-store",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"referrer-policy": b"no-referrer",
}


class Gone(Exception):
    """The client hung up before it had said everything."""


class Edge:
    """Opens the call that a request is: its trace, caller, idempotency key and deadline."""

    def __init__(
        self,
        app: App,
        gate: Gate,
        *,
        limiter: Limiter | None = None,
        seconds: float = link.DEADLINE_SECONDS,
    ) -> None:
        self._app = app
        self._gate = gate
        self._limiter = limiter
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = perf_counter()
        headers = dict(scope["headers"])
        answer = _Answer(scope, send)
        # A server may begin a request in the context of another one on the same connection.
        following = telemetry.follow(headers.get(b"traceparent", b"").decode("latin-1"))
        with following, telemetry.span("http", kind="server") as span:
            try:
                await self._answer(answer, headers, receive)
            finally:
                route = answer.scope.get("path_template", "unmatched")
                span.update_name(f"http {answer.method} {route}")
                span.set_attribute("http.request.method", answer.method)
                span.set_attribute("http.route", route)
                span.set_attribute("http.response.status_code", answer.status)
                telemetry.observe(
                    "http",
                    perf_counter() - begun,
                    method=answer.method,
                    route=route,
                    status=answer.status,
                )

    async def _answer(self, answer: _Answer, headers: dict[bytes, bytes], receive: Receive) -> None:
        try:
            self._limit(answer)
            _refuse_unprintable(answer.scope)
            caller = await self._caller(headers)
            if answer.scope["method"] == "POST" and b"idempotency-key" in headers:
                answer.idempotency, receive = await _keyed(answer.scope, headers, receive, caller)
            answer.seen = _seen(headers)
            reads = answer.scope["method"] == "GET"
            with (
                link.calling(seconds=self._seconds, caller=caller, idempotency=answer.idempotency),
                seen.following(answer.seen, late=reads),
            ):
                await self._app(answer.scope, receive, answer.send)
        except Gone:
            return
        except Exception as error:
            if answer.status:
                raise
            status, refused, body = written(problem_of(error), path=answer.scope["path"])
            await answer.send({"type": "http.response.start", "status": status, "headers": refused})
            await answer.send({"type": "http.response.body", "body": body})

    def _limit(self, answer: _Answer) -> None:
        if self._limiter and answer.scope["path"] not in UNLIMITED:
            granted, answer.standing = self._limiter.grant(answer.scope)
            if not granted:
                raise TooManyRequests

    async def _caller(self, headers: dict[bytes, bytes]) -> Caller:
        told = headers.get(b"authorization")
        if told is None:
            return link.ANYBODY
        scheme, _, token = told.decode("latin-1").partition(" ")
        caller = await self._gate.caller(token.strip()) if scheme.lower() == "bearer" else None
        if caller is None:
            raise Unauthenticated
        return caller


class _Answer:
    """An answer on its way out: everything that is said in headers whatever it is."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        self.head = self.method == "HEAD"
        # A HEAD is answered like the GET that it asks about, without the body.
        self.scope = {**scope, "method": "GET"} if self.head else scope
        self.status = 0
        self.standing: Headers = []
        self.idempotency: Idempotency | None = None
        self.seen = Seen()
        self._send = send

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            said = message["headers"]
            message["headers"] = [*said, *self._more(said), *await self._remember()]
        elif self.head:
            message = {**message, "body": b""}
        await self._send(message)

    def _more(self, said: Headers) -> Headers:
        names = {name for name, _ in said}
        more = [*_ALWAYS, *self.standing, (b"trace-id", telemetry.trace_id().encode())]
        more += [pair for pair in _UNLESS_SAID.items() if pair[0] not in names]
        if self.idempotency and self.idempotency.replayed:
            more.append((b"idempotent-replayed", b"true"))
        if VISIT in self.scope and self.status < 400:  # noqa: PLR2004 - a refusal is in English
            more.append((b"vary", b"Accept-Language, Banyan-Market"))
        return more

    async def _remember(self) -> Headers:
        """Tell a writer what its next requests shall bring along: a browser does so by itself."""
        told = await self.seen.told()
        if told is None:
            return []
        cookie = (
            f"{SEEN.decode()}={told}; Path=/; Max-Age={SEEN_FOR_SECONDS}; HttpOnly; SameSite=Lax"
        )
        if self.scope.get("scheme") == "https":
            cookie += "; Secure"
        return [(SEEN, told.encode()), (b"set-cookie", cookie.encode())]


def _seen(headers: Mapping[bytes, bytes]) -> Seen:
    """Read what a client was told when it wrote: in its own header or, of a browser, a cookie."""
    kept = _COOKIE.search(headers.get(b"cookie", b""))
    told = headers.get(SEEN, kept[1] if kept else b"")
    return Seen.read(told.decode("latin-1"))


def _refuse_unprintable(scope: Scope) -> None:
    """No name of anything contains a line break or the like, and no text a NUL."""
    if any(character < " " or character == "\x7f" for character in scope["path"]):
        raise BadRequest(errors=(Flaw(parameter="path", detail="It contains a control character"),))
    if b"%00" in scope["query_string"]:
        raise BadRequest(errors=(Flaw(parameter="query", detail="It contains a NUL character"),))


async def _keyed(
    scope: Scope, headers: dict[bytes, bytes], receive: Receive, caller: Caller
) -> tuple[Idempotency, Receive]:
    """Tell this request from every other that may come with the same key: by all that it says."""
    key = headers[b"idempotency-key"].decode("latin-1")
    if not re.fullmatch(IDEMPOTENCY_KEY, key):
        flaw = Flaw(parameter="Idempotency-Key", detail="Expected 1 to 255 visible characters")
        raise BadRequest(errors=(flaw,))
    body = await _whole(receive)
    said = f"{scope['method']} {scope['path']}?".encode() + scope["query_string"] + b"\n" + body
    # Strangers share a name: to each of them, a key counts at one address only.
    scoped = f"{caller.subject} {scope['path']}" if caller is link.ANYBODY else caller.subject
    idempotency = Idempotency(
        key=_unquoted(key), fingerprint=hashlib.sha256(said).hexdigest(), scope=scoped
    )

    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return idempotency, again


def _unquoted(key: str) -> str:
    return re.sub(r"\\(.)", r"\1", key[1:-1]) if key.startswith('"') else key


async def _whole(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        body += message.get("body", b"")
        if len(body) > MOST_BYTES:
            raise BodyTooLarge(limit_bytes=MOST_BYTES)
        if not message.get("more_body", False):
            return bytes(body)

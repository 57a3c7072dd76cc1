"""The edge of the house: what every request passes on its way in, and every answer on its way out.

It is plain ASGI around the router, so that what finds no route is met in the same way.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from time import perf_counter
from typing import Any

from banyan.kernel import link, seen, shelf, telemetry
from banyan.kernel.idempotency import Idempotency
from banyan.kernel.limits import UNLIMITED, Limiter
from banyan.kernel.refusal import (
    BadRequest,
    BodyTooLarge,
    CrossSite,
    Flaw,
    Headers,
    TooManyRequests,
    Unauthenticated,
    problem_of,
    written,
)
from banyan.kernel.security import Caller, Gate
from banyan.kernel.seen import Seen
from banyan.kernel.shelf import Kept, Place, Shelf

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

SESSION = b"banyan-session"
"""The cookie by which a browser that signed in is known again."""

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SCHEMES = frozenset({b"http", b"https"})
_ALWAYS: Headers = [(b"x-content-type-options", b"nosniff")]
_UNLESS_SAID: dict[bytes, bytes] = {
    b"cache-control": b"no-store",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"referrer-policy": b"no-referrer",
}


class Gone(Exception):
    """The client hung up before it had said everything."""


class Edge:
    """Opens the call that a request is: its trace, caller, idempotency key and deadline.

    `proxies` counts those before us that are believed how a client came to them.
    """

    def __init__(
        self,
        app: App,
        gate: Gate,
        *,
        limiter: Limiter | None = None,
        shelf: Shelf | None = None,
        proxies: int = 0,
        seconds: float = link.DEADLINE_SECONDS,
    ) -> None:
        self._app = app
        self._gate = gate
        self._limiter = limiter
        self._shelf = shelf
        self._proxies = proxies
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = perf_counter()
        headers = dict(scope["headers"])
        if self._proxies:
            scope["scheme"] = _scheme(scope, headers, self._proxies)
        answer = _Answer(scope, send)
        if self._shelf and (key := shelf.key_of(scope, headers)):
            if kept := self._shelf.find(key):
                await self._hand_out(answer, kept, headers)
                return
            answer.place = self._shelf.open(key)
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

    async def _hand_out(self, answer: _Answer, kept: Kept, headers: Mapping[bytes, bytes]) -> None:
        """Answer from the shelf: nothing is asked, so there is nothing to trace."""
        begun = perf_counter()
        try:
            self._limit(answer)
            status, said, body = shelf.told(kept, headers)
        except TooManyRequests as no:
            status, said, body = written(no, path=answer.scope["path"])
        await answer.send({"type": "http.response.start", "status": status, "headers": said})
        await answer.send({"type": "http.response.body", "body": body})
        seconds = perf_counter() - begun
        telemetry.observe("http", seconds, method="GET", route=kept.route, status=status)

    async def _answer(self, answer: _Answer, headers: dict[bytes, bytes], receive: Receive) -> None:
        try:
            self._limit(answer)
            _refuse_unprintable(answer.scope)
            _refuse_foreign(answer.scope, headers)
            caller = await self._caller(headers)
            if answer.scope["method"] == "POST" and b"idempotency-key" in headers:
                answer.idempotency, receive = await _keyed(answer.scope, headers, receive, caller)
            answer.seen = _seen(headers)
            reads = answer.scope["method"] == "GET"
            with (
                link.calling(
                    seconds=self._seconds,
                    caller=caller,
                    idempotency=answer.idempotency,
                    asked=answer.place.asked if answer.place else None,
                ),
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
            # A session that is over is no offense: its owner is asked to sign in again.
            session = _cookie(headers, SESSION).decode("latin-1")
            return (session and await self._gate.caller(session)) or link.ANYBODY
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
        self.place: Place | None = None
        self._send = send

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            said = [*message["headers"], *self._vary()]
            if self.place:
                self.place.begin(self.status, said, self.scope.get("path_template", ""))
            message["headers"] = [*said, *self._more(said), *await self._remember()]
        elif self.head:
            message = {**message, "body": b""}
        elif self.place:
            self.place.put(message.get("body", b""), more=message.get("more_body", False))
        await self._send(message)

    def _more(self, said: Headers) -> Headers:
        names = {name for name, _ in said}
        more = [*_ALWAYS, *self.standing, (b"trace-id", telemetry.trace_id().encode())]
        more += [pair for pair in _UNLESS_SAID.items() if pair[0] not in names]
        if self.idempotency and self.idempotency.replayed:
            more.append((b"idempotent-replayed", b"true"))
        return more

    def _vary(self) -> Headers:
        """Tell what the answer depends on; a refusal is in English."""
        told = VISIT in self.scope and self.status < 400  # noqa: PLR2004 - where refusals begin
        return [(b"vary", b"Accept-Language, Banyan-Market")] if told else []

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
    told = headers.get(SEEN) or _cookie(headers, SEEN)
    return Seen.read(told.decode("latin-1"))


def _scheme(scope: Scope, headers: Mapping[bytes, bytes], proxies: int) -> str:
    """Tell how a client came to the farthest proxy that we trust; most proxies tell it alone."""
    told = headers.get(b"x-forwarded-proto", b"").lower().split(b",")
    seen = told[-min(proxies, len(told))].strip()
    return seen.decode() if seen in _SCHEMES else str(scope["scheme"])


def _cookie(headers: Mapping[bytes, bytes], name: bytes) -> bytes:
    pairs = (pair.strip().partition(b"=") for pair in headers.get(b"cookie", b"").split(b";"))
    return next((value for known, _, value in pairs if known == name), b"")


def _refuse_foreign(scope: Scope, headers: Mapping[bytes, bytes]) -> None:
    """Refuse a form that another site made a browser send, with the cookies that it has of us.

    A browser tells where a request began (Fetch Metadata), an older one its Origin. JSON needs no
    such look: for that, a browser asks us first (CORS), and we have never said yes.
    """
    media_type = headers.get(b"content-type", b"").partition(b";")[0].strip()
    if scope["method"] in _SAFE or media_type.endswith(b"json"):
        return
    began = headers.get(b"sec-fetch-site")
    if began is None and (origin := headers.get(b"origin")):
        began = b"same-origin" if origin.endswith(b"://" + headers.get(b"host", b"")) else b""
    if began not in (None, b"same-origin", b"none"):
        raise CrossSite


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

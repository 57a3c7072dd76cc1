"""What a handler returns, on its way to becoming an answer, with the headers that follow."""

from __future__ import annotations

from typing import Any, TypeVar, cast
from urllib.parse import parse_qsl, quote, urlencode

import litestar
import msgspec
from litestar.connection import Request
from litestar.response.base import ASGIResponse

from banyan.kernel.conditional import etag, unchanged
from banyan.kernel.edge import Receive, Scope, Send
from banyan.kernel.refusal import Headers

T = TypeVar("T")

_JSON = "application/json"
_NO_CONTENT, _NOT_MODIFIED = 204, 304
_encoder = msgspec.json.Encoder()


class Answer(litestar.Response[T]):
    """A value that is answered, alone or with an ETag; what a handler returns becomes one."""

    def to_asgi_response(
        self, app: litestar.Litestar | None, request: Request[Any, Any, Any], **rest: Any
    ) -> ASGIResponse:
        """Write the answer, with the headers that follow from what it is."""
        # Some lists tell more than a page does, such as facets.
        if follows := getattr(self.content, "next", None):
            self.headers["link"] = _next(request, follows)
        if "etag" in self.headers and _is_kept(request, self.headers["etag"]):
            self.content, self.status_code = cast(T, None), _NOT_MODIFIED
        status = self.status_code or rest.get("status_code") or 200
        content: Any = self.content
        media_type = self.media_type or rest.get("media_type") or _JSON
        ready = isinstance(content, bytes) or media_type == _JSON
        if status in (_NO_CONTENT, _NOT_MODIFIED) or not ready or self._brings_more(**rest):
            return super().to_asgi_response(app, request, **rest)
        body = content if isinstance(content, bytes) else _encoder.encode(content)
        said = {**(rest.get("headers") or {}), **self.headers}
        return cast(ASGIResponse, _Plain(status, media_type, said, body))

    def _brings_more(self, *, cookies: Any = None, background: Any = None, **_: Any) -> bool:
        """Whether there is more than headers and a body, which are sent in half the time."""
        return bool(cookies or self.cookies or background or self.background)


class _Plain:
    """An answer whose headers and body are ready to be sent."""

    __slots__ = ("_body", "_headers", "_status")

    def __init__(self, status: int, media_type: str, headers: dict[str, Any], body: bytes) -> None:
        self._status = status
        if media_type.startswith("text/"):
            media_type += "; charset=utf-8"
        self._headers: Headers = [
            (b"content-type", media_type.encode()),
            (b"content-length", b"%d" % len(body)),
            *(
                (name.lower().encode(), str(said).encode("latin-1"))
                for name, said in headers.items()
            ),
        ]
        self._body = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - called by name
        await send(
            {"type": "http.response.start", "status": self._status, "headers": self._headers}
        )
        await send({"type": "http.response.body", "body": self._body})


def tagged(
    value: T, version: int | str, *, public_seconds: int = 0, locale: str | None = None
) -> Answer[T]:
    """Answer with an ETag, by which a reader can keep the value and a writer can change it.

    With `public_seconds`, anybody between us and the reader may keep it for so long. `locale` is
    the language of its words, if it has any.
    """
    cache = f"public, max-age={public_seconds}" if public_seconds else "private, no-cache"
    headers = {"etag": etag(version), "cache-control": cache}
    return Answer(value, headers=headers | ({"content-language": locale} if locale else {}))


def _is_kept(request: Request[Any, Any, Any], tag: str) -> bool:
    return request.method == "GET" and unchanged(request.headers.get("if-none-match"), tag)


def _next(request: Request[Any, Any, Any], cursor: str) -> str:
    """Name the next page (RFC 8288): the same question with another cursor."""
    asked = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    kept = [(name, told) for name, told in asked if name != "cursor"]
    target = f"{quote(request.scope['path'])}?{urlencode([*kept, ('cursor', cursor)])}"
    return f'<{target}>; rel="next"'

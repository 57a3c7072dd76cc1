"""Pages for people: HTML made of templates, under a policy that lets in nothing from elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from typing import Any
from urllib.parse import urlencode

import litestar
from litestar.response import Response

from banyan.kernel import telemetry
from banyan.kernel.answer import Answer
from banyan.kernel.assets import Assets
from banyan.kernel.conditional import etag
from banyan.kernel.language import visit_of
from banyan.kernel.refusal import Unauthenticated, problem_of
from banyan.kernel.template import Templates
from banyan.kernel.translation import refused, translated
from banyan.kernel.words import ENGLISH, Words

HTML = "text/html"
PRIVATE = "private, no-store"

AnyRequest = litestar.Request[Any, Any, Any]


class Pages:
    """The pages of a channel: the templates of its package, its words, and the files beside them.

    A template is told `locale`, `status`, `asset` (the address of a file by name) and whatever the
    handler tells it. `trouble.html` is shown for a `problem`, and told its `code` and `trace_id`.
    """

    def __init__(
        self,
        package: str,
        *,
        assets: Assets,
        filters: Mapping[str, Callable[..., Any]] | None = None,
        around: Callable[[AnyRequest], Mapping[str, Any]] = lambda _: {},
        entrance: str | None = None,
    ) -> None:
        """Find the templates; `around` tells what `trouble.html` needs, of a request.

        Whoever must sign in is led to the `entrance`, which is told `to` which page that was.
        """
        words = Words(package)
        self.languages = words.languages
        self._templates = Templates(package, filters=filters, words=words)
        self._assets = assets
        self._around = around
        self._entrance = entrance

    def show(
        self,
        name: str,
        /,
        *,
        locale: str,
        status: int = 200,
        cache: str = PRIVATE,
        frames: Collection[str] = (),
        leads: Collection[str] = (),
        **values: Any,
    ) -> Answer[bytes]:
        """Answer with a page; nobody keeps it unless `cache` says so, and then by its ETag.

        It may show pages of the origins `frames`, and its forms may lead to those of `leads`.
        """
        html = self._templates.render(
            name, locale=locale, status=status, asset=self._assets.url, **values
        )
        body = html.encode()
        version = {} if cache == PRIVATE else {"etag": etag(hashlib.sha256(body).hexdigest()[:24])}
        return Answer(
            body,
            status_code=status,
            media_type=HTML,
            headers={
                **version,
                "cache-control": cache,
                "content-language": locale,
                "content-security-policy": self._policy(frames, leads),
                "referrer-policy": "strict-origin-when-cross-origin",
            },
        )

    def trouble(self, request: AnyRequest, error: Exception) -> Response[bytes]:
        """Answer an error with a page; programs, which ask for no HTML, get the problem itself."""
        if HTML not in request.headers.get("accept", HTML):
            return refused(request, error)
        problem = problem_of(translated(request, error))
        if isinstance(problem, Unauthenticated) and self._entrance:
            return seen_elsewhere(self._entrance + _back(request))
        told = {"locale": _locale(request), **self._around(request)}
        return self.show(
            "trouble.html",
            status=problem.status,
            problem=problem,
            code=problem.code,
            trace_id=telemetry.trace_id(),
            **told,
        )

    def _policy(self, frames: Collection[str], leads: Collection[str]) -> str:
        """Let in what is ours and what was named, and nothing else (CSP Level 3)."""
        rules = {
            "default-src": ["'none'"],
            "base-uri": ["'none'"],
            "connect-src": ["'self'"],
            "font-src": ["'self'"],
            "form-action": ["'self'", *leads],
            "frame-ancestors": ["'none'"],
            "frame-src": list(frames) or ["'none'"],
            "img-src": ["'self'", "data:"],
            "script-src": ["'self'"],
            "style-src": ["'self'"],
        }
        return "; ".join(f"{name} {' '.join(told)}" for name, told in rules.items())


def seen_elsewhere(path: str) -> Answer[bytes]:
    """Lead on to another page after something was done, so that a reload does not repeat it."""
    return Answer(b"", status_code=303, media_type=HTML, headers={"location": path})


def _back(request: AnyRequest) -> str:
    """Say which page was asked for, so that whoever signs in is led there."""
    if request.method != "GET":
        return ""
    query = request.url.query
    return f"?{urlencode({'to': f'{request.url.path}?{query}' if query else request.url.path})}"


def _locale(request: AnyRequest) -> str:
    told = request.headers.get("accept-language", "")
    return next(iter(visit_of({}, {"accept-language": told}).wishes), ENGLISH)

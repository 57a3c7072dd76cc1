"""What the house says about itself over HTTP: health, metrics, and the document of its API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import litestar
import msgspec
from litestar import get
from litestar.params import FromPath
from litestar.response import Redirect, Response

from banyan.kernel import docs, openapi, telemetry
from banyan.kernel.contract import Value
from banyan.kernel.refusal import NotFound, NotReady, known_problems


class Health(Value, frozen=True, kw_only=True):
    """How the parts of a process are: each one works."""

    ready: tuple[str, ...]


@dataclass
class About:
    """What there is to say of a house; its document is written when it is first asked for."""

    title: str
    version: str
    ready: Callable[[], Awaitable[Mapping[str, bool]]]
    described: Callable[[], litestar.Litestar]
    limited: bool

    @cached_property
    def document(self) -> dict[str, Any]:
        """The API of the whole house (OpenAPI 3.1)."""
        return openapi.document(
            self.described(), title=self.title, version=self.version, limited=self.limited
        )

    @cached_property
    def json(self) -> bytes:
        """The document as it is sent."""
        return msgspec.json.encode(self.document)

    @cached_property
    def page(self) -> docs.Page:
        """The document as people read it."""
        return docs.page(self.document, known_problems())


class Reception(litestar.Controller):
    """What every process answers, whatever lives in it."""

    include_in_schema = False
    about: About

    @get("/health/live")
    async def live(self) -> Health:
        """Tell that the process runs."""
        return Health(ready=())

    @get("/health/ready")
    async def ready(self) -> Health:
        """Tell whether every part of the house can do its work."""
        parts = await self.about.ready()
        if waiting := tuple(name for name, well in parts.items() if not well):
            raise NotReady(waiting_for=waiting)
        return Health(ready=tuple(parts))

    @get("/metrics", media_type="text/plain")
    async def metrics(self) -> Response[bytes]:
        """Print the metrics of this process for Prometheus."""
        return Response(
            telemetry.metrics_text(), headers={"content-type": telemetry.METRICS_MEDIA_TYPE}
        )

    @get("/openapi.json")
    async def openapi(self) -> Response[bytes]:
        """Tell what the API is, to machines."""
        return Response(self.about.json, media_type="application/json")

    @get("/docs", media_type="text/html")
    async def docs(self) -> Response[bytes]:
        """Tell what the API is, to people."""
        page = self.about.page
        return Response(
            page.html,
            media_type="text/html",
            headers={"content-security-policy": page.security_policy},
        )

    @get("/problems/{code:str}", media_type="text/html")
    async def problem(self, code: FromPath[str]) -> Redirect:
        """Lead from the type of a problem to where it is explained."""
        if code not in known_problems():
            raise NotFound
        return Redirect(f"/docs#problem-{code}", status_code=303)

"""An HTTP client that costs little, so that what is measured is the shop."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, NamedTuple, cast
from urllib.parse import urlsplit

import httptools

ANSWER_SECONDS = 30.0


class Wrong(Exception):
    """An answer that is not what was asked for: an error, never a success."""


class Reply(NamedTuple):
    """An answer."""

    status: int
    body: bytes

    def json(self, *expected: int) -> Any:
        """Read the body, if the status is one of those expected."""
        if self.status not in expected:
            raise Wrong(f"{self.status}: {self.body[:300].decode(errors='replace')}")
        return json.loads(self.body)


class Connection(asyncio.Protocol):
    """A connection that is kept open and asked one thing after the other."""

    def __init__(self, host: str) -> None:
        self._transport: asyncio.Transport | None = None
        self._host = host
        self._answered: asyncio.Future[Reply] | None = None
        self._begin()

    @classmethod
    async def to(cls, url: str) -> Connection:
        """Connect to a server."""
        told = urlsplit(url)
        loop = asyncio.get_running_loop()
        assert told.hostname, "a URL with a host"
        _, connection = await loop.create_connection(
            lambda: cls(told.netloc), told.hostname, told.port or 80
        )
        return connection

    async def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Ask, and wait for the whole answer."""
        if not self._transport:
            raise Wrong("the connection is closed")
        data = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", f"host: {self._host}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        if data:
            lines += ["content-type: application/json", f"content-length: {len(data)}"]
        elif method != "GET":
            lines.append("content-length: 0")
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write("\r\n".join([*lines, "", ""]).encode() + data)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self._answered
        except TimeoutError:  # What comes now answers nothing that is asked later.
            self.close()
            raise

    def close(self) -> None:
        """Hang up."""
        if self._transport:
            self._transport.close()
            self._transport = None

    @property
    def closed(self) -> bool:
        """Whether one must connect anew."""
        return self._transport is None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._answered and not self._answered.done():
            self._answered.set_exception(Wrong(f"the connection was closed: {exc}"))

    # What the parser calls.

    def on_body(self, part: bytes) -> None:
        """Take in a part of the body."""
        self._body += part

    def on_message_complete(self) -> None:
        """Hand over the answer."""
        reply = Reply(self._parser.get_status_code(), bytes(self._body))
        self._begin()
        if self._answered and not self._answered.done():
            self._answered.set_result(reply)

    def _begin(self) -> None:
        self._body = bytearray()
        self._parser = httptools.HttpResponseParser(self)

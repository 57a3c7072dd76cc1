"""Serves HTTP on a socket that is already bound, until the process is told to end."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from importlib.metadata import version
from types import FrameType
from typing import Any

import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from banyan.kernel.refusal import HeadersTooLarge, written
from banyan.kernel.settings import Settings

LINGER_SECONDS = 8
FAREWELL_SECONDS = 3
LAST_CALL_SECONDS = 0.3

MOST_HEAD_BYTES = 64 * 1024
"""Where a request that has not come to its body is refused, give or take `_STEP`."""

_STEP = 4 * 1024
_CLOSE = (b"connection", b"close")

Leave = Callable[[], Awaitable[None]]


class ServeSettings(Settings):
    """How a process presents itself: the version that a canary or a mirror knows it by."""

    version: str = version("banyan-commerce")


run = uvloop.run
"""Run a coroutine on the fastest event loop at hand."""


class _Server(uvicorn.Server):
    """A server that tells when it can be asked."""

    def __init__(
        self, config: uvicorn.Config, ready: Callable[[], None], leave: Leave | None
    ) -> None:
        super().__init__(config)
        self._ready = ready
        self._leave = leave
        self._leaving: asyncio.Task[None] | None = None

    def handle_exit(self, sig: int, _: FrameType | None) -> None:
        """On SIGTERM say good-bye first; on SIGINT, or when told again, just go."""
        if sig == signal.SIGTERM and self._leave and not self._leaving:
            self._leaving = asyncio.get_running_loop().create_task(self._depart(self._leave))
        else:
            self.force_exit = self.should_exit
            self.should_exit = True

    async def _depart(self, leave: Leave) -> None:
        """Cut nobody off: first nobody is sent to us, then nobody is let in, then we close."""
        self.config.encoded_headers.append(_CLOSE)
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                await leave()
        await asyncio.sleep(FAREWELL_SECONDS)
        for server in self.servers:
            server.close()
        await asyncio.sleep(LAST_CALL_SECONDS)
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self._ready()


class _Protocol(HttpToolsProtocol):
    """A connection on which the address and the headers of a request come to an end."""

    _head: int | None = None

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head = 0

    def on_headers_complete(self) -> None:
        self._head = None
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        for start in range(0, len(data), _STEP):
            if self.transport.is_closing():
                return
            step = data[start : start + _STEP]
            super().data_received(step)
            if self._head is not None:
                self._head += len(step)
                if self._head > MOST_HEAD_BYTES:
                    self._refuse()

    def _refuse(self) -> None:
        status, headers, body = written(HeadersTooLarge(), path="")
        said = (b"%s: %s\r\n" % pair for pair in (*headers, _CLOSE))
        self.transport.write(b"".join((STATUS_LINE[status], *said, b"\r\n", body)))
        self.transport.close()


async def serve(
    application: Any,
    listening: socket.socket,
    *,
    ready: Callable[[], None],
    leave: Leave | None = None,
) -> None:
    """Answer requests; on SIGTERM or SIGINT finish those under way, and return.

    With `leave`, on SIGTERM others are told first, and requests are answered for as long as some
    may come. SIGINT is for when nobody takes over.
    """
    config = uvicorn.Config(
        application,
        http=_Protocol,
        lifespan="off",
        log_config=None,
        log_level="error",  # Garbage from a client is no trouble of ours.
        access_log=False,
        proxy_headers=False,  # Whom a proxy has seen, `Limiter` asks only if it trusts the proxy.
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=LINGER_SECONDS,
    )
    await _Server(config, ready, leave).serve(sockets=[listening])

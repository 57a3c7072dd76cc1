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

from banyan.kernel.settings import Settings

LINGER_SECONDS = 8
FAREWELL_SECONDS = 3
LAST_CALL_SECONDS = 0.3

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
        lifespan="off",
        log_config=None,
        log_level="error",  # Garbage from a client is no trouble of ours.
        access_log=False,
        proxy_headers=False,  # Whom a proxy has seen, `Limiter` asks only if it trusts the proxy.
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=LINGER_SECONDS,
        h11_max_incomplete_event_size=64 * 1024,
    )
    await _Server(config, ready, leave).serve(sockets=[listening])

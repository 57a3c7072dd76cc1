"""Serves HTTP on a socket that is already bound, until the process is told to end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any

import uvicorn
import uvloop

from banyan.kernel.settings import Settings

LINGER_SECONDS = 8
FAREWELL_SECONDS = 1.5

Leave = Callable[[], Awaitable[None]]


class ServeSettings(Settings, frozen=True, kw_only=True):
    """How HTTP is served. Of the languages that are spoken, the first is the default."""

    locales: tuple[str, ...] = ("en", "de")


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

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Say good-bye first, so that no more requests come; told a second time, just go."""
        if self._leave is None or self._leaving:
            super().handle_exit(sig, frame)
        else:
            self._leaving = asyncio.get_running_loop().create_task(self._depart(self._leave))

    async def _depart(self, leave: Leave) -> None:
        await leave()
        await asyncio.sleep(FAREWELL_SECONDS)
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

    With `leave`, others are told first, and requests are answered for as long as some may come.
    """
    config = uvicorn.Config(
        application,
        lifespan="off",
        log_config=None,
        log_level="error",  # Garbage from a client is no trouble of ours.
        access_log=False,
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=LINGER_SECONDS,
        h11_max_incomplete_event_size=64 * 1024,
    )
    await _Server(config, ready, leave).serve(sockets=[listening])

"""Serves HTTP on a socket that is already bound, until the process is told to end."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import uvicorn
import uvloop

from banyan.kernel.settings import Settings

LINGER_SECONDS = 8


class ServeSettings(Settings, frozen=True, kw_only=True):
    """How HTTP is served. Of the languages that are spoken, the first is the default."""

    locales: tuple[str, ...] = ("en", "de")


run = uvloop.run
"""Run a coroutine on the fastest event loop at hand."""


class _Server(uvicorn.Server):
    """A server that tells when it can be asked."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self._ready()


async def serve(application: Any, listening: socket.socket, *, ready: Callable[[], None]) -> None:
    """Answer requests; on SIGTERM or SIGINT finish those under way, and return."""
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
    await _Server(config, ready).serve(sockets=[listening])

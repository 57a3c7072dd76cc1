"""What keeps a neighbor in trouble from becoming ours: retry, circuit breaker, bulkhead."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import TypeVar

import stamina

from banyan.kernel import telemetry
from banyan.kernel.clock import Clock
from banyan.kernel.contract import Operation
from banyan.kernel.link import Unavailable, current, limited
from banyan.kernel.settings import Settings

R = TypeVar("R")


class LinkSettings(Settings):
    """How calls to a neighbor in another process are kept from doing harm.

    A query is tried so many times, with pauses that grow and are drawn by lot. After so many
    failures in a row nobody is sent to a neighbor for a while. No more than so many calls are
    under way to one neighbor at once; others wait within their own deadline.
    """

    tries: int = 3
    first_pause_seconds: float = 0.02
    longest_pause_seconds: float = 0.5
    failures_in_a_row: int = 5
    rest_seconds: float = 2.0
    calls_at_once: int = 64


class Neighbor:
    """A module in another process, as seen from here: how well it answers, and how many ask."""

    def __init__(self, module: str, settings: LinkSettings, clock: Clock) -> None:
        self._module = module
        self._breaker = _Breaker(module, settings, clock)
        self._room = asyncio.Semaphore(settings.calls_at_once)
        self._settings = settings

    async def ask(self, operation: Operation, send: Callable[[], Awaitable[R]]) -> R:
        """Send a call; a query that finds nobody is sent again, as it changes nothing."""
        try:
            async with limited():
                try:
                    return await self._send(send)
                except Unavailable as trouble:
                    if operation.mark != "query":
                        raise
                    return await self._send_again(send, trouble)
        except TimeoutError:
            raise Unavailable(what=self._module) from None

    async def _send_again(self, send: Callable[[], Awaitable[R]], trouble: Unavailable) -> R:
        """Try again what has failed once: the first try costs nothing but itself."""
        async for attempt in stamina.retry_context(
            Unavailable,
            attempts=self._settings.tries,
            timeout=None,
            wait_initial=self._settings.first_pause_seconds,
            wait_max=self._settings.longest_pause_seconds,
            wait_jitter=self._settings.first_pause_seconds,
        ):
            with attempt:
                if attempt.num == 1:
                    raise trouble
                return await self._send(send)
        raise AssertionError("unreachable")

    async def _send(self, send: Callable[[], Awaitable[R]]) -> R:
        if self._room.locked():
            telemetry.count("banyan.call.queued", module=self._module)
        async with self._room:
            with self._breaker:
                return await send()


class _Breaker(AbstractContextManager[None]):
    """Counts failures in a row; when there are too many, refuses at once, and later sends one.

    A failure is that nobody answered, be it in time or at all. A problem is an answer.
    """

    def __init__(self, module: str, settings: LinkSettings, clock: Clock) -> None:
        self._module = module
        self._settings = settings
        self._clock = clock
        self._failures = 0
        self._rests_until = 0.0
        self._trying = False

    def __enter__(self) -> None:
        self._admit()

    def __exit__(
        self, _: type[BaseException] | None, error: BaseException | None, __: object
    ) -> None:
        self._trying = False
        if not isinstance(error, asyncio.CancelledError | Unavailable):
            self._answered()
        elif isinstance(error, Unavailable) or current().left() <= 0:
            self._failed()

    def _admit(self) -> None:
        if self._failures < self._settings.failures_in_a_row:
            return
        if self._trying or self._clock.monotonic() < self._rests_until:
            telemetry.count("banyan.call.refused", module=self._module)
            raise Unavailable(what=self._module)
        self._trying = True

    def _failed(self) -> None:
        self._failures += 1
        if self._failures >= self._settings.failures_in_a_row:
            self._rests_until = self._clock.monotonic() + self._settings.rest_seconds
            telemetry.level("banyan.call.open", 1, module=self._module)

    def _answered(self) -> None:
        if self._failures:
            self._failures = 0
            telemetry.level("banyan.call.open", 0, module=self._module)

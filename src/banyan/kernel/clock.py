"""The time, as something that is handed over and not looked up."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Protocol
from zoneinfo import available_timezones

_A_NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


@cache
def time_zones() -> frozenset[str]:
    """List the time zones that everybody knows (IANA); UTC is known also where no others are."""
    return frozenset({"UTC", *available_timezones()} - {"localtime"})


class Clock(Protocol):
    """Tells what time it is, and how much of it has passed."""

    def now(self) -> datetime:
        """Tell the moment, always in UTC and always aware of it."""
        ...

    def monotonic(self) -> float:
        """Count seconds since some fixed point: for durations, as nothing turns it back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait until so many seconds have passed."""
        ...


class SystemClock(Clock):
    """The clock of the machine."""

    def now(self) -> datetime:
        """Tell the machine's time."""
        return datetime.now(UTC)  # noqa: TID251 - the one place that may

    def monotonic(self) -> float:
        """Tell the machine's count of seconds."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait until the machine's time has passed."""
        await asyncio.sleep(seconds)


class FixedClock(Clock):
    """A clock that stands still until it is advanced."""

    def __init__(self, start: datetime = _A_NEW_YEAR) -> None:
        """Stop the clock at a moment that knows its zone."""
        if start.tzinfo is None:
            message = f"a clock cannot start at {start}: it has no time zone"
            raise ValueError(message)
        self._start = start.astimezone(UTC)
        self._elapsed = timedelta()

    def now(self) -> datetime:
        """Tell the start, and what it was advanced by since."""
        return self._start + self._elapsed

    def monotonic(self) -> float:
        """Tell the seconds that it was advanced by."""
        return self._elapsed.total_seconds()

    async def sleep(self, seconds: float) -> None:
        """Let the time pass at once."""
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Let time pass; it never runs backwards."""
        if seconds < 0:
            message = f"time does not run backwards: {seconds} seconds"
            raise ValueError(message)
        self._elapsed += timedelta(seconds=seconds)

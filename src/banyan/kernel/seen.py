"""What a caller knows of each module's data, and whether what it is about to read may be late."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar

UNKNOWN = 2**63 - 1
"""A position that no replica ever reaches."""

PATIENCE_SECONDS = 1.0

_VERSION = "1"
_PAIR = re.compile(r"\.([a-z_]{1,63}):(\d{1,19})", re.ASCII)
_MOST_CHARACTERS = 2048

Ask = Callable[[], Awaitable[int]]


class Seen:
    """Up to where a caller knows the data of modules: positions in the logs of their databases.

    A caller is told its positions when it has written, and brings them along when it asks again,
    as a text that means something to us only: `1.catalog:24012344.search:24012872`.
    """

    def __init__(self, positions: Mapping[str, int] | None = None) -> None:
        self._positions = dict(positions or {})
        self._written: dict[str, Ask] = {}
        self._has_news = False

    @classmethod
    def read(cls, text: str) -> Seen:
        """Take up what a caller brings along; what we did not write counts for nothing."""
        return cls(_positions(text))

    def __str__(self) -> str:
        return _VERSION + "".join(f".{name}:{told}" for name, told in self._positions.items())

    def of(self, module: str) -> int:
        """Tell which position of a module's data must be behind whatever is read."""
        return UNKNOWN if module in self._written else self._positions.get(module, 0)

    def hear(self, text: str) -> None:
        """Note what was written on our behalf in another process."""
        for name, told in _positions(text).items():
            self._reach(name, told)

    def write(self, module: str, position: Ask) -> None:
        """Note that something was written; where that is, is asked once, however often it is."""
        self._written[module] = position

    async def told(self) -> str | None:
        """Tell what the caller shall bring along from now on, if anything was written."""
        while self._written:
            name, ask = self._written.popitem()
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    self._reach(name, await ask())
            except Exception:  # noqa: BLE001 - it is written, whether we learn where or not
                self._reach(name, UNKNOWN)
        return str(self) if self._has_news else None

    def _reach(self, module: str, position: int) -> None:
        self._positions[module] = max(position, self._positions.get(module, 0))
        self._has_news = True


class following(AbstractContextManager[Seen]):  # noqa: N801 - it reads as what happens inside
    """Answer somebody who has seen that much already; `late` if older data would do, too."""

    __slots__ = ("_as_late", "_of", "_tokens")

    def __init__(self, seen: Seen, *, late: bool) -> None:
        self._of = seen
        self._as_late = late

    def __enter__(self) -> Seen:
        self._tokens = _seen.set(self._of), _late.set(self._as_late)
        return self._of

    def __exit__(self, *_: object) -> None:
        _seen.reset(self._tokens[0])
        _late.reset(self._tokens[1])


class latest(AbstractContextManager[None]):  # noqa: N801 - it reads as what happens inside
    """Read the latest data inside if that is wanted: whoever writes decides by what it reads."""

    __slots__ = ("_token", "_wanted")

    def __init__(self, *, wanted: bool) -> None:
        self._wanted = wanted

    def __enter__(self) -> None:
        self._token = _late.set(_late.get() and not self._wanted)

    def __exit__(self, *_: object) -> None:
        _late.reset(self._token)


def reader() -> Seen | None:
    """Return what the caller has seen, if what is read now may be late."""
    return _seen.get() if _late.get() else None


def writer() -> Seen | None:
    """Return where to note what is written now, if somebody wants to know."""
    return None if _late.get() else _seen.get()


def _positions(text: str) -> dict[str, int]:
    return {name: int(told) for name, told in _PAIR.findall(text[:_MOST_CHARACTERS])}


_seen: ContextVar[Seen | None] = ContextVar("seen", default=None)
_late: ContextVar[bool] = ContextVar("late", default=False)

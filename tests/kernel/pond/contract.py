"""A pond with frogs: a module to try the kernel on."""

from __future__ import annotations

from typing import Protocol

from banyan.kernel.contract import Problem, command, contract, query, raises, undertaking
from banyan.kernel.event import Event


class Leapt(Event):
    """A frog has leapt."""

    name: str
    leaps: int


class Croaked(Event):
    """A frog has croaked."""

    times: int
    song: str = ""


class NoSuchFrog(Problem, status=404):
    """There is no such frog."""

    name: str


class TooFar(Problem, status=409):
    """No frog leaps that far."""

    times: int


@contract("pond")
class Pond(Protocol):
    """What one may ask of a pond."""

    @command
    async def put(self, *, name: str) -> None:
        """Put a frog into the pond."""
        ...

    @command
    @raises(NoSuchFrog)
    async def leap(self, *, name: str, by: int = 1) -> int:
        """Let a frog leap, and tell how often it has."""
        ...

    @query
    async def leaps(self, *, name: str) -> int:
        """Tell how often a frog has leapt."""
        ...

    @query
    async def ask_around(self, *, names: tuple[str, ...]) -> dict[str, int]:
        """Tell how often several frogs have leapt."""
        ...

    @undertaking
    @raises(TooFar)
    async def travel(self, *, name: str, times: int) -> int | None:
        """Let a frog leap again and again; one that is told to go too far comes back."""
        ...

    @query
    async def burst(self) -> None:
        """Fail in a way that nobody has declared."""
        ...

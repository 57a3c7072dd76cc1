"""Declarations: what a module, a plugin or a channel brings to the house."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from banyan.kernel.contract import is_contract
from banyan.kernel.driver import Job
from banyan.kernel.event import Reaction

S = TypeVar("S")

Finding = str


@dataclass(frozen=True)
class Check:
    """An invariant of a module that the doctor looks at: what it finds wrong, a sentence each."""

    title: str
    look: Callable[..., Awaitable[Sequence[Finding]]]
    repair: Callable[..., Awaitable[Sequence[Finding]]] | None = None


def check(
    title: str,
    look: Callable[[Any], Awaitable[Sequence[Finding]]],
    *,
    repair: Callable[[Any], Awaitable[Sequence[Finding]]] | None = None,
) -> Check:
    """Declare an invariant: `look` tells what breaks it, `repair` mends and tells what it did."""
    return Check(title, look, repair)


@dataclass(frozen=True)
class Module:
    """A domain with its own data, seen by others through its contracts only."""

    name: str
    offers: Mapping[type[object], type[object]]
    routes: Sequence[Any] = ()
    reactions: Sequence[Reaction] = ()
    sagas: Sequence[type[object]] = ()
    jobs: Sequence[Job] = ()
    checks: Sequence[Check] = ()

    def __post_init__(self) -> None:
        for protocol, service in self.offers.items():
            if not is_contract(protocol):
                raise TypeError(f"{self.name} offers {protocol.__name__}, which is no @contract")
            if protocol not in service.__mro__:
                raise TypeError(f"{service.__name__} must derive from {protocol.__name__}")

    @property
    def migrations(self) -> Path:
        """Where the SQL of this module's schema lies."""
        service = next(iter(self.offers.values()))
        file = sys.modules[service.__module__].__file__
        assert file, "a module is made of files"
        return next(home for home in Path(file).parents if home.name == self.name) / "migrations"


class Ask(Protocol):
    """Gives whoever answers a contract: `ask(Catalog)`."""

    def __call__(self, protocol: type[S], /) -> S:
        """Return the answerer, wherever it lives."""
        ...


@dataclass(frozen=True)
class Companion:
    """A program outside of the house that a plugin brings along, so that a local shop is whole.

    `command` is told a folder of its own, the file descriptor of a listening socket, and the URL of
    the shop. `environment` is what the shop's processes are told, given the folder and the URL of
    the companion.
    """

    name: str
    command: Callable[[Path, int, str], Sequence[str]]
    environment: Callable[[Path, str], Mapping[str, str]]


@dataclass(frozen=True)
class Plugin:
    """Something from outside that fills a module's port, under a name that data may refer to.

    `commands` become commands of `banyan`: they are handed who answers contracts, and then what
    their other parameters say. `seed` fills an empty shop with something to look at.
    """

    name: str
    fills: Mapping[type[object], type[object]] = field(default_factory=dict)
    routes: Sequence[Any] = ()
    companions: Sequence[Companion] = ()
    commands: Mapping[str, Callable[..., Awaitable[int]]] = field(default_factory=dict)
    seed: Callable[[Ask, Callable[[str], None]], Awaitable[None]] | None = None


@dataclass(frozen=True)
class Channel:
    """A place where people meet the shop; it stands on contracts only.

    Its `desk` is what its controllers share, wired by its constructor's annotations like a service:
    contracts, settings, the clock. They name it as they name a contract, by the channel's name.
    `lost` answers, with a page, people who ask for what is nowhere in the house.
    """

    name: str
    routes: Sequence[Any] = ()
    desk: type[object] | None = None
    lost: Callable[[Any, Exception], Any] | None = None

"""Facts that modules tell, and who listens to them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, TypeVar
from uuid import UUID

import msgspec

from banyan.kernel.contract import Value, home_of, snake

E = TypeVar("E", bound="Event")


class Event(Value, frozen=True, kw_only=True):
    """Something that has happened in a module, named in the past tense.

    Fields are added with defaults and never change their meaning; a changed meaning is a new
    class with a higher `major` version.
    """

    major: ClassVar[int] = 1
    module: ClassVar[str] = ""
    type: ClassVar[str] = ""

    def __init_subclass__(cls, **rest: Any) -> None:
        super().__init_subclass__(**rest)
        cls.module = home_of(cls)
        cls.type = f"banyan.{cls.module}.{snake(cls.__name__)}.v{cls.major}"
        if not cls.__doc__:
            raise TypeError(f"{cls.__name__} must say in a docstring what has happened")
        known.setdefault(cls.type, cls)


class Envelope(Value, frozen=True, kw_only=True):
    """An event on its way: the attributes of CloudEvents 1.0 that we use, and the data.

    `id` with `source` is what a listener deduplicates by; `traceparent` (W3C Trace Context) links
    what the listener does to what made the event.
    """

    id: UUID
    source: str
    type: str
    time: datetime
    data: Any
    traceparent: str = ""

    def open(self) -> Event:
        """Read the event inside."""
        return msgspec.convert(self.data, known[self.type])


@dataclass(frozen=True)
class Reaction:
    """What a module does when it hears an event, or `many` of a kind that have come by then.

    It runs in a transaction of the listener, together with the note that the event was heard.
    """

    event: type[Event]
    react: Callable[..., Awaitable[object]]
    many: bool = False

    @property
    def name(self) -> str:
        """Tell listeners of the same event apart."""
        return self.react.__qualname__


def on(event: type[E], react: Callable[[Any, E], Awaitable[object]]) -> Reaction:
    """Declare that a module listens: `on(OrderConfirmed, InventoryService.allocate)`."""
    return Reaction(event, react)


def on_many(event: type[E], react: Callable[[Any, Sequence[E]], Awaitable[object]]) -> Reaction:
    """Declare that a module listens, and takes all that has come by then at once.

    `on_many(OrderConfirmed, reactions.orders_confirmed)` takes as many statements for a hundred
    events as for one. They come as always: late, in any order, and several about the same thing.
    """
    return Reaction(event, react, many=True)


known: dict[str, type[Event]] = {}

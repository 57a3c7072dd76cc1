"""Names for things: unguessable, and sorted by the time of their birth."""

import secrets
from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random
from uuid import NAMESPACE_URL, UUID, uuid5

from banyan.kernel.clock import Clock, FixedClock, SystemClock

_CHANCE_BITS = 74
_LOW_BITS = 62
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class Ids:
    """Gives each new thing a UUIDv7 (RFC 9562) that nobody has had and nobody can guess.

    All 74 free bits are fresh in every id: a counter within the millisecond, which the RFC allows,
    would let a stranger who holds one id guess the next.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        """Take the millisecond in each id from this clock."""
        self._clock = clock or SystemClock()

    def new(self) -> UUID:
        """Tell a new id; ids of different milliseconds sort by time."""
        chance = self._chance()
        high, low = chance >> _LOW_BITS, chance & ((1 << _LOW_BITS) - 1)
        return _timed(self._clock.now(), 0x7 << 76 | high << 64 | 0b10 << _LOW_BITS | low)

    def _chance(self) -> int:
        return secrets.randbits(_CHANCE_BITS)


class SeededIds(Ids):
    """The same ids in the same order for the same seed: for tests, and only there."""

    def __init__(self, seed: int = 0, clock: Clock | None = None) -> None:
        """Take chance from the seed, and the millisecond from a clock that stands still."""
        super().__init__(clock or FixedClock())
        self._random = Random(seed)  # noqa: S311 - predictable is what a test asks for

    def _chance(self) -> int:
        return self._random.getrandbits(_CHANCE_BITS)


def derived(namespace: UUID | str, name: str) -> UUID:
    """Name a thing after the one that it is made from: a second attempt finds the first.

    It is as hard to guess as its namespace: take a secret thing's id there, or a word if the
    result may be known.
    """
    return uuid5(namespace if isinstance(namespace, UUID) else _root(namespace), name)


def dated(thing: UUID, moment: datetime) -> UUID:
    """Give a derived id a time that it is sorted by, as new ones are by theirs (UUIDv8, RFC 9562).

    Of things of the same millisecond, the rest of the ids decides, which is always the same.
    """
    return _timed(moment, 0x8 << 76 | thing.int & ((1 << 76) - 1))


def _timed(moment: datetime, rest: int) -> UUID:
    return UUID(int=(moment - _EPOCH) // _MILLISECOND << 80 | rest)


@cache
def _root(word: str) -> UUID:
    return uuid5(NAMESPACE_URL, f"banyan:{word}")

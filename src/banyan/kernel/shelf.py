"""Answers that are the same for everybody, kept as bytes until what they show has changed.

It is a shared cache in the sense of RFC 9111: it keeps what a handler lets everybody keep, for as
long as it lets them, and no longer than until a module that was asked for it says that it changed.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

from banyan.kernel.changes import Changes
from banyan.kernel.clock import Clock
from banyan.kernel.conditional import unchanged
from banyan.kernel.database import Database
from banyan.kernel.refusal import Headers

MOST_BYTES = 24 * 1024 * 1024
LARGEST_BYTES = 512 * 1024
LONGEST_QUESTION = 2 * 1024
"""What is said at greater length, few ask twice."""

_OVERHEAD = 1024

_PUBLIC = b"public, max-age="
_OF_BODY = (b"content-encoding", b"content-length", b"content-type")
_OK, _NOT_MODIFIED = 200, 304

Key = tuple[Any, ...]


class Kept(NamedTuple):
    """An answer on the shelf, with how often each module that was asked had changed by then."""

    headers: Headers
    body: bytes
    tag: str
    route: str
    until: float
    asked: tuple[tuple[str, int], ...]


class Shelf:
    """Keeps answers by what was asked, of the modules whose data is at hand here.

    What was told by a module elsewhere is not kept: nobody would say when it is over.
    """

    def __init__(self, clock: Clock, databases: Mapping[str, Database]) -> None:
        self.changes: dict[str, int] = defaultdict(int)
        self._clock = clock
        self._databases = databases
        self._watched: dict[str, Changes] = {}
        self._kept: OrderedDict[Key, Kept] = OrderedDict()
        self._bytes = 0

    def find(self, key: Key) -> Kept | None:
        """Return an answer that still holds."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        changes = self.changes
        if self._clock.monotonic() < kept.until and all(changes[m] == n for m, n in kept.asked):
            self._kept.move_to_end(key)
            return kept
        self._remove(key)
        return None

    def open(self, key: Key) -> Place:
        """Make room for an answer that is about to be made."""
        return Place(self, key)

    def put(self, key: Key, kept: Kept) -> None:
        """Keep an answer; when there is no room, those go that nobody asked for the longest."""
        self._remove(key)
        self._kept[key] = kept
        self._bytes += _room(key, kept)
        while self._bytes > MOST_BYTES:
            self._remove(next(iter(self._kept)))

    def changed(self, module: str) -> None:
        """Hear that what a module tells everybody is not what it was."""
        self.changes[module] += 1

    def watches(self, module: str) -> bool:
        """Tell whether changes of a module are heard; where they can be, begin to listen."""
        if module not in self._watched and module in self._databases:
            heard = partial(self.changed, module)
            self._watched[module] = Changes(self._databases[module], heard)
            self._watched[module].begin()
        return module in self._watched and self._watched[module].listening

    async def close(self) -> None:
        """Listen no longer."""
        for changes in self._watched.values():
            await changes.close()

    def now(self) -> float:
        """Tell the time by which answers grow old."""
        return self._clock.monotonic()

    def _remove(self, key: Key) -> None:
        if kept := self._kept.pop(key, None):
            self._bytes -= _room(key, kept)


class Place:
    """Where an answer will stand that is being made, unless a change overtakes it."""

    def __init__(self, shelf: Shelf, key: Key) -> None:
        self.asked: set[str] = set()
        self._shelf = shelf
        self._key = key
        self._before = dict(shelf.changes)
        self._headers: Headers = []
        self._route = ""
        self._seconds = 0

    def begin(self, status: int, headers: Headers, route: str) -> None:
        """Look at the head of the answer: whether everybody may have it, and for how long."""
        self._seconds = _shared_seconds(headers) if status == _OK else 0
        self._headers, self._route = headers, route

    def put(self, body: bytes, *, more: bool) -> None:
        """Keep the answer, if it is whole and as true as when it was begun."""
        shelf, asked = self._shelf, sorted(self.asked)
        if more or not (self._seconds and asked and len(body) <= LARGEST_BYTES):
            return
        unheard = [one for one in asked if not shelf.watches(one)]
        if unheard or any(shelf.changes[one] != self._before.get(one, 0) for one in asked):
            return
        tag = next((told.decode("latin-1") for name, told in self._headers if name == b"etag"), "")
        until = shelf.now() + self._seconds
        known = tuple((module, shelf.changes[module]) for module in asked)
        kept = Kept(self._headers, body, tag, self._route, until, known)
        shelf.put(self._key, kept)


def key_of(scope: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> Key | None:
    """Tell one question from another, by all that an answer may depend on; None if it is private.

    Whoever shows who they are, or what they have seen, is answered anew; so is who asks at length.
    """
    if scope["method"] != "GET" or b"authorization" in headers or b"banyan-seen" in headers:
        return None
    if b"banyan-seen=" in headers.get(b"cookie", b""):
        return None
    key = (
        scope["scheme"],
        scope["path"],
        scope["query_string"],
        headers.get(b"host"),
        headers.get(b"accept"),
        headers.get(b"accept-language"),
        headers.get(b"banyan-market"),
    )
    return key if _length(key) <= LONGEST_QUESTION else None


def told(kept: Kept, headers: Mapping[bytes, bytes]) -> tuple[int, Headers, bytes]:
    """Write an answer from the shelf, or that the reader already has it.

    It tells no Age: what is on the shelf is as true as if it had been made now.
    """
    known = headers.get(b"if-none-match")
    if known and kept.tag and unchanged(known.decode("latin-1"), kept.tag):
        less = [pair for pair in kept.headers if pair[0] not in _OF_BODY]
        return _NOT_MODIFIED, less, b""
    return _OK, list(kept.headers), kept.body


def _room(key: Key, kept: Kept) -> int:
    """Tell how many bytes an answer takes, about."""
    return len(kept.body) + _length(key) + _OVERHEAD


def _length(key: Key) -> int:
    return sum(map(len, filter(None, key)))


def _shared_seconds(headers: Headers) -> int:
    """Return for how long anybody may keep an answer (RFC 9111, section 5.2.2)."""
    seconds = 0
    for name, value in headers:
        if name == b"set-cookie":
            return 0
        if name == b"cache-control" and value.startswith(_PUBLIC):
            digits = value.removeprefix(_PUBLIC).split(b",")[0]
            seconds = int(digits) if digits.isdigit() else 0
    return seconds

"""Long lists by the page: a cursor says where to go on, and only we know how to read it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar, cast

import msgspec

from banyan.kernel import strict
from banyan.kernel.contract import Problem, Value
from banyan.kernel.refusal import BadRequest

T = TypeVar("T")
K = TypeVar("K")


class BadCursor(Problem, status=400):
    """The cursor does not come from this list; begin again without one."""


class Page(Value, Generic[T], frozen=True, kw_only=True):
    """Some of a list, and the cursor by which to ask for what follows; none at the end."""

    items: tuple[T, ...]
    next: str | None = None


def page(found: Sequence[T], *, limit: int, place: Callable[[T], Any]) -> Page[T]:
    """Make a page of what was found by asking for one more than the limit.

    `place` tells the sort values of an item: the last one must be unique, so that no item is told
    twice or left out.
    """
    items = tuple(found[:limit])
    more = len(found) > limit
    return Page(items=items, next=cursor(place(items[-1])) if more else None)


def cursor(place: object) -> str:
    """Write down a place in a list."""
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).rstrip(b"=").decode()


def after(cursor: str | None, kind: type[K]) -> K | None:
    """Read the place to go on from, such as a `tuple[str, UUID]`; None at the beginning.

    A cursor is not signed: whoever makes one up sees what the list shows anyway.
    """
    if cursor is None:
        return None
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        return cast(K, strict.read(text, kind))
    except (binascii.Error, ValueError, BadRequest):
        raise BadCursor from None

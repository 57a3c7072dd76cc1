"""What processes write, as a person reads it: their JSON records, in words and colors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

Styled = tuple[str, str]
"""Some text, and the style in which to show it."""

_LEVELS = {"debug": "dim", "info": "green", "warning": "yellow", "error": "red", "critical": "red"}
_TOLD = frozenset({"time", "level", "event", "logger", "service", "instance", "exception"})
_REQUEST = ("method", "route", "status")


def legible(line: str) -> list[Styled]:
    """Dress a line for a terminal: the time, who, how bad, what, and about what.

    What is no record stays as it is, but nothing in it can steer the terminal.
    """
    who, bar, written = line.partition(" | ")
    record = _record(written) if bar else None
    if record is None:
        return [(_harmless(line), "")]
    return [*_dressed(who, record)]


def _dressed(who: str, record: dict[str, Any]) -> Iterator[Styled]:
    level = str(record.get("level", "info"))
    time = str(record.get("time", ""))
    yield f"{_harmless(time[11:19])} ", "dim"
    yield f"{_harmless(who):<14} ", "cyan"
    yield f"{_harmless(level):<8} ", _LEVELS.get(level, "")
    yield _harmless(_happened(record)), "bold"
    for name, told in record.items():
        if name not in _TOLD and told is not None:
            yield f" {_harmless(name)}=", "dim"
            yield _spelled(told), ""
    for row in str(record.get("exception", "")).splitlines():
        yield f"\n    {_harmless(row)}", "red"


def _happened(record: dict[str, Any]) -> str:
    """Tell what a record is about; the gateway's are about a request."""
    request = [str(record.pop(name)) for name in _REQUEST if name in record]
    return str(record.get("event") or " ".join(request))


def _record(written: str) -> dict[str, Any] | None:
    if not written.startswith("{"):
        return None
    try:
        return msgspec.json.decode(written, type=dict[str, Any])
    except msgspec.DecodeError:
        return None


def _spelled(told: object) -> str:
    """Write a value so that it is seen where it ends."""
    if isinstance(told, str) and told.isprintable() and told and " " not in told:
        return told
    return _harmless(msgspec.json.encode(told).decode())


def _harmless(text: str) -> str:
    return "".join(one if one.isprintable() or one in "\t\n" else "�" for one in text)

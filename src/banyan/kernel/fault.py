"""Fault points: named places where a test may end the process. Without a test they do nothing."""

from __future__ import annotations

from collections.abc import Callable

_watcher: Callable[[str], None] | None = None


def reached(point: str) -> None:
    """Say that execution has come to a commit or an external call."""
    if _watcher is not None:
        _watcher(point)


def watch(watcher: Callable[[str], None] | None) -> None:
    """Let a test see every point; `None` ends that."""
    global _watcher  # noqa: PLW0603 - one process, one watcher
    _watcher = watcher

"""What processes have cost, as the operating system counts it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class Cost:
    """CPU seconds (user and system) that were spent, and bytes that are held, by kind."""

    seconds: Mapping[str, float]
    resident_bytes: Mapping[str, int]

    def since(self, before: Cost) -> Cost:
        """Tell what was spent since an earlier look."""
        spent = {kind: told - before.seconds.get(kind, 0) for kind, told in self.seconds.items()}
        return Cost(spent, self.resident_bytes)


def spent(of: psutil.Process, kind_of: Callable[[psutil.Process], str]) -> Cost:
    """Add up what a process and all that it started have cost.

    Memory that is shared is divided among those who share it (proportional set size).
    """
    seconds: dict[str, float] = defaultdict(float)
    held: dict[str, int] = defaultdict(int)
    for process in (of, *of.children(recursive=True)):
        with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            kind = kind_of(process)
            told = process.cpu_times()
            # Those that have ended are counted by whoever waited for them.
            seconds[kind] += told.user + told.system + told.children_user + told.children_system
            held[kind] += process.memory_full_info().pss
    return Cost(seconds, held)

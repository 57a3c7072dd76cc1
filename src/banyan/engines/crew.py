"""The processes that a topology asks for, as children of ours."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from banyan.engines.child import Child
from banyan.engines.estate import Estate
from banyan.engines.processes import Supervisor
from banyan.engines.trouble import EngineError
from banyan.kernel.app import House
from banyan.kernel.graph import graph, spoken_to
from banyan.kernel.module import Channel, Module
from banyan.kernel.settings import unknown
from banyan.kernel.subjects import BACKSTAGE, Permissions, permissions
from banyan.kernel.topology import Topology

Serve = Callable[[str, str, int | None], int]
"""Be a process of the topology, by its name, an instance and a socket if it is handed one."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """What a change of the crew needs: their keeper, who sees newcomers, and who hears of it."""

    supervisor: Supervisor
    seen: Callable[[str], Awaitable[None]]
    say: Callable[[str], None]


class Crew:
    """The processes of a running shop: how many of each there are, and who they are.

    Where there is no gateway, a single process shares the port of the shop among its workers.
    Otherwise each replica takes a port of its own, and the broker tells others which. Who is
    started by somebody else finds only a certificate ready.
    """

    def __init__(
        self,
        estate: Estate,
        listening: socket.socket,
        workers: int | None,
        file: Path | None,
        serve: Serve,
    ) -> None:
        processes = estate.topology.processes
        self._estate = estate
        self._shared = None if estate.apart else listening
        self._file = file
        self._serve = serve
        self._changing = asyncio.Lock()
        alone = workers or os.cpu_count() or 1
        self._numbers = {
            process.name: list(range(1, (process.replicas if estate.apart else alone) + 1))
            for process in processes
            if not process.external
        }
        if estate.nats:
            for process in processes:
                if process.external:
                    estate.nats.credentials(process.name)

    def children(self) -> list[Child]:
        """Describe everybody who belongs to the crew now."""
        return [
            self._child(process, number)
            for process, numbers in self._numbers.items()
            for number in numbers
        ]

    async def scale(self, wanted: Mapping[str, int], change: Change) -> None:
        """Have so many replicas of some processes; the latest to come are the first to leave."""
        for process, number in wanted.items():
            self._known(process)
            if number < 1:
                raise EngineError(f"{process}={number} is not possible: at least one must stay.")
        async with self._alone():
            for process, number in wanted.items():
                numbers = self._numbers[process]
                if len(numbers) == number:
                    change.say(f"{process} has {number} already")
                while len(numbers) < number:
                    await self._hire(process, change)
                while len(numbers) > number:
                    await self._dismiss(process, numbers[-1], change)

    async def restart(self, process: str | None, change: Change) -> None:
        """Replace every replica of a process, or of all; none leaves before its successor is seen.

        What is on disk by now, code and settings, counts for those who come.
        """
        if process is not None:
            self._known(process)
        async with self._alone():
            for name in self._numbers if process is None else [process]:
                for number in tuple(self._numbers[name]):
                    await self._hire(name, change)
                    await self._dismiss(name, number, change)

    async def _hire(self, process: str, change: Change) -> None:
        numbers = self._numbers[process]
        number = next(free for free in itertools.count(1) if free not in numbers)
        child = self._child(process, number)
        change.say(f"{child.name} starts")
        await change.supervisor.add(child)
        numbers.append(number)
        await change.seen(child.name)
        change.say(f"{child.name} is ready")

    async def _dismiss(self, process: str, number: int, change: Change) -> None:
        self._numbers[process].remove(number)
        await change.supervisor.remove(f"{process}-{number}")
        change.say(f"{process}-{number} has left")

    def _known(self, process: str) -> None:
        if process not in self._numbers:
            raise EngineError(f"there is no process {unknown(process, self._numbers)}")

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        if self._changing.locked():
            raise EngineError("somebody else is changing the crew: wait until that is done.")
        async with self._changing:
            yield

    def _child(self, process: str, number: int) -> Child:
        instance = f"{process}-{number}"
        handed = self._shared.fileno() if self._shared else None
        return Child(
            name=instance,
            argv=[
                *(sys.executable, "-m", "banyan.cli", "serve", "--process", process),
                *("--instance", instance, "--data", str(self._estate.folder)),
                *(("--fd", str(handed)) if handed is not None else ()),
                *(("--topology", str(self._file)) if self._file else ()),
            ],
            sockets=[handed] if handed is not None else [],
            warm=partial(self._serve, process, instance, handed),
        )


def grants(house: House, topology: Topology) -> Mapping[str, Permissions]:
    """Tell what each process may do on the broker: what its modules and channels declare."""
    names = [module.name for module in house.modules]
    channels = [channel.name for channel in house.channels]
    everybody: list[Module | Channel] = [*house.modules, *house.channels]
    asks = graph(house.modules)
    granted = {}
    for process in topology.processes:
        hosts = topology.modules_of(process, names)
        parts = hosts | topology.channels_of(process, channels)
        spoken = {
            one
            for part in everybody
            if part.name in parts
            for one in spoken_to(part, house.modules)
        }
        granted[process.name] = permissions(
            process.name,
            hosts=hosts,
            asks=spoken.union(*(asks[host] for host in hosts)) - hosts - {BACKSTAGE},
            tends=names if BACKSTAGE in spoken else (),
        )
    return granted

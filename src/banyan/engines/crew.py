"""The processes that a topology asks for, as children of ours."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from banyan.engines.child import Child
from banyan.engines.estate import Estate
from banyan.kernel.app import House
from banyan.kernel.graph import graph
from banyan.kernel.subjects import Permissions, permissions
from banyan.kernel.topology import Topology

Serve = Callable[[str, str, int | None], int]
"""Be a process of the topology, by its name, an instance and a socket if it is handed one."""


def crew(
    estate: Estate, listening: socket.socket, workers: int | None, file: Path | None, serve: Serve
) -> list[Child]:
    """Get every process ready, so many times as the topology says.

    Where there is no gateway, a single process shares the port of the shop among its workers.
    Otherwise each replica takes a port of its own, and the broker tells others which.
    """
    if estate.apart:
        return [
            _child(estate, process.name, number, None, file, serve)
            for process in estate.topology.processes
            for number in range(1, process.replicas + 1)
        ]
    (process,) = estate.topology.processes
    return [
        _child(estate, process.name, number, listening, file, serve)
        for number in range(1, (workers or os.cpu_count() or 1) + 1)
    ]


def grants(house: House, topology: Topology) -> Mapping[str, Permissions]:
    """Tell what each process may do on the broker: what its modules declare."""
    names = [module.name for module in house.modules]
    asks = graph(house.modules)
    granted = {}
    for process in topology.processes:
        hosts = topology.modules_of(process, names)
        asked = {one for host in hosts for one in asks[host]} - hosts
        granted[process.name] = permissions(process.name, hosts=hosts, asks=asked)
    return granted


def _child(
    estate: Estate,
    process: str,
    number: int,
    listening: socket.socket | None,
    file: Path | None,
    serve: Serve,
) -> Child:
    instance = f"{process}-{number}"
    handed = listening.fileno() if listening else None
    return Child(
        name=instance,
        argv=[
            *(sys.executable, "-m", "banyan.cli", "serve", "--process", process),
            *("--instance", instance, "--data", str(estate.folder)),
            *(("--fd", str(handed)) if handed is not None else ()),
            *(("--topology", str(file)) if file else ()),
        ],
        sockets=[handed] if handed is not None else [],
        warm=partial(serve, process, instance, handed),
    )

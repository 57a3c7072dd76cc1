"""Keeps a shop on this machine up: its companions and its workers, until somebody ends it."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

from banyan.engines.child import Child
from banyan.engines.estate import Estate
from banyan.engines.processes import Supervisor
from banyan.kernel.app import House
from banyan.kernel.settings import Misconfigured


async def keep_up(
    house: House,
    estate: Estate,
    listening: socket.socket,
    workers: int,
    file: Path | None,
    serve: Callable[[str, str, int], int],
    say: Callable[[str], None],
) -> None:
    """Start companions and workers, say where the shop is, and wait for the end."""
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    companions = _companions(house, estate, url)
    process = estate.topology.processes[0].name
    arguments = ["--topology", str(file)] if file else []
    serving = [
        Child(
            name=f"{process}-{number}",
            argv=[
                *(sys.executable, "-m", "banyan.cli", "serve", "--process", process),
                *("--fd", str(listening.fileno()), "--instance", f"{process}-{number}"),
                *("--data", str(estate.folder), *arguments),
            ],
            sockets=[listening.fileno()],
            warm=partial(serve, process, f"{process}-{number}", listening.fileno()),
        )
        for number in range(1, workers + 1)
    ]
    async with Supervisor([*companions, *serving], say=_unless_ready(say)) as supervisor:
        end = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, end.set)
        _invite(url, estate, say)
        watching = asyncio.create_task(supervisor.watch())
        ending = asyncio.create_task(end.wait())
        done, _ = await asyncio.wait({watching, ending}, return_when=asyncio.FIRST_COMPLETED)
        for task in (watching, ending):
            if task not in done:
                task.cancel()
        if watching in done:
            await watching
        say("stopping")


@asynccontextmanager
async def with_companions(
    house: House, estate: Estate, say: Callable[[str], None]
) -> AsyncIterator[None]:
    """Let a shop that serves nobody have its companions, for as long as a command works on it."""
    children = _companions(house, estate, "http://127.0.0.1:1")
    async with Supervisor(children, say=_unless_ready(say)):
        yield


def _companions(house: House, estate: Estate, url: str) -> list[Child]:
    """Get ready what plugins bring along, each on a port that is free, and note where they are."""
    children: list[Child] = []
    told: dict[str, str] = {}
    for plugin in house.plugins:
        for one in plugin.companions:
            bound = socket.create_server(("127.0.0.1", 0))
            folder = estate.folder / one.name
            address = f"http://127.0.0.1:{bound.getsockname()[1]}"
            told |= one.environment(folder, address)
            children.append(
                Child(
                    name=one.name,
                    argv=one.command(folder, bound.fileno(), url),
                    sockets=[bound.fileno()],
                    awaited=False,
                )
            )
            bound.detach()
    estate.note_environment(told)
    return children


@contextmanager
def listening(port: int) -> Iterator[socket.socket]:
    """Take a port before anything else is begun; one that is in use is told at once."""
    try:
        bound = socket.create_server(("127.0.0.1", port), backlog=2048)
    except OSError as trouble:
        raise Misconfigured(
            f"port {port} on 127.0.0.1 cannot be had ({trouble.strerror}); "
            "stop what uses it, or choose another with --port"
        ) from None
    with bound:
        yield bound


def _invite(url: str, estate: Estate, say: Callable[[str], None]) -> None:
    say(f"API docs    {url}/docs")
    say(f"products    {url}/api/store/products")
    say("Ctrl-C stops everything")
    say(f"admin token: {estate.admin_token().reveal()}")
    say(f"ready {url}")


def _unless_ready(say: Callable[[str], None]) -> Callable[[str], None]:
    """Pass on what processes say; only the shop as a whole says that it is ready."""

    def pass_on(line: str) -> None:
        if "| ready" not in line:
            say(line)

    return pass_on

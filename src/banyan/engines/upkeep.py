"""Keeps a shop on this machine up: its companions and its workers, until somebody ends it."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from operator import attrgetter
from pathlib import Path

from banyan.engines.child import Child
from banyan.engines.crew import Serve, crew, grants
from banyan.engines.endpoints import Endpoint
from banyan.engines.envoy import EmbeddedEnvoy
from banyan.engines.estate import Estate
from banyan.engines.nats import OPERATOR
from banyan.engines.processes import Supervisor
from banyan.kernel.app import House
from banyan.kernel.jetstream import provision
from banyan.kernel.nats import Broker
from banyan.kernel.registry import Replica, replicas
from banyan.kernel.settings import Misconfigured

LOOK_SECONDS = 0.3


async def keep_up(
    house: House,
    estate: Estate,
    listening: socket.socket,
    workers: int | None,
    file: Path | None,
    serve: Serve,
    say: Callable[[str], None],
) -> None:
    """Start engines, companions and processes, say where the shop is, and wait for the end."""
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    quiet = _unless_ready(say)
    async with AsyncExitStack() as stack:
        if estate.nats:
            await stack.enter_async_context(_broker(house, estate, quiet))
        children = [
            *_companions(house, estate, url),
            *crew(estate, listening, workers, file, serve),
        ]
        supervisor = await stack.enter_async_context(Supervisor(children, say=quiet))
        if estate.topology.engines.gateway:
            await stack.enter_async_context(_gateway(house, estate, listening, quiet))
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
async def _broker(house: House, estate: Estate, say: Callable[[str], None]) -> AsyncIterator[None]:
    """Run our own NATS, let in who belongs to the shop, and make the streams of events."""
    assert estate.nats
    with estate.nats as nats:
        nats.grant(grants(house, estate.topology))
        async with Supervisor([nats.child()], say=say):
            await provide_streams(house, estate)
            yield


@asynccontextmanager
async def _gateway(
    house: House, estate: Estate, listening: socket.socket, say: Callable[[str], None]
) -> AsyncIterator[None]:
    """Run the one entrance in the place of a socket that kept its port, and show it the way."""
    port = listening.getsockname()[1]
    envoy = EmbeddedEnvoy(estate.folder / "gateway", house, estate.topology, port=port)
    operator = estate.broker(OPERATOR)
    assert operator, "a gateway needs the broker's word on who is there"
    await operator.open()
    try:
        envoy.write_endpoints(_endpoints(await replicas(operator)))
        listening.close()
        following = asyncio.create_task(_follow(operator, envoy))
        async with Supervisor([envoy.child()], say=say):
            yield
        following.cancel()
    finally:
        await operator.close()


async def _follow(operator: Broker, envoy: EmbeddedEnvoy) -> None:
    """Show the gateway every change; as long as the broker is away, things stay as they are."""
    known: frozenset[Replica] = frozenset()
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        if operator.connected and (found := await replicas(operator)) != known:
            envoy.write_endpoints(_endpoints(found))
            known = found


def _endpoints(found: Collection[Replica]) -> Mapping[str, Collection[Endpoint]]:
    told: dict[str, list[Endpoint]] = {}
    for one in sorted(found, key=attrgetter("instance")):
        host, _, port = one.http.rpartition(":")
        endpoint = Endpoint(host=host, port=int(port), version=one.version)
        told.setdefault(one.process, []).append(endpoint)
    return told


async def provide_streams(house: House, estate: Estate) -> None:
    """Make the streams, and note who listens."""
    operator = estate.broker(OPERATOR)
    assert operator
    await operator.open()
    try:
        heard = {m.name: [one.event for one in m.reactions] for m in house.modules if m.reactions}
        await provision(operator, heard)
    finally:
        await operator.close()


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
def listening(port: int, host: str = "127.0.0.1") -> Iterator[socket.socket]:
    """Take a port before anything else is begun; one that is in use is told at once."""
    try:
        bound = socket.create_server((host, port), backlog=2048)
    except OSError as trouble:
        raise Misconfigured(
            f"port {port} on {host} cannot be had ({trouble.strerror}); "
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

"""Keeps a shop on this machine up: its companions and its workers, until somebody ends it."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from functools import partial
from operator import attrgetter
from pathlib import Path

from banyan.engines.child import Child
from banyan.engines.control import (
    Answer,
    Progress,
    Request,
    Restart,
    Scale,
    Standings,
    Status,
    open_door,
)
from banyan.engines.crew import Change, Crew, Serve, grants
from banyan.engines.endpoints import Endpoint
from banyan.engines.envoy import EmbeddedEnvoy
from banyan.engines.estate import Estate
from banyan.engines.nats import OPERATOR
from banyan.engines.postgres import EmbeddedPostgres
from banyan.engines.processes import Standing, Supervisor
from banyan.engines.tended import Tended
from banyan.engines.trouble import EngineError
from banyan.kernel.app import House
from banyan.kernel.jetstream import provision
from banyan.kernel.nats import Broker
from banyan.kernel.registry import Replica, Roll
from banyan.kernel.serve import FAREWELL_SECONDS, LINGER_SECONDS
from banyan.kernel.settings import Misconfigured

GRACE_SECONDS = FAREWELL_SECONDS + LINGER_SECONDS + 4
SEEN_SECONDS = 15

Say = Callable[[str], None]

LOOK_SECONDS = 0.3


async def keep_up(
    house: House,
    estate: Estate,
    listening: socket.socket,
    workers: int | None,
    file: Path | None,
    serve: Serve,
    say: Say,
) -> None:
    """Start engines, companions and processes, say where the shop is, and wait for the end.

    While it runs, who is allowed to open its folder may ask how it stands, and change its crew.
    """
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    crew = Crew(estate, listening, workers, file, serve)
    shop = _Shop(say)
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        if estate.started:
            shop.database = await enter(_tended(estate.postgres, say))
        if estate.nats:
            await enter(_broker(house, estate, shop))
        await enter(shop.keeper(_companions(house, estate, url)))
        # When all end, nobody waits for a successor to take over.
        processes = await enter(shop.keeper(crew.children(), closing=signal.SIGINT))
        shop.entrance = await enter(_entrance(house, estate, listening, shop))
        await enter(open_door(estate.folder, partial(_attend, shop, crew, processes)))
        ended = _until_told(shop.hurry)
        _invite(url, estate, say)
        watching = asyncio.create_task(shop.watch())
        await asyncio.wait({watching, ended}, return_when=asyncio.FIRST_COMPLETED)
        if watching.done():
            await watching
        watching.cancel()
        say("stopping")


class _Shop:
    """Everything that runs, for those who ask how it stands."""

    def __init__(self, say: Say) -> None:
        self.database: Tended | None = None
        self.entrance: _Entrance | None = None
        self.say = say
        self._keepers: list[Supervisor] = []

    def keeper(
        self, children: Sequence[Child], *, closing: signal.Signals = signal.SIGTERM
    ) -> Supervisor:
        """Make the keeper of some of the shop's processes."""
        made = Supervisor(
            children,
            say=self.say,
            greet=self._greet,
            grace_seconds=GRACE_SECONDS,
            closing=closing,
        )
        self._keepers.append(made)
        return made

    def standings(self) -> tuple[Standing, ...]:
        """Tell how everything stands, engines first."""
        engines = [self.database.standing()] if self.database else []
        return (
            *engines,
            *(
                one
                for keeper in self._keepers
                for one in sorted(keeper.standings(), key=attrgetter("name"))
            ),
        )

    async def watch(self) -> None:
        """Return never, unless something ends for good that the shop cannot do without."""
        await asyncio.gather(*(keeper.watch() for keeper in self._keepers))

    def hurry(self) -> None:
        """End everything at once that may be ended so."""
        for keeper in self._keepers:
            keeper.hurry()

    async def seen(self, instance: str) -> None:
        """Return once newcomers are shown the work that they came for."""
        if self.entrance:
            await self.entrance.shows(instance)

    def _greet(self, one: Standing) -> None:
        told = " ".join(word for word in (one.name, "ready", one.place) if word)
        self.say(f"{told} ({one.memory_bytes / 1e6:.0f} MB)")


async def _attend(
    shop: _Shop,
    crew: Crew,
    processes: Supervisor,
    request: Request,
    tell: Callable[[Answer], None],
) -> None:
    """Do what somebody asks at the door."""
    change = Change(
        supervisor=processes, seen=shop.seen, say=lambda line: tell(Progress(line=line))
    )
    match request:
        case Status():
            tell(Standings(processes=shop.standings()))
        case Scale(wanted=wanted):
            await crew.scale(wanted, change)
        case Restart(process=process):
            await crew.restart(process, change)


def _until_told(hurry: Callable[[], None]) -> asyncio.Future[None]:
    """Wait for Ctrl-C, or for whoever else ends us; a second time means at once."""
    loop = asyncio.get_running_loop()
    end = loop.create_future()

    def told() -> None:
        if end.done():
            hurry()
        else:
            end.set_result(None)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told)
    return end


@asynccontextmanager
async def _tended(postgres: EmbeddedPostgres, say: Say) -> AsyncIterator[Tended]:
    """Start our PostgreSQL again when it dies."""
    tended = Tended(postgres, say)
    watching = asyncio.create_task(tended.watch())
    try:
        yield tended
    finally:
        watching.cancel()


@asynccontextmanager
async def _broker(house: House, estate: Estate, shop: _Shop) -> AsyncIterator[None]:
    """Run our own NATS, let in who belongs to the shop, and make the streams of events."""
    assert estate.nats
    with estate.nats as nats:
        nats.grant(grants(house, estate.topology))
        async with shop.keeper([replace(nats.child(), place=nats.url)]):
            await provide_streams(house, estate)
            yield


@asynccontextmanager
async def _entrance(
    house: House, estate: Estate, listening: socket.socket, shop: _Shop
) -> AsyncIterator[_Entrance | None]:
    """Run the one entrance in the place of a socket that kept its port, and show it the way."""
    if not estate.topology.engines.gateway:
        yield None
        return
    port = listening.getsockname()[1]
    envoy = EmbeddedEnvoy(estate.folder / "gateway", house, estate.topology, port=port)
    operator = estate.broker(OPERATOR)
    assert operator, "a gateway needs the broker's word on who is there"
    await operator.open()
    try:
        entrance = _Entrance(operator, envoy, shop.say)
        await entrance.look()
        listening.close()
        following = asyncio.create_task(entrance.follow())
        async with shop.keeper([replace(envoy.child(), place=envoy.url)]):
            yield entrance
        following.cancel()
    finally:
        await operator.close()


class _Entrance:
    """What the gateway is shown: who is there, and every change."""

    def __init__(self, operator: Broker, envoy: EmbeddedEnvoy, say: Say) -> None:
        self._operator = operator
        self._say = say
        self._roll = Roll(operator)
        self._envoy = envoy
        self._shown: frozenset[Replica] = frozenset()
        self._changed = asyncio.Event()

    async def look(self) -> None:
        """Show who is there now."""
        found = await self._roll.call()
        if found != self._shown:
            self._envoy.write_endpoints(_endpoints(found))
            self._shown = found
            self._changed.set()

    async def follow(self) -> None:
        """Show every change; as long as the broker is away, things stay as they are."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                if self._operator.connected:
                    await self.look()
            except Exception as trouble:  # noqa: BLE001 - who stops looking sends people astray
                self._say(f"the gateway is not shown who is there: {trouble!r}")

    async def shows(self, instance: str) -> None:
        """Return once an instance is shown; one that nobody hears of is no help."""
        try:
            async with asyncio.timeout(SEEN_SECONDS):
                while instance not in {one.instance for one in self._shown}:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise EngineError(f"{instance} is ready, but does not answer on the broker.") from None


def _endpoints(found: Collection[Replica]) -> Mapping[str, Collection[Endpoint]]:
    told: dict[str, list[Endpoint]] = {}
    serving = (one for one in found if one.http)  # Who is external may have no HTTP.
    for one in sorted(serving, key=attrgetter("instance")):
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
async def with_companions(house: House, estate: Estate, say: Say) -> AsyncIterator[None]:
    """Let a shop that serves nobody have its companions, for as long as a command works on it."""
    children = _companions(house, estate, "http://127.0.0.1:1")
    async with Supervisor(children, say=say, greet=lambda _: None):
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


def _invite(url: str, estate: Estate, say: Say) -> None:
    say(f"storefront  {url}/")
    say(f"back office {url}/admin")
    say(f"API docs    {url}/docs")
    say("Ctrl-C stops everything")
    say(f"admin token: {estate.admin_token().reveal()}")
    say(f"ready {url}")

"""Builds the house of its modules: wires services by their constructors, starts and stops."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, NewType, TypeVar, cast, get_args, get_origin, get_type_hints

from banyan.kernel import settings, stage_door
from banyan.kernel.backstage import Backstage, Backstages
from banyan.kernel.clock import Clock, SystemClock
from banyan.kernel.contract import in_module
from banyan.kernel.database import Database
from banyan.kernel.driver import Sagas
from banyan.kernel.flag import Flags
from banyan.kernel.floorplan import Floorplan
from banyan.kernel.graph import at_home, in_order, optional
from banyan.kernel.ids import Ids
from banyan.kernel.jetstream import Listener, broadcast
from banyan.kernel.link import Link, direct
from banyan.kernel.micro import MicroService
from banyan.kernel.module import Channel, Module, Plugin
from banyan.kernel.nats import Broker
from banyan.kernel.outbox import Inbox, Outbox, local_carrier
from banyan.kernel.remote import remote
from banyan.kernel.replica import ReplicaSettings
from banyan.kernel.resilience import LinkSettings, Neighbor
from banyan.kernel.settings import Misconfigured, Settings
from banyan.kernel.shelf import Shelf
from banyan.kernel.stagehand import Stagehand
from banyan.kernel.subjects import BACKSTAGE
from banyan.kernel.topology import Topology, monolith
from banyan.kernel.worker import Worker

C = TypeVar("C")
S = TypeVar("S", bound=Settings)

DataFolder = NewType("DataFolder", Path)
"""Where this shop may keep files of its own, as a constructor annotation."""


@dataclass
class House:
    """What is installed: every module, plugin and channel that can be found."""

    modules: list[Module] = field(default_factory=list)
    plugins: list[Plugin] = field(default_factory=list)
    channels: list[Channel] = field(default_factory=list)


@cache
def discover() -> House:
    """Find the declarations of `banyan.modules.*`, plugins and channels, and of other packages."""
    house = House(channels=[stage_door.channel])
    for kind, found in (("module", house.modules), ("plugin", house.plugins)):
        for name in _packages(f"banyan.{kind}s"):
            declared = importlib.import_module(f"banyan.{kind}s.{name}.{kind}")
            cast("list[Any]", found).append(getattr(declared, kind))
    house.plugins += [point.load() for point in entry_points(group="banyan.plugins")]
    for name in _packages("banyan.channels"):
        declared = importlib.import_module(f"banyan.channels.{name}.channel")
        house.channels.append(declared.channel)
    return house


@dataclass
class Room:
    """A module that lives in this process: its data, its services, its background."""

    module: Module
    database: Database
    worker: Worker
    services: dict[type[object], Any]
    backstage: Stagehand
    listener: Listener | None = None

    @property
    def answers(self) -> Mapping[type[object], object]:
        """Everything that others may ask of this module, and who answers it."""
        return {**self.services, in_module(Backstage, self.module.name): self.backstage}

    def service(self, kind: type[C]) -> C:
        """Find a service by its class; for the checks and jobs that name its methods."""
        return next(s for s in self.services.values() if isinstance(s, kind))


class App:
    """A process of the shop: some modules, with everything they need to work.

    `dsn` says where each module's data is, `replica` where a copy of it may be read. `link` decides
    how calls travel within the process. `hosts` names the modules and channels that live here, if
    not all do; the others are asked, and events go, through the `broker`. `elsewhere` answers
    contracts of what is not installed.
    """

    def __init__(
        self,
        house: House,
        *,
        dsn: Callable[[str], str],
        folder: Path,
        configured: Mapping[str, Mapping[str, Any]] | None = None,
        environment: Mapping[str, str] | None = None,
        clock: Clock | None = None,
        ids: Ids | None = None,
        flags: Flags | None = None,
        link: Link = direct,
        elsewhere: Mapping[type[Any], Any] | None = None,
        hosts: Collection[str] | None = None,
        broker: Broker | None = None,
        instance: str = "one",
        replica: Callable[[str], str | None] = lambda _: None,
        topology: Topology | None = None,
    ) -> None:
        self.house = house
        self.broker = broker
        self.clock = clock or SystemClock()
        self.ids = ids or Ids(self.clock)
        self.flags = flags or Flags(folder / "flags.json", clock=self.clock)
        self.rooms: dict[str, Room] = {}
        self._answering: list[MicroService] = []
        self.backstage = Backstages()
        self._contracts: dict[type[object], Any] = {
            protocol: link(protocol, service) for protocol, service in (elsewhere or {}).items()
        }
        self._folder = folder
        self._configured = configured or {}
        self._environment = environment or {}
        self._link = link
        self._instance = instance
        self._stack = AsyncExitStack()
        self._hosts = hosts
        self._replica = replica
        self._topology = topology or monolith()
        here = [one for one in house.modules if self._is_here(one)]
        self.plugins = [one for one in house.plugins if hosts is None or at_home(one, here)]
        self._ports = self._fill_ports()
        self._look_across([one for one in house.modules if one not in here])
        for module in in_order(here, elsewhere=self._contracts):
            database = Database(
                module.name,
                dsn(module.name),
                clock=self.clock,
                ids=self.ids,
                instance=instance,
                replica=replica(module.name),
                replication=self._settle(ReplicaSettings, "replica"),
            )
            self.rooms[module.name] = self._furnish(module, database)
        # A copy may tell what was true before a change that has been heard already.
        truthful = {n: one.database for n, one in self.rooms.items() if replica(n) is None}
        self.shelf = Shelf(self.clock, truthful)
        self._desks = {
            channel.name: self._build(channel.desk, channel.name, {Shelf: self.shelf})
            for channel in house.channels
            if channel.desk and self._is_here(channel)
        }

    def ask(self, protocol: type[C]) -> C:
        """Return what answers a contract, wherever it lives."""
        return cast(C, self._contracts[protocol])

    def dependencies(self) -> dict[str, Any]:
        """Return what HTTP handlers may ask for by name: each module's contract, ids, the clock."""
        contracts = {
            module.name: self._contracts[protocol]
            for module in self.house.modules
            for protocol in list(module.offers)[:1]
            if protocol in self._contracts
        }
        plan = Floorplan(self.house.modules, self.house.channels, self._topology, self.broker)
        work = {"ids": self.ids, "clock": self.clock}
        house = {BACKSTAGE: self.backstage, "floorplan": plan, **work}
        return {**contracts, **self._desks, **house}

    def routes(self) -> list[Any]:
        """Collect the HTTP faces of what lives here."""
        return [route for part in self._parts() if self._is_here(part) for route in part.routes]

    def routes_elsewhere(self) -> list[Any]:
        """Collect the HTTP faces of what lives in other processes."""
        return [route for part in self._parts() if not self._is_here(part) for route in part.routes]

    def lost(self) -> Callable[[Any, Exception], Any] | None:
        """Return what answers people who are nowhere, if a channel here does."""
        channels = [one for one in self.house.channels if self._is_here(one)]
        return next((one.lost for one in channels if one.lost), None)

    async def open(self) -> None:
        """Connect and open what wants to be opened, without any background work."""
        self._stack.push_async_callback(self.shelf.close)
        if self.broker:
            await self.broker.open()
            self._stack.push_async_callback(self.broker.close)
        for room in self.rooms.values():
            self._stack.push_async_callback(room.database.close)
        opening = (room.database.open() for room in self.rooms.values())
        # Whatever fails, none goes on to open behind our back.
        for failure in await asyncio.gather(*opening, return_exceptions=True):
            if failure:
                raise failure
        for room in self.rooms.values():
            await room.worker.sagas.open()
        for one in self._openable():
            await one.open()
            self._stack.push_async_callback(one.close)

    async def start(self, *, announce: Mapping[str, str] | None = None) -> None:
        """Open, and begin the background work of every module.

        With a broker, answer and listen there; `announce` tells others what they may want to know
        of this process, such as where it serves HTTP.
        """
        await self.open()
        for room in self.rooms.values():
            room.worker.start()
            self._stack.push_async_callback(room.worker.stop)
            if room.listener:
                room.listener.start()
                self._stack.push_async_callback(room.listener.stop)
        await self.answer(announce or {})

    async def answer(self, announce: Mapping[str, str]) -> None:
        """Answer what other processes ask, if there is a broker that they can ask through."""
        if not self.broker:
            return
        metadata = {"process": self.broker.process, "instance": self._instance, **announce}
        rooms: list[tuple[Database | None, Mapping[type[object], object]]]
        rooms = [(room.database, room.answers) for room in self.rooms.values()]
        for database, answers in rooms or [(None, {})]:
            answering = MicroService(
                self.broker, database, answers, clock=self.clock, ids=self.ids, metadata=metadata
            )
            await answering.open()
            self._stack.push_async_callback(answering.close)
            self._answering.append(answering)

    async def leave(self) -> None:
        """Be asked no longer by other processes; what was asked is still answered."""
        await asyncio.gather(*(one.leave() for one in self._answering))

    async def deliver(self) -> None:
        """Let every event that was told take its effect everywhere, where no background works."""
        while sum([await room.worker.deliver() for room in self.rooms.values()]):
            pass

    async def close(self) -> None:
        """Stop the background work and let go of everything."""
        await self._stack.aclose()

    async def ready(self) -> Mapping[str, bool]:
        """Tell of each module whether its data can be reached, and of the broker."""
        told = {name: await _answers(room.database) for name, room in self.rooms.items()}
        return {**told, "nats": self.broker.connected} if self.broker else told

    def _parts(self) -> list[Module | Plugin | Channel]:
        return [*self.house.modules, *self.house.plugins, *self.house.channels]

    def _is_here(self, part: Module | Plugin | Channel) -> bool:
        if isinstance(part, Plugin):
            return part in self.plugins
        return self._hosts is None or part.name in self._hosts

    def _look_across(self, modules: Iterable[Module]) -> None:
        """Ask for what lives in other processes there."""
        if self.broker:
            manner = self._settle(LinkSettings, "link")
            for module in modules:
                neighbor = Neighbor(module.name, manner, self.clock)
                behind = in_module(Backstage, module.name)
                self.backstage[module.name] = remote(behind, self.broker, neighbor)
                for protocol in module.offers:
                    self._contracts[protocol] = remote(
                        protocol,
                        self.broker,
                        neighbor,
                        replicated=self._replica(module.name) is not None,
                    )

    def _furnish(self, module: Module, database: Database) -> Room:
        sagas = Sagas(database)
        have: dict[Any, Any] = {Database: database, Sagas: sagas}
        undertakings = []
        for kind in module.sagas:
            have[kind] = self._build(kind, module.name, have)
            undertakings.append(have[kind])
        services = {
            protocol: self._build(service, module.name, have)
            for protocol, service in module.offers.items()
        }
        for protocol, service in services.items():
            self._contracts[protocol] = self._link(protocol, service, database)
        made = [*services.values(), *undertakings]
        reactions = {r.name: (r, _bound(r.react, made)) for r in module.reactions}
        sagas.know(undertakings, {job: _bound(job.work, made) for job in module.jobs})
        inbox = Inbox(database, reactions)
        carry = broadcast(self.broker) if self.broker else local_carrier(self._inboxes)
        outbox = Outbox(database, carry)
        listener = Listener(self.broker, inbox) if self.broker and reactions else None
        behind = in_module(Backstage, module.name)
        hand = Stagehand(inbox, sagas)
        self.backstage[module.name] = self._link(behind, hand, database)
        worker = Worker(database, outbox, inbox, sagas)
        return Room(module, database, worker, services, hand, listener)

    def _inboxes(self) -> Sequence[Inbox]:
        return [room.worker.inbox for room in self.rooms.values()]

    def _fill_ports(self) -> dict[type[object], dict[str, Any]]:
        ports: dict[type[object], dict[str, Any]] = {}
        for plugin in self.plugins:
            for port, kind in plugin.fills.items():
                ports.setdefault(port, {})[plugin.name] = self._build(kind, plugin.name, {})
        return ports

    def _openable(self) -> list[Any]:
        filled = [one for by_name in self._ports.values() for one in by_name.values()]
        offered = [one for room in self.rooms.values() for one in room.services.values()]
        return [one for one in (*filled, *offered) if hasattr(one, "open")]

    def _build(self, kind: type[C], section: str, have: Mapping[Any, Any]) -> C:
        """Make an object by handing its constructor what the annotations ask for."""
        hints = get_type_hints(kind.__init__)
        told = inspect.signature(kind.__init__).parameters.values()
        parameters = [one.name for one in told if one.name in hints]
        return kind(
            **{
                name: self._provide(hints[name], section, have, f"{kind.__name__}({name})")
                for name in parameters
            }
        )

    def _provide(self, wanted: Any, section: str, have: Mapping[Any, Any], who: str) -> Any:
        simple = {Clock: self.clock, Ids: self.ids, Flags: self.flags, DataFolder: self._folder}
        at_hand = {**simple, Backstages: self.backstage, **have}
        if wanted in at_hand:
            return at_hand[wanted]
        if inspect.isclass(wanted) and issubclass(wanted, Settings):
            return self._settle(wanted, section)
        if wanted in self._contracts:
            return self._contracts[wanted]
        if contract := optional(wanted):
            return self._contracts.get(contract)
        if get_origin(wanted) is not None and issubclass(get_origin(wanted), Mapping):
            return self._ports.get(get_args(wanted)[1], {})
        return self._only_plugin(wanted, who)

    def _settle(self, kind: type[S], section: str) -> S:
        return settings.load(kind, section, file=self._configured, environment=self._environment)

    def _only_plugin(self, port: Any, who: str) -> Any:
        filled = self._ports.get(port, {})
        name = getattr(port, "__name__", str(port))
        if len(filled) != 1:
            found = ", ".join(filled) or "none"
            raise Misconfigured(
                f"{who} needs {name}: a module must offer it or one plugin fill it, found {found}"
            )
        return next(iter(filled.values()))


def _bound(function: Callable[..., Any], objects: Sequence[Any]) -> Callable[..., Any]:
    """Bind a method that a declaration names by its class to the object of that class."""
    if "." not in function.__qualname__:
        for one in objects:
            if isinstance(one, _first_parameter(function)):
                return cast("Callable[..., Any]", function.__get__(one))
    for one in objects:
        bound = getattr(one, function.__name__, None)
        if getattr(bound, "__func__", None) is function:
            return cast("Callable[..., Any]", bound)
    raise Misconfigured(f"{function.__qualname__} belongs to no service of its module")


def _first_parameter(function: Callable[..., Any]) -> type[object]:
    name = next(iter(inspect.signature(function).parameters))
    return cast("type[object]", get_type_hints(function)[name])


async def _answers(database: Database) -> bool:
    try:
        return bool(await database.value("SELECT true"))
    except Exception:  # noqa: BLE001 - whatever it is, it is not ready
        return False


def _packages(root: str) -> list[str]:
    try:
        package = importlib.import_module(root)
    except ModuleNotFoundError:
        return []
    return sorted(found.name for found in pkgutil.iter_modules(package.__path__) if found.ispkg)

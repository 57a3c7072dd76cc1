"""The whole shop in the processes of a topology, as far as a real NATS can tell."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from banyan.engines.crew import grants
from banyan.kernel import topology
from banyan.kernel.app import App, House, Room
from banyan.kernel.jetstream import provision
from banyan.kernel.nats import Broker
from banyan.kernel.subjects import EVENTS, permissions
from banyan.kernel.topology import Topology
from tests.engines.brokers import LentNats

C = TypeVar("C")

VISITOR = "visitor"
TOPOLOGIES = Path(__file__).parents[2] / "topology"


class Shop(Protocol):
    """A shop, in however many processes: who answers, and what lives where."""

    @property
    def rooms(self) -> dict[str, Room]:
        """Every module, by name."""
        ...

    def ask(self, protocol: type[C]) -> C:
        """Return what answers a contract, wherever it lives."""
        ...


@dataclass
class Apart:
    """A shop in several processes; whoever visits it hosts nothing and asks over NATS."""

    visitor: App
    processes: list[App]

    @property
    def rooms(self) -> dict[str, Room]:
        return {name: room for app in self.processes for name, room in app.rooms.items()}

    def ask(self, protocol: type[C]) -> C:
        return self.visitor.ask(protocol)


def granted(name: str, house: House, nats: LentNats) -> Topology:
    """Let in the processes of a topology file, and somebody who visits them."""
    told = topology.read(TOPOLOGIES / f"{name}.toml")
    visiting = permissions(VISITOR, hosts=(), asks=[module.name for module in house.modules])
    nats.grant({**grants(house, told), VISITOR: visiting})
    return told


@asynccontextmanager
async def streams(house: House, nats: LentNats) -> AsyncIterator[None]:
    """Have the stream of events, and take it away with all that was told."""
    heard = {m.name: [one.event for one in m.reactions] for m in house.modules if m.reactions}
    async with _operator(nats) as operator:
        await provision(operator, heard)
    yield  # For longer than a connection lives that nobody attends to.
    async with _operator(nats) as operator:
        await operator.streams().delete_stream(EVENTS)


@asynccontextmanager
async def _operator(nats: LentNats) -> AsyncIterator[Broker]:
    operator = Broker(nats.url, "operator", nats.credentials("operator"))
    await operator.open()
    try:
        yield operator
    finally:
        await operator.close()


@asynccontextmanager
async def alone(
    make: Callable[..., App], nats: LentNats, process: str, hosts: Collection[str]
) -> AsyncIterator[App]:
    """Open one process, which answers but has no background."""
    app = make(hosts=hosts, broker=Broker(nats.url, process, nats.credentials(process)))
    try:
        await app.open()
        await app.answer({})
        yield app
    finally:
        await app.close()


@asynccontextmanager
async def joined(
    told: Topology, house: House, nats: LentNats, make: Callable[..., App]
) -> AsyncIterator[Apart]:
    """Open all processes of a topology, and a visitor."""
    names = [module.name for module in house.modules]
    async with AsyncExitStack() as stack:
        processes = [
            await stack.enter_async_context(
                alone(make, nats, process.name, told.modules_of(process, names))
            )
            for process in told.processes
            if not process.external
        ]
        visitor = await stack.enter_async_context(alone(make, nats, VISITOR, ()))
        yield Apart(visitor=visitor, processes=processes)


@asynccontextmanager
async def apart(
    name: str, house: House, nats: LentNats, make: Callable[..., App]
) -> AsyncIterator[Apart]:
    """Open the processes of a topology file; `make` is told whom each hosts, and its broker."""
    told = granted(name, house, nats)
    async with streams(house, nats), joined(told, house, nats, make) as shop:
        yield shop

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
from banyan.kernel.subjects import DEAD, EVENTS, permissions
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


@asynccontextmanager
async def apart(
    name: str, house: House, nats: LentNats, make: Callable[..., App]
) -> AsyncIterator[Apart]:
    """Open the processes of a topology file; `make` is told whom each hosts, and its broker."""
    told = topology.read(TOPOLOGIES / f"{name}.toml")
    names = [module.name for module in house.modules]
    visiting = permissions(VISITOR, hosts=(), asks=names)
    nats.grant({**grants(house, told), VISITOR: visiting})
    operator = Broker(nats.url, "operator", nats.credentials("operator"))
    async with AsyncExitStack() as stack:
        await operator.open()
        stack.push_async_callback(operator.close)
        heard = {m.name: [one.event for one in m.reactions] for m in house.modules if m.reactions}
        await provision(operator, heard)
        for stream in (EVENTS, DEAD):
            stack.push_async_callback(operator.streams().delete_stream, stream)

        async def opened(process: str, hosts: Collection[str]) -> App:
            app = make(hosts=hosts, broker=Broker(nats.url, process, nats.credentials(process)))
            stack.push_async_callback(app.close)
            await app.open()
            await app.answer({})
            return app

        yield Apart(
            processes=[
                await opened(process.name, told.modules_of(process, names))
                for process in told.processes
                if not process.external
            ],
            visitor=await opened(VISITOR, ()),
        )

"""What stands where in a running shop: its processes, who asks and hears whom, and who is there."""

from __future__ import annotations

from collections.abc import Sequence

from banyan.kernel.contract import Value
from banyan.kernel.graph import graph, hears, spoken_to
from banyan.kernel.link import Unavailable
from banyan.kernel.module import Channel, Module
from banyan.kernel.nats import Broker
from banyan.kernel.registry import Replica, Roll
from banyan.kernel.subjects import BACKSTAGE
from banyan.kernel.topology import Topology


class Site(Value):
    """A process: what lives in it, how many replicas shall be there, and which are.

    `present` is None where nobody can tell: without a broker, or while it is away.
    """

    name: str
    modules: tuple[str, ...]
    channels: tuple[str, ...]
    replicas: int
    external: bool
    present: tuple[Replica, ...] | None


class Plan(Value):
    """The shop as it is laid out: of each part whom it asks and, of each teller, what it hears."""

    sites: tuple[Site, ...]
    asks: dict[str, tuple[str, ...]]
    hears: dict[str, dict[str, tuple[str, ...]]]
    broker: bool


class Floorplan:
    """Tells what stands where: by the topology and the declarations, and by who answers."""

    def __init__(
        self,
        modules: Sequence[Module],
        channels: Sequence[Channel],
        topology: Topology,
        broker: Broker | None,
    ) -> None:
        self._modules = modules
        self._channels = channels
        self._topology = topology
        self._broker = broker
        self._roll = Roll(broker) if broker else None

    async def look(self) -> Plan:
        """Look at the whole shop; wait a moment for replicas to answer."""
        names = [module.name for module in self._modules]
        channels = [channel.name for channel in self._channels]
        there = await self._present()
        asks = {name: tuple(sorted(asked)) for name, asked in graph(self._modules).items()}
        for channel in self._channels:
            asked = spoken_to(channel, self._modules)
            asks[channel.name] = tuple(sorted(names if BACKSTAGE in asked else asked))
        return Plan(
            sites=tuple(
                Site(
                    name=one.name,
                    modules=tuple(sorted(self._topology.modules_of(one, names))),
                    channels=tuple(sorted(self._topology.channels_of(one, channels))),
                    replicas=one.replicas,
                    external=one.external,
                    present=there
                    and tuple(sorted((r for r in there if r.process == one.name), key=_instance)),
                )
                for one in self._topology.processes
            ),
            asks=asks,
            hears={
                listener: {teller: tuple(events) for teller, events in told.items()}
                for listener, told in hears(self._modules).items()
            },
            broker=self._broker is not None,
        )

    async def _present(self) -> tuple[Replica, ...] | None:
        """Call the roll; whoever asks hears at least of itself, so nobody at all is no answer."""
        if self._roll is None or self._broker is None or not self._broker.connected:
            return None
        try:
            return tuple(await self._roll.call()) or None
        except Unavailable:
            return None


def _instance(replica: Replica) -> str:
    return replica.instance

"""Who is there: the replicas that answer on the broker, and where each serves HTTP."""

from __future__ import annotations

import asyncio

import msgspec
from nats.aio.msg import Msg

from banyan.kernel.contract import Value
from banyan.kernel.nats import Broker

PATIENCE_SECONDS = 0.3
MOST_ROUNDS = 5

_EVERYBODY = "$SRV.PING"


class Replica(Value):
    """A process that answers, and what it told of itself."""

    process: str
    instance: str
    http: str = ""
    version: str = ""
    leaving: str = ""


class _Answer(Value):
    metadata: Replica


class Roll:
    """Who is there, as far as we know.

    Who says that he leaves is gone at once. Who is silent may only be busy, so he is missed for a
    few rounds before he is given up.
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._known: dict[str, tuple[Replica, int]] = {}

    async def call(self, *, seconds: float = PATIENCE_SECONDS) -> frozenset[Replica]:
        """Ask everybody who they are, wait so many seconds for answers, and tell who is there."""
        silent = {name: (one, rounds + 1) for name, (one, rounds) in self._known.items()}
        heard = {one.instance: (one, 0) for one in await self._ask(seconds)}
        self._known = {
            name: (one, rounds)
            for name, (one, rounds) in (silent | heard).items()
            if rounds <= MOST_ROUNDS and not one.leaving
        }
        return frozenset(one for one, _ in self._known.values())

    async def _ask(self, seconds: float) -> set[Replica]:
        """Hear each replica, once for each of its modules."""
        heard: set[Replica] = set()

        async def note(message: Msg) -> None:
            try:
                heard.add(msgspec.json.decode(message.data, type=_Answer).metadata)
            except msgspec.DecodeError:  # A service of somebody else.
                return

        inbox = self._broker.client.new_inbox()
        subscription = await self._broker.client.subscribe(inbox, cb=note)
        try:
            await self._broker.client.publish(_EVERYBODY, reply=inbox)
            await asyncio.sleep(seconds)
        finally:
            await subscription.unsubscribe()
        return heard

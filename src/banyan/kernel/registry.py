"""Who is there: the replicas that answer on the broker, and where each serves HTTP."""

from __future__ import annotations

import asyncio

import msgspec
from nats.aio.msg import Msg

from banyan.kernel.contract import Value
from banyan.kernel.nats import Broker

PATIENCE_SECONDS = 0.3

_EVERYBODY = "$SRV.PING"


class Replica(Value):
    """A process that answers, and what it told of itself."""

    process: str
    instance: str
    http: str = ""
    version: str = ""


class _Answer(Value):
    metadata: Replica


async def replicas(broker: Broker, *, seconds: float = PATIENCE_SECONDS) -> frozenset[Replica]:
    """Ask everybody who they are; whoever does not answer within so many seconds is not there.

    A replica answers once for each of its modules.
    """
    found: set[Replica] = set()

    async def note(message: Msg) -> None:
        try:
            found.add(msgspec.json.decode(message.data, type=_Answer).metadata)
        except msgspec.DecodeError:  # A service of somebody else.
            return

    inbox = broker.client.new_inbox()
    subscription = await broker.client.subscribe(inbox, cb=note)
    try:
        await broker.client.publish(_EVERYBODY, reply=inbox)
        await asyncio.sleep(seconds)
    finally:
        await subscription.unsubscribe()
    return frozenset(found)

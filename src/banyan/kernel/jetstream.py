"""Events between processes: kept by JetStream until every module that listens has them."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from urllib.parse import quote

import msgspec
from nats.aio.msg import Msg
from nats.errors import Error
from nats.js import api
from nats.js.client import JetStreamContext
from nats.js.errors import NotFoundError

from banyan.kernel import subjects, telemetry
from banyan.kernel.database import DOWN
from banyan.kernel.event import Envelope, Event
from banyan.kernel.ids import derived
from banyan.kernel.letters import Delivery, Letters, Unreadable
from banyan.kernel.link import Unavailable
from banyan.kernel.nats import Broker
from banyan.kernel.outbox import Carrier, Inbox

BATCH = 100
CARRY_SECONDS = 5.0
FETCH_SECONDS = 5.0
PAUSE_SECONDS = 1.0
ACK_SECONDS = 30.0
MOST_DELIVERIES = 5
DUPLICATES_SECONDS = 120.0

_JSON = "application/json"
_OURS = "banyan-module"


async def provision(
    broker: Broker, listeners: Mapping[str, Collection[type[Event]]], *, most_bytes: int = 1 << 30
) -> None:
    """Make the streams, and a durable consumer for each module that listens; harmless when made.

    A message stays until everybody who listens to it has confirmed it. A full stream refuses what
    is new rather than drop what is old: then events wait in the outbox of their module.
    """
    streams = broker.streams()
    await _stream(
        streams,
        api.StreamConfig(
            name=subjects.EVENTS,
            subjects=[subjects.EVERY_EVENT],
            retention=api.RetentionPolicy.INTEREST,
            discard=api.DiscardPolicy.NEW,
            max_bytes=most_bytes,
            duplicate_window=DUPLICATES_SECONDS,
        ),
    )
    for module, kinds in listeners.items():
        await streams.add_consumer(
            subjects.EVENTS,
            api.ConsumerConfig(
                durable_name=module,
                filter_subjects=subjects.of_events(kinds),
                ack_policy=api.AckPolicy.EXPLICIT,
                ack_wait=ACK_SECONDS,
                max_ack_pending=10 * BATCH,
                metadata={_OURS: module},
            ),
        )
    for known in await streams.consumers_info(subjects.EVENTS):
        # What a module that is gone does not hear would be kept for ever. Others' are theirs.
        if known.name not in listeners and _OURS in (known.config.metadata or {}):
            await streams.delete_consumer(subjects.EVENTS, known.name)


async def _stream(streams: JetStreamContext, wanted: api.StreamConfig) -> None:
    assert wanted.name
    try:
        await streams.stream_info(wanted.name)
    except NotFoundError:
        await streams.add_stream(wanted)
    else:
        await streams.update_stream(wanted)


def broadcast(broker: Broker) -> Carrier:
    """Carry events to the stream; it is done when all of them are confirmed to be kept."""

    async def carry(envelopes: Sequence[Envelope]) -> None:
        if not broker.connected:
            raise Unavailable(what="nats")
        streams = broker.streams()
        try:
            async with asyncio.timeout(CARRY_SECONDS):
                kept = [
                    await streams.publish_async(
                        subjects.of_event(envelope.type),
                        msgspec.json.encode(envelope.data),
                        headers=_written(envelope),
                    )
                    for envelope in envelopes
                ]
                await asyncio.gather(*kept)
        except (Error, TimeoutError) as trouble:
            raise Unavailable(what="nats") from trouble

    return carry


class Listener:
    """Takes what a module listens to from the stream into its inbox."""

    def __init__(self, broker: Broker, inbox: Inbox) -> None:
        self._broker = broker
        self._inbox = inbox
        self._letters = Letters(inbox)
        self._module = inbox.database.module
        self._feed: JetStreamContext.PullSubscription | None = None
        self._loop: asyncio.Task[None] | None = None
        self._ending = False

    def start(self) -> None:
        """Begin to listen in the background."""
        loop = asyncio.get_running_loop()
        self._loop = loop.create_task(self._run(), name=f"listener {self._module}")

    async def stop(self) -> None:
        """Hear no more; what is not confirmed goes to another replica."""
        self._ending = True  # Before Python 3.12, `asyncio.wait_for` may swallow a cancellation.
        if self._loop:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)

    async def take(self, *, seconds: float = FETCH_SECONDS) -> int:
        """Take in what there is, or what comes within so many seconds; return how much."""
        self._feed = self._feed or await self._broker.streams().pull_subscribe_bind(
            consumer=self._module, stream=subjects.EVENTS
        )
        try:
            messages = await self._feed.fetch(BATCH, timeout=seconds)
        except TimeoutError:
            return 0
        await self._take_in(messages)
        return len(messages)

    async def _run(self) -> None:
        while not self._ending:
            try:
                await self.take()
            except (Error, *DOWN) as trouble:
                telemetry.log(__name__).warning(
                    "not heard", module=self._module, error=type(trouble).__name__
                )
                await asyncio.sleep(PAUSE_SECONDS)
            except Exception as defect:  # noqa: BLE001 - the loop outlives every defect
                telemetry.log(__name__).error("listener", module=self._module, exc_info=defect)
                await asyncio.sleep(PAUSE_SECONDS)

    async def _take_in(self, messages: Sequence[Msg]) -> None:
        """Put a batch into the inbox in one statement, then confirm it."""
        heard: list[Envelope] = []
        readable: list[Msg] = []
        for message in messages:
            try:
                heard.append(_delivered(message).open())
                readable.append(message)
            except Unreadable as refusal:
                await self._put_aside(message, refusal)
        await self._inbox.put(heard)
        for message in readable:
            await message.ack()

    async def _put_aside(self, message: Msg, refusal: Unreadable) -> None:
        """Try it a few times, as another replica may be newer; then keep it with what is dead."""
        if message.metadata.num_delivered < MOST_DELIVERIES:
            await message.nak(delay=PAUSE_SECONDS)
            return
        telemetry.log(__name__).error("unreadable", module=self._module, why=str(refusal))
        told = message.metadata
        # Streams may be made anew and count from one again, but not at the same moment.
        name = f"{told.stream} {told.sequence.stream} {told.timestamp.isoformat()}"
        await self._letters.keep(
            derived("unreadable", name), _delivered(message), time=told.timestamp, why=refusal
        )
        await message.term()


def _written(envelope: Envelope) -> dict[str, str]:
    """Write the attributes of an event as headers (CloudEvents 1.0, binary mode over NATS)."""
    headers = {
        api.Header.MSG_ID: str(envelope.id),
        "ce-specversion": "1.0",
        "ce-id": str(envelope.id),
        "ce-source": quote(envelope.source),
        "ce-type": envelope.type,
        "ce-time": envelope.time.isoformat(),
        "ce-datacontenttype": _JSON,
    }
    if envelope.traceparent:
        headers["ce-traceparent"] = envelope.traceparent
    return headers


def _delivered(message: Msg) -> Delivery:
    return Delivery(
        subject=message.subject, headers=message.headers or {}, data=bytes(message.data)
    )

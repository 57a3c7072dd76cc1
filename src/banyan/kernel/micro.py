"""A module as a NATS micro service (ADR-32): found, asked, counted by whatever speaks NATS."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from time import perf_counter_ns
from typing import Any

import msgspec
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error
from nats.micro.service import (
    EndpointInfo,
    EndpointStats,
    ServiceInfo,
    ServicePing,
    ServiceStats,
    ServiceVerb,
    control_subject,
)

from banyan.kernel import remote, subjects, telemetry
from banyan.kernel.clock import Clock
from banyan.kernel.contract import Operation, operations
from banyan.kernel.database import Database
from banyan.kernel.ids import Ids
from banyan.kernel.nats import Broker, Ear

VERSION = "1.0.0"
ANSWERS = "_INBOX"


class MicroService:
    """The contracts of one module, answered to whoever may ask on the broker.

    A process without a module is one, too, that only says that it is there.
    Replicas are members of one queue group, so NATS gives each request to one of them. The
    library's own service class answers one request after another; this one, all at once.
    """

    def __init__(
        self,
        broker: Broker,
        database: Database | None,
        offers: Mapping[type[object], object],
        *,
        clock: Clock,
        ids: Ids,
        metadata: Mapping[str, str],
    ) -> None:
        self._broker = broker
        self._database = database
        self._name = database.module if database else broker.process
        self._id = str(ids.new())
        self._started = clock.now()
        self._metadata = dict(metadata)
        self._answerers = {
            operation: service
            for protocol, service in offers.items()
            for operation in operations(protocol).values()
        }
        self._stats = {operation: _stats(operation) for operation in self._answerers}
        self._asked: list[Subscription] = []
        self._controls: list[Subscription] = []
        self._under_way: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Begin to answer, and to be found."""
        subscribe = self._broker.client.subscribe
        for operation in self._answerers:
            self._asked.append(
                await subscribe(
                    subjects.of_call(operation),
                    queue=self._name,
                    future=Ear(partial(self._attend, operation)),
                )
            )
        for verb, tell in (
            (ServiceVerb.PING, self._ping),
            (ServiceVerb.INFO, self._info),
            (ServiceVerb.STATS, self._statistics),
        ):
            for name, one in ((None, None), (self._name, None), (self._name, self._id)):
                subject = control_subject(verb, name=name, id=one)
                self._controls.append(await subscribe(subject, cb=partial(self._control, tell)))
        await self._broker.client.flush()

    async def leave(self) -> None:
        """Say that we leave, be asked no longer, and answer what was asked."""
        self._metadata["leaving"] = "yes"
        await _drain(self._asked)
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def close(self) -> None:
        """Be found no longer."""
        await self.leave()
        await _drain(self._controls)

    def _attend(self, operation: Operation, message: Msg) -> None:
        task = asyncio.get_running_loop().create_task(self._answer(operation, message))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _answer(self, operation: Operation, message: Msg) -> None:
        begun = perf_counter_ns()
        told, headers = await remote.attend(
            self._answerers[operation],
            operation,
            self._database,
            message.data,
            message.headers or {},
        )
        stats = self._stats[operation]
        stats.num_requests += 1
        stats.processing_time += perf_counter_ns() - begun
        stats.average_processing_time = stats.processing_time // stats.num_requests
        if trouble := headers.get(remote.ERROR):
            stats.num_errors += 1
            stats.last_error = trouble
        try:
            await self._reply(message, told, headers)
        except Error as trouble_:  # The asker is told by the deadline, and asks again.
            telemetry.log(__name__).warning(
                "unsent answer", operation=operation.subject, error=type(trouble_).__name__
            )

    async def _control(self, tell: Any, message: Msg) -> None:
        await self._reply(message, msgspec.json.encode(tell().to_dict()), {})

    async def _reply(self, message: Msg, told: bytes, headers: dict[str, str]) -> None:
        """Answer who asked, but not with our rights to where others listen."""
        if message.reply.startswith(ANSWERS):
            await self._broker.client.publish(message.reply, told, headers=headers or None)

    def _ping(self) -> ServicePing:
        return ServicePing(id=self._id, name=self._name, version=VERSION, metadata=self._metadata)

    def _info(self) -> ServiceInfo:
        return ServiceInfo(
            id=self._id,
            name=self._name,
            version=VERSION,
            description=f"The {'module' if self._database else 'process'} {self._name}",
            metadata=self._metadata,
            endpoints=[
                EndpointInfo(
                    name=_name(operation),
                    subject=subjects.of_call(operation),
                    queue_group=self._name,
                    metadata=_schemas(operation),
                )
                for operation in self._answerers
            ],
        )

    def _statistics(self) -> ServiceStats:
        return ServiceStats(
            id=self._id,
            name=self._name,
            version=VERSION,
            started=self._started,
            metadata=self._metadata,
            endpoints=list(self._stats.values()),
        )


async def _drain(subscriptions: list[Subscription]) -> None:
    while subscriptions:
        with suppress(Error):
            await subscriptions.pop().drain()  # type: ignore[no-untyped-call]


def _stats(operation: Operation) -> EndpointStats:
    return EndpointStats(
        name=_name(operation),
        subject=subjects.of_call(operation),
        queue_group=operation.module,
        num_requests=0,
        num_errors=0,
        processing_time=0,
        average_processing_time=0,
    )


def _name(operation: Operation) -> str:
    """Name an endpoint; its name may hold no dots."""
    return "_".join(filter(None, (operation.side, operation.name)))


def _schemas(operation: Operation) -> dict[str, str]:
    """Describe what is asked and answered, as JSON Schema in text: metadata holds no more."""
    return {
        "mark": operation.mark,
        "request": msgspec.json.encode(msgspec.json.schema(operation.arguments)).decode(),
        "answer": msgspec.json.encode(msgspec.json.schema(operation.answer)).decode(),
    }

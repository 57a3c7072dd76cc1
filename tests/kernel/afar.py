"""Modules in processes of their own, as far as NATS can tell: each with a connection to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

from banyan.engines.nats import EmbeddedNats
from banyan.kernel.app import App, House
from banyan.kernel.graph import graph
from banyan.kernel.jetstream import provision
from banyan.kernel.module import Module
from banyan.kernel.nats import Broker
from banyan.kernel.subjects import EVENTS, permissions
from banyan.kernel.testing import Server
from tests.engines.brokers import LentNats
from tests.kernel.replicated import QUICK


@asynccontextmanager
async def apart(
    server: Server,
    nats: LentNats | EmbeddedNats,
    modules: Sequence[Module],
    processes: Mapping[str, Sequence[str]],
    folder: Path,
    *,
    asks: Mapping[str, Sequence[str]] | None = None,
    tends: Mapping[str, Sequence[str]] | None = None,
    standby: Server | None = None,
) -> AsyncIterator[dict[str, App]]:
    """Open processes that host these modules by name, at work on one database and its copy."""
    nats.grant(
        {
            process: permissions(
                process,
                hosts=hosts,
                asks=(asks or {}).get(process, _asked(modules, hosts)),
                tends=(tends or {}).get(process, ()),
            )
            for process, hosts in processes.items()
        }
    )
    operator = Broker(nats.url, "operator", nats.credentials("operator"))
    async with AsyncExitStack() as stack:
        await operator.open()
        stack.push_async_callback(operator.close)
        heard = {m.name: [one.event for one in m.reactions] for m in modules if m.reactions}
        await provision(operator, heard)
        stack.push_async_callback(_forget, operator)
        database = await stack.enter_async_context(server.fresh(modules))
        copy = standby and partial(standby.address, database)
        apps = {}
        for process, hosts in processes.items():
            app = App(
                House(modules=list(modules)),
                dsn=lambda module: server.address(database, module=module),
                folder=folder,
                hosts=hosts,
                broker=Broker(nats.url, process, nats.credentials(process)),
                instance=f"{process}-1",
                replica=lambda module: copy(module=module) if copy else None,
                configured=QUICK,
            )
            stack.push_async_callback(app.close)
            await app.start()
            apps[process] = app
        yield apps


async def _forget(operator: Broker) -> None:
    """Leave nothing to be heard by the next test."""
    await operator.streams().delete_stream(EVENTS)


def _asked(modules: Sequence[Module], hosts: Sequence[str]) -> set[str]:
    asks = graph(modules)
    return {asked for host in hosts for asked in asks[host]} - {*hosts}

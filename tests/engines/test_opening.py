"""How what waits in a shop is carried by who looks after it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from banyan.engines import opening
from banyan.engines.estate import Estate
from banyan.engines.postgres import EmbeddedPostgres
from banyan.kernel import health
from banyan.kernel.jetstream import provision
from banyan.kernel.nats import Broker
from banyan.kernel.subjects import EVENTS
from banyan.kernel.testing import Bench, Server, bench
from banyan.kernel.topology import monolith
from tests.engines.brokers import LentNats
from tests.kernel.pond.contract import Leapt, Pond
from tests.kernel.pond.module import module

NOWHERE = "nats://127.0.0.1:1"


class Lender(Estate):
    """A shop that finds NATS where a test says, if there is one."""

    found: Broker | None = None

    def broker(self, process: str) -> Broker | None:
        return self.found


@pytest.fixture
def shop(tmp_path: Path) -> Lender:
    return Lender(tmp_path, monolith(), print)


@pytest.fixture
async def water(server: EmbeddedPostgres, tmp_path: Path) -> AsyncIterator[Bench]:
    """Set up a pond in which a leap was told long ago, and nobody has heard of it."""
    async with bench(Server(server.dsn()), [module], folder=tmp_path) as made:
        await made.ask(Pond).put(name="frog")
        await made.ask(Pond).leap(name="frog")
        made.clock.advance(3600)
        yield made


@pytest.fixture
async def operator(nats: LentNats) -> AsyncIterator[Broker]:
    broker = Broker(nats.url, "operator", nats.credentials("operator"))
    await broker.open()
    yield broker
    await broker.close()


async def test_what_waits_in_one_process_is_delivered_there(water: Bench, shop: Lender) -> None:
    async with opening.carrying(water.app, shop):
        _, overdue, *_ = await health.examine(water.app, repair=True)
    await water.settle()

    assert overdue.mended == ("1 events delivered",)
    assert await water.told(Leapt) == ()


async def test_what_waits_in_many_processes_goes_to_all_who_listen_on_nats(
    water: Bench, shop: Lender, nats: LentNats, operator: Broker
) -> None:
    await provision(operator, {"pond": [Leapt]})
    shop.found = Broker(nats.url, "operator", nats.credentials("operator"))

    async with opening.carrying(water.app, shop):
        _, overdue, *_ = await health.examine(water.app, repair=True)
    waiting = await operator.streams().consumer_info(EVENTS, "pond")
    await operator.streams().delete_stream(EVENTS)

    assert overdue.mended == ("1 events delivered",)
    assert waiting.num_pending == 1
    assert await water.app.rooms["pond"].database.value("SELECT count(*) FROM inbox") == 0


async def test_where_nats_is_away_it_waits_and_the_doctor_says_so(
    water: Bench, shop: Lender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "PATIENCE_SECONDS", 0.05)
    shop.found = Broker(NOWHERE, "operator")

    async with opening.carrying(water.app, shop):
        _, overdue, *_ = await health.examine(water.app, repair=True)

    assert (overdue.mended, overdue.found) == ((), ("1 events not delivered",))
    assert len(await water.told(Leapt)) == 1

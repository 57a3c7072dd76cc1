"""A replica answers queries, and nobody finds less there than what they have written."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import psutil
import pytest

from banyan.kernel import telemetry
from banyan.kernel.app import App, House
from banyan.kernel.event import on
from banyan.kernel.idempotency import Idempotency
from banyan.kernel.link import Link, calling
from banyan.kernel.module import Module
from banyan.kernel.replica import POSITION
from banyan.kernel.seen import Seen, following
from banyan.kernel.tally import statements
from banyan.kernel.telemetry import TelemetrySettings
from banyan.kernel.testing import Bench, Server
from tests.engines.brokers import LentNats
from tests.engines.servers import postmaster
from tests.kernel.afar import apart
from tests.kernel.pond.contract import Leapt, Pond, TooFar
from tests.kernel.pond.module import module
from tests.kernel.pond.service import Dive, PondService, Rest, Travel
from tests.kernel.replicated import QUICK, Pair, Shopper, eventually, replicated


@pytest.fixture
async def app(both: Pair, link: Link, tmp_path: Path) -> AsyncIterator[App]:
    """Open a pond with a replica at hand, over every link; a frog lives in it."""
    async with replicated(both, module, tmp_path, link=link) as made:
        await made.ask(Pond).put(name="frog")
        yield made


@pytest.fixture
def pond(app: App) -> Pond:
    return app.ask(Pond)


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """Write down what is logged."""
    stream = io.StringIO()
    telemetry.configure("shop", "one", TelemetrySettings(), stream=stream)
    yield stream
    telemetry.close()


def told(lines: io.StringIO, word: str) -> Callable[[], Awaitable[bool]]:
    """Look for a word in what was logged."""

    async def is_told() -> bool:
        return word in lines.getvalue()

    return is_told


async def at_hand(both: Pair, pond: Pond) -> None:
    """Wait until a replica that stands still is read: by then it misses what is written last."""
    stranger = Shopper(pond)
    await pond.put(name="probe")

    async def is_read() -> bool:
        async with both.paused():
            before = await pond.leap(name="probe")
            return await stranger.sees("probe") < before

    await eventually(is_read)


async def test_a_query_reads_the_replica(both: Pair, pond: Pond) -> None:
    await at_hand(both, pond)

    async with both.paused():
        await pond.leap(name="frog")

        assert await Shopper(pond).sees() == 0


async def test_who_writes_sees_it_at_once_and_others_later(both: Pair, pond: Pond) -> None:
    await at_hand(both, pond)
    writer, other = Shopper(pond), Shopper(pond)

    async with both.paused():
        await writer.leaps()
        await writer.leaps()
        seen = await writer.sees(), await other.sees()

    async def has_arrived() -> bool:
        return await other.sees() == 2

    assert seen == (2, 0)
    await eventually(has_arrived)


async def test_who_wrote_reads_the_replica_again_once_that_has_caught_up(
    both: Pair, pond: Pond
) -> None:
    writer = Shopper(pond)
    await writer.leaps()
    await at_hand(both, pond)

    async with both.paused():
        await pond.leap(name="frog")

        async def sees_what_is_missing() -> bool:
            return await writer.sees() == 1

        await eventually(sees_what_is_missing)


async def test_a_request_finds_what_it_has_written_itself(both: Pair, pond: Pond) -> None:
    await at_hand(both, pond)

    async with both.paused():
        with following(Seen(), late=True) as seen:
            with following(seen, late=False):
                await pond.leap(name="frog")

            assert await pond.leaps(name="frog") == 1


async def test_an_answer_that_is_given_again_tells_its_position_too(both: Pair, pond: Pond) -> None:
    await at_hand(both, pond)
    again = Shopper(pond)

    async def leap(pond: Pond) -> int:
        with calling(idempotency=Idempotency("key", "the same")):
            return await pond.leap(name="frog")

    async with both.paused():
        await Shopper(pond).does(leap)
        repeated = await again.does(leap)

        assert (repeated, await again.sees()) == (1, 1)


async def test_what_was_written_on_the_way_to_a_refusal_is_seen(both: Pair, pond: Pond) -> None:
    await at_hand(both, pond)
    writer = Shopper(pond)

    with pytest.raises(TooFar):
        await writer.does(lambda pond: pond.travel(name="frog", times=6))

    assert ".pond:" in writer.told


async def test_a_command_and_an_undertaking_read_the_original(both: Pair, pond: Pond) -> None:
    await at_hand(both, pond)

    async with both.paused():
        with following(Seen(), late=True):
            leapt = await pond.leap(name="frog")
            traveled = await pond.travel(name="frog", times=2)

    assert (leapt, traveled) == (1, 3)


async def test_whoever_is_no_reader_at_the_edge_reads_the_original(both: Pair, pond: Pond) -> None:
    await at_hand(both, pond)

    async with both.paused():
        await pond.leap(name="frog")

        assert await pond.leaps(name="frog") == 1


class Attentive(PondService):
    """A pond that looks at what it hears of."""

    async def hear(self, event: Leapt) -> None:
        """Look how often the frog has leapt by now."""
        self.heard.append(await self.leaps(name=event.name))


class Copied(Module):
    """The tables of the pond, for a service of another place."""

    @property
    def migrations(self) -> Path:
        return module.migrations


async def test_a_reaction_reads_the_original(both: Pair, tmp_path: Path) -> None:
    attentive = Copied(
        name="pond",
        offers={Pond: Attentive},
        sagas=[Travel, Dive, Rest],
        reactions=[on(Leapt, Attentive.hear)],
    )

    async with replicated(both, attentive, tmp_path) as app:
        pond = app.ask(Pond)
        await pond.put(name="frog")
        await at_hand(both, pond)
        await app.deliver()
        service: Attentive = app.rooms["pond"].services[Pond]
        service.heard.clear()
        async with both.paused():
            await Shopper(pond).leaps()
            await app.deliver()

        assert service.heard == [1]


async def test_a_transaction_of_a_query_is_one_of_the_original(
    both: Pair, app: App, pond: Pond
) -> None:
    await at_hand(both, pond)
    database = app.rooms["pond"].database

    async with both.paused():
        await pond.leap(name="frog")
        with following(Seen(), late=True) as seen:
            async with database.begin():
                leaps = await database.value("SELECT leaps FROM frogs WHERE name = 'frog'")

    assert leaps == 1
    assert await seen.told() is None


async def test_what_turns_out_to_write_is_done_by_the_original(
    both: Pair, app: App, pond: Pond
) -> None:
    await at_hand(both, pond)
    database = app.rooms["pond"].database

    with following(Seen(), late=True):
        await database.value("UPDATE frogs SET leaps = 9 WHERE name = 'frog' RETURNING leaps")

    assert await pond.leaps(name="frog") == 9


async def test_a_position_costs_one_statement_however_much_was_written(
    both: Pair, app: App, pond: Pond
) -> None:
    await at_hand(both, pond)
    run = Bench.watch(Bench.__new__(Bench))
    try:
        await Shopper(pond).does(lambda pond: pond.travel(name="frog", times=3))
        await Shopper(pond).sees()
    finally:
        statements.watching = False

    assert run.count(("pond", "COMMIT")) > 3
    assert run.count(("pond", POSITION)) == 1


async def test_without_a_replica_nobody_is_told_a_position(
    server: Server, link: Link, water: Bench
) -> None:
    writer = Shopper(water.ask(Pond))
    await writer.does(lambda pond: pond.put(name="frog"))
    run = water.watch()
    await writer.leaps()

    assert await writer.sees() == 1
    assert writer.told == ""
    assert ("pond", POSITION) not in run


async def test_a_replica_that_is_too_late_is_left_alone_until_it_has_caught_up(
    both: Pair, tmp_path: Path, lines: io.StringIO
) -> None:
    async with replicated(both, module, tmp_path, most_lag_seconds=1.5) as app:
        pond = app.ask(Pond)
        await pond.put(name="frog")
        other = Shopper(pond)
        await at_hand(both, pond)
        async with both.paused():
            await pond.leap(name="frog")
            before = await other.sees()

            async def sees_the_original() -> bool:
                return await other.sees() == 1

            await eventually(sees_the_original)
        await at_hand(both, pond)
        metrics = telemetry.metrics_text().decode()

    assert before == 0
    assert '"reason": "late"' in lines.getvalue().replace('":"', '": "')
    assert "banyan_replica_passed_over" in metrics
    assert 'banyan_reason="away"' in metrics


async def test_a_replica_that_is_down_costs_nobody_an_answer(
    both: Pair, app: App, pond: Pond, lines: io.StringIO
) -> None:
    await at_hand(both, pond)
    writer, other = Shopper(pond), Shopper(pond)

    both.standby.stop()
    try:
        await writer.leaps()
        seen = [await one.sees() for one in (other, writer, other)]
    finally:
        both.standby.start()

    assert seen == [1, 1, 1]
    assert "replica away" in lines.getvalue()
    await at_hand(both, pond)
    assert "replica at hand" in lines.getvalue()


async def test_a_replica_that_hangs_is_waited_for_once_and_briefly(
    both: Pair, tmp_path: Path
) -> None:
    async with replicated(both, module, tmp_path, patience_seconds=0.2) as app:
        pond = app.ask(Pond)
        await pond.put(name="frog")
        await at_hand(both, pond)
        hung = [psutil.Process(postmaster(both.standby.folder))]
        hung += hung[0].children(recursive=True)
        for process in hung:
            os.kill(process.pid, signal.SIGSTOP)
        try:
            await pond.leap(name="frog")
            with calling(seconds=2):
                first = await Shopper(pond).sees()
            with calling(seconds=0.15):
                second = await Shopper(pond).sees()
        finally:
            for process in hung:
                os.kill(process.pid, signal.SIGCONT)

        assert (first, second) == (1, 1)
        await at_hand(both, pond)


async def test_a_shop_opens_without_its_replica(both: Pair, tmp_path: Path) -> None:
    nowhere = Server(f"postgresql://postgres:secret@/postgres?host={tmp_path}")

    async with replicated(both, module, tmp_path, copy=nowhere) as app:
        await app.ask(Pond).put(name="frog")

        assert await Shopper(app.ask(Pond)).sees() == 0


async def test_a_server_that_follows_nobody_is_not_read(
    both: Pair, tmp_path: Path, lines: io.StringIO
) -> None:
    async with replicated(both, module, tmp_path, copy=both.server):
        await eventually(told(lines, "NoReplica"))


async def test_a_replica_of_another_server_is_not_read(
    both: Pair, server: Server, tmp_path: Path, lines: io.StringIO
) -> None:
    async with both.server.fresh([module]) as there, server.fresh([module]) as here:
        app = App(
            House(modules=[module]),
            dsn=lambda name: server.address(here, module=name),
            replica=lambda name: both.copy.address(there, module=name),
            configured=QUICK,
            folder=tmp_path,
        )
        try:
            await app.open()

            await eventually(told(lines, "NoReplica"))
        finally:
            await app.close()


async def test_positions_travel_between_processes(
    both: Pair, nats: LentNats, tmp_path: Path
) -> None:
    hosts: dict[str, list[str]] = {"water": ["pond"], "land": []}
    asks = {"land": ["pond"]}
    async with apart(
        both.server, nats, [module], hosts, tmp_path, asks=asks, standby=both.copy
    ) as apps:
        pond = apps["land"].ask(Pond)
        await pond.put(name="frog")
        await at_hand(both, pond)
        writer, other = Shopper(pond), Shopper(pond)
        async with both.paused():
            await writer.leaps()

            assert (await writer.sees(), await other.sees()) == (1, 0)
            assert await pond.leaps(name="frog") == 1
        with pytest.raises(TooFar):
            await other.does(lambda pond: pond.travel(name="frog", times=6))
        assert ".pond:" in other.told

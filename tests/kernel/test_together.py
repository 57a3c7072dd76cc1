"""Calls that wait at the same time: one transaction, and to each its own answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from pathlib import Path

import asyncpg
import pytest

from banyan.kernel import telemetry
from banyan.kernel.contract import Problem
from banyan.kernel.database import Database
from banyan.kernel.idempotency import Idempotency
from banyan.kernel.link import Unavailable, calling, direct
from banyan.kernel.seen import Seen, following
from banyan.kernel.testing import Bench, Server, bench
from banyan.kernel.together import Together
from banyan.kernel.transaction import Overtaken, Transaction
from tests.kernel.pond.contract import Leapt, NoSuchFrog, Pond
from tests.kernel.pond.module import module
from tests.kernel.pond.service import PondService
from tests.kernel.replicated import Pair, replicated


class Frogs:
    """Puts frogs into the pond, all that come together at once; keeps in mind who came when."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.trips: list[list[str]] = []
        self.sets_out: asyncio.Queue[Sequence[str]] = asyncio.Queue()
        self.open = asyncio.Event()
        self.open.set()
        self.trouble: Exception | None = None

    async def __call__(self, tx: Transaction, names: Sequence[str]) -> Sequence[str | Problem]:
        self.trips.append(list(names))
        self.sets_out.put_nowait(names)
        await self.open.wait()
        if self.trouble:
            raise self.trouble
        frogs = [name for name in names if not name.startswith("no ")]
        await tx.execute("INSERT INTO frogs (name, leaps) SELECT unnest($1::text[]), 0", frogs)
        tx.tell(*(Leapt(name=name, leaps=0) for name in frogs[:1]))
        return [name if name in frogs else NoSuchFrog(name=name) for name in names]

    async def there(self) -> list[str]:
        rows = await self.database.all("SELECT name FROM frogs ORDER BY name")
        return [row["name"] for row in rows]


@pytest.fixture
async def water(server: Server, tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench(server, [module], folder=tmp_path) as made:
        yield made


@pytest.fixture
def frogs(water: Bench) -> Frogs:
    return Frogs(water.app.rooms["pond"].database)


async def settled(*calls: Awaitable[str]) -> list[str | BaseException]:
    return await asyncio.gather(*calls, return_exceptions=True)


async def test_those_who_wait_share_a_commit_in_the_order_in_which_they_came(
    water: Bench, frogs: Frogs
) -> None:
    together = Together(frogs.database, frogs, most=4)
    names = [f"frog {n}" for n in range(8)]
    run = water.watch()

    answers = await settled(*(together(name) for name in names))

    assert answers == names
    assert frogs.trips == [names[:1], names[1:5], names[5:]]
    assert run.count(("pond", "BEGIN")) == 3


async def test_a_lone_call_does_not_wait_for_company(water: Bench, frogs: Frogs) -> None:
    together = Together(frogs.database, frogs)
    run = water.watch()

    await together("one")
    await together("two")

    assert frogs.trips == [["one"], ["two"]]
    assert len(run) == 2 * 4, "BEGIN, the work, what it tells, COMMIT"


async def test_who_is_refused_takes_nobody_along(frogs: Frogs) -> None:
    together = Together(frogs.database, frogs)

    first, refused, other = await settled(*map(together, ("one", "no frog", "two")))

    assert (first, other) == ("one", "two")
    assert isinstance(refused, NoSuchFrog)
    assert await frogs.there() == ["one", "two"]


async def test_where_all_are_refused_nothing_is_committed(frogs: Frogs) -> None:
    async def refuse(tx: Transaction, names: Sequence[str]) -> Sequence[str | Problem]:
        await frogs(tx, names)
        return [NoSuchFrog(name=name) for name in names]

    together = Together(frogs.database, refuse)

    answers = await settled(*map(together, ("one", "two", "three")))

    assert all(isinstance(one, NoSuchFrog) for one in answers)
    assert await frogs.there() == []


async def test_who_gives_up_takes_nobody_along(frogs: Frogs) -> None:
    together = Together(frogs.database, frogs)
    frogs.open.clear()
    first, second, third, fourth = calls = [
        asyncio.ensure_future(together(name)) for name in ("one", "two", "three", "four")
    ]
    await frogs.sets_out.get()
    third.cancel()
    frogs.open.set()
    await first
    await frogs.sets_out.get()
    second.cancel()

    answers = await settled(*calls)

    assert frogs.trips == [["one"], ["two", "four"]]
    assert [type(one) for one in answers[1:3]] == [asyncio.CancelledError] * 2
    assert await fourth == "four"
    assert await frogs.there() == ["four", "one", "two"]


async def test_what_nobody_waits_for_any_more_is_rolled_back(frogs: Frogs) -> None:
    together = Together(frogs.database, frogs)
    frogs.open.clear()
    calls = [asyncio.ensure_future(together(name)) for name in ("one", "two")]
    await frogs.sets_out.get()

    for call in calls:
        call.cancel()
    await settled(*calls)
    frogs.open.set()

    assert await together("three") == "three"
    assert await frogs.there() == ["three"]


async def test_a_deadline_is_that_of_each_call(frogs: Frogs) -> None:
    together = Together(frogs.database, frogs)
    frogs.open.clear()

    class Patient(PondService):
        def __init__(self) -> None: ...

        async def put(self, *, name: str) -> None:
            await together(name)

    async def put(name: str, seconds: float) -> str:
        with calling(seconds=seconds):
            await direct(Pond, Patient()).put(name=name)
        return name

    hasty, patient = asyncio.ensure_future(put("one", 0.05)), asyncio.ensure_future(put("two", 9))
    (told,) = await settled(hasty)
    frogs.open.set()

    assert isinstance(told, Unavailable)
    assert await patient == "two"


async def test_a_defect_is_told_to_the_call_that_has_it(frogs: Frogs) -> None:
    together = Together(frogs.database, frogs)

    first, broken, other = await settled(*map(together, ("one", "\0", "two")))

    assert (first, other) == ("one", "two")
    assert isinstance(broken, asyncpg.CharacterNotInRepertoireError)
    assert frogs.trips == [["one"], ["\0", "two"], ["\0"], ["two"]]


async def test_a_lost_race_is_lost_by_nobody_else(frogs: Frogs) -> None:
    async def race(tx: Transaction, names: Sequence[str]) -> Sequence[str | Problem]:
        told = await frogs(tx, names)
        if "late" in names:
            raise Overtaken
        return told

    together = Together(frogs.database, race)

    first, late, other = await settled(*map(together, ("one", "late", "two")))

    assert (first, other) == ("one", "two")
    assert isinstance(late, Overtaken)
    assert await frogs.there() == ["one", "two"]


async def test_that_the_database_is_away_is_told_to_all(frogs: Frogs) -> None:
    together = Together(frogs.database, frogs)
    frogs.trouble = ConnectionResetError()

    answers = await settled(*map(together, ("one", "two", "three")))

    assert answers == [frogs.trouble] * 3
    assert frogs.trips == [["one"], ["two", "three"]]


async def test_who_is_held_up_for_long_does_not_hold_up_the_next(frogs: Frogs) -> None:
    together = Together(frogs.database, frogs, patience_seconds=0.05)
    frogs.open.clear()
    held_up = asyncio.ensure_future(together("one"))
    await frogs.sets_out.get()
    waiting = asyncio.ensure_future(together("two"))
    await frogs.sets_out.get()

    frogs.open.set()

    assert await settled(held_up, waiting) == ["one", "two"]


async def test_a_defect_that_comes_late_is_told_to_the_call_that_has_it(frogs: Frogs) -> None:
    together = Together(frogs.database, frogs, patience_seconds=0.02)
    frogs.open.clear()
    calls = [asyncio.ensure_future(together(name)) for name in ("one", "\0", "two")]
    for _ in range(2):
        await frogs.sets_out.get()
    await asyncio.sleep(0.05)
    frogs.open.set()

    first, broken, other = await settled(*calls)

    assert (first, other) == ("one", "two")
    assert isinstance(broken, asyncpg.CharacterNotInRepertoireError)


async def test_a_call_takes_part_in_the_transaction_that_is_open(
    water: Bench, frogs: Frogs
) -> None:
    together = Together(frogs.database, frogs)
    run = water.watch()

    async with frogs.database.begin():
        await together("one")
        with pytest.raises(NoSuchFrog):
            await together("no frog")

    assert run.count(("pond", "BEGIN")) == 1


async def test_a_note_is_written_into_the_transaction_of_its_own_call(frogs: Frogs) -> None:
    together = Together(frogs.database, frogs)

    class Keyed(PondService):
        def __init__(self) -> None: ...

        async def travel(self, *, name: str, times: int) -> int | None:
            await together(name)
            return times

    traveler = direct(Pond, Keyed(), frogs.database)

    async def travel(number: int) -> tuple[int | None, bool]:
        key = Idempotency(f"key {number}", "travel")
        with calling(idempotency=key):
            return await traveler.travel(name=f"frog {number}", times=number), key.replayed

    first = await asyncio.gather(*(travel(number) for number in range(4)))
    again = await asyncio.gather(*(travel(number) for number in range(4)))

    assert first == [(number, False) for number in range(4)]
    assert again == [(number, True) for number in range(4)]
    assert sorted(map(len, frogs.trips)) == [1] * 4


async def test_what_is_told_belongs_to_the_trace_of_the_first(frogs: Frogs) -> None:
    together = Together(frogs.database, frogs)
    traces: dict[str, str] = {}

    async def traced(name: str) -> str:
        with telemetry.follow(""), telemetry.span(name):
            traces[name] = telemetry.trace_id()
            return await together(name)

    await settled(*map(traced, ("one", "two", "three")))

    rows = await frogs.database.all("SELECT traceparent FROM outbox ORDER BY number")
    told = [row["traceparent"].split("-")[1] for row in rows]
    assert told == [traces["one"], traces["two"]]


async def test_each_of_those_who_wrote_together_finds_it_on_a_replica(
    both: Pair, tmp_path: Path
) -> None:
    async with replicated(both, module, tmp_path) as app:
        database = app.rooms["pond"].database
        together = Together(database, Frogs(database))

        async def told(name: str) -> str | None:
            with following(Seen(), late=False) as seen:
                await together(name)
                return await seen.told()

        positions = await asyncio.gather(*map(told, ("one", "two", "three")))

    assert all(".pond:" in (one or "") for one in positions)

"""Sagas: each step once, the way back, waits, and resumption by anybody."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from banyan.kernel import fault
from banyan.kernel.clock import FixedClock
from banyan.kernel.driver import MOST_ATTEMPTS, Sagas
from banyan.kernel.journal import LEASE_SECONDS
from banyan.kernel.link import Unavailable
from banyan.kernel.saga import Saga
from banyan.kernel.tally import statements
from banyan.kernel.testing import Bench
from tests.kernel.pond.contract import Pond, TooFar
from tests.kernel.pond.service import PondService


async def test_a_saga_takes_its_steps_and_returns(pond: Pond) -> None:
    assert await pond.travel(name="frog", times=3) == 3


async def test_the_same_saga_again_finds_the_first(pond: Pond) -> None:
    await pond.travel(name="frog", times=3)

    assert await pond.travel(name="frog", times=3) == 3
    assert await pond.leaps(name="frog") == 3


async def test_a_refused_saga_goes_all_the_way_back(pond: Pond) -> None:
    for _ in range(2):
        with pytest.raises(TooFar) as refused:
            await pond.travel(name="frog", times=6)
        assert refused.value.times == 6

    assert await pond.leaps(name="frog") == 0


async def test_a_step_that_fails_for_a_moment_is_taken_again(
    pond: Pond, service: PondService
) -> None:
    service.traveling.broken = 2

    assert await pond.travel(name="frog", times=2) == 2
    assert service.traveling.taken == ["leap"] * 4


async def test_a_step_that_never_answers_turns_the_saga_back(
    water: Bench, pond: Pond, service: PondService
) -> None:
    service.traveling.broken = 1000

    assert await pond.travel(name="frog", times=2) is None
    for _ in range(MOST_ATTEMPTS):
        await water.pass_time(300)

    with pytest.raises(Unavailable):
        await pond.travel(name="frog", times=2)
    # The step may have had its effect, so its own way back is gone as well.
    assert service.traveling.taken[-1] == "back"


async def test_a_way_back_that_fails_waits_for_an_operator(
    water: Bench, pond: Pond, service: PondService
) -> None:
    service.traveling.lost = True
    with pytest.raises(TooFar):
        await pond.travel(name="frog", times=6)
    for _ in range(MOST_ATTEMPTS):
        await water.pass_time(300)
    backstage = water.app.backstage["pond"]
    assert [one.id for one in await backstage.sagas(state="stuck")] == ["travel frog"]

    service.traveling.lost = False
    await backstage.retry(saga="travel frog")
    await water.settle()

    assert await backstage.sagas(state="stuck") == ()
    assert await pond.leaps(name="frog") == 0


async def test_a_wait_ends_with_the_signal_or_with_the_time(
    water: Bench, service: PondService
) -> None:
    async with service.db.begin() as tx:
        running = service.sagas.start(tx, service.resting, "nap", seconds=60)
    assert await running.settled() is None

    async with service.db.begin() as tx:
        assert await service.sagas.signal(tx, "nap", "call", "up")
    await water.settle()
    await water.pass_time(61)

    assert await running.settled() == "up, None"


async def test_a_signal_that_comes_before_the_wait_is_not_lost(
    water: Bench, service: PondService
) -> None:
    async with service.db.begin() as tx:
        running = service.sagas.start(tx, service.resting, "nap", seconds=60)
        assert await service.sagas.signal(tx, "nap", "call", "early")
    await water.settle()
    await water.pass_time(61)

    assert await running.settled() == "early, None"


async def test_another_replica_carries_on_after_the_lease_and_not_before(
    water: Bench, pond: Pond, service: PondService
) -> None:
    await _leave_behind(service, "orphan", steps=2)
    other = Sagas(service.db)
    other.know([service.traveling], {})

    assert await other.resume() == 0
    water.clock.advance(LEASE_SECONDS + 1)
    assert await other.resume() == 1
    for task in list(other.tasks.values()):
        await task

    assert await pond.leaps(name="frog") == 4
    assert service.traveling.taken == ["leap"] * 4


async def test_a_restarted_instance_takes_back_its_own_at_once(
    pond: Pond, service: PondService
) -> None:
    await _leave_behind(service, "orphan", steps=1)
    reborn = Sagas(service.db)
    reborn.know([service.traveling], {})

    await reborn.open()

    assert await reborn.resume() == 1
    for task in list(reborn.tasks.values()):
        await task
    assert await pond.leaps(name="frog") == 4


async def test_an_owner_that_was_taken_over_stops_without_a_trace(
    water: Bench, pond: Pond, service: PondService
) -> None:
    async with service.db.begin() as tx:
        service.sagas.start(tx, service.traveling, "contested", name="frog", times=4)
        await tx.execute("UPDATE sagas SET epoch = epoch + 1 WHERE id = 'contested'")
    for task in list(service.sagas.tasks.values()):
        await task

    assert await pond.leaps(name="frog") == 0

    await water.pass_time(LEASE_SECONDS + 1)
    assert await pond.leaps(name="frog") == 4


async def test_a_changed_order_of_steps_is_noticed(
    water: Bench, pond: Pond, service: PondService
) -> None:
    await _leave_behind(service, "old", steps=2)
    await service.db.value(
        "UPDATE sagas SET journal = jsonb_set(journal, '{0,step}', '\"swim\"') WHERE id = 'old'"
    )

    await water.pass_time(LEASE_SECONDS + 1)

    # The steps taken are not taken again under another name.
    assert await pond.leaps(name="frog") == 2


async def test_what_a_saga_was_given_is_forgotten_at_its_end(
    pond: Pond, service: PondService
) -> None:
    await pond.travel(name="frog", times=1)

    assert await service.db.value("SELECT arguments FROM sagas WHERE kind LIKE 'travel%'") == {}


async def test_a_step_whose_commit_fails_is_taken_again(
    pond: Pond, service: PondService, away: Callable[[int], None]
) -> None:
    away(2)  # The first commit writes the saga down.

    assert await pond.travel(name="frog", times=2) == 2
    assert service.traveling.taken == ["leap"] * 3
    assert await pond.leaps(name="frog") == 2


@pytest.mark.parametrize("commit", [0, 2])
async def test_the_last_step_and_the_end_are_one_commit(
    pond: Pond, service: PondService, away: Callable[[int], None], commit: int
) -> None:
    away(commit)

    statements.watching, statements.run = True, []
    async with service.db.begin() as tx:
        running = service.sagas.start(tx, service.diving, "dive", name="frog")
    assert await running.settled() == 1
    statements.watching = False

    run = [sql for _, sql in statements.run]
    assert run.count("COMMIT") == 2, "the saga's beginning, and its step with its end"
    assert run.count("BEGIN") == (2 if commit else 1), "the beginning is one statement"
    assert await pond.leaps(name="frog") == 1
    assert await service.db.value("SELECT status FROM sagas WHERE id = 'dive'") == "done"


@pytest.fixture
def away() -> Iterator[Callable[[int], None]]:
    """Let the database go away before the n-th commit from now on."""

    def plan(number: int) -> None:
        commits = count(1)

        def watch(point: str) -> None:
            if point == "before commit pond" and next(commits) == number:
                raise ConnectionError("the database is away")

        fault.watch(watch)

    yield plan
    fault.watch(None)


async def _leave_behind(service: PondService, name: str, *, steps: int) -> None:
    """Write a saga of four leaps down as a killed process leaves it after some of them."""
    taken = [{"step": "leap", "answer": n + 1} for n in range(steps)]
    async with service.db.begin() as tx:
        await tx.execute("UPDATE frogs SET leaps = $1 WHERE name = 'frog'", steps)
        await tx.execute(
            "INSERT INTO sagas (id, kind, arguments, journal, due_at, owner, started_at) "
            "VALUES ($1, 'travel@1', $2, $3, $4, $5, $4)",
            name,
            {"name": "frog", "times": 4},
            taken,
            service.db.clock.now(),
            f"{service.db.instance}:dead",
        )
        await tx.execute(
            "UPDATE sagas SET due_at = due_at + interval '10 seconds' WHERE id = $1", name
        )
    service.traveling.taken += ["leap"] * steps


class Stork:
    """A neighbor, who takes some seconds for each answer."""

    def __init__(self, clock: FixedClock) -> None:
        self.clock = clock
        self.asked: list[str] = []

    async def bring(self, *, what: str, seconds: float) -> str:
        """Bring something; asked again, it is the same thing."""
        self.asked.append(what)
        self.clock.advance(seconds)
        return what


class Errand:
    """Have three things brought, one after the other."""

    def __init__(self, stork: Stork) -> None:
        self.stork = stork

    async def __call__(self, saga: Saga, *, seconds: float) -> list[str]:
        things = ("reed", "mud", "egg")
        return [await saga.do(self.stork.bring, what=one, seconds=seconds) for one in things]


@pytest.mark.parametrize(("seconds", "writes"), [(0, 1), (1.5, 2), (3, 4)])
async def test_what_quick_steps_came_to_is_written_down_together(
    water: Bench, service: PondService, seconds: float, writes: int
) -> None:
    stork = Stork(water.clock)
    service.sagas.know([Errand(stork)], {})
    run = water.watch()

    async with service.db.begin() as tx:
        running = service.sagas.start(tx, Errand(stork), "errand", seconds=seconds)
    assert await running.settled() == ["reed", "mud", "egg"]

    written = await service.db.value("SELECT journal FROM sagas WHERE id = 'errand'")
    assert [entry["answer"] for entry in written] == ["reed", "mud", "egg"]
    assert stork.asked == ["reed", "mud", "egg"]
    assert run.count(("pond", "read")) - 1 == writes, "each progress is one, and we have looked"


async def test_whoever_takes_over_asks_again_for_what_was_not_written_down(
    water: Bench, service: PondService
) -> None:
    stork = Stork(water.clock)
    service.sagas.know([Errand(stork)], {})

    def die(point: str) -> None:
        if point.startswith("after call") and len(stork.asked) == 2:
            raise asyncio.CancelledError

    fault.watch(die)
    async with service.db.begin() as tx:
        running = service.sagas.start(tx, Errand(stork), "errand", seconds=0)
    await asyncio.gather(*service.sagas.tasks.values(), return_exceptions=True)
    fault.watch(None)
    water.clock.advance(LEASE_SECONDS)
    await water.settle()

    assert await running.settled() == ["reed", "mud", "egg"]
    assert stork.asked == ["reed", "mud", "reed", "mud", "egg"]

"""Dead letters and sagas of a module, as whoever operates the house sees and mends them."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from banyan.kernel import health
from banyan.kernel.backstage import (
    Backstage,
    EventHealth,
    NoSuchSaga,
    SagaEnded,
    SagaHealth,
    SagaUnderWay,
    StepBack,
)
from banyan.kernel.contract import in_module, operations
from banyan.kernel.driver import MOST_ATTEMPTS as MOST_STEPS
from banyan.kernel.journal import LEASE_SECONDS
from banyan.kernel.letters import Delivery, Unreadable
from banyan.kernel.link import Unavailable
from banyan.kernel.outbox import MOST_ATTEMPTS
from banyan.kernel.stagehand import Stagehand
from banyan.kernel.testing import Bench
from tests.kernel.pond.contract import Pond, TooFar
from tests.kernel.pond.service import PondService

FOUND = UUID("01a203ff-0f59-728a-9231-0131fcfd07e0")


@pytest.fixture
def backstage(water: Bench) -> Backstage:
    return water.app.backstage["pond"]


@pytest.fixture
def hand(water: Bench) -> Stagehand:
    return water.app.rooms["pond"].backstage


async def stick(water: Bench, pond: Pond, service: PondService, name: str = "frog") -> None:
    """Send a frog too far, with no way back."""
    service.traveling.lost = True
    with pytest.raises(TooFar):
        await pond.travel(name=name, times=6)
    for _ in range(MOST_STEPS):
        await water.pass_time(300)


async def nap(service: PondService, name: str, seconds: int = 60) -> None:
    """Begin a saga that waits."""
    async with service.db.begin() as tx:
        running = service.sagas.start(tx, service.resting, name, seconds=seconds)
    await running.settled()


async def bury(water: Bench, pond: Pond) -> None:
    """Let an event die."""
    await pond.leap(name="frog", by=13)
    for _ in range(MOST_ATTEMPTS):
        await water.pass_time(300)


def leapt(**headers: str) -> Delivery:
    """Say that a frog has leapt, as it is said between processes."""
    return Delivery(
        subject="banyan.event.pond.leapt.v1",
        headers={
            "ce-id": str(FOUND),
            "ce-source": "/modules/pond",
            "ce-type": "banyan.pond.leapt.v1",
            "ce-time": "2026-01-01T00:00:00+00:00",
            **headers,
        },
        data=b'{"name": "frog", "leaps": 4}',
    )


def test_each_module_is_asked_on_subjects_of_its_own() -> None:
    subjects = [operations(in_module(Backstage, name))["retry"].subject for name in ("a", "b")]

    assert subjects == ["a.backstage.retry", "b.backstage.retry"]
    assert in_module(Backstage, "a") is in_module(Backstage, "a")


async def test_health_counts_what_waits_and_what_is_late(
    water: Bench, pond: Pond, service: PondService, backstage: Backstage
) -> None:
    began = water.clock.now()
    await pond.leap(name="frog")
    await nap(service, "nap")

    first = await backstage.health()
    water.clock.advance(200)
    later = await backstage.health()

    assert first.events == EventHealth(
        undelivered=1, undelivered_since=began, pending=0, overdue=0, dead=0
    )
    assert first.sagas == SagaHealth(running=0, waiting=1, undoing=0, overdue=0, stuck=0)
    assert later.sagas.overdue == 1


async def test_a_dead_letter_is_shown_and_replayed(
    water: Bench, pond: Pond, service: PondService, backstage: Backstage
) -> None:
    await bury(water, pond)
    heard = len(service.heard)

    (letter,) = await backstage.letters()
    replayed = await backstage.replay(events=(letter.event,))
    await water.settle()

    assert (letter.reaction, letter.error, letter.attempt) == (
        "PondService.hear",
        "ValueError",
        MOST_ATTEMPTS,
    )
    assert letter.data == {"name": "frog", "leaps": 13}
    assert (replayed.count, replayed.left) == (1, 0)
    assert len(service.heard) == heard + 2  # Once with the batch, once on its own.


async def test_only_what_is_named_is_replayed(
    water: Bench, pond: Pond, backstage: Backstage
) -> None:
    await bury(water, pond)

    replayed = await backstage.replay(events=(FOUND,))

    assert replayed.count == 0
    assert (await backstage.health()).events.dead == 1


async def test_letters_are_listed_by_the_page(
    water: Bench, backstage: Backstage, hand: Stagehand
) -> None:
    ids = [water.app.ids.new() for _ in range(3)]
    for one in ids:
        await hand.dead.keep(one, leapt(), time=water.clock.now(), why=Unreadable("torn"))

    first = await backstage.letters(limit=2)
    rest = await backstage.letters(limit=2, before=first[-1].number)

    assert [one.event for one in (*first, *rest)] == ids[::-1]


async def test_what_could_not_be_read_before_takes_effect_once_it_can_be_read(
    water: Bench, pond: Pond, service: PondService, backstage: Backstage, hand: Stagehand
) -> None:
    for _ in range(2):  # It comes again, as its sender was not told in time that we have it.
        await hand.dead.keep(FOUND, leapt(), time=water.clock.now(), why=Unreadable("too new"))

    replayed = await backstage.replay()
    await water.settle()

    assert (replayed.count, replayed.left) == (1, 0)
    assert service.heard == [4]
    assert await backstage.letters() == ()


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ({"ce-id": "?"}, "badly formed hexadecimal UUID string"),
        ({"ce-time": "2026-01-01T00:00:00"}, "ce-time names no time zone"),
    ],
)
async def test_what_still_cannot_be_read_stays_dead_and_says_why(
    water: Bench, backstage: Backstage, hand: Stagehand, headers: dict[str, str], why: str
) -> None:
    torn = leapt(**headers)
    await hand.dead.keep(FOUND, torn, time=water.clock.now(), why=Unreadable("torn"))

    replayed = await backstage.replay(events=(FOUND,))

    (letter,) = await backstage.letters()
    assert (replayed.count, replayed.left) == (0, 1)
    assert (letter.error, letter.reaction) == (why, "")


async def test_what_nobody_needs_is_let_go_and_never_heard(
    water: Bench, pond: Pond, service: PondService, backstage: Backstage
) -> None:
    await bury(water, pond)
    (letter,) = await backstage.letters()
    heard = len(service.heard)

    assert await backstage.discard(events=(letter.event, FOUND)) == 1
    await backstage.replay()
    await water.settle()

    assert len(service.heard) == heard
    assert (await backstage.health()).events.dead == 0


async def test_a_stuck_saga_shows_its_journal_and_its_way_back(
    water: Bench, pond: Pond, service: PondService, backstage: Backstage
) -> None:
    await stick(water, pond, service)

    (summary,) = await backstage.sagas(state="stuck")
    history = await backstage.saga(saga=summary.id)

    assert (summary.id, summary.step, summary.trouble) == ("travel frog", "leap", "ConnectionError")
    assert summary.error
    assert summary.error.kind.endswith(".too_far")
    assert [step.name for step in history.steps] == ["leap"] * 6
    assert [step.answer for step in history.steps] == [1, 2, 3, 4, 5, 6]
    assert all(step.at for step in history.steps)
    assert history.way_back == (StepBack(name="back", taken=False),) * 6


async def test_to_look_at_a_saga_changes_nothing(
    water: Bench, service: PondService, backstage: Backstage
) -> None:
    await nap(service, "nap")
    async with service.db.begin() as tx:
        await service.sagas.signal(tx, "nap", "call", "up")
    row = "SELECT to_jsonb(sagas) FROM sagas WHERE id = 'nap'"
    before = await service.db.value(row)

    history = await backstage.saga(saga="nap")

    assert history.saga.state == "waiting"
    assert history.steps[0].until == water.clock.now() + timedelta(seconds=60)
    assert await service.db.value(row) == before


@pytest.mark.parametrize("order", ["retry", "turn_back"])
async def test_a_stuck_saga_goes_all_the_way_back_when_told_to(
    order: str, water: Bench, pond: Pond, service: PondService, backstage: Backstage
) -> None:
    await stick(water, pond, service)
    service.traveling.lost = False

    await getattr(backstage, order)(saga="travel frog")
    await water.settle()

    (ended,) = await backstage.sagas()
    assert ended.state == "undone"
    assert ended.error
    assert ended.error.kind.endswith(".too_far")  # The reason is still its own.
    assert await pond.leaps(name="frog") == 0


async def test_what_a_saga_did_before_it_waits_is_undone_by_order(
    water: Bench, pond: Pond, service: PondService, backstage: Backstage
) -> None:
    service.traveling.broken = 1000
    await service.db.value("UPDATE frogs SET leaps = 1 WHERE name = 'frog' RETURNING 1")
    assert await pond.travel(name="frog", times=2) is None

    await backstage.turn_back(saga="travel frog")
    await water.settle()

    with pytest.raises(Unavailable):
        await pond.travel(name="frog", times=2)
    (ended,) = await backstage.sagas(state="undone")
    assert ended.id == "travel frog"
    assert await pond.leaps(name="frog") == 0


async def test_a_saga_that_waits_goes_on_when_told_to_and_finds_its_wait(
    water: Bench, service: PondService, backstage: Backstage
) -> None:
    await nap(service, "nap")

    await backstage.retry(saga="nap")
    await water.settle()

    assert (await backstage.saga(saga="nap")).saga.state == "waiting"


async def test_a_saga_that_is_being_driven_is_left_alone_until_its_lease_ends(
    water: Bench, pond: Pond, service: PondService, backstage: Backstage
) -> None:
    await nap(service, "nap")
    await service.db.value(
        "UPDATE sagas SET owner = 'another', due_at = $1 RETURNING 1",
        water.clock.now() + timedelta(seconds=LEASE_SECONDS),
    )
    driven = "SELECT epoch FROM sagas"
    epoch = await service.db.value(driven)

    for order in (backstage.retry, backstage.turn_back):
        with pytest.raises(SagaUnderWay):
            await order(saga="nap")
    assert await service.db.value(driven) == epoch
    water.clock.advance(LEASE_SECONDS)
    await backstage.turn_back(saga="nap")

    assert await service.db.value(driven) == epoch + 1  # Its owner, if it lives, is fenced off.


async def test_a_saga_that_has_taken_its_last_step_ends_as_done(
    water: Bench, pond: Pond, service: PondService, backstage: Backstage
) -> None:
    await pond.travel(name="frog", times=2)
    await service.db.value(
        "UPDATE sagas SET status = 'run', ended_at = NULL, due_at = $1, "
        """arguments = '{"name": "frog", "times": 2}' RETURNING 1""",
        water.clock.now(),
    )

    await backstage.turn_back(saga="travel frog")
    await water.settle()

    assert await pond.travel(name="frog", times=2) == 2
    assert await pond.leaps(name="frog") == 2
    (ended,) = await backstage.sagas()
    assert (ended.state, ended.error) == ("done", None)


async def test_a_saga_that_has_ended_or_never_was_is_refused(
    pond: Pond, backstage: Backstage
) -> None:
    await pond.travel(name="frog", times=1)

    for order in (backstage.retry, backstage.turn_back):
        with pytest.raises(SagaEnded) as ended:
            await order(saga="travel frog")
        assert ended.value.state == "done"
        with pytest.raises(NoSuchSaga):
            await order(saga="travel echo")


async def test_sagas_are_listed_by_the_page(
    water: Bench, service: PondService, backstage: Backstage
) -> None:
    for name in ("first", "second", "third"):
        await nap(service, name)
        water.clock.advance(1)

    first = await backstage.sagas(limit=2)
    rest = await backstage.sagas(limit=2, before=(first[-1].started_at, first[-1].id))

    assert [one.id for one in (*first, *rest)] == ["third", "second", "first"]


async def test_the_doctor_says_what_was_mended_and_what_has_failed_again(
    water: Bench, pond: Pond, service: PondService
) -> None:
    await bury(water, pond)
    await stick(water, pond, service)
    await pond.leap(name="frog")
    water.clock.advance(200)

    found = await health.examine(water.app)
    mended = await health.examine(water.app, repair=True)

    assert [len(one.found) for one in found] == [2, 1]
    assert found[1].found == ("1 events not delivered",)
    assert mended[0].mended == (
        "1 dead letters given another try",
        "1 stuck sagas given another try",
    )
    assert [one.endswith(": failed again") for one in mended[0].found] == [True, True]
    assert (mended[1].mended, mended[1].found) == (("1 events delivered",), ())

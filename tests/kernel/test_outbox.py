"""Events: told with the commit, heard once, retried, put aside, replayed."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest

from banyan.kernel.event import Envelope
from banyan.kernel.outbox import MOST_ATTEMPTS
from banyan.kernel.testing import Bench
from tests.kernel.pond.contract import Croaked, Leapt, NoSuchFrog, Pond
from tests.kernel.pond.service import PondService


async def test_an_event_is_heard_after_the_commit_and_only_then(
    water: Bench, pond: Pond, service: PondService
) -> None:
    with pytest.raises(NoSuchFrog):
        await pond.leap(name="nobody")
    await pond.leap(name="frog")
    assert await water.told(Leapt) == (Leapt(name="frog", leaps=1),)
    assert service.heard == []

    await water.settle()

    assert service.heard == [1]
    assert await water.told(Leapt) == ()


async def test_an_event_that_is_carried_twice_has_its_effect_once(
    water: Bench, pond: Pond, service: PondService
) -> None:
    water.deliveries = 3
    await pond.leap(name="frog")

    await water.settle()

    assert await pond.leaps(name="echo") == 1


async def test_a_reaction_that_fails_leaves_no_effect_and_does_not_hold_up_the_others(
    water: Bench, pond: Pond
) -> None:
    await pond.leap(name="frog", by=13)
    await pond.leap(name="frog")
    await pond.leap(name="frog")

    await water.settle()

    assert await pond.leaps(name="echo") == 2


async def test_what_keeps_failing_is_put_aside_and_can_be_replayed(
    water: Bench, pond: Pond, service: PondService
) -> None:
    backstage = water.app.backstage["pond"]
    await pond.leap(name="frog", by=13)
    for _ in range(MOST_ATTEMPTS):
        await water.pass_time(300)

    (letter,) = await backstage.letters()
    assert (letter.reaction, letter.error, letter.attempt) == (
        "PondService.hear",
        "ValueError",
        MOST_ATTEMPTS,
    )

    heard = len(service.heard)
    replayed = await backstage.replay(events=(letter.event,))
    await water.settle()

    assert replayed.count == 1
    assert len(service.heard) > heard
    assert await backstage.letters() == ()


async def test_e2_what_was_delivered_and_is_old_is_forgotten(water: Bench, pond: Pond) -> None:
    room = water.app.rooms["pond"]
    await pond.leap(name="frog")
    await water.settle()

    water.clock.advance(8 * 24 * 3600)
    await room.worker.inbox.forget_old()

    rows = "SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM inbox)"
    assert await room.database.value(rows) == 0


async def test_e4_a_command_tells_one_event_and_a_batch_is_one_statement(
    water: Bench, pond: Pond, service: PondService
) -> None:
    run = water.watch()

    async with service.db.begin() as tx:
        tx.tell(*(Leapt(name="frog", leaps=n) for n in range(50)))

    assert [sql.split(" ")[0] for _, sql in run] == ["COMMIT", "INSERT"]


async def test_what_has_come_by_then_is_heard_at_once_and_in_its_order(
    water: Bench, pond: Pond, service: PondService
) -> None:
    async with service.db.begin() as tx:
        tx.tell(Croaked(times=1), Leapt(name="frog", leaps=1), Croaked(times=2), Croaked(times=3))

    await water.settle()

    assert service.choruses == [[1, 2, 3]]
    assert service.heard == [1]
    assert await pond.leaps(name="echo") == 4


async def test_a_hundred_events_take_as_many_statements_as_one(
    water: Bench, pond: Pond, service: PondService
) -> None:
    async def cost(croaks: int) -> int:
        async with service.db.begin() as tx:
            tx.tell(*(Croaked(times=1) for _ in range(croaks)))
        run = water.watch()
        await water.settle()
        return len(run)

    assert await cost(100) == await cost(1)
    assert await pond.leaps(name="echo") == 101


async def test_of_events_that_tell_much_fewer_are_taken_at_once(
    water: Bench, pond: Pond, service: PondService
) -> None:
    carried = []
    outbox = water.app.rooms["pond"].worker.outbox
    carry = outbox.carry

    async def note(envelopes: Sequence[Envelope]) -> None:
        carried.append(len(envelopes))
        await carry(envelopes)

    outbox.carry = note
    songs = Random(0)
    async with service.db.begin() as tx:
        tx.tell(*(Croaked(times=n, song=songs.randbytes(25_000).hex()) for n in range(5)))

    await water.settle()

    assert carried == [3, 2]
    assert service.choruses == [[0, 1, 2], [3, 4]]


async def test_what_is_heard_at_once_has_its_effect_once(
    water: Bench, pond: Pond, service: PondService
) -> None:
    water.deliveries = 3
    async with service.db.begin() as tx:
        tx.tell(Croaked(times=1), Croaked(times=2))

    await water.settle()

    assert await pond.leaps(name="echo") == 2


async def test_of_many_the_one_that_fails_is_found_and_the_others_have_their_effect(
    water: Bench, pond: Pond, service: PondService
) -> None:
    async with service.db.begin() as tx:
        tx.tell(Croaked(times=1), Croaked(times=13), Croaked(times=2))
    for _ in range(MOST_ATTEMPTS):
        await water.pass_time(300)

    assert service.choruses[:4] == [[1, 13, 2], [1], [13], [2]]
    assert await pond.leaps(name="echo") == 2
    (letter,) = await water.app.backstage["pond"].letters()
    assert (letter.reaction, letter.error) == ("PondService.join_in", "ValueError")


async def test_a_module_cannot_tell_what_is_not_its_to_tell(service: PondService) -> None:
    class Rained(Leapt):
        """It has rained."""

    Rained.module = "sky"

    async with service.db.begin() as tx:
        with pytest.raises(TypeError, match="cannot tell"):
            tx.tell(Rained(name="frog", leaps=1))

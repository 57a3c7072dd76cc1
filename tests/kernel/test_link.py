"""Calls: straight or over a wire, they obey the same laws."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from banyan.kernel.idempotency import Idempotency, KeyReused
from banyan.kernel.link import Fault, Link, Unavailable, calling, current, direct, spare, wire
from banyan.kernel.testing import Bench
from tests.kernel.pond.contract import NoSuchFrog, Pond, TooFar
from tests.kernel.pond.service import PondService


async def test_a_declared_problem_arrives_with_its_fields(pond: Pond) -> None:
    with pytest.raises(NoSuchFrog) as refused:
        await pond.leap(name="nobody")

    assert refused.value.fields() == {"name": "nobody"}


async def test_anything_else_is_a_fault_that_tells_only_its_trace(pond: Pond) -> None:
    with pytest.raises(Fault) as broken:
        await pond.burst()

    assert "divide" not in str(broken.value)
    assert broken.value.trace_id in str(broken.value)


async def test_no_neighbor_is_called_inside_a_transaction(pond: Pond, service: PondService) -> None:
    async with service.db.begin():
        with pytest.raises(RuntimeError, match="inside a transaction of pond"):
            await pond.leaps(name="frog")


async def test_a_command_asks_no_neighbor(pond: Pond) -> None:
    class Nosy(Unanswered):
        async def put(self, *, name: str) -> None:
            await pond.leaps(name=name)

    with pytest.raises(Fault) as broken:
        await direct(Pond, Nosy()).put(name="frog")

    assert "marked @undertaking" in str(broken.value.__cause__)


async def test_a_third_hop_is_refused(pond: Pond) -> None:
    class Second(Unanswered):
        async def leaps(self, *, name: str) -> int:
            return await pond.leaps(name=name)

    second = direct(Pond, Second())

    class First(Unanswered):
        async def leaps(self, *, name: str) -> int:
            return await second.leaps(name=name)

    with pytest.raises(Fault) as broken:
        await direct(Pond, First()).leaps(name="frog")

    assert "hop 3" in str(broken.value.__cause__)


async def test_a_deadline_is_inherited_and_shrinks(pond: Pond) -> None:
    class Slow(Unanswered):
        async def leaps(self, *, name: str) -> int:
            assert current().left() <= 0.05
            await asyncio.Event().wait()
            return 0

    with calling(seconds=0.05), pytest.raises(Unavailable):
        await direct(Pond, Slow()).leaps(name="frog")


async def test_what_is_not_vital_is_done_without(pond: Pond) -> None:
    class Silent(Unanswered):
        async def leaps(self, *, name: str) -> int:
            await asyncio.Event().wait()
            return 0

    asked = direct(Pond, Silent())

    assert await spare(asked.leaps(name="frog"), otherwise=-1, seconds=0.01) == -1
    assert await spare(pond.leaps(name="frog"), otherwise=-1, seconds=5) == 0


@pytest.mark.parametrize("bind", [direct, wire])
async def test_a_service_must_answer_every_operation(bind: Link) -> None:
    class Half:
        async def put(self, *, name: str) -> None: ...

    half: Any = Half()
    with pytest.raises(TypeError, match="does not answer leap"):
        bind(Pond, half)


async def test_d19_the_same_key_gets_the_same_answer_and_has_one_effect(pond: Pond) -> None:
    answers = []
    for _ in range(3):
        key = Idempotency("click", "leap frog")
        with calling(idempotency=key):
            answers.append((await pond.leap(name="frog"), key.replayed))

    assert answers == [(1, False), (1, True), (1, True)]


async def test_the_same_key_at_the_same_time_has_one_effect(pond: Pond) -> None:
    async def click() -> int:
        with calling(idempotency=Idempotency("click", "leap frog")):
            return await pond.leap(name="frog")

    assert set(await asyncio.gather(*(click() for _ in range(8)))) == {1}


async def test_the_same_key_for_another_request_is_refused(pond: Pond) -> None:
    with calling(idempotency=Idempotency("click", "leap frog")):
        await pond.leap(name="frog")

    with calling(idempotency=Idempotency("click", "leap far")), pytest.raises(KeyReused):
        await pond.leap(name="frog")


async def test_a_refused_command_leaves_its_key_free(pond: Pond) -> None:
    with calling(idempotency=Idempotency("click", "leap")), pytest.raises(NoSuchFrog):
        await pond.leap(name="newt")
    await pond.put(name="newt")

    with calling(idempotency=Idempotency("click", "leap")):
        assert await pond.leap(name="newt") == 1


async def test_an_undertaking_that_was_refused_is_refused_again_by_its_key(pond: Pond) -> None:
    for replayed in (False, True):
        key = Idempotency("click", "travel")
        with calling(idempotency=key), pytest.raises(TooFar):
            await pond.travel(name="frog", times=6)
        assert key.replayed is replayed


async def test_old_keys_are_forgotten(water: Bench, pond: Pond) -> None:
    with calling(idempotency=Idempotency("click", "leap frog")):
        await pond.leap(name="frog")

    water.clock.advance(49 * 3600)
    await water.app.rooms["pond"].worker._clean()  # noqa: SLF001 - what the loop does once an hour

    with calling(idempotency=Idempotency("click", "leap frog")):
        assert await pond.leap(name="frog") == 2


class Unanswered(Pond):
    """A pond whose operations are filled in by the tests that need them."""

    async def put(self, *, name: str) -> None: ...

    async def leap(self, *, name: str, by: int = 1) -> int:
        raise NotImplementedError

    async def leaps(self, *, name: str) -> int:
        raise NotImplementedError

    async def ask_around(self, *, names: tuple[str, ...]) -> dict[str, int]:
        raise NotImplementedError

    async def travel(self, *, name: str, times: int) -> int | None:
        raise NotImplementedError

    async def burst(self) -> None:
        raise NotImplementedError

"""Transactions: what is asked is run at once, what is only put goes with the commit."""

from __future__ import annotations

import pytest

from banyan.kernel.testing import Bench
from banyan.kernel.transaction import Overtaken
from tests.kernel.pond.contract import Leapt
from tests.kernel.pond.service import PondService

ADD = "INSERT INTO frogs (name, leaps) VALUES ($1, $2)"
LEAP = "UPDATE frogs SET leaps = leaps + $2 WHERE name = $1"


async def leaps(service: PondService, name: str) -> int | None:
    told = await service.db.value("SELECT leaps FROM frogs WHERE name = $1", name)
    return None if told is None else int(told)


async def test_what_is_only_put_is_one_statement_and_a_transaction_by_itself(
    water: Bench, service: PondService
) -> None:
    await service.put(name="frog")
    run = water.watch()

    async with service.db.begin() as tx:
        tx.put(ADD, "newt", 3)
        tx.put(LEAP, "frog", 2, rows=1)
        tx.put(ADD, "toad", 5)
        tx.tell(Leapt(name="frog", leaps=2))

    assert [sql.split(" ")[0] for _, sql in run] == ["COMMIT", "WITH"]
    assert [await leaps(service, name) for name in ("newt", "frog", "toad")] == [3, 2, 5]
    assert await water.told(Leapt) == (Leapt(name="frog", leaps=2),)


async def test_what_is_asked_sees_what_was_put(service: PondService) -> None:
    async with service.db.begin() as tx:
        tx.put(ADD, "newt", 3)
        assert await leaps(service, "newt") == 3
        tx.put(LEAP, "newt", 1)
        assert await tx.value("SELECT leaps FROM frogs WHERE name = 'newt'") == 4

    assert await leaps(service, "newt") == 4


async def test_what_only_looks_begins_nothing(water: Bench, service: PondService) -> None:
    await service.put(name="frog")
    run = water.watch()

    async with service.db.begin() as tx:
        before = await leaps(service, "frog")
        tx.put(LEAP, "frog", 2, rows=1)

    assert [sql.split(" ")[0] for _, sql in run] == ["read", "COMMIT", "WITH"]
    assert (before, await leaps(service, "frog")) == (0, 2)


@pytest.mark.parametrize("asked", [0, 1])
async def test_where_somebody_was_faster_nothing_has_happened(
    water: Bench, service: PondService, asked: int
) -> None:
    with pytest.raises(Overtaken):
        async with service.db.begin() as tx:
            for _ in range(asked):
                await tx.execute(ADD, "toad", 1)
            tx.put(ADD, "newt", 3)
            tx.put(LEAP, "nobody", 1, rows=1)
            tx.tell(Leapt(name="nobody", leaps=1))

    assert await leaps(service, "newt") is None
    assert await leaps(service, "toad") is None
    assert await water.told(Leapt) == ()


async def test_how_many_rows_were_touched_is_told_once_they_are_committed(
    service: PondService,
) -> None:
    await service.put(name="frog")
    told: list[int] = []

    async with service.db.begin() as tx:
        tx.put(LEAP, "nobody", 1, then=told.append)
        tx.put(LEAP, "frog", 1, rows=1, then=told.append)
        await leaps(service, "frog")
        assert told == []
        tx.put(f"{ADD} ON CONFLICT DO NOTHING", "frog", 7, then=told.append)

    assert told == [0, 1, 0]


async def test_what_was_put_before_a_failure_is_never_sent(
    water: Bench, service: PondService
) -> None:
    run = water.watch()

    with pytest.raises(LookupError):
        async with service.db.begin() as tx:
            tx.put(ADD, "newt", 3)
            raise LookupError

    assert run == []


async def test_where_nothing_is_asked_nothing_is_sent(water: Bench, service: PondService) -> None:
    run = water.watch()

    async with service.db.begin():
        pass

    assert run == []

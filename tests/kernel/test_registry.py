"""Who is there: found at once, gone when he says so, missed for a while when he is silent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from banyan.kernel.app import App
from banyan.kernel.nats import Broker
from banyan.kernel.registry import MOST_ROUNDS, Roll
from banyan.kernel.testing import Server
from tests.engines.brokers import LentNats
from tests.kernel.afar import apart
from tests.kernel.pond.module import module


@pytest.fixture
async def water(server: Server, nats: LentNats, tmp_path: Path) -> AsyncIterator[App]:
    async with apart(server, nats, [module], {"water": ["pond"]}, tmp_path) as apps:
        yield apps["water"]


@pytest.fixture
async def roll(nats: LentNats) -> AsyncIterator[Roll]:
    operator = Broker(nats.url, "operator", nats.credentials("operator"))
    await operator.open()
    yield Roll(operator)
    await operator.close()


async def names(roll: Roll) -> set[str]:
    return {one.instance for one in await roll.call(seconds=0.3)}


async def those_there(roll: Roll) -> set[str]:
    """Call the roll until somebody answers: a busy machine takes its time."""
    for _ in range(20):
        if there := await names(roll):
            return there
    return set()


async def test_whoever_says_that_he_leaves_is_gone_at_once(water: App, roll: Roll) -> None:
    there = await those_there(roll)

    await water.leave()

    assert there == {"water-1"}
    assert await names(roll) == set()


async def test_whoever_is_silent_is_missed_for_a_few_rounds(water: App, roll: Roll) -> None:
    there = await those_there(roll)

    await water.close()
    rounds = [await names(roll) for _ in range(MOST_ROUNDS + 1)]

    assert there == {"water-1"}
    assert rounds == [{"water-1"}] * MOST_ROUNDS + [set()]


async def test_a_process_without_a_module_is_found_by_its_own_name(
    server: Server, nats: LentNats, roll: Roll, tmp_path: Path
) -> None:
    async with apart(server, nats, [module], {"office": []}, tmp_path) as apps:
        there = await those_there(roll)
        await apps["office"].leave()

        assert there == {"office-1"}
        assert await names(roll) == set()

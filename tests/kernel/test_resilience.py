"""A neighbor in trouble: asked again, spared for a while, never asked by too many at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from msgspec.structs import replace

from banyan.kernel.clock import FixedClock
from banyan.kernel.contract import operations
from banyan.kernel.link import Unavailable, calling
from banyan.kernel.resilience import LinkSettings, Neighbor
from tests.kernel.pond.contract import NoSuchFrog, Pond

COMMAND, QUERY = operations(Pond)["leap"], operations(Pond)["leaps"]
SETTINGS = LinkSettings(first_pause_seconds=0.001, longest_pause_seconds=0.002)


class Road:
    """The way to a neighbor, on which so many get lost."""

    def __init__(self, lost: int = 0, problem: Exception | None = None) -> None:
        self.lost = lost
        self.problem = problem or Unavailable(what="pond")
        self.sent = 0

    async def __call__(self) -> str:
        self.sent += 1
        if self.lost:
            self.lost -= 1
            raise self.problem
        return "answer"


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def pond(clock: FixedClock) -> Neighbor:
    return Neighbor("pond", SETTINGS, clock)


async def fail(pond: Neighbor, road: Callable[[], Awaitable[object]], times: int) -> None:
    for _ in range(times):
        with pytest.raises(Unavailable):
            await pond.ask(COMMAND, road)


async def test_a_query_is_asked_again(pond: Neighbor) -> None:
    road = Road(lost=2)

    assert await pond.ask(QUERY, road) == "answer"
    assert road.sent == 3


@pytest.mark.parametrize("tries", [1, 3])
async def test_a_query_is_asked_so_many_times_and_no_more(clock: FixedClock, tries: int) -> None:
    pond = Neighbor("pond", replace(SETTINGS, tries=tries), clock)
    road = Road(lost=9)

    with pytest.raises(Unavailable):
        await pond.ask(QUERY, road)

    assert road.sent == tries


async def test_a_command_is_asked_once(pond: Neighbor) -> None:
    road = Road(lost=1)

    await fail(pond, road, 1)

    assert road.sent == 1


async def test_a_problem_is_an_answer(pond: Neighbor) -> None:
    road = Road(lost=20, problem=NoSuchFrog(name="frog"))

    for _ in range(20):
        with pytest.raises(NoSuchFrog):
            await pond.ask(QUERY, road)

    assert road.sent == 20


async def test_after_failures_in_a_row_nobody_is_sent_until_a_rest_is_over(
    pond: Neighbor, clock: FixedClock
) -> None:
    road = Road(lost=6)
    await fail(pond, road, 5)

    await fail(pond, road, 3)
    assert road.sent == 5
    clock.advance(SETTINGS.rest_seconds)
    await fail(pond, road, 2)
    assert road.sent == 6
    clock.advance(SETTINGS.rest_seconds)

    assert await pond.ask(COMMAND, road) == "answer"
    assert await pond.ask(COMMAND, road) == "answer"


async def test_after_a_rest_a_single_call_tries_the_way(pond: Neighbor, clock: FixedClock) -> None:
    await fail(pond, Road(lost=5), 5)
    clock.advance(SETTINGS.rest_seconds)
    held = asyncio.Event()
    trying = asyncio.create_task(pond.ask(COMMAND, held.wait))
    await asyncio.sleep(0)

    await fail(pond, Road(), 1)
    held.set()

    assert await trying
    assert await pond.ask(COMMAND, Road()) == "answer"


async def test_one_that_hangs_costs_no_more_than_the_deadline_and_is_then_spared(
    pond: Neighbor,
) -> None:
    never = asyncio.Event()

    with calling(seconds=0.02):
        await fail(pond, never.wait, 1)
    for _ in range(4):
        with calling(seconds=0.01):
            await fail(pond, never.wait, 1)

    road = Road()
    await fail(pond, road, 1)
    assert road.sent == 0


async def test_no_more_calls_than_agreed_are_under_way(clock: FixedClock) -> None:
    pond = Neighbor("pond", replace(SETTINGS, calls_at_once=2), clock)
    held = asyncio.Event()
    calls = [asyncio.create_task(pond.ask(COMMAND, held.wait)) for _ in range(2)]
    await asyncio.sleep(0)

    with calling(seconds=0.01):
        await fail(pond, Road(), 1)
    held.set()

    assert await asyncio.gather(*calls) == [True, True]
    assert await pond.ask(COMMAND, Road()) == "answer"

"""What the doctor looks at in every module, and in each by its own checks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Protocol

from banyan.kernel.app import Room
from banyan.kernel.contract import Problem, Value
from banyan.kernel.link import Fault, calling

OVERDUE_SECONDS = 120
LOOK_SECONDS = 300.0

Look = Callable[..., Awaitable[Sequence[str]]]


class Diagnosis(Value, frozen=True, kw_only=True):
    """What came of one check: nothing found is healthy."""

    module: str
    title: str
    found: tuple[str, ...] = ()
    mended: tuple[str, ...] = ()

    @property
    def healthy(self) -> bool:
        """Tell whether nothing is wrong, or nothing any more."""
        return not self.found


class House(Protocol):
    """What modules live in, in one process or in several."""

    @property
    def rooms(self) -> Mapping[str, Room]:
        """Every module that can be looked at, by name."""
        ...


async def examine(house: House, *, repair: bool = False) -> tuple[Diagnosis, ...]:
    """Look at every invariant; with `repair` mend what can be mended, and look again."""
    diagnoses: list[Diagnosis] = []
    for room in house.rooms.values():
        diagnoses += await _plumbing(room, repair=repair)
        services = list(room.services.values())
        for one in room.module.checks:
            service = next(s for s in services if hasattr(s, one.look.__name__))
            found = await _looked(one.look, service)
            mended: tuple[str, ...] = ()
            if found and repair and one.repair:
                mended = tuple(await one.repair(service))
                found = await _looked(one.look, service)
            diagnoses.append(
                Diagnosis(module=room.module.name, title=one.title, found=found, mended=mended)
            )
    return tuple(diagnoses)


async def _looked(look: Look, service: object) -> tuple[str, ...]:
    """Look, outside of any request; what cannot be looked at is not healthy either."""
    try:
        with calling(seconds=LOOK_SECONDS):
            return tuple(await look(service))
    except (Problem, Fault) as no:
        return (f"cannot be checked: {no}",)


async def _plumbing(room: Room, *, repair: bool) -> Sequence[Diagnosis]:
    """Look for what is dead, stuck or overdue."""
    name = room.module.name
    mended: list[str] = []
    if repair:
        replayed = await room.worker.inbox.replay()
        retried = await room.worker.sagas.retry()
        mended += [f"{replayed} dead letters given another try"] if replayed else []
        mended += [f"{retried} stuck sagas given another try"] if retried else []
        while mended and await room.worker.step():
            for task in list(room.worker.sagas.tasks.values()):
                await task
    letters = await room.worker.inbox.dead()
    stuck = await room.worker.sagas.stuck()
    return (
        Diagnosis(
            module=name,
            title="no event is dead and no saga stuck",
            found=(
                *(f"{one.type} {one.event} in {one.reaction}: {one.error}" for one in letters),
                *(f"{one.kind} {one.id}" for one in stuck),
            ),
            mended=tuple(mended),
        ),
        Diagnosis(module=name, title="nothing is overdue", found=await _overdue(room)),
    )


async def _overdue(room: Room) -> tuple[str, ...]:
    """Find what should have happened a while ago."""
    row = await room.database.one(
        "SELECT (SELECT count(*) FROM outbox WHERE time < $1) AS told, "
        "(SELECT count(*) FROM inbox WHERE status = 'pending' AND due_at < $1) AS heard, "
        "(SELECT count(*) FROM sagas WHERE status IN ('run', 'undo') AND due_at < $1 "
        "AND NOT starts_with(kind, 'job:')) AS begun",
        room.database.clock.now() - timedelta(seconds=OVERDUE_SECONDS),
    )
    assert row is not None
    words = {"told": "events not delivered", "heard": "events not heeded", "begun": "sagas waiting"}
    return tuple(f"{row[key]} {word}" for key, word in words.items() if row[key])

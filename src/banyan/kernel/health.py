"""What the doctor looks at in every module, and in each by its own checks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Protocol

from banyan.kernel.app import Room
from banyan.kernel.backstage import EventHealth, Letter, SagaSummary
from banyan.kernel.contract import Problem, Value
from banyan.kernel.link import Fault, calling
from banyan.kernel.security import Caller
from banyan.kernel.stagehand import OVERDUE_SECONDS

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


class _Mending(Value):
    """What was tried, and what of it has failed again."""

    tried: tuple[str, ...] = ()
    delivered: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


async def _plumbing(room: Room, *, repair: bool) -> Sequence[Diagnosis]:
    """Look for what is dead, stuck or overdue."""
    name, backstage = room.module.name, room.backstage
    with calling(seconds=LOOK_SECONDS, caller=Caller(subject="doctor")):
        mending = await _mend(room) if repair else _Mending()
    letters = [_of_letter(one) for one in await backstage.letters()]
    stuck = [_of_saga(one) for one in await backstage.sagas(state="stuck")]
    wrong = [one for one in (*letters, *stuck) if one not in mending.failed]
    return (
        Diagnosis(
            module=name,
            title="no event is dead and no saga stuck",
            found=(*(f"{one}: failed again" for one in mending.failed), *wrong),
            mended=mending.tried,
        ),
        Diagnosis(
            module=name,
            title="nothing is overdue",
            found=await _overdue(room),
            mended=mending.delivered,
        ),
    )


async def _mend(room: Room) -> _Mending:
    """Carry what waits, give what is dead or stuck another try, and see what becomes of it."""
    backstage, worker = room.backstage, room.worker
    dead, stuck = await backstage.letters(), await backstage.sagas(state="stuck")
    replayed = (await backstage.replay()).count if dead else 0
    for one in stuck:
        with suppress(Problem):  # Somebody else was faster.
            await backstage.retry(saga=one.id)
    waiting = _undelivered(room, (await backstage.health()).events)
    carried = 0
    while carried < waiting and (batch := await worker.outbox.relay()):
        carried += batch
    while (replayed or stuck) and await worker.step():
        for task in list(worker.sagas.tasks.values()):
            await task
    failing = await backstage.dead.failing([one.event for one in dead])
    turned = [(await backstage.saga(saga=one.id)).saga for one in stuck]
    return _Mending(
        tried=(
            *([f"{replayed} dead letters given another try"] if replayed else []),
            *([f"{len(stuck)} stuck sagas given another try"] if stuck else []),
        ),
        delivered=(f"{carried} events delivered",) if carried else (),
        failed=(
            *(_of_letter(one) for one in failing),
            *(_of_saga(one) for one in turned if one.attempt),
        ),
    )


async def _overdue(room: Room) -> tuple[str, ...]:
    """Find what should have happened a while ago."""
    told = await room.backstage.health()
    counts = {
        "events not delivered": _undelivered(room, told.events),
        "events not heeded": told.events.overdue,
        "sagas waiting": told.sagas.overdue,
    }
    return tuple(f"{count} {what}" for what, count in counts.items() if count)


def _undelivered(room: Room, told: EventHealth) -> int:
    """Count what waits for its carrier, if any of it has waited for too long."""
    since = told.undelivered_since
    late = since and since < room.database.clock.now() - timedelta(seconds=OVERDUE_SECONDS)
    return told.undelivered if late else 0


def _of_letter(one: Letter) -> str:
    if one.reaction:
        return f"{one.type} {one.event} in {one.reaction}: {one.error}"
    return f"{one.type} {one.event} cannot be read: {one.error}"


def _of_saga(one: SagaSummary) -> str:
    return f"{one.kind} {one.id}"

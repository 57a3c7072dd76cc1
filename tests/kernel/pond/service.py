"""The answers of the pond."""

from __future__ import annotations

from collections.abc import Sequence

from banyan.kernel.database import Database
from banyan.kernel.driver import Sagas
from banyan.kernel.saga import Saga
from tests.kernel.pond.contract import Croaked, Leapt, NoSuchFrog, Pond, TooFar

FAR = 5


class Travel:
    """Leap so many times; beyond what is possible, take every leap back."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.broken = 0
        self.lost = False
        self.taken: list[str] = []

    async def __call__(self, saga: Saga, *, name: str, times: int) -> int:
        leaps = 0
        for _ in range(times):
            saga.undo(self.back, name=name)
            leaps = await saga.do(self.leap, name=name)
        if times > FAR:
            raise TooFar(times=times)
        return leaps

    async def leap(self, *, name: str) -> int:
        self.taken.append("leap")
        if self.broken:
            self.broken -= 1
            raise ConnectionError("the water is frozen")
        async with self.db.begin() as tx:
            return int(
                await tx.value(
                    "UPDATE frogs SET leaps = leaps + 1 WHERE name = $1 RETURNING leaps", name
                )
            )

    async def back(self, *, name: str) -> None:
        self.taken.append("back")
        if self.lost:
            raise ConnectionError("the way back is flooded")
        async with self.db.begin() as tx:
            await tx.execute("UPDATE frogs SET leaps = leaps - 1 WHERE name = $1", name)


class Dive(Travel):
    """Leap once, and be done."""

    async def __call__(self, saga: Saga, *, name: str) -> int:  # type: ignore[override]
        return await saga.conclude(self.leap, name=name)


class Rest:
    """Wait for a call, or until the night is over."""

    async def __call__(self, saga: Saga, *, seconds: int) -> str:
        call = await saga.wait("call", seconds=seconds)
        again = await saga.wait("call", seconds=seconds)
        return f"{call}, {again}"


class PondService(Pond):
    """Frogs, in the schema `pond`."""

    def __init__(
        self, db: Database, sagas: Sagas, traveling: Travel, diving: Dive, resting: Rest
    ) -> None:
        self.db = db
        self.sagas = sagas
        self.traveling = traveling
        self.diving = diving
        self.resting = resting
        self.heard: list[int] = []
        self.choruses: list[list[int]] = []

    async def put(self, *, name: str) -> None:
        async with self.db.begin() as tx:
            await tx.execute("INSERT INTO frogs VALUES ($1, 0) ON CONFLICT DO NOTHING", name)

    async def leap(self, *, name: str, by: int = 1) -> int:
        async with self.db.begin() as tx:
            leaps = await tx.value(
                "UPDATE frogs SET leaps = leaps + $2 WHERE name = $1 RETURNING leaps", name, by
            )
            if leaps is None:
                raise NoSuchFrog(name=name)
            tx.tell(Leapt(name=name, leaps=leaps))
        return int(leaps)

    async def leaps(self, *, name: str) -> int:
        return int(await self.db.value("SELECT leaps FROM frogs WHERE name = $1", name) or 0)

    async def ask_around(self, *, names: tuple[str, ...]) -> dict[str, int]:
        return {name: await self.leaps(name=name) for name in names}

    async def travel(self, *, name: str, times: int) -> int | None:
        async with self.db.begin() as tx:
            running = self.sagas.start(tx, self.traveling, f"travel {name}", name=name, times=times)
        return await running.settled()

    async def burst(self) -> None:
        raise ZeroDivisionError("frogs do not divide")

    async def hear(self, event: Leapt) -> None:
        """Count what was heard, in the database and in memory; some numbers are unlucky."""
        self.heard.append(event.leaps)
        async with self.db.begin() as tx:
            await tx.execute("UPDATE frogs SET leaps = leaps + 1 WHERE name = 'echo'")
        if event.leaps == 13:
            raise ValueError("unlucky")

    async def join_in(self, events: Sequence[Croaked]) -> None:
        """Count all that croak by one statement, unless one of them is unlucky."""
        croaks = [event.times for event in events]
        self.choruses.append(croaks)
        async with self.db.begin() as tx:
            await tx.execute("UPDATE frogs SET leaps = leaps + $1 WHERE name = 'echo'", len(croaks))
        if 13 in croaks:
            raise ValueError("unlucky")

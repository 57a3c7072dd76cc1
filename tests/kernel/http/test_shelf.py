"""What is the same for everybody is asked once, and again when it has changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from banyan.kernel import changes
from banyan.kernel.app import App
from banyan.kernel.clock import FixedClock
from banyan.kernel.http import Answer, Controller, FromPath, build, get, tagged
from banyan.kernel.shelf import Place, Shelf
from banyan.kernel.testing import Bench
from tests.kernel.http.house import KEEPER, Parts, Porter
from tests.kernel.pond.contract import Pond
from tests.kernel.pond.service import PondService

PATIENCE_SECONDS = 10


class Frogs(Controller):
    """Frogs that everybody may look at."""

    path = "/frogs"
    pond: Pond

    @get("/{name:str}")
    async def look(self, name: FromPath[str]) -> Answer[dict[str, Any]]:
        """Tell how often a frog has leapt; anybody may keep that for a while."""
        leaps = await self.pond.leaps(name=name)
        return tagged({"name": name, "leaps": leaps}, leaps, public_seconds=15)

    @get("/{name:str}/secretly")
    async def look_secretly(self, name: FromPath[str]) -> Answer[int]:
        """Tell how often a frog has leapt, to nobody else."""
        return tagged(await self.pond.leaps(name=name), "1")


class Pondside:
    """A visitor of the pond, and whoever changes it."""

    def __init__(self, bench: Bench, service: PondService) -> None:
        self.shelf = bench.app.shelf
        self.clock: FixedClock = bench.clock
        self.ran = bench.watch()
        self._service = service
        app: Any = build(
            [Frogs],
            dependencies={"pond": bench.ask(Pond)},
            gate=Porter(),
            ready=Parts().look,
            shelf=self.shelf,
        )
        transport = httpx.ASGITransport(app)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://house")

    async def look(self, path: str = "/frogs/kermit", **headers: str) -> httpx.Response:
        """Ask over HTTP."""
        return await self.client.get(path, headers=headers)

    async def asks(self, path: str = "/frogs/kermit", **headers: str) -> int:
        """Count the statements that a question costs."""
        before = len(self.ran)
        await self.look(path, **headers)
        return len(self.ran) - before

    async def leap(self, *, shown: bool = True) -> None:
        """Let a frog leap, before everybody's eyes or not."""
        async with self._service.db.begin() as tx:
            await tx.execute("UPDATE frogs SET leaps = leaps + 1 WHERE name = 'kermit'")
            if shown:
                tx.changed()


@pytest.fixture
async def pondside(water: Bench, service: PondService) -> AsyncIterator[Pondside]:
    """Stand at a pond where a frog lives, with somebody who listens."""
    await service.put(name="kermit")
    side = Pondside(water, service)
    await side.look()
    await until(lambda: listening(side.shelf))
    await side.look()
    yield side
    await side.client.aclose()


def placed(shelf: Shelf, *key: str) -> Place:
    """Begin to answer a question about the pond that anybody may ask."""
    place = shelf.open(key)
    place.asked.add("pond")
    place.begin(200, [(b"cache-control", b"public, max-age=15")], "/frogs")
    return place


async def listening(shelf: Shelf) -> bool:
    return shelf.watches("pond")


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what another connection of the database does."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await holds():  # noqa: ASYNC110 - another process does it
            await asyncio.sleep(0.005)


async def test_what_everybody_may_keep_is_asked_once(pondside: Pondside) -> None:
    first = await pondside.look()

    assert await pondside.asks() == 0
    assert first.json() == {"name": "kermit", "leaps": 0}
    assert (await pondside.look()).content == first.content


async def test_who_has_it_already_is_told_so(pondside: Pondside) -> None:
    tag = (await pondside.look()).headers["etag"]

    again = await pondside.look(**{"if-none-match": tag})

    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == tag
    assert again.headers["content-security-policy"]
    assert "content-type" not in again.headers


async def test_a_change_is_shown_at_once(pondside: Pondside) -> None:
    await pondside.leap()

    async def shown() -> bool:
        return bool((await pondside.look()).json()["leaps"] == 1)

    await until(shown)


async def test_what_nobody_is_shown_changes_nothing(pondside: Pondside) -> None:
    await pondside.leap(shown=False)

    assert await pondside.asks() == 0


async def test_nothing_is_kept_for_longer_than_the_handler_lets_it(pondside: Pondside) -> None:
    pondside.clock.advance(15)

    assert await pondside.asks() == 1
    assert await pondside.asks() == 0


async def test_another_question_has_its_own_answer(pondside: Pondside) -> None:
    assert await pondside.asks("/frogs/kermit?locale=de") == 1
    assert await pondside.asks(**{"accept-language": "de"}) == 1
    assert await pondside.asks(**{"banyan-market": "eu"}) == 1
    assert await pondside.asks("https://house/frogs/kermit") == 1


async def test_what_is_private_is_asked_every_time(pondside: Pondside) -> None:
    assert await pondside.asks("/frogs/kermit/secretly") == 1
    assert await pondside.asks("/frogs/kermit/secretly") == 1
    assert await pondside.asks(**KEEPER) == 1
    assert await pondside.asks(cookie="banyan-seen=pond.7") == 1


async def test_an_answer_that_a_change_overtakes_is_not_kept(pondside: Pondside) -> None:
    pondside.shelf.changed("pond")
    place = placed(pondside.shelf, "key")

    pondside.shelf.changed("pond")
    place.put(b"old", more=False)

    assert pondside.shelf.find(("key",)) is None


async def test_what_may_have_changed_before_anybody_listened_is_not_kept(
    pondside: Pondside, service: PondService
) -> None:
    shelf = Shelf(pondside.clock, {"pond": service.db})
    begun = placed(shelf, "key")

    await until(lambda: listening(shelf))
    begun.put(b"old", more=False)

    assert shelf.find(("key",)) is None
    await shelf.close()


async def test_whoever_fails_to_listen_tries_again(
    service: PondService, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect, failures = service.db.connect, [ValueError("a defect")]

    async def fail_once() -> asyncpg.Connection[asyncpg.Record]:
        if failures:
            raise failures.pop()
        return await connect()

    monkeypatch.setattr(changes, "PAUSE_SECONDS", 0)
    monkeypatch.setattr(service.db, "connect", fail_once)
    shelf = Shelf(FixedClock(), {"pond": service.db})

    await until(lambda: listening(shelf))

    await shelf.close()


async def test_what_may_be_read_from_a_late_copy_is_not_kept(water: Bench) -> None:
    late = App(
        water.app.house, dsn=lambda _: "", folder=Path(), replica=lambda _: "postgresql://copy"
    )

    assert not late.shelf.watches("pond")

    assert "changes pond" not in {task.get_name() for task in asyncio.all_tasks()}


async def test_who_could_not_hear_for_a_while_trusts_nothing_that_was_kept(
    pondside: Pondside, service: PondService
) -> None:
    before = pondside.shelf.changes["pond"]

    await service.db.value(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE query LIKE 'LISTEN%' AND datname = current_database()"
    )

    async def noticed() -> bool:
        return pondside.shelf.changes["pond"] > before

    await until(noticed)
    assert await pondside.asks() == 1


async def test_what_a_module_elsewhere_has_told_is_not_kept(pondside: Pondside) -> None:
    place = placed(pondside.shelf, "key")
    place.asked.add("heath")

    place.put(b"from afar", more=False)

    assert pondside.shelf.find(("key",)) is None


async def test_those_go_that_nobody_asked_for_the_longest_when_there_is_no_room(
    pondside: Pondside,
) -> None:
    for number in range(200):
        placed(pondside.shelf, str(number)).put(bytes(512 * 1024), more=False)
        pondside.shelf.find(("0",))

    assert pondside.shelf.find(("0",)) is not None
    assert pondside.shelf.find(("1",)) is None
    assert pondside.shelf.find(("199",)) is not None


async def test_questions_take_room_too(pondside: Pondside) -> None:
    for number in range(200):
        placed(pondside.shelf, str(number), "?" * 512 * 1024).put(b"", more=False)

    assert pondside.shelf.find(("0", "?" * 512 * 1024)) is None


async def test_a_question_of_great_length_is_asked_every_time(pondside: Pondside) -> None:
    at_length = f"/frogs/kermit?utm={'x' * 2048}"

    assert await pondside.asks(at_length) == 1
    assert await pondside.asks(at_length) == 1

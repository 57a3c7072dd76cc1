"""The way backstage over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any, NoReturn
from uuid import UUID

import httpx
import pytest

from banyan.kernel import stage_door
from banyan.kernel.backstage import (
    Backstage,
    Backstages,
    Letter,
    ModuleHealth,
    Replayed,
    SagaHistory,
    SagaSummary,
    State,
)
from banyan.kernel.http import build
from banyan.kernel.outbox import MOST_ATTEMPTS
from banyan.kernel.security import Caller, Gate
from banyan.kernel.testing import Bench
from tests.kernel.http.house import JSON, Parts
from tests.kernel.pond.contract import Pond
from tests.kernel.pond.service import PondService

MODULES = "/api/admin/modules"
WRITER, READER, GUEST = (
    {"authorization": f"Bearer {name}"} for name in ("writer", "reader", "guest")
)


class Doorman(Gate):
    """Knows who may mend, who may look, and somebody who may do neither."""

    known: Mapping[str, frozenset[str]] = {
        "writer": frozenset({"backstage:*"}),
        "reader": frozenset({"backstage:read"}),
        "guest": frozenset(),
    }

    async def caller(self, token: str) -> Caller | None:
        return Caller(subject=token, permissions=self.known[token])


class Silent(Backstage):
    """A module that never answers."""

    async def health(self) -> ModuleHealth:
        await self._wait()

    async def letters(self, *, limit: int = 100, before: int | None = None) -> tuple[Letter, ...]:
        await self._wait()

    async def replay(self, *, events: tuple[UUID, ...] | None = None) -> Replayed:
        await self._wait()

    async def discard(self, *, events: tuple[UUID, ...]) -> int:
        await self._wait()

    async def sagas(
        self,
        *,
        state: State | None = None,
        limit: int = 100,
        before: tuple[datetime, str] | None = None,
    ) -> tuple[SagaSummary, ...]:
        await self._wait()

    async def saga(self, *, saga: str) -> SagaHistory:
        await self._wait()

    async def retry(self, *, saga: str) -> SagaSummary:
        await self._wait()

    async def turn_back(self, *, saga: str) -> SagaSummary:
        await self._wait()

    async def _wait(self) -> NoReturn:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")


@pytest.fixture
async def client(water: Bench) -> AsyncIterator[httpx.AsyncClient]:
    """Stand at the stage door of a house with a pond, and with a marsh that is silent."""
    app: Any = build(
        stage_door.channel.routes,
        dependencies={"backstage": Backstages({**water.app.backstage, "marsh": Silent()})},
        gate=Doorman(),
        ready=Parts().look,
    )
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://house") as client:
        yield client


async def test_every_module_is_shown_and_who_does_not_answer_in_time_is_said_to(
    client: httpx.AsyncClient, pond: Pond
) -> None:
    await pond.leap(name="frog")

    answer = await client.get(MODULES, headers=READER)

    marsh, shown = answer.json()["items"]
    assert marsh == {"module": "marsh", "reachable": False, "health": None}
    assert (shown["module"], shown["reachable"]) == ("pond", True)
    assert shown["health"]["events"]["undelivered"] == 1


async def test_dead_letters_are_listed_replayed_and_discarded(
    client: httpx.AsyncClient, water: Bench, pond: Pond
) -> None:
    for leaps in (13, 0):
        await pond.leap(name="frog", by=leaps)
    for _ in range(MOST_ATTEMPTS):
        await water.pass_time(300)
    letters = f"{MODULES}/pond/letters"

    listed = await client.get(letters, headers=READER, params={"limit": 1})
    (first,) = listed.json()["items"]
    further = await client.get(
        letters, headers=READER, params={"limit": 1, "cursor": listed.json()["next"]}
    )
    (second,) = further.json()["items"]
    replayed = await client.post(
        f"{letters}/replay", headers=WRITER, json={"events": [first["event"]]}
    )
    discarded = await client.post(
        f"{letters}/discard", headers=WRITER, json={"events": [second["event"]]}
    )
    left = await client.get(letters, headers=READER)

    assert replayed.json() == {"count": 1, "left": 0}
    assert discarded.json() == {"count": 1}
    assert left.json() == {"items": [], "next": None}


async def test_all_dead_letters_are_replayed_where_none_is_named(
    client: httpx.AsyncClient, water: Bench, pond: Pond
) -> None:
    await pond.leap(name="frog", by=13)
    for _ in range(MOST_ATTEMPTS):
        await water.pass_time(300)

    replayed = await client.post(
        f"{MODULES}/pond/letters/replay", headers={**WRITER, **JSON}, content="null"
    )

    assert replayed.json() == {"count": 1, "left": 0}


async def test_a_saga_is_found_shown_and_undone(
    client: httpx.AsyncClient, water: Bench, service: PondService
) -> None:
    async with service.db.begin() as tx:
        running = service.sagas.start(tx, service.resting, "nap", seconds=60)
    await running.settled()
    sagas = f"{MODULES}/pond/sagas"

    listed = await client.get(sagas, headers=READER, params={"state": "waiting"})
    shown = await client.get(f"{sagas}/nap", headers=READER)
    retried = await client.post(f"{sagas}/nap/retry", headers=WRITER)
    await water.settle()
    undone = await client.post(f"{sagas}/nap/undo", headers=WRITER)
    await water.settle()
    again = await client.post(f"{sagas}/nap/undo", headers=WRITER)

    assert [one["id"] for one in listed.json()["items"]] == ["nap"]
    assert [one["name"] for one in shown.json()["steps"]] == ["wait call"]
    assert (retried.status_code, undone.json()["state"]) == (200, "undoing")
    assert (again.status_code, again.json()["code"]) == (409, "saga_ended")


@pytest.mark.parametrize(
    ("path", "code"), [("/sea/letters", "not_found"), ("/pond/sagas/nobody", "no_such_saga")]
)
async def test_what_is_not_there_is_said_to_be_missing(
    client: httpx.AsyncClient, path: str, code: str
) -> None:
    answer = await client.get(f"{MODULES}{path}", headers=READER)

    assert (answer.status_code, answer.json()["code"]) == (404, code)


@pytest.mark.parametrize(
    "path", ["letters/replay", "letters/discard", "sagas/nap/retry", "sagas/nap/undo"]
)
async def test_who_may_look_may_not_therefore_mend(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.post(
        f"{MODULES}/pond/{path}", headers=READER, json={"events": [str(UUID(int=0))]}
    )

    assert (answer.status_code, answer.json()["permission"]) == (403, "backstage:write")


async def test_who_may_not_look_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.get(MODULES, headers=GUEST)

    assert (answer.status_code, answer.json()["permission"]) == (403, "backstage:read")


async def test_the_document_says_what_a_module_may_refuse(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()

    undo = document["paths"][f"{MODULES}/{{module}}/sagas/{{saga}}/undo"]["post"]
    assert {"saga_ended", "saga_under_way"} <= {*undo["responses"]["409"]["x-codes"]}
    assert {"no_such_saga", "not_found"} <= {*undo["responses"]["404"]["x-codes"]}

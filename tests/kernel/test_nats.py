"""Calls and events between processes: the same laws, over a real NATS."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from banyan.engines.nats import EmbeddedNats
from banyan.engines.processes import Supervisor
from banyan.kernel.app import App
from banyan.kernel.backstage import NoSuchSaga
from banyan.kernel.idempotency import Idempotency, KeyReused
from banyan.kernel.jetstream import MOST_DELIVERIES
from banyan.kernel.link import Fault, Unavailable, calling, spare
from banyan.kernel.nats import Broker
from banyan.kernel.subjects import permissions
from banyan.kernel.testing import Server
from tests.engines.brokers import LentNats
from tests.kernel.afar import apart
from tests.kernel.pond.contract import NoSuchFrog, Pond, TooFar
from tests.kernel.pond.module import module
from tests.kernel.pond.service import PondService

PATIENCE = 1000


@pytest.fixture
async def apps(server: Server, nats: LentNats, tmp_path: Path) -> AsyncIterator[dict[str, App]]:
    """Open a pond, and somebody elsewhere who may ask it."""
    hosts: dict[str, list[str]] = {"water": ["pond"], "land": []}
    land = {"land": ["pond"]}
    async with apart(server, nats, [module], hosts, tmp_path, asks=land, tends=land) as made:
        yield made


@pytest.fixture
async def pond(apps: dict[str, App]) -> Pond:
    """Hold what somebody elsewhere holds; a frog and an echo live in it."""
    asked = apps["land"].ask(Pond)
    await asked.put(name="frog")
    await asked.put(name="echo")
    return asked


@pytest.fixture
def service(apps: dict[str, App]) -> PondService:
    made: PondService = apps["water"].rooms["pond"].services[Pond]
    return made


async def test_a_call_finds_its_module_elsewhere(pond: Pond) -> None:
    assert await pond.leap(name="frog", by=3) == 3
    assert await pond.ask_around(names=("frog", "echo")) == {"frog": 3, "echo": 0}


async def test_a_problem_arrives_with_its_fields(pond: Pond) -> None:
    with pytest.raises(NoSuchFrog) as refused:
        await pond.leap(name="nobody")

    assert refused.value.fields() == {"name": "nobody"}


async def test_an_undertaking_is_driven_where_it_lives(pond: Pond, service: PondService) -> None:
    with pytest.raises(TooFar):
        await pond.travel(name="frog", times=6)

    assert await pond.travel(name="echo", times=2) == 2
    assert service.traveling.taken.count("back") == 6


async def test_a_fault_tells_its_trace_and_nothing_else(pond: Pond) -> None:
    with pytest.raises(Fault) as broken:
        await pond.burst()

    assert "divide" not in str(broken.value)
    assert broken.value.trace_id


async def test_a_key_has_one_effect_and_the_caller_learns_that_it_was_replayed(pond: Pond) -> None:
    answers = []
    for _ in range(3):
        key = Idempotency("click", "leap frog")
        with calling(idempotency=key):
            answers.append((await pond.leap(name="frog"), key.replayed))
    with calling(idempotency=Idempotency("click", "leap echo")), pytest.raises(KeyReused):
        await pond.leap(name="echo")

    assert answers == [(1, False), (1, True), (1, True)]


async def test_many_calls_are_answered_at_once_and_each_gets_its_own_answer(pond: Pond) -> None:
    names = [f"frog {number}" for number in range(100)]
    await asyncio.gather(*(pond.put(name=name) for name in names))

    told = await asyncio.gather(
        *(pond.leap(name=name, by=number) for number, name in enumerate(names))
    )

    assert told == list(range(100))


async def test_where_nobody_answers_it_is_told_at_once(apps: dict[str, App], pond: Pond) -> None:
    await apps["water"].leave()

    with calling(seconds=30), pytest.raises(Unavailable):
        async with asyncio.timeout(5):
            await pond.leap(name="frog")
    assert await spare(pond.leaps(name="frog"), otherwise=-1) == -1


async def test_a_deadline_goes_along(pond: Pond, service: PondService) -> None:
    async with service.db.apart() as connection, connection.transaction():
        await connection.execute("SELECT 1 FROM frogs WHERE name = 'frog' FOR UPDATE")
        with calling(seconds=0.3), pytest.raises(Unavailable):
            await pond.leap(name="frog")

    assert await pond.leap(name="frog") == 1


async def test_an_event_is_heard_by_way_of_the_stream(pond: Pond, service: PondService) -> None:
    await pond.leap(name="frog")

    for _ in range(PATIENCE):
        if await pond.leaps(name="echo"):
            break
        await asyncio.sleep(0.01)
    assert service.heard == [1]


async def test_a_process_has_no_more_rights_than_its_modules_declare(
    server: Server, nats: LentNats, tmp_path: Path
) -> None:
    hosts: dict[str, list[str]] = {"water": ["pond"], "air": []}
    async with apart(server, nats, [module], hosts, tmp_path) as apps:
        with calling(seconds=0.5), pytest.raises(Unavailable):
            await apps["air"].ask(Pond).put(name="bird")

        assert await apps["water"].ask(Pond).ask_around(names=("bird",)) == {"bird": 0}


@pytest.mark.parametrize(
    ("data", "headers"),
    [
        (b'{"name": 1}', {}),
        (b"{", {}),
        (b'{"name": "frog"}', {"Banyan-Deadline-Ms": "soon"}),
        (b'{"name": "frog"}', {"Banyan-Hops": "few"}),
        (b'{"name": "frog"}', {"Banyan-Caller": "me"}),
    ],
)
async def test_a_request_that_cannot_be_read_is_refused(
    apps: dict[str, App], data: bytes, headers: dict[str, str]
) -> None:
    broker = apps["land"].broker
    assert broker

    answer = await broker.ask("banyan.call.pond.leap", data, headers)

    assert answer.headers
    assert answer.headers["Nats-Service-Error-Code"] == "400"
    assert b'"kernel.malformed"' in answer.data


async def test_a_module_is_a_micro_service_that_tells_its_schemas_and_counts(
    apps: dict[str, App], nats: LentNats, pond: Pond
) -> None:
    with pytest.raises(NoSuchFrog):
        await pond.leap(name="nobody")
    operator = Broker(nats.url, "operator", nats.credentials("operator"))
    await operator.open()
    info = json.loads((await operator.ask("$SRV.INFO.pond", b"", {})).data)
    stats = json.loads((await operator.ask("$SRV.STATS.pond", b"", {})).data)
    await operator.close()

    assert info["type"] == "io.nats.micro.v1.info_response"
    assert info["metadata"] == {"process": "water", "instance": "water-1"}
    leap = next(one for one in info["endpoints"] if one["name"] == "leap")
    assert leap["subject"] == "banyan.call.pond.leap"
    assert json.loads(leap["metadata"]["answer"]) == {"type": "integer"}
    told = {one["name"]: one for one in stats["endpoints"]}
    assert (told["put"]["num_requests"], told["put"]["num_errors"]) == (2, 0)
    assert (told["leap"]["num_requests"], told["leap"]["num_errors"]) == (1, 1)


@pytest.mark.parametrize("asked", ["$SRV.PING.pond", "banyan.call.pond.leaps"])
async def test_nobody_is_answered_where_others_listen(
    apps: dict[str, App], nats: LentNats, pond: Pond, asked: str
) -> None:
    operator = Broker(nats.url, "operator", nats.credentials("operator"))
    await operator.open()
    elsewhere = await operator.client.subscribe("elsewhere")

    await operator.client.publish(asked, b'{"name": "frog"}', reply="elsewhere")
    await operator.ask(asked, b'{"name": "frog"}', {})

    assert elsewhere.pending_msgs == 0
    await operator.close()


async def test_an_event_that_cannot_be_read_is_tried_again_and_then_put_aside(
    apps: dict[str, App], nats: LentNats, pond: Pond, service: PondService
) -> None:
    backstage = apps["land"].backstage["pond"]
    listener = apps["water"].rooms["pond"].listener
    assert listener
    await listener.stop()
    operator = Broker(nats.url, "operator", nats.credentials("operator"))
    await operator.open()
    await operator.streams().publish("banyan.event.pond.leapt.v1", b"{", headers={"ce-id": "?"})

    for _ in range(MOST_DELIVERIES):
        await listener.take(seconds=5)
    await operator.close()
    (dead,) = await backstage.letters()
    replayed = await backstage.replay()

    assert (dead.type, dead.reaction) == ("banyan.pond.leapt.v1", "")
    assert dead.error == "badly formed hexadecimal UUID string"
    assert dead.data == {"headers": {"ce-id": "?"}, "bytes": 1}
    assert (replayed.count, replayed.left) == (0, 1)
    assert await backstage.letters() == (dead,)


async def test_what_is_dead_or_stuck_elsewhere_is_seen_and_mended_from_here(
    apps: dict[str, App], pond: Pond, service: PondService
) -> None:
    backstage = apps["land"].backstage["pond"]
    service.traveling.lost = True
    with pytest.raises(TooFar):
        await pond.travel(name="frog", times=6)
    await service.db.value("UPDATE sagas SET status = 'stuck', owner = NULL RETURNING 1")
    service.traveling.lost = False

    assert (await backstage.health()).sagas.stuck == 1
    with pytest.raises(NoSuchSaga) as refused:
        await backstage.retry(saga="travel echo")
    await backstage.retry(saga="travel frog")
    for _ in range(PATIENCE):
        if (await backstage.saga(saga="travel frog")).saga.state == "undone":
            break
        await asyncio.sleep(0.01)

    assert refused.value.saga == "travel echo"
    assert await pond.leaps(name="frog") == 0


async def test_who_may_ask_a_module_may_not_therefore_go_backstage(
    server: Server, nats: LentNats, tmp_path: Path
) -> None:
    hosts: dict[str, list[str]] = {"water": ["pond"], "shore": []}
    async with apart(server, nats, [module], hosts, tmp_path, asks={"shore": ["pond"]}) as apps:
        with calling(seconds=0.5), pytest.raises(Unavailable):
            await apps["shore"].backstage["pond"].health()

        assert await apps["shore"].ask(Pond).leaps(name="frog") == 0


async def test_a_module_whose_process_is_gone_is_told_to_be_unavailable(
    apps: dict[str, App], pond: Pond
) -> None:
    await apps["water"].leave()

    with pytest.raises(Unavailable):
        await apps["land"].backstage["pond"].letters()


async def test_a_broker_that_is_away_for_a_while_loses_nothing_and_doubles_nothing(
    server: Server, tmp_path: Path
) -> None:
    may = permissions("water", hosts=["pond"], asks=[])
    with EmbeddedNats(tmp_path / "nats", print) as nats:
        nats.grant({"water": may})
        async with AsyncExitStack() as stack:
            running, again = (Supervisor([nats.child()], say=print) for _ in range(2))
            for one in (running, again):
                stack.push_async_callback(one.stop)
            await running.start()
            apps = apart(server, nats, [module], {"water": ["pond"]}, tmp_path)
            water = (await stack.enter_async_context(apps))["water"]
            pond, database = water.ask(Pond), water.rooms["pond"].database
            for name in ("frog", "echo"):
                await pond.put(name=name)

            await running.stop()
            for _ in range(150):
                await pond.leap(name="frog")
            waiting = (await water.backstage["pond"].health()).events.undelivered
            well = await water.ready()
            await water.rooms["pond"].worker.step()  # It goes on with whatever needs no broker.
            await again.start()
            for _ in range(PATIENCE):
                if (heard := await pond.leaps(name="echo")) >= 149:
                    break
                await asyncio.sleep(0.02)
            known = await database.value("SELECT count(*) FROM inbox")

    assert waiting == 150
    assert well == {"pond": True, "nats": False}
    assert (heard, known) == (149, 150)  # One number is unlucky in this pond: it is tried later.

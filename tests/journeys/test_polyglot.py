"""A module replaced by a program in another language: the shop does not notice."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from banyan.engines.crew import grants
from banyan.kernel.app import App, House
from banyan.kernel.link import Unavailable, calling
from banyan.kernel.nats import Broker
from banyan.kernel.registry import Roll
from banyan.kernel.settings import environment
from banyan.kernel.subjects import permissions
from banyan.kernel.testing import Server
from banyan.kernel.topology import read
from banyan.modules.fulfillment.contract import Fulfillment, UnknownMethod
from banyan.modules.ordering.contract import Ordering, PaymentChoice
from banyan.vocabulary import CartId, Locale, Money
from tests.engines.brokers import LentNats
from tests.journeys.apart import VISITOR, Apart, Shop, apart
from tests.journeys.house import EU, LAMP, filled, furnish, house, made, opened, settle, some_cart
from tests.plugins.sandbox_process import SandboxProcess

EXAMPLE = Path(__file__).parents[2] / "examples" / "polyglot"
PATIENCE_SECONDS = 20
QUESTIONS = 100
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@dataclass
class Program:
    """A running program, and what it says of its work, a line of JSON for each."""

    process: subprocess.Popen[bytes]
    log: Path

    def said(self, event: str) -> list[dict[str, Any]]:
        """Return what it has said of something so far; at its first line, wait for it."""
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            told = [json.loads(line) for line in self.log.read_text().splitlines()]
            if found := [one for one in told if one["event"] == event]:
                return found
            assert self.process.poll() is None, "the program has ended"
            time.sleep(0.02)
        raise AssertionError(f"nothing said of {event}")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the example where its packages are in nobody's way."""
    if not (shutil.which("node") and shutil.which("npm")):
        go_without("Node.js and npm are not on this machine")
    folder = tmp_path_factory.mktemp("node") / EXAMPLE.name
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("node_modules"))
    command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline"]
    try:
        done = subprocess.run(
            command, cwd=folder, check=False, capture_output=True, text=True, timeout=90
        )
    except subprocess.TimeoutExpired:
        go_without("npm cannot fetch packages in time")
    if done.returncode:
        go_without(f"npm cannot fetch packages: {done.stderr[-500:]}")
    return folder


def go_without(reason: str) -> None:
    """Leave these tests out; but not where everything is to be tested."""
    if environment().get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def running(folder: Path, nats: LentNats, log: Path) -> Iterator[Program]:
    """Run the program as anybody would who is told where NATS is and which files to show."""
    shown = nats.credentials("fulfillment")
    told = {
        "BANYAN_ENGINES_NATS": nats.url,
        "BANYAN_NATS_CA": str(shown.ca),
        "BANYAN_NATS_CERTIFICATE": str(shown.certificate),
        "BANYAN_NATS_KEY": str(shown.key),
    }
    with log.open("wb") as out:
        process = subprocess.Popen(
            ["node", "fulfillment.js"], cwd=folder, env={**environment(), **told}, stdout=out
        )
    try:
        program = Program(process, log)
        program.said("ready")
        yield program
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def program(installed: Path, nats: LentNats, tmp_path: Path) -> Iterator[Program]:
    """Let in whom the topology of the example names, and run the program."""
    visiting = permissions(VISITOR, hosts=(), asks=["fulfillment"])
    nats.grant({**grants(house(), read(EXAMPLE / "topology.toml")), VISITOR: visiting})
    with running(installed, nats, tmp_path / "node.log") as program:
        yield program


@pytest.fixture
async def visitor(program: Program, nats: LentNats, tmp_path: Path) -> AsyncIterator[App]:
    """Open a process that hosts nothing and asks over NATS."""
    broker = Broker(nats.url, VISITOR, nats.credentials(VISITOR))
    app = App(house(), dsn=str, folder=tmp_path, hosts=(), broker=broker)
    await app.open()
    yield app
    await app.close()


@pytest.fixture
async def shop(
    server: Server, bank: SandboxProcess, nats: LentNats, program: Program, tmp_path: Path
) -> AsyncIterator[Apart]:
    """Open a shop that was whole yesterday, and has everything but its fulfillment today."""
    async with server.fresh(house().modules) as database:
        here = (server, database, bank, tmp_path)
        async with opened(*here) as whole:
            await furnish(whole)
        topology = f"../{EXAMPLE.parent.name}/{EXAMPLE.name}/topology"
        async with apart(topology, house(), nats, partial(made, *here)) as shop:
            yield shop


async def shipped(shop: Shop, cart: CartId, *, quantity: int) -> int:
    """Buy lamps, and tell what their shipping costs."""
    await filled(shop, cart, LAMP, quantity)
    order = await shop.ask(Ordering).check_out(
        cart=cart, payment=PaymentChoice(method="sandbox", token="tok_ok")
    )
    await settle(shop)
    assert order.state == "confirmed"
    return order.totals.shipping.amount


async def test_a_purchase_is_shipped_at_the_price_of_a_program_in_another_language(
    shop: Apart, program: Program
) -> None:
    assert await shipped(shop, some_cart(1), quantity=1) == 375
    assert await shipped(shop, some_cart(2), quantity=2) == 690
    assert await shipped(shop, some_cart(3), quantity=3) == 0
    assert {one["operation"] for one in program.said("answered")} == {"fulfillment.rates"}


async def test_it_is_found_as_any_module_is(program: Program, nats: LentNats) -> None:
    operator = Broker(nats.url, "operator", nats.credentials("operator"))
    await operator.open()
    found = {one.process: one.instance for one in await Roll(operator).call()}
    info = json.loads((await operator.ask("$SRV.INFO.fulfillment", b"", {})).data)
    await operator.close()

    assert found["fulfillment"] == f"fulfillment-node-{program.process.pid}"
    rates = next(one for one in info["endpoints"] if one["name"] == "rates")
    assert rates["subject"] == "banyan.call.fulfillment.rates"
    assert rates["queue_group"] == "fulfillment"


async def test_its_problems_arrive_as_problems(visitor: App, program: Program) -> None:
    with pytest.raises(UnknownMethod) as refused:
        await visitor.ask(Fulfillment).method(code="balloon")

    assert refused.value.fields() == {"method": "balloon"}


@pytest.mark.parametrize("data", [b"{", b"{}", b'{"market": 1}', b"null"])
async def test_it_refuses_what_it_cannot_read_and_says_of_which_trace(
    visitor: App, program: Program, data: bytes
) -> None:
    broker = visitor.broker
    assert broker

    headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    answer = await broker.ask("banyan.call.fulfillment.rates", data, headers)

    assert answer.headers
    assert answer.headers["Nats-Service-Error-Code"] == "400"
    assert json.loads(answer.data)["kind"] == "kernel.malformed"
    assert [one["trace_id"] for one in program.said("refused")] == [TRACE]


async def test_what_it_does_not_answer_is_told_at_once(visitor: App, program: Program) -> None:
    with calling(seconds=PATIENCE_SECONDS), pytest.raises(Unavailable):
        await visitor.ask(Fulfillment).retire_method(code="post")


async def test_it_answers_in_the_language_and_for_the_place_of_who_asks(
    visitor: App, program: Program
) -> None:
    fulfillment, total = visitor.ask(Fulfillment), Money(amount=1000, currency="EUR")

    rates = partial(fulfillment.rates, market=EU, total=total, locale=Locale("de-AT"))
    asked = [
        await rates(country="DE", region="BE"),
        await rates(country="DE", region="DE-BE", weight_grams=30_001),
        await rates(country="AT"),
        await rates(country="FR"),
    ]

    told = [[(one.title, one.price.amount) for one in answer] for answer in asked]
    assert told == [[("Post", 375), ("Lastenrad", 890)], [("Post", 690)], [("Post", 375)], []]


async def test_replicas_in_both_languages_share_the_work(
    visitor: App, program: Program, nats: LentNats, server: Server, tmp_path: Path
) -> None:
    modules = [module for module in house().modules if module.name == "fulfillment"]
    broker = Broker(nats.url, "fulfillment", nats.credentials("fulfillment"))
    async with server.fresh(modules) as database:
        ours = App(
            House(modules=modules),
            dsn=lambda module: server.address(database, module=module),
            folder=tmp_path,
            broker=broker,
        )
        await ours.open()
        await ours.answer({})
        asked = [await visitor.ask(Fulfillment).methods() for _ in range(QUESTIONS)]
        await ours.close()

    assert {len(answer) for answer in asked} == {0, 2}


async def test_it_leaves_when_it_is_told_to(visitor: App, program: Program) -> None:
    program.process.send_signal(signal.SIGTERM)

    assert program.process.wait(PATIENCE_SECONDS) == os.EX_OK
    with calling(seconds=PATIENCE_SECONDS), pytest.raises(Unavailable):
        await visitor.ask(Fulfillment).methods()


def test_its_topology_leaves_one_process_to_somebody_else() -> None:
    processes = read(EXAMPLE / "topology.toml").processes

    assert [one.name for one in processes if one.external] == ["fulfillment"]

"""What is not vital is done without: reviews that are absent, silent, failing or late."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from pathlib import Path
from typing import Literal

import pytest
from nats.aio.msg import Msg

from banyan.kernel.app import App, House
from banyan.kernel.ids import derived
from banyan.kernel.link import calling
from banyan.kernel.module import Module
from banyan.kernel.nats import Broker
from banyan.kernel.resilience import LinkSettings
from banyan.kernel.testing import Server, bench
from banyan.modules.catalog.contract import Catalog, Product
from banyan.modules.catalog.module import module as catalog
from banyan.modules.ordering.contract import Order, Ordering, PaymentChoice
from banyan.vocabulary import CartId, ProductId
from tests.engines.brokers import LentNats
from tests.journeys import house
from tests.journeys.apart import Apart, apart
from tests.journeys.page.module import Page, Pages
from tests.journeys.page.module import module as pages
from tests.journeys.reviews.module import Review
from tests.journeys.reviews.module import module as reviews
from tests.plugins.sandbox_process import SandboxProcess

Mood = Literal["well", "failing", "silent"]

TOPOLOGY = """
engines.nats = "embedded"
process.reviews = { modules = ["reviews"], external = true }
process.shop = { modules = ["*"] }
"""
SECONDS = 8
PATIENCE = LinkSettings().failures_in_a_row
CROWD = 100
LAMP = ProductId(derived("journey", house.LAMP))
PLAIN = Page(title="Lamp", reviews=())
PRAISED = Page(title="Lamp", reviews=(Review(stars=5),))
BROKEN = b'{"kind": "kernel.fault", "fields": {"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736"}}'


class Reviewer:
    """Whoever answers for reviews elsewhere, well, badly or not."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.mood: Mood = "well"
        self.asked: list[Msg] = []

    async def open(self) -> None:
        await self.broker.open()
        await self.broker.client.subscribe("banyan.call.reviews.*", "reviews", self.hear)
        await self.broker.client.flush()

    async def hear(self, message: Msg) -> None:
        self.asked.append(message)
        if self.mood == "well":
            await self.answer(message)
        elif self.mood == "failing":
            code = {"Nats-Service-Error-Code": "500"}
            await self.broker.client.publish(message.reply, BROKEN, headers=code)

    async def answer(self, message: Msg) -> None:
        await message.respond(b'[{"stars": 5}]')


@pytest.fixture
async def shop(
    server: Server, bank: SandboxProcess, nats: LentNats, tmp_path: Path
) -> AsyncIterator[Apart]:
    """Open a shop of which only the reviews are elsewhere, where nobody answers yet."""
    usual = house.house()
    whole = House(modules=[*usual.modules, pages, reviews], plugins=usual.plugins)
    (tmp_path / "spare.toml").write_text(TOPOLOGY)
    async with server.fresh(whole.modules) as database:

        def make(hosts: Collection[str], broker: Broker) -> App:
            return App(
                whole,
                dsn=lambda module: server.address(database, module=module),
                folder=tmp_path,
                configured={"link": {"rest_seconds": 600}},
                environment={
                    "BANYAN_SANDBOX_URL": bank.url,
                    "BANYAN_SANDBOX_WEBHOOK_SECRET_FILE": str(bank.secret_file),
                },
                hosts=hosts,
                broker=broker,
            )

        async with apart(str(tmp_path / "spare"), whole, nats, make) as shop:
            await house.furnish(shop)
            yield shop


@pytest.fixture
async def reviewer(shop: Apart, nats: LentNats) -> AsyncIterator[Reviewer]:
    """Let somebody answer for reviews."""
    reviewer = Reviewer(Broker(nats.url, "reviews", nats.credentials("reviews")))
    await reviewer.open()
    yield reviewer
    await reviewer.broker.close()


async def show(shop: Apart) -> Page:
    with calling(seconds=SECONDS):
        return await shop.ask(Pages).page(product=LAMP)


async def check_out(shop: Apart, cart: CartId) -> Order:
    with calling(seconds=SECONDS):
        return await shop.ask(Ordering).check_out(
            cart=cart, payment=PaymentChoice(method="sandbox", token="tok_ok")
        )


async def test_where_reviews_are_well_the_page_has_them(shop: Apart, reviewer: Reviewer) -> None:
    assert await show(shop) == PRAISED


async def test_where_nobody_answers_page_and_checkout_do(shop: Apart) -> None:
    await house.filled(shop, house.some_cart(1))

    assert await show(shop) == PLAIN
    assert (await check_out(shop, house.some_cart(1))).state == "confirmed"


async def test_a_fault_of_theirs_is_none_of_ours(shop: Apart, reviewer: Reviewer) -> None:
    reviewer.mood = "failing"

    assert await show(shop) == PLAIN
    assert len(reviewer.asked) == 1


async def test_what_comes_late_is_not_taken_for_something_else(
    shop: Apart, reviewer: Reviewer
) -> None:
    reviewer.mood = "silent"
    assert await show(shop) == PLAIN

    for message in reviewer.asked:
        await reviewer.answer(message)

    assert await show(shop) == PLAIN
    reviewer.mood = "well"
    assert await show(shop) == PRAISED


async def test_who_is_silent_for_long_is_not_even_asked(shop: Apart, reviewer: Reviewer) -> None:
    reviewer.mood = "silent"

    for _ in range(3 * PATIENCE):
        assert await show(shop) == PLAIN

    assert len(reviewer.asked) == PATIENCE


async def test_a_crowd_that_waits_in_vain_keeps_nobody_from_paying(
    shop: Apart, reviewer: Reviewer
) -> None:
    reviewer.mood = "silent"
    await house.filled(shop, house.some_cart(1))

    crowd = asyncio.gather(*(show(shop) for _ in range(CROWD)))
    order = await check_out(shop, house.some_cart(1))

    assert order.state == "confirmed"
    assert await crowd == [PLAIN] * CROWD


@pytest.mark.parametrize(
    ("installed", "page"), [([], PLAIN), ([reviews], PRAISED)], ids=["without", "with"]
)
async def test_a_shop_may_be_without_reviews_at_all(
    server: Server, tmp_path: Path, installed: list[Module], page: Page
) -> None:
    async with bench(server, [catalog, pages, *installed], folder=tmp_path) as shop:
        lamp = Product(id=LAMP, slug="lamp", title="Lamp", state="draft")
        await shop.ask(Catalog).save(products=(lamp,))

        assert await shop.ask(Pages).page(product=LAMP) == page

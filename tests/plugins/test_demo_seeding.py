"""The demo shop opens: once, completely, and only where there is no shop yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
from msgspec.structs import replace

from banyan.kernel.contract import Operation, proxy
from banyan.kernel.module import Ask
from banyan.kernel.testing import Bench, Server, bench
from banyan.modules.catalog.contract import Catalog, Category, Product
from banyan.modules.catalog.module import module as catalog
from banyan.modules.fulfillment.contract import Fulfillment
from banyan.modules.fulfillment.module import module as fulfillment
from banyan.modules.inventory.contract import Inventory
from banyan.modules.inventory.module import module as inventory
from banyan.modules.pricing.contract import Pricing
from banyan.modules.pricing.module import module as pricing
from banyan.plugins.demo import articles
from banyan.plugins.demo.plugin import plugin
from banyan.plugins.demo.shop import Setup
from banyan.vocabulary import Line, Locale, MarketCode, Money, ProductId, Sku

LAMP = Sku("ARC-TERRACOTTA")
SOFA = Sku("HARBOR-SKY-TWOSEATS")
BOOK = Sku("SLOWKITCHEN")
EU, US = MarketCode("eu"), MarketCode("us")

PRODUCTS = articles.products()
SETUP = msgspec.toml.decode((articles.DATA / "shop.toml").read_bytes(), type=Setup)

C = TypeVar("C")

POWER_CUTS = [
    ("save_market", 1),
    ("save_market", 2),
    ("set_tax_rate", 20),
    ("set_prices", 2),
    ("save_method", 1),
    ("save_warehouse", 2),
    ("move", 2),
    ("set_level", 3),
    ("save_category", 5),
    ("save", 1),
]
"""Where the power fails, one time after the other."""

modules = [catalog, fulfillment, inventory, pricing]


class PowerCut(Exception):
    """The machine went off in the middle of something."""


@pytest.fixture
async def shop(server: Server, tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench(server, modules, folder=tmp_path) as made:
        yield made


@pytest.fixture
async def opened(shop: Bench) -> Bench:
    await seed(shop.ask)
    await shop.settle()
    return shop


async def seed(ask: Ask) -> list[str]:
    """Open the demo shop, and return what is said meanwhile."""
    said: list[str] = []
    assert plugin.seed
    await plugin.seed(ask, said.append)
    return said


async def test_seeding_says_what_it_does(shop: Bench) -> None:
    said = await seed(shop.ask)

    assert said[-1] == "the demo shop is open"
    assert all(line.startswith("seeding ") for line in said[:-1])


async def test_a_stranger_could_buy_at_once_wherever_the_shop_sells(opened: Bench) -> None:
    pricing, fulfillment = opened.ask(Pricing), opened.ask(Fulfillment)
    lines = (Line(sku=LAMP, quantity=1), Line(sku=BOOK, quantity=2))

    for market in await pricing.markets():
        for country in market.countries:
            quote = await pricing.quote(market=market.code, lines=lines, country=country)
            rates = await fulfillment.rates(
                market=market.code, country=country, total=quote.subtotal, weight_grams=10_700
            )
            assert quote.total.currency == market.currency
            assert len(rates) == 2, country


async def test_a_state_of_the_us_has_its_own_tax_or_the_simple_one(opened: Bench) -> None:
    lamp = (Line(sku=LAMP, quantity=1),)
    expected = {"NY": 2387, "CA": 1950, "OR": 0, "OH": 1883, "": 1883}

    quotes = {
        region: await opened.ask(Pricing).quote(market=US, lines=lamp, country="US", region=region)
        for region in expected
    }

    assert {region: quote.tax.amount for region, quote in quotes.items()} == expected


async def test_books_bear_less_tax_in_germany(opened: Bench) -> None:
    lines = (Line(sku=LAMP, quantity=1), Line(sku=BOOK, quantity=1))

    quote = await opened.ask(Pricing).quote(market=EU, lines=lines, country="DE")

    assert [line.tax_millionths for line in quote.lines] == [190_000, 70_000]


async def test_far_and_heavy_parcels_cost_more(opened: Bench) -> None:
    expected = {("NY", 900): 690, ("NY", 40_000): 9900, ("AK", 900): 1990, ("AK", 40_000): 24_900}

    rates = {
        (region, grams): await opened.ask(Fulfillment).rates(
            market=US,
            country="US",
            region=region,
            total=Money(amount=9900, currency="USD"),
            weight_grams=grams,
        )
        for region, grams in expected
    }

    assert {parcel: offered[0].price.amount for parcel, offered in rates.items()} == expected


async def test_the_sofa_is_built_when_it_is_ordered_and_the_turntable_is_gone(
    opened: Bench,
) -> None:
    skus = (SOFA, Sku("TURNTABLE-SAGE"))

    sofa, turntable = await opened.ask(Inventory).availability(skus=skus)

    assert sofa.backorder
    assert (turntable.available, turntable.backorder) == (0, False)


async def test_a_second_seeding_changes_nothing_and_tells_nothing(opened: Bench) -> None:
    before = await everything(opened)

    said = await seed(opened.ask)

    assert said == ["this shop has data already; it is left as it is"]
    assert await untold(opened) == 0
    assert await everything(opened) == before


async def test_what_a_merchant_has_changed_stays_so(opened: Bench) -> None:
    lamp, *_ = await opened.ask(Catalog).find(skus=(LAMP,))
    (renamed,) = await opened.ask(Catalog).save(products=(replace(lamp, title="My Lamp"),))

    await seed(opened.ask)

    assert await opened.ask(Catalog).product(product=lamp.id) == renamed


async def test_an_interrupted_seeding_is_completed_by_the_next(
    server: Server, tmp_path: Path
) -> None:
    async with bench(server, modules, folder=tmp_path) as whole:
        await seed(whole.ask)
        expected = [await everything(whole), await untold(whole)]

    async with bench(server, modules, folder=tmp_path) as shop:
        for operation, times in POWER_CUTS:
            with pytest.raises(PowerCut):
                await seed(unreliable(shop.ask, operation, times))
        said = await seed(shop.ask)

        assert said[-1] == "the demo shop is open"
        assert [await everything(shop), await untold(shop)] == expected


async def own_market(ask: Ask) -> None:
    theirs = replace(SETUP.markets[0], title="Mine")
    await ask(Pricing).save_market(market=theirs)


async def own_product(ask: Ask) -> None:
    theirs = Product(id=ProductId(PRODUCTS[0].id), slug="mine", title="Mine")
    await ask(Catalog).save(products=(theirs,))


async def own_category(ask: Ask) -> None:
    await ask(Catalog).save_category(category=Category(slug="mine", title={Locale("en"): "Mine"}))


async def own_warehouse(ask: Ask) -> None:
    theirs = replace(SETUP.warehouses[0], position=9)
    await ask(Inventory).save_warehouse(warehouse=theirs)


@pytest.mark.parametrize("own", [own_market, own_product, own_category, own_warehouse])
async def test_a_shop_with_data_of_its_own_is_left_alone(
    shop: Bench, own: Callable[[Ask], Awaitable[None]]
) -> None:
    await own(shop.ask)
    before = await everything(shop)

    said = await seed(shop.ask)

    assert said == ["this shop has data already; it is left as it is"]
    assert await everything(shop) == before


async def everything(shop: Bench) -> list[object]:
    """Read all that a seeding may write."""
    return [
        await shop.ask(Catalog).products(limit=1000),
        await shop.ask(Catalog).categories(),
        await shop.ask(Catalog).attributes(),
        await shop.ask(Pricing).markets(),
        await shop.ask(Pricing).price_lists(),
        await shop.ask(Pricing).tax_rates(),
        await shop.ask(Pricing).prices(limit=10_000),
        await shop.ask(Inventory).warehouses(),
        await shop.ask(Inventory).levels(limit=10_000),
        await shop.ask(Fulfillment).zones(),
        await shop.ask(Fulfillment).methods(),
    ]


async def untold(shop: Bench) -> int:
    """Count the events that wait to be delivered."""
    counts = [
        await r.database.value("SELECT count(*) FROM outbox") for r in shop.app.rooms.values()
    ]
    return sum(counts)


def unreliable(ask: Ask, operation: str, times: int) -> Ask:
    """Let the power fail when an operation is asked for the nth time."""
    asked = Counter[str]()

    def asking(protocol: type[C], /) -> C:
        async def send(asking: Operation, arguments: dict[str, Any]) -> object:
            asked[asking.name] += 1
            if asked[operation] == times:
                raise PowerCut
            return await getattr(ask(protocol), asking.name)(**arguments)

        return proxy(protocol, send)

    return asking

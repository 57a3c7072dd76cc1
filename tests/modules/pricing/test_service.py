"""Pricing on a real database: what it tells, what it learns, what it costs, what cannot happen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextvars import Context
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from msgspec.structs import replace

from banyan.kernel.event import Envelope, Event
from banyan.kernel.testing import Bench, Server, bench
from banyan.modules.catalog.contract import Product, ProductPublished, Variant
from banyan.modules.pricing import store
from banyan.modules.pricing.contract import (
    MarketChanged,
    Price,
    PriceList,
    PricesChanged,
    Pricing,
    StaleMarket,
    TaxRate,
)
from banyan.modules.pricing.module import module
from banyan.modules.pricing.service import PricingService
from banyan.vocabulary import Line, MarketCode, Money, ProductId, Sku
from tests.modules.pricing.fake import EU, euro_market

LAMP, PIN = Sku("lamp"), Sku("pin")
BASE = PriceList(code="base", market=EU, currency="EUR")
SALE = PriceList(code="sale", market=EU, currency="EUR", priority=1)


@pytest.fixture
async def shop(server: Server, tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench(server, [module], folder=tmp_path) as made:
        pricing = made.ask(Pricing)
        await pricing.save_market(market=euro_market())
        for tax_class, millionths in (("standard", 190_000), ("books", 70_000)):
            await pricing.set_tax_rate(
                rate=TaxRate(market=EU, tax_class=tax_class, millionths=millionths, name="VAT")
            )
        await pricing.save_price_list(price_list=BASE)
        yield made


def price(amount: int, *, on: str = "base", sku: Sku = LAMP) -> Price:
    return Price(price_list=on, sku=sku, amount=amount)


async def told(shop: Bench) -> dict[Sku, list[int]]:
    """Read the outbox as a listener does who keeps, of each SKU, what has the highest version."""
    newest: dict[Sku, tuple[int, list[int]]] = {}
    for event in await shop.told(PricesChanged):
        for sku in event.skus:
            amounts = [offer.price.amount for offer in event.offers if offer.sku == sku]
            newest[sku] = max(newest.get(sku, (0, [])), (event.version, amounts))
    return {sku: amounts for sku, (_, amounts) in newest.items()}


async def offered(shop: Bench, *skus: Sku) -> dict[Sku, list[int]]:
    offers = await shop.ask(Pricing).offers(skus=skus)
    return {sku: [one.price.amount for one in offers if one.sku == sku] for sku in skus}


async def announce(shop: Bench) -> None:
    await shop.app.rooms["pricing"].service(PricingService).announce_windows()


async def test_a_market_is_told_whole_when_it_is_another(shop: Bench) -> None:
    pricing = shop.ask(Pricing)
    renamed = replace(euro_market(), title="Europa")

    await pricing.save_market(market=renamed)
    await pricing.save_market(market=renamed)
    await pricing.close_market(code=renamed.code)
    await pricing.close_market(code=renamed.code)

    events = await shop.told(MarketChanged)
    assert [event.market.version for event in events] == [1, 2, 3]
    assert events[1].market == replace(renamed, version=2)
    assert events[2].market == replace(renamed, version=3, open=False)


async def test_only_skus_with_another_offer_are_told(shop: Bench) -> None:
    pricing = shop.ask(Pricing)
    await pricing.save_price_list(price_list=SALE)
    await pricing.set_prices(prices=(price(1500, on="sale"), price(250, sku=PIN)))
    before = await shop.told(PricesChanged)

    await pricing.set_prices(prices=(price(1999), price(260, sku=PIN)))

    (event,) = set(await shop.told(PricesChanged)) - set(before)
    assert event.skus == (PIN,), "the lamp is on sale, whatever its base price"
    assert [offer.price.amount for offer in event.offers] == [260]


async def test_a_sku_without_an_offer_is_told_as_such(shop: Bench) -> None:
    pricing = shop.ask(Pricing)
    await pricing.set_prices(prices=(price(1999),))

    await pricing.remove_prices(price_list="base", skus=(LAMP,))

    last = max(await shop.told(PricesChanged), key=lambda event: event.version)
    assert (last.skus, last.offers) == ((LAMP,), ())


async def test_a_changed_window_is_told_at_once(shop: Bench) -> None:
    pricing = shop.ask(Pricing)
    await pricing.save_price_list(price_list=SALE)
    await pricing.set_prices(prices=(price(1999), price(1500, on="sale")))

    await pricing.save_price_list(price_list=replace(SALE, until=shop.clock.now()))

    assert await told(shop) == {LAMP: [1999]}


async def test_a_removed_list_is_told(shop: Bench) -> None:
    pricing = shop.ask(Pricing)
    await pricing.set_prices(prices=(price(1999), price(250, sku=PIN)))

    await pricing.remove_price_list(code="base")

    assert await told(shop) == {LAMP: [], PIN: []}


async def test_windows_are_told_when_they_open_and_when_they_close(shop: Bench) -> None:
    pricing, now = shop.ask(Pricing), shop.clock.now()
    window = {"since": now + timedelta(minutes=10), "until": now + timedelta(minutes=20)}
    await pricing.save_price_list(price_list=replace(SALE, **window))
    await pricing.set_prices(prices=(price(1999), price(1500, on="sale"), price(250, sku=PIN)))
    seen, events = [], []

    for _ in range(4):
        await announce(shop)
        seen.append((await told(shop))[LAMP])
        events.append(len(await shop.told(PricesChanged)))
        shop.clock.advance(400)

    assert seen == [[1999], [1999], [1500], [1999]]
    assert events == [1, 1, 2, 3], "nothing is told while nothing happens"


async def test_the_job_tells_windows_every_minute(shop: Bench) -> None:
    pricing, now = shop.ask(Pricing), shop.clock.now()
    heard: list[Event] = []

    async def listen(envelopes: Sequence[Envelope]) -> None:
        heard.extend(envelope.open() for envelope in envelopes)

    shop.app.rooms["pricing"].worker.outbox.carry = listen
    await pricing.save_price_list(price_list=replace(SALE, since=now + timedelta(seconds=70)))
    await pricing.set_prices(prices=(price(1500, on="sale"),))

    prices_told = []
    for _ in range(3):
        await shop.pass_time(60)
        prices_told.append(sum(isinstance(event, PricesChanged) for event in heard))

    assert prices_told == [0, 1, 1]


@pytest.mark.parametrize("moved", ["since", "until", "priority", "removed", "prices"])
async def test_what_time_has_changed_untold_is_told_with_the_next_change(
    shop: Bench, moved: str
) -> None:
    """A window passes, and before the job comes by somebody changes the list itself."""
    pricing, now = shop.ask(Pricing), shop.clock.now()
    window = {"since": now + timedelta(minutes=1), "until": now + timedelta(minutes=9)}
    sale = await pricing.save_price_list(price_list=replace(SALE, **window))
    await pricing.set_prices(prices=(price(1999), price(1500, on="sale")))

    shop.clock.advance(120)
    match moved:
        case "since":
            await pricing.save_price_list(price_list=replace(sale, since=None))
        case "until":
            await pricing.save_price_list(price_list=replace(sale, until=None))
        case "priority":
            await pricing.save_price_list(price_list=replace(sale, priority=7))
        case "removed":
            await pricing.remove_price_list(code="sale")
        case _:
            await pricing.remove_prices(price_list="sale", skus=(LAMP,))
    shop.clock.advance(120)
    await announce(shop)

    assert await told(shop) == await offered(shop, LAMP)


async def test_a_clock_that_is_behind_does_not_turn_back_what_was_told(shop: Bench) -> None:
    pricing, now = shop.ask(Pricing), shop.clock.now()
    await pricing.set_prices(prices=(price(1999),))
    async with shop.app.rooms["pricing"].database.begin() as tx:
        await tx.execute("UPDATE told SET until = $1", now + timedelta(seconds=5))

    await pricing.save_price_list(price_list=replace(SALE, since=now + timedelta(seconds=3)))
    await pricing.set_prices(prices=(price(1500, on="sale"),))

    assert await told(shop) == {LAMP: [1500]}


async def test_many_changes_are_told_in_portions(shop: Bench) -> None:
    await shop.ask(Pricing).set_prices(
        prices=tuple(price(1, sku=Sku(f"{number:03}")) for number in range(450))
    )

    events = await shop.told(PricesChanged)

    assert sorted(len(event.skus) for event in events) == [50, 200, 200]
    assert len({event.version for event in events}) == 1


async def test_the_statements_of_a_batch_do_not_grow_with_it(shop: Bench) -> None:
    pricing = shop.ask(Pricing)
    run = shop.watch()
    await pricing.set_prices(prices=(price(1),))
    for_one = len(run)

    run = shop.watch()
    await pricing.set_prices(
        prices=tuple(price(2, sku=Sku(f"{number:04}")) for number in range(1000))
    )

    assert len(run) == for_one == 9, (
        "BEGIN, turn, concerned, before, known?, write, after, outbox, COMMIT"
    )


async def test_a_quote_is_one_statement_however_long_the_cart(shop: Bench) -> None:
    pricing = shop.ask(Pricing)
    skus = [Sku(f"{number:03}") for number in range(100)]
    await pricing.set_prices(prices=tuple(price(1999, sku=sku) for sku in skus))
    run = shop.watch()

    quote = await pricing.quote(
        market=EU, lines=tuple(Line(sku=sku, quantity=2) for sku in reversed(skus))
    )

    assert len(run) == 1
    assert quote.total == Money(amount=100 * 2 * 1999, currency="EUR")
    assert [line.sku for line in quote.lines] == skus[::-1]


async def test_prices_that_are_changed_at_once_are_told_as_they_end(shop: Bench) -> None:
    pricing = shop.ask(Pricing)
    codes = [f"list-{number}" for number in range(6)]
    for priority, code in enumerate(codes):
        await pricing.save_price_list(price_list=replace(BASE, code=code, priority=priority))
    await asyncio.gather(*(pricing.markets() for _ in range(9)))  # Each has a connection now.

    await asyncio.gather(
        *(
            pricing.set_prices(prices=(price(100 * at, on=code), price(at, on=code, sku=PIN)))
            for at, code in enumerate(codes)
        ),
        *(pricing.remove_prices(price_list=code, skus=(PIN,)) for code in codes[3:]),
    )

    assert await told(shop) == await offered(shop, LAMP, PIN)


async def test_each_turn_goes_on_where_the_one_before_has_ended(shop: Bench) -> None:
    database, now = shop.app.rooms["pricing"].database, shop.clock.now()

    async def turn(seconds: int) -> store.Turn:
        async with database.begin() as tx:
            return await store.take_turn(tx, now + timedelta(seconds=seconds))

    turns = await asyncio.gather(*(turn(seconds) for seconds in (3, 1, 4, 1, 5, 9, 2, 6)))

    in_order = sorted(turns, key=lambda one: one.version)
    assert [one.told_until for one in in_order[1:]] == [one.now for one in in_order[:-1]]
    assert max(one.now for one in turns) == in_order[-1].now


async def test_one_of_two_who_open_the_same_market_at_once_learns_of_the_other(
    shop: Bench,
) -> None:
    pricing, database = shop.ask(Pricing), shop.app.rooms["pricing"].database
    swiss = replace(euro_market(), code=MarketCode("ch"), currency="CHF", version=1)
    async with database.begin() as tx:
        await store.save_market(tx, swiss)
        other = asyncio.create_task(pricing.save_market(market=swiss), context=Context())
        for _ in range(1000):
            if await tx.value("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                break
            await asyncio.sleep(0.01)

    with pytest.raises(StaleMarket):
        await other


async def test_tax_rates_that_are_changed_at_once_all_count(shop: Bench) -> None:
    pricing = shop.ask(Pricing)
    rate = TaxRate(market=EU, tax_class="standard", millionths=0, name="VAT", country="AT")

    await asyncio.gather(
        *(pricing.set_tax_rate(rate=replace(rate, millionths=number)) for number in range(1, 9))
    )

    assert (await pricing.tax_rate(market=EU, tax_class="standard", country="AT")).version == 8


def published(
    *skus: Sku, tax_class: str = "books", version: int = 1, product: int = 1
) -> ProductPublished:
    return ProductPublished(
        product=Product(
            id=ProductId(UUID(int=product)),
            slug=f"product-{product}",
            title="A product",
            tax_class=tax_class,
            variants=tuple(Variant(sku=sku) for sku in skus),
            version=version,
        )
    )


async def millionths(shop: Bench, sku: Sku) -> int:
    quote = await shop.ask(Pricing).quote(market=EU, lines=(Line(sku=sku, quantity=1),))
    return quote.lines[0].tax_millionths


@pytest.fixture
async def priced(shop: Bench) -> Bench:
    await shop.ask(Pricing).set_prices(prices=(price(1999), price(250, sku=PIN)))
    return shop


async def test_a_sku_is_taxed_as_its_product_is(priced: Bench) -> None:
    assert await millionths(priced, LAMP) == 190_000, "standard, until the catalog says otherwise"

    priced.deliveries = 2
    await priced.hear(published(LAMP))

    assert await millionths(priced, LAMP) == 70_000
    assert await millionths(priced, PIN) == 190_000


async def test_news_of_a_product_that_comes_late_is_old(priced: Bench) -> None:
    await priced.hear(published(LAMP, tax_class="standard", version=3))
    await priced.hear(published(LAMP, PIN, tax_class="books", version=2))

    assert await millionths(priced, LAMP) == 190_000
    assert await millionths(priced, PIN) == 190_000


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (2, 0, 1)])
@pytest.mark.parametrize(("old", "new"), [(1, 2), (2, 1)])
@pytest.mark.parametrize("at_once", [1, 3])
async def test_a_sku_that_moves_to_another_product_is_taxed_as_that_one(
    priced: Bench, order: tuple[int, ...], old: int, new: int, at_once: int
) -> None:
    events = (
        published(LAMP, PIN, tax_class="standard", version=1, product=old),
        published(PIN, tax_class="standard", version=2, product=old),
        published(LAMP, tax_class="books", version=1, product=new),
    )

    for start in range(0, 3, at_once):
        await priced.hear(*(events[at] for at in order[start : start + at_once]))

    assert await millionths(priced, LAMP) == 70_000
    assert await millionths(priced, PIN) == 190_000


async def test_the_database_refuses_what_cannot_be(priced: Bench) -> None:
    for broken in (
        "UPDATE price_lists SET currency = 'USD'",
        "UPDATE markets SET currency = 'USD'",
        "UPDATE prices SET amount = -1",
        "UPDATE tax_rates SET millionths = -1",
        "UPDATE tax_rates SET region = 'BY'",
        "UPDATE price_lists SET since = '2026-01-01', until = '2026-01-01'",
        "INSERT INTO told (sole) VALUES (true)",
        "INSERT INTO told (sole) VALUES (false)",
    ):
        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            async with priced.app.rooms["pricing"].database.begin() as tx:
                await tx.execute(broken)

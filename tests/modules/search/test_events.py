"""What events make of the documents: in any order, twice, late, and all at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from banyan.kernel.event import Event
from banyan.kernel.testing import Bench, Server, bench
from banyan.modules.catalog.contract import (
    AttributesChanged,
    CategoriesChanged,
    ProductPublished,
)
from banyan.modules.pricing.contract import MarketChanged
from banyan.modules.search import reactions
from banyan.modules.search.contract import Rebuild, Search
from banyan.modules.search.module import module
from banyan.modules.search.sagas import BEFORE_ALL
from banyan.vocabulary import Locale
from tests.modules.search.examples import (
    CHAIR,
    CHAIRS,
    DE,
    DESK_LAMP,
    EN,
    EUROPE,
    EVENTS,
    FLOOR_LAMP,
    HEIGHT,
    HOME,
    LAMPS,
    TREE,
    database,
    documents,
    prices,
    product,
    retired,
    service,
    stock,
)

LATER: tuple[Event, ...] = (
    MarketChanged(market=replace(EUROPE, locales=(DE, EN, Locale("fr")), version=2)),
    CategoriesChanged(
        categories=(HOME, CHAIRS, replace(LAMPS, parent=None, title={EN: "Lights"})), version=2
    ),
    AttributesChanged(attributes=(replace(HEIGHT, facet=True),), version=2),
    ProductPublished(product=replace(DESK_LAMP, slug="task-lamp", title="Task Lamp", version=2)),
    ProductPublished(product=replace(CHAIR, variants=CHAIR.variants[:1], version=2)),
    retired(FLOOR_LAMP),
    prices(2, desk_lamp_1=None, desk_lamp_2=4500, wooden_chair_2=100),
    prices(3, desk_lamp_1=3900),
    stock(2, desk_lamp_1=0, wooden_chair_1=7),
)


async def outcome(server: Server, folder: Path, events: list[Event]) -> list[tuple[object, ...]]:
    """Tell what documents there are after some events."""
    async with bench(server, [module], folder=folder) as shop:
        await shop.hear(*events)
        assert await service(shop).audit() == []
        return await documents(shop)


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.permutations(EVENTS + LATER),
    st.lists(st.sampled_from(EVENTS + LATER), max_size=12),
)
async def test_events_in_any_order_twice_and_late_lead_to_the_same_documents(
    server: Server, tmp_path: Path, once: list[Event], again: list[Event]
) -> None:
    expected = await outcome(server, tmp_path, [*EVENTS, *LATER])

    reached = await outcome(server, tmp_path, [*once, *again])

    assert len(expected) == 6
    assert reached == expected


async def test_parallel_writers_leave_no_document_that_knows_only_one_of_them(
    empty: Bench,
) -> None:
    made = [product(number, f"Lamp {number}") for number in range(1, 13)]
    await empty.hear(*EVENTS[:4])

    async with asyncio.TaskGroup() as together:
        for one in made:
            name = one.slug.replace("-", "_")
            published = ProductPublished(product=one)
            together.create_task(reactions.products_published(service(empty), [published]))
            for version, sku in enumerate((f"{name}_1", f"{name}_2"), start=1):
                cost, there = prices(version, **{sku: 100}), stock(version, **{sku: 1})
                together.create_task(reactions.prices_changed(service(empty), [cost]))
                together.create_task(reactions.stock_changed(service(empty), [there]))

    assert await service(empty).audit() == []
    found = await empty.ask(Search).find()
    assert [card.available for card in found.items] == [True] * 12


@pytest.mark.parametrize(
    ("event", "shown"),
    [
        (prices(9, desk_lamp_2=9900), True),
        (prices(9, desk_lamp_1=100), True),
        (stock(1, wooden_chair_2=100), True),
        (stock(9, desk_lamp_1=0), True),
        (stock(9, desk_lamp_1=1), True),
        (stock(0, desk_lamp_1=0), False),
    ],
)
async def test_what_a_page_shows_is_told_to_have_changed(
    shop: Bench, event: Event, *, shown: bool
) -> None:
    await shop.hear(stock(2, desk_lamp_1=100))
    run = shop.watch()

    await shop.hear(event)

    assert any("pg_notify" in sql for _, sql in run) == shown


async def test_stock_that_nobody_is_shown_is_not_told(shop: Bench) -> None:
    await shop.hear(stock(2, desk_lamp_1=100))
    run = shop.watch()

    await shop.hear(stock(3, desk_lamp_1=99))

    assert not any("pg_notify" in sql for _, sql in run)


async def cost(shop: Bench, event: Event) -> int:
    """Count the statements that an event takes, delivery included."""
    run = shop.watch()
    await shop.hear(event)
    return len(run)


async def test_an_event_takes_as_many_statements_whatever_it_is_about(shop: Bench) -> None:
    many = [product(100 + number, f"Shade {number}") for number in range(100)]
    skus = [f"shade_{number}_{place}" for number in range(100) for place in (1, 2)]
    await shop.hear(*(ProductPublished(product=one) for one in many))

    of_one = [
        await cost(shop, prices(2, shade_1_1=100)),
        await cost(shop, stock(2, shade_1_1=1)),
        await cost(shop, replace(TREE, version=2, categories=(HOME, LAMPS))),
    ]
    of_many = [
        await cost(shop, prices(3, **dict.fromkeys(skus, 200))),
        await cost(shop, stock(3, **dict.fromkeys(skus, 2))),
        await cost(shop, replace(TREE, version=3, categories=(HOME, CHAIRS))),
    ]

    assert of_many == of_one
    assert await service(shop).audit() == []


async def test_news_that_is_old_touches_nothing(shop: Bench) -> None:
    before = await documents(shop)
    rows = "SELECT (SELECT json_agg(xmin) FROM documents), (SELECT json_agg(xmin) FROM listings)"
    written = tuple(await database(shop).all(rows))

    await shop.hear(*EVENTS)
    await shop.hear(prices(0, desk_lamp_1=1), stock(0, desk_lamp_1=99))

    assert await documents(shop) == before
    assert tuple(await database(shop).all(rows)) == written


@pytest.fixture
async def by_ones(server: Server, tmp_path: Path) -> AsyncIterator[Bench]:
    """Open a shop that makes one document at a time."""
    turned = {"search": {"rebuilt_at_once": 1}}
    async with bench(server, [module], folder=tmp_path, configured=turned) as shop:
        await shop.hear(*EVENTS, *LATER)
        yield shop


CORRUPTIONS = """
    UPDATE documents SET brand = 'Wrong' WHERE slug = 'task-lamp';
    DELETE FROM listings USING documents WHERE slug = 'wooden-chair'
        AND documents.product = listings.product;
    INSERT INTO documents SELECT '00000000-0000-0000-0000-0000000000ff', 'ghost', titles,
        sort_keys, image, image_alt, brand, category, facets, labels, glossary, languages, words,
        spelled, changed
        FROM documents WHERE slug = 'task-lamp';
    INSERT INTO listings SELECT 'moon', product, 1, NULL, 'EUR', false, true
        FROM documents WHERE slug = 'task-lamp';
    INSERT INTO spellings VALUES ('lmap')"""


async def corrupt(shop: Bench) -> None:
    """Make documents wrong in every way."""
    for statement in CORRUPTIONS.split(";"):
        await database(shop).value(statement)


async def test_a_rebuild_ends_where_the_events_have_led(by_ones: Bench) -> None:
    search = by_ones.ask(Search)
    expected = await documents(by_ones)
    await corrupt(by_ones)

    first = await search.rebuild(rebuild=UUID(int=1))
    again = await search.rebuild(rebuild=UUID(int=1))
    second = await search.rebuild(rebuild=UUID(int=2))

    assert first == again == Rebuild(id=UUID(int=1), state="done", corrected=3)
    assert second == Rebuild(id=UUID(int=2), state="done", corrected=0)
    assert await documents(by_ones) == expected
    left = await database(by_ones).all(
        "SELECT spelling FROM spellings WHERE spelling = 'lmap' "
        "UNION ALL SELECT slug FROM shadow_documents"
    )
    assert left == []


async def test_shoppers_see_nothing_of_a_rebuild_until_it_is_done(by_ones: Bench) -> None:
    undertaking = service(by_ones).make_anew
    await corrupt(by_ones)
    wrong = await documents(by_ones)

    await undertaking.begin()
    last = await undertaking.make(after=BEFORE_ALL)
    while last:
        last = await undertaking.make(after=last)
    during = await documents(by_ones)
    await undertaking.change_places()

    assert during == wrong
    assert await service(by_ones).audit() == []


async def test_what_happens_during_a_rebuild_is_not_undone_by_it(shop: Bench) -> None:
    undertaking = service(shop).make_anew
    await undertaking.begin()
    await undertaking.make(after=BEFORE_ALL)

    await shop.hear(
        retired(CHAIR),
        ProductPublished(product=replace(DESK_LAMP, brand="Nord", version=2)),
        prices(2, floor_lamp_1=1),
    )
    now = await documents(shop)
    corrected = await undertaking.change_places()

    assert corrected == 0
    assert await documents(shop) == now


async def test_a_document_that_drifted_is_found_and_mended(by_ones: Bench) -> None:
    expected = await documents(by_ones)
    await corrupt(by_ones)

    found, mended = await service(by_ones).audit(), await service(by_ones).mend()

    assert len([finding for finding in found if finding.startswith("product ")]) == 3
    assert len(mended) == len(found)
    assert await service(by_ones).audit() == []
    assert await documents(by_ones) == expected

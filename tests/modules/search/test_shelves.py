"""The home page, what is like a product, the head of a list and the sitemap, on a real database."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from banyan.kernel.testing import Bench, Server, bench
from banyan.modules.catalog.contract import CategoriesChanged, ProductPublished
from banyan.modules.pricing.contract import MarketChanged
from banyan.modules.search.contract import (
    CategoryHead,
    CategoryShown,
    Crumb,
    NoSuchProduct,
    ProductCard,
    Search,
    Shelf,
    Told,
)
from banyan.modules.search.module import module
from banyan.vocabulary import MarketCode, UnknownMarket
from tests.modules.search.examples import (
    CHAIR,
    CHAIRS,
    DE,
    DESK_LAMP,
    EN,
    EU,
    EUROPE,
    EVENTS,
    FLOOR_LAMP,
    HOME,
    LAMPS,
    US,
    database,
    prices,
    product,
    retired,
    service,
    stock,
)

GARDEN = replace(HOME, slug="garden", title={EN: "Garden", DE: "Garten"}, position=-1)


def slugs(cards: tuple[ProductCard, ...]) -> list[str]:
    return [card.slug for card in cards]


def rows(shelves: Told[Shelf]) -> list[tuple[str, list[str]]]:
    return [(shelf.title, slugs(shelf.cards)) for shelf in shelves.items]


async def with_garden(shop: Bench) -> Search:
    """Add a category before the others, and a bench in it."""
    seat = replace(product(4, "Bench", "garden"), brand="Lumo", pictures=())
    await shop.hear(
        CategoriesChanged(categories=(HOME, LAMPS, CHAIRS, GARDEN), version=2),
        ProductPublished(product=seat),
        prices(4, bench_1=100),
    )
    return shop.ask(Search)


async def test_a_home_page_is_read_in_one_statement(linked: Bench) -> None:
    search = await with_garden(linked)
    run = linked.watch()

    shown = await search.shelves(wishes=(DE,), limit=2)

    assert len(run) == 1
    assert (shown.market, shown.locale, shown.tax_inclusive) == (EU, DE, True)
    assert rows(shown) == [
        ("Neu eingetroffen", ["bench", "wooden-chair"]),
        ("Garten", ["bench"]),
        ("Zuhause", ["wooden-chair", "floor-lamp"]),
    ]
    assert [shelf.category for shelf in shown.items] == [
        None,
        CategoryShown(slug="garden", title="Garten", parent=None, count=1),
        CategoryShown(
            slug="home", title="Zuhause", parent=None, count=3, image="/media/wooden-chair.svg"
        ),
    ]


async def test_a_card_is_the_same_wherever_it_is_shown(shop: Bench) -> None:
    search = shop.ask(Search)

    listed = await search.find(wishes=(DE,))
    shelves = await search.shelves(wishes=(DE,))
    alike = await search.related(slug="floor-lamp", wishes=(DE,))

    assert shelves.items[0].cards == shelves.items[1].cards == listed.items
    assert set(alike.items) < set(listed.items)


async def test_nothing_stands_on_a_shelf_that_is_not_for_sale_in_the_market(shop: Bench) -> None:
    search = await with_garden(shop)
    await shop.hear(prices(5, bench_1=None))

    assert [title for title, _ in rows(await search.shelves())] == ["New in", "Home"]


async def test_an_empty_shop_has_no_shelves(empty: Bench) -> None:
    before = await empty.ask(Search).shelves()
    await empty.hear(MarketChanged(market=EUROPE))

    assert (before.items, before.market) == ((), "")
    assert (await empty.ask(Search).shelves()).items == ()


async def test_what_is_most_like_a_product_comes_first_but_what_can_be_bought_before(
    linked: Bench,
) -> None:
    search = await with_garden(linked)
    twin = replace(product(5, "Twin Lamp"), attributes={"material": "Steel"}, brand="Lumo")
    await linked.hear(
        ProductPublished(product=twin), prices(5, twin_lamp_1=5), stock(5, twin_lamp_1=1)
    )
    run = linked.watch()

    alike = await search.related(slug="floor-lamp")

    assert len(run) == 1
    assert slugs(alike.items) == ["twin-lamp", "desk-lamp", "wooden-chair", "bench"]
    assert [card.available for card in alike.items] == [True, True, False, False]
    assert slugs((await search.related(slug="floor-lamp", limit=1)).items) == ["twin-lamp"]


async def test_what_is_retired_or_not_sold_in_the_market_is_like_nothing(shop: Bench) -> None:
    await shop.hear(retired(CHAIR), prices(5, floor_lamp_1=None))

    assert (await shop.ask(Search).related(slug="desk-lamp")).items == ()


async def test_nothing_is_like_a_product_that_is_not_there(linked: Bench) -> None:
    with pytest.raises(NoSuchProduct):
        await linked.ask(Search).related(slug="nothing")
    with pytest.raises(UnknownMarket):
        await linked.ask(Search).related(slug="desk-lamp", market=MarketCode("moon"))
    with pytest.raises(UnknownMarket):
        await linked.ask(Search).shelves(market=MarketCode("moon"))


async def test_a_list_tells_where_it_is_in_the_tree(linked: Bench) -> None:
    search = linked.ask(Search)

    home, lamps = (
        await search.find(category="home"),
        await search.find(category="lamps", wishes=(DE,), market=EU),
    )

    assert lamps.category == CategoryHead(
        slug="lamps", title="Leuchten", crumbs=(Crumb(slug="home", title="Zuhause"),)
    )
    assert home.category
    assert (home.category.crumbs, home.tax_inclusive) == ((), True)
    assert [(one.slug, one.count, one.image) for one in home.category.children] == [
        ("lamps", 2, "/media/floor-lamp.svg"),
        ("chairs", 1, "/media/wooden-chair.svg"),
    ]
    assert (await search.find()).category is None
    assert not (await search.find(market=US)).tax_inclusive


async def test_a_list_tells_how_long_it_is_whatever_is_chosen_and_however_short_its_pages(
    linked: Bench,
) -> None:
    search = linked.ask(Search)

    totals = [
        (await search.find(limit=1)).total,
        (await search.find(category="lamps")).total,
        (await search.find(q="chair")).total,
        (await search.find(filters={"brand": ("acme",), "color": ("red",)})).total,
        (await search.find(filters={"brand": ("acme", "lumo")}, limit=1)).total,
        (await search.find(filters={"color": ("purple",), "brand": ("none",)})).total,
    ]

    assert totals == [3, 2, 1, 1, 3, 0]
    assert not (await search.find()).uncounted


@pytest.mark.parametrize(("counted", "told"), [(2, (2, True)), (3, (3, True)), (4, (3, False))])
async def test_a_list_that_is_too_long_to_be_counted_says_so(
    server: Server, tmp_path: Path, counted: int, told: tuple[int, bool]
) -> None:
    turned = {"search": {"counted": counted}}
    async with bench(server, [module], folder=tmp_path, configured=turned) as shop:
        await shop.hear(*EVENTS)
        search = shop.ask(Search)

        everything = await search.find()
        found = await search.find(filters={"available": ("true", "false")})
        chosen = await search.find(filters={"brand": ("nobody",)})

    assert (everything.total, everything.uncounted) == (3, False)
    assert (found.total, found.uncounted) == told
    assert (chosen.total, chosen.uncounted) == (0, told[1])


async def test_a_place_is_counted_whatever_happens_to_its_products(shop: Bench) -> None:
    moved = replace(FLOOR_LAMP, categories=("chairs",), brand="Acme", version=2)
    await shop.hear(ProductPublished(product=moved), retired(CHAIR))

    tree = await shop.ask(Search).categories()

    assert {one.slug: one.count for one in tree.items} == {"home": 2, "lamps": 1, "chairs": 1}
    assert await service(shop).audit() == []


async def test_what_is_counted_wrong_is_found_and_mended(shop: Bench) -> None:
    async with database(shop).begin() as tx:
        await tx.execute("UPDATE tallies SET products = products + 1 WHERE place = 'category:home'")
        await tx.execute("DELETE FROM tallies WHERE place = '' AND token = ''")

    found = await service(shop).audit()
    mended = await service(shop).mend()

    assert found == [
        f"{place} in {market}: other products are counted than stand there"
        for market in ("eu", "us")
        for place in ("everywhere", "category:home")
    ]
    assert mended == [f"{finding}: counted anew" for finding in found]
    assert await service(shop).audit() == []
    assert (await shop.ask(Search).find()).total == 3


async def test_a_sitemap_tells_every_product_once_and_when_it_changed(linked: Bench) -> None:
    search = linked.ask(Search)
    linked.clock.advance(60)
    await linked.hear(ProductPublished(product=replace(DESK_LAMP, brand="Nord", version=2)))
    await linked.hear(prices(5, floor_lamp_1=1))

    parts = await search.sitemap_parts(limit=2)
    told = [entry for after in parts for entry in await search.sitemap(after=after, limit=2)]

    assert parts == ("", "floor-lamp")
    assert [entry.slug for entry in told] == ["desk-lamp", "floor-lamp", "wooden-chair"]
    ages = [(linked.clock.now() - entry.changed).total_seconds() for entry in told]
    assert ages == [0, 60, 60]


async def test_a_sitemap_has_no_empty_part(shop: Bench) -> None:
    search = shop.ask(Search)

    parts = {limit: await search.sitemap_parts(limit=limit) for limit in (1, 3, 4)}

    assert parts == {1: ("", "desk-lamp", "floor-lamp"), 3: ("",), 4: ("",)}

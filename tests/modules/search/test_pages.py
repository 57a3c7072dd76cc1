"""The product page, and the ways to it, on a real database."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from banyan.kernel.testing import Bench
from banyan.modules.catalog.contract import CategoriesChanged, ProductPublished, ProductText
from banyan.modules.pricing.contract import MarketChanged
from banyan.modules.search.contract import CategoryShown, NoSuchProduct, ProductPage, Search
from banyan.vocabulary import Locale, MarketCode, Money, UnknownMarket
from tests.modules.search.examples import (
    CHAIR,
    CHAIRS,
    DE,
    DESK_LAMP,
    EN,
    EU,
    EUROPE,
    EVENTS,
    HOME,
    LAMPS,
    US,
    documents,
    prices,
    retired,
    stock,
)

LAMP_PICTURE, CHAIR_PICTURE = "/media/floor-lamp.svg", "/media/wooden-chair.svg"


async def page(shop: Bench, slug: str = "desk-lamp", **wanted: str) -> ProductPage:
    return await shop.ask(Search).product_page(
        slug=slug,
        market=MarketCode(wanted["market"]) if "market" in wanted else None,
        wishes=(wanted["locale"],) if "locale" in wanted else (),
    )


async def test_a_page_shows_all_of_a_product_in_one_statement(linked: Bench) -> None:
    run = linked.watch()

    shown = await page(linked)

    assert len(run) == 1
    assert (shown.title, shown.brand, shown.market, shown.locale) == ("Desk Lamp", "Acme", EU, EN)
    assert shown.tax_inclusive
    assert (shown.price, shown.available) == (Money(amount=4900, currency="EUR"), True)
    assert [(one.sku, one.options, one.price) for one in shown.variants] == [
        ("desk-lamp-1", {"Color": "Red"}, Money(amount=4900, currency="EUR")),
        ("desk-lamp-2", {"Color": "Blue"}, Money(amount=5900, currency="EUR")),
    ]
    assert [(one.name, one.values) for one in shown.options] == [("Color", ("Red", "Blue"))]
    assert [(one.title, one.value, one.unit) for one in shown.attributes] == [
        ("Height", 40, "cm"),
        ("Material", "Oak", ""),
    ]
    assert [crumb.slug for crumb in shown.categories] == ["home", "lamps"]
    assert shown.pictures[0].url == "/media/desk-lamp.svg"


async def test_a_language_falls_back_to_the_markets_first(shop: Bench) -> None:
    shown = {locale: await page(shop, locale=locale) for locale in ("de", "de-AT", "en-GB", "fr")}

    assert {locale: (one.title, one.categories[-1].title) for locale, one in shown.items()} == {
        "de": ("Schreibtischlampe", "Leuchten"),
        "de-AT": ("Schreibtischlampe", "Leuchten"),
        "en-GB": ("Desk Lamp", "Lamps"),
        "fr": ("Desk Lamp", "Lamps"),
    }


async def test_what_is_not_translated_is_told_in_the_products_own_words(shop: Bench) -> None:
    shown = await page(shop, "wooden-chair", locale="de")

    assert (shown.locale, shown.title, shown.categories[-1].title) == (DE, CHAIR.title, "Stühle")


async def test_options_choices_and_pictures_are_told_in_the_language_of_the_page(
    linked: Bench,
) -> None:
    shown = await page(linked, locale="de-AT")

    assert [(one.name, one.values) for one in shown.options] == [("Farbe", ("Rot", "Blue"))]
    assert [one.options for one in shown.variants] == [{"Farbe": "Rot"}, {"Farbe": "Blue"}]
    assert [(one.title, one.value) for one in shown.attributes] == [
        ("Höhe", 40),
        ("Werkstoff", "Eiche"),
    ]
    assert [(one.url, one.alt) for one in shown.pictures] == [
        ("/media/desk-lamp.svg", "Eine Leuchte im Abendlicht")
    ]


async def test_a_dialect_says_only_what_differs(shop: Bench) -> None:
    words = {DE: ProductText(words={"Color": "Farbe", "Red": "Rot", "Blue": "Blau"})}
    words[Locale("de-AT")] = ProductText(words={"Red": "Ribisel"})
    await shop.hear(
        MarketChanged(market=replace(EUROPE, locales=(EN, DE, Locale("de-AT")), version=2)),
        ProductPublished(product=replace(DESK_LAMP, translations=words, version=2)),
    )

    shown = await page(shop, locale="de-AT")

    assert [(one.name, one.values) for one in shown.options] == [("Farbe", ("Ribisel", "Blau"))]


async def test_the_first_wish_that_the_market_speaks_comes_true(shop: Bench) -> None:
    search = shop.ask(Search)

    told = {
        wishes: (await search.product_page(slug="desk-lamp", wishes=wishes)).locale
        for wishes in ((), ("fr",), ("fr", "DE-ch", "en"), ("en-GB", "de"))
    }

    assert list(told.values()) == [EN, EN, DE, EN]
    assert (await search.categories(wishes=("fr", "de"))).locale == DE
    assert (await search.suggest(q="x", market=US, wishes=("de",))).locale == "en-US"


async def test_a_market_has_its_own_prices_and_languages(shop: Bench) -> None:
    shown = await page(shop, market=US, locale="de")

    assert shown.price == Money(amount=4900, currency="USD")
    assert (shown.locale, shown.tax_inclusive, shown.title) == ("en-US", False, "Desk Lamp")


async def test_only_the_last_few_units_are_told(shop: Bench) -> None:
    few, none = (await page(shop)).variants
    (many, _) = (await page(shop, "floor-lamp")).variants

    assert [(one.available, one.left) for one in (few, none, many)] == [
        (True, 3),
        (False, None),
        (True, None),
    ]


async def test_what_has_no_price_can_be_looked_at_but_not_bought(shop: Bench) -> None:
    await shop.hear(prices(2, floor_lamp_1=None))

    shown = await page(shop, "floor-lamp")

    assert (shown.price, shown.available, shown.variants[0].available) == (None, False, False)


async def test_an_unknown_product_and_an_unknown_market_are_told_apart(linked: Bench) -> None:
    with pytest.raises(NoSuchProduct) as product:
        await page(linked, "nothing")
    with pytest.raises(UnknownMarket) as market:
        await page(linked, market="moon")

    assert (product.value.slug, market.value.market) == ("nothing", "moon")


async def test_a_closed_market_is_as_one_that_never_was(shop: Bench) -> None:
    await shop.hear(MarketChanged(market=replace(EUROPE, open=False, version=2)))

    with pytest.raises(UnknownMarket):
        await page(shop, market=EU)
    with pytest.raises(UnknownMarket):
        await shop.ask(Search).find(market=EU)

    assert (await page(shop)).market == US
    assert (await shop.ask(Search).find()).market == US


async def test_a_shop_without_a_market_shows_its_products_without_prices(empty: Bench) -> None:
    await empty.hear(*(event for event in EVENTS if isinstance(event, ProductPublished)))

    shown = await page(empty)

    assert (shown.title, shown.price, shown.market) == ("Desk Lamp", None, "")
    assert (await empty.ask(Search).find()).items == ()


async def test_the_version_of_a_page_changes_with_whatever_it_shows(shop: Bench) -> None:
    versions = [(await page(shop)).version]

    for event in (
        stock(2, desk_lamp_1=2),
        prices(2, desk_lamp_2=6900),
        ProductPublished(product=replace(DESK_LAMP, brand="Nord", version=2)),
        CategoriesChanged(categories=(HOME, replace(LAMPS, title={EN: "Lights"})), version=2),
    ):
        await shop.hear(event)
        versions.append((await page(shop)).version)
    again = (await page(shop)).version

    assert len(set(versions)) == 5
    assert again == versions[-1]


async def test_a_retired_product_vanishes_whatever_late_news_says(shop: Bench) -> None:
    await shop.hear(retired(DESK_LAMP))
    await shop.hear(ProductPublished(product=replace(DESK_LAMP, title="Ghost")))
    await shop.hear(prices(2, desk_lamp_1=1), stock(2, desk_lamp_1=9))

    with pytest.raises(NoSuchProduct):
        await page(shop)
    assert "desk-lamp" not in {card.slug for card in (await shop.ask(Search).find()).items}
    assert all(DESK_LAMP.id not in row for row in await documents(shop))


async def test_a_product_moves_to_its_new_address(shop: Bench) -> None:
    await shop.hear(ProductPublished(product=replace(DESK_LAMP, slug="task-lamp", version=2)))
    await shop.hear(ProductPublished(product=replace(CHAIR, slug="desk-lamp", version=2)))

    assert (await page(shop, "task-lamp")).title == "Desk Lamp"
    assert (await page(shop, "desk-lamp")).title == "Wooden Chair"


async def test_categories_count_their_childrens_products_in_one_statement(linked: Bench) -> None:
    run = linked.watch()

    shown = await linked.ask(Search).categories(wishes=(DE,))

    assert len(run) == 1
    assert (shown.market, shown.locale) == (EU, DE)
    assert shown.items == (
        CategoryShown(slug="home", title="Zuhause", parent=None, count=3, image=CHAIR_PICTURE),
        CategoryShown(slug="lamps", title="Leuchten", parent="home", count=2, image=LAMP_PICTURE),
        CategoryShown(slug="chairs", title="Stühle", parent="home", count=1, image=CHAIR_PICTURE),
    )


async def test_siblings_stand_in_the_order_of_their_positions_and_below_their_parents(
    shop: Bench,
) -> None:
    tree = (
        replace(HOME, position=2),
        replace(CHAIRS, position=1),
        replace(LAMPS, position=2),
        replace(LAMPS, slug="desk-lamps", parent="lamps"),
        replace(LAMPS, slug="floor-lamps", parent="lamps", position=-1),
        replace(HOME, slug="garden", position=1),
        replace(HOME, slug="attic", position=2),
    )
    await shop.hear(CategoriesChanged(categories=tree[::-1], version=2))

    shown = await shop.ask(Search).categories()

    assert [one.slug for one in shown.items] == [
        *("garden", "attic", "home", "chairs", "lamps", "floor-lamps", "desk-lamps")
    ]


async def test_a_product_follows_its_category_through_the_tree(shop: Bench) -> None:
    await shop.hear(
        CategoriesChanged(
            categories=(HOME, LAMPS, replace(CHAIRS, parent="lamps", title={EN: "Seats"})),
            version=2,
        )
    )

    search = shop.ask(Search)
    assert [crumb.slug for crumb in (await page(shop, "wooden-chair")).categories] == [
        "home",
        "lamps",
        "chairs",
    ]
    assert {card.slug for card in (await search.find(category="lamps")).items} == {
        "desk-lamp",
        "floor-lamp",
        "wooden-chair",
    }
    assert [card.slug for card in (await search.find(q="seats")).items] == ["wooden-chair"]


TYPED = {
    "lam": ["category lamps", "product desk-lamp", "product floor-lamp"],
    "desk la": ["product desk-lamp"],
    "wodden": ["product wooden-chair"],
    "chiar": ["category chairs", "product wooden-chair"],
    "": [],
    "%": [],
    "xyzzy": [],
}


async def test_somebody_who_types_is_understood(linked: Bench) -> None:
    search = linked.ask(Search)
    run = linked.watch()

    suggested = {
        typed: [f"{one.kind} {one.slug}" for one in (await search.suggest(q=typed)).items]
        for typed in TYPED
    }

    assert suggested == TYPED
    assert len(run) == len(TYPED)

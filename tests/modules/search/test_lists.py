"""Lists, what narrows them down, and what queries find, on a real database."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from banyan.kernel.paging import BadCursor
from banyan.kernel.paging import cursor as written
from banyan.kernel.testing import Bench
from banyan.modules.catalog.contract import AttributesChanged, ProductPublished, Variant
from banyan.modules.search.contract import (
    BadFilter,
    Found,
    NoSuchCategory,
    Search,
    Sort,
)
from banyan.modules.search.store import lists, words
from banyan.vocabulary import MarketCode, Money, Sku, UnknownMarket
from tests.modules.search.examples import (
    CHAIR,
    DE,
    DESK_LAMP,
    HEIGHT,
    MATERIAL,
    US,
    prices,
    product,
    stock,
)

WORDS = ("Amber", "Birch", "Cedar", "Dusk", "Ember", "Flint", "Grove", "Haze", "Iris")


def slugs(found: Found) -> list[str]:
    return [card.slug for card in found.items]


def values(found: Found, code: str) -> dict[str, int]:
    return {
        value.value: value.count
        for facet in found.facets
        if facet.code == code
        for value in facet.values
    }


async def with_many(shop: Bench) -> Search:
    """Add products of which several cost the same."""
    made = [product(10 + place, f"{word} Shade") for place, word in enumerate(WORDS)]
    skus = {f"{word.lower()}_shade_1": 1000 * (place // 3) for place, word in enumerate(WORDS)}
    await shop.hear(*(ProductPublished(product=one) for one in made), prices(9, **skus))
    return shop.ask(Search)


async def test_a_list_is_read_in_one_statement_with_its_facets(linked: Bench) -> None:
    run = linked.watch()

    found = await linked.ask(Search).find(category="home")

    assert len(run) == 1
    assert slugs(found) == ["wooden-chair", "floor-lamp", "desk-lamp"]
    assert found.next is None
    card = found.items[-1]
    assert (card.title, card.brand, card.category) == ("Desk Lamp", "Acme", "lamps")
    assert (card.price, card.price_varies, card.available) == (
        Money(amount=4900, currency="EUR"),
        True,
        True,
    )
    assert (card.image, card.image_alt) == ("/media/desk-lamp.svg", "Desk Lamp")
    assert [facet.code for facet in found.facets] == [
        "category",
        "price",
        "available",
        "brand",
        "color",
        "material",
    ]
    assert values(found, "category") == {"lamps": 2, "chairs": 1}
    assert values(found, "price") == {"2000-5000": 1, "5000-10000": 1, "10000-20000": 1}
    assert values(found, "available") == {"true": 2, "false": 1}
    assert values(found, "color") == {"blue": 3, "red": 2, "green": 1}


async def test_facets_speak_the_language_of_the_list(shop: Bench) -> None:
    found = await shop.ask(Search).find(category="home", wishes=(DE,))

    told = {facet.code: [value.title for value in facet.values] for facet in found.facets}
    assert {facet.title for facet in found.facets} == {
        *("Kategorie", "Marke", "Farbe", "Vorrätig", "Werkstoff", "Preis")
    }
    assert (told["color"], told["material"]) == (["Blue", "Rot", "Green"], ["Eiche", "Steel"])
    assert values(found, "color") == {"blue": 3, "red": 2, "green": 1}
    assert found.items[-1].image_alt == "Eine Leuchte im Abendlicht"
    assert told["category"] == ["Leuchten", "Stühle"]
    assert told["available"] == ["Ja", "Nein"]
    assert told["price"][0].replace("\xa0", " ") == "20,00 € – 50,00 €"


async def test_a_name_that_is_also_a_word_is_not_translated(shop: Bench) -> None:
    await shop.hear(ProductPublished(product=replace(DESK_LAMP, brand="Red", version=2)))

    found = await shop.ask(Search).find(wishes=(DE,))

    titles = {one.code: [value.title for value in one.values] for one in found.facets}
    assert "Rot" in titles["color"]
    assert "Red" in titles["brand"]


async def test_a_translated_word_is_found(shop: Bench) -> None:
    search = shop.ask(Search)

    found = {
        q: slugs(await search.find(q=q, wishes=(DE,))) for q in ("rote", "eiche", "abendlicht")
    }

    assert found["rote"] == ["desk-lamp"]
    assert set(found["eiche"]) == {"desk-lamp", "wooden-chair"}
    assert found["abendlicht"] == [], "for the words of pictures are not searched"


async def test_a_choice_that_is_reworded_is_found_by_its_new_name(shop: Bench) -> None:
    reworded = replace(MATERIAL, words={DE: {"Oak": "Traubeneiche"}})
    await shop.hear(AttributesChanged(attributes=(reworded, HEIGHT), version=2))

    found = await shop.ask(Search).find(q="traubeneiche", wishes=(DE,))

    assert slugs(found) == ["wooden-chair", "desk-lamp"]


async def test_a_facet_does_not_narrow_itself(shop: Bench) -> None:
    found = await shop.ask(Search).find(
        category="home", filters={"brand": ("acme",), "material": ("oak",)}
    )

    assert slugs(found) == ["wooden-chair", "desk-lamp"]
    assert values(found, "brand") == {"acme": 2}
    assert values(found, "material") == {"oak": 2}
    assert values(found, "category") == {"lamps": 1, "chairs": 1}
    only_brand = await shop.ask(Search).find(category="home", filters={"brand": ("acme",)})
    assert values(only_brand, "brand") == {"acme": 2, "lumo": 1}
    assert values(only_brand, "material") == {"oak": 2}


NARROWED: tuple[tuple[dict[str, tuple[str, ...]], list[str]], ...] = (
    ({"brand": ("lumo", "acme")}, ["wooden-chair", "floor-lamp", "desk-lamp"]),
    ({"Brand": ("ACME",)}, ["wooden-chair", "desk-lamp"]),
    ({"color": ("red",), "material": ("steel",)}, ["floor-lamp"]),
    ({"category": ("chairs",)}, ["wooden-chair"]),
    ({"available": ("true",)}, ["floor-lamp", "desk-lamp"]),
    ({"price": ("4900-8900",)}, ["desk-lamp"]),
    ({"price": ("-5000", "10000-")}, ["floor-lamp", "desk-lamp"]),
    ({"price": ("8900-8901",), "color": ("green",)}, ["wooden-chair"]),
    ({"color": ("purple",)}, []),
    ({"nothing": ("at all",)}, []),
    ({"height": ("40",)}, []),
    ({"color": ()}, ["wooden-chair", "floor-lamp", "desk-lamp"]),
)


async def test_a_list_is_narrowed_by_what_is_chosen(linked: Bench) -> None:
    search = linked.ask(Search)

    found = [slugs(await search.find(filters=filters)) for filters, _ in NARROWED]

    assert found == [expected for _, expected in NARROWED]


async def test_a_range_of_prices_that_is_none_is_refused(shop: Bench) -> None:
    for wrong in ("cheap", "5", "20-10", "1-2-3", "-5-", "٣-", "[1,2)"):
        with pytest.raises(BadFilter) as refused:
            await shop.ask(Search).find(filters={"price": (wrong,)})

        assert refused.value.value == wrong


async def test_an_attribute_becomes_a_facet_when_the_merchant_says_so(shop: Bench) -> None:
    height = replace(HEIGHT, facet=True)
    await shop.hear(AttributesChanged(attributes=(height,), version=2))

    found = await shop.ask(Search).find()

    assert values(found, "height") == {"40": 2, "160": 1}
    assert values(found, "material") == {}


SORTED: dict[Sort, list[str]] = {
    "newest": ["wooden-chair", "floor-lamp", "desk-lamp"],
    "price": ["desk-lamp", "wooden-chair", "floor-lamp"],
    "-price": ["floor-lamp", "wooden-chair", "desk-lamp"],
    "title": ["desk-lamp", "floor-lamp", "wooden-chair"],
    "relevance": ["wooden-chair", "floor-lamp", "desk-lamp"],
}


async def test_a_list_has_an_order(shop: Bench) -> None:
    found = {sort: slugs(await shop.ask(Search).find(sort=sort)) for sort in SORTED}

    assert found == SORTED


async def test_titles_are_sorted_as_they_are_read(shop: Bench) -> None:
    found = await shop.ask(Search).find(sort="title", wishes=(DE,))

    assert [card.title for card in found.items] == [
        "Floor Lamp",
        "Schreibtischlampe",
        "Wooden Chair",
    ]


@pytest.mark.parametrize("limit", [1, 4, 12])
async def test_pages_tell_every_product_once_and_in_order(shop: Bench, limit: int) -> None:
    search = await with_many(shop)

    for sort in SORTED:
        q = "new" if sort == "relevance" else ""
        whole = await search.find(q=q, sort=sort, limit=100)
        page = await search.find(q=q, sort=sort, limit=limit)
        told = slugs(page)
        while page.next and len(told) < 100:
            page = await search.find(q=q, sort=sort, limit=limit, cursor=page.next)
            told += slugs(page)

        assert len(set(told)) == 12
        assert told == slugs(whole)


async def test_a_cursor_belongs_to_its_list(shop: Bench) -> None:
    search = await with_many(shop)
    begun = await search.find(sort="price", limit=2)
    name = "0" * 24
    forged = written((name, "0", CHAIR.id))

    for cursor in (forged, "nonsense", "", written(("x",))):
        with pytest.raises(BadCursor):
            await search.find(sort="price", cursor=cursor)
    with pytest.raises(BadCursor):
        await search.find(sort="title", cursor=begun.next)
    with pytest.raises(BadCursor):
        await search.find(sort="price", category="lamps", cursor=begun.next)
    with pytest.raises(BadCursor):
        await search.find(sort="price", filters={"brand": ("acme",)}, cursor=begun.next)
    with pytest.raises(BadCursor):
        await search.find(sort="price", market=US, cursor=begun.next)


async def test_what_has_no_price_in_a_market_is_not_listed_there(shop: Bench) -> None:
    await shop.hear(prices(2, floor_lamp_1=None))

    assert slugs(await shop.ask(Search).find()) == ["wooden-chair", "desk-lamp"]


async def test_an_unknown_category_and_an_unknown_market_are_told_apart(linked: Bench) -> None:
    with pytest.raises(NoSuchCategory):
        await linked.ask(Search).find(category="nowhere")
    with pytest.raises(UnknownMarket):
        await linked.ask(Search).find(market=MarketCode("moon"))


MEANT = {
    "lamp": ["floor-lamp", "desk-lamp"],
    "LAMPS": ["floor-lamp", "desk-lamp"],
    "the desk lamp": ["desk-lamp"],
    "lumo lamp": ["floor-lamp"],
    "steel": ["floor-lamp"],
    "handmade chair": ["wooden-chair"],
    "desk-lamp-2": ["desk-lamp"],
    "wood": ["wooden-chair"],
    "wodden": ["wooden-chair"],
    "flor lamp": ["floor-lamp"],
    "lampp": ["desk-lamp", "floor-lamp"],
    "green": ["wooden-chair"],
    "lamp xyzzy": [],
    "b": [],
    "'; DROP TABLE documents --": [],
    "%": [],
}


async def test_a_query_is_understood_even_when_it_is_misspelt(linked: Bench) -> None:
    search = linked.ask(Search)
    run = linked.watch()

    found = {q: slugs(await search.find(q=q)) for q in MEANT}

    assert found == MEANT
    assert len(run) == len(MEANT)


async def test_a_query_is_read_in_the_language_of_the_shopper(shop: Bench) -> None:
    for q in ("lampe", "Lampen", "schreibtisch", "Schreibtichlampe", "leuchten"):
        assert "desk-lamp" in slugs(await shop.ask(Search).find(q=q, wishes=(DE,))), q


async def test_an_accent_is_not_needed(shop: Bench) -> None:
    await shop.hear(ProductPublished(product=replace(CHAIR, title="Fauteuil Café", version=2)))

    for q in ("cafe", "café", "CAFÉ"):
        assert slugs(await shop.ask(Search).find(q=q)) == ["wooden-chair"]


async def test_a_title_counts_for_more_than_a_tag(shop: Bench) -> None:
    await shop.hear(
        ProductPublished(product=replace(CHAIR, tags=("reading lamp",), version=2)),
        ProductPublished(product=replace(DESK_LAMP, title="Lamp", version=2)),
    )

    found = await shop.ask(Search).find(q="lamp")

    assert slugs(found) == ["floor-lamp", "desk-lamp", "wooden-chair"]


async def test_where_very_many_have_the_words_titles_are_looked_at_first(
    shop: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shop.hear(ProductPublished(product=replace(DESK_LAMP, tags=("chair",), version=2)))
    for name in ("BEST", "BEST_HERE"):
        monkeypatch.setattr(lists, name, getattr(lists, name).replace(str(words.MOST_FOUND), "1"))

    everywhere = await shop.ask(Search).find(q="chair")
    here = await shop.ask(Search).find(q="chair", category="lamps")

    assert (slugs(everywhere), everywhere.uncounted) == (["wooden-chair"], True)
    assert slugs(here) == ["desk-lamp"]
    assert len(slugs(await shop.ask(Search).find(q="chair", sort="price"))) == 2


async def test_a_variant_that_is_back_makes_its_product_available(shop: Bench) -> None:
    await shop.hear(stock(2, wooden_chair_1=1))
    again = await shop.ask(Search).find(category="chairs")

    assert [card.available for card in again.items] == [True]


async def test_only_a_variant_with_a_price_makes_its_product_available(shop: Bench) -> None:
    await shop.hear(stock(2, desk_lamp_1=0, desk_lamp_2=5), prices(2, desk_lamp_2=None))

    found = await shop.ask(Search).find(q="desk")

    assert [card.available for card in found.items] == [False]


async def test_a_variant_that_is_gone_takes_its_price_along(shop: Bench) -> None:
    left = (Variant(sku=Sku("desk-lamp-2"), options={"Color": "Blue"}),)
    await shop.hear(ProductPublished(product=replace(DESK_LAMP, variants=left, version=2)))

    found = await shop.ask(Search).find(q="desk")

    assert [(card.price, card.price_varies) for card in found.items] == [
        (Money(amount=5900, currency="EUR"), False)
    ]

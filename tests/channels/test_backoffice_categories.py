"""Categories and attributes in the back office: their words, and names that nothing may have."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.channels.desk import Desk, sheet_of, working
from tests.journeys.running import Running

PRODUCTS = "/admin/products"


@pytest.fixture
def desk(shop: Running) -> Iterator[Desk]:
    with working(shop) as desk:
        yield desk


def test_categories_and_attributes_are_kept_with_their_words(desk: Desk) -> None:
    category = desk.sheet(f"{PRODUCTS}/categories/new")
    attribute = desk.sheet(f"{PRODUCTS}/attributes/new")

    desk.send(category, slug="kettles", title__en="Kettles", title__de="Kessel", parent="living")
    desk.send(
        attribute,
        code="whistle",
        title__en="Whistle",
        kind="choice",
        choices__0__choice="Loud",
        choices__0__words__de="Laut",
    )

    kept = desk.ask("/api/admin/categories/kettles")
    assert (kept["title"], kept["parent"]) == ({"en": "Kettles", "de": "Kessel"}, "living")
    assert desk.ask("/api/admin/attributes/whistle")["words"] == {"de": {"Loud": "Laut"}}
    again = desk.send(desk.sheet(f"{PRODUCTS}/categories/new"), slug="kettles", title__en="X")
    assert "There is one of this name already." in again.text


def test_what_has_no_english_title_is_called_by_another(desk: Desk) -> None:
    for kind, name in (("categories", "slug"), ("attributes", "code")):
        sheet = desk.sheet(f"{PRODUCTS}/{kind}/new")
        desk.send(sheet, title__de=f"Nur Deutsch {kind}", **{name: "nur-deutsch"})

    places = ("", "/new", "/categories", "/categories/new", "/attributes")
    pages = [desk.client.get(PRODUCTS + place) for place in places]

    assert [page.status_code for page in pages] == [200] * len(places)
    assert all("Nur Deutsch" in page.text for page in pages)


def test_words_of_languages_that_no_market_speaks_are_kept(desk: Desk) -> None:
    category, attribute = f"{PRODUCTS}/categories", f"{PRODUCTS}/attributes"
    desk.send(desk.sheet(f"{category}/new"), slug="trays", title__en="Trays", title__fr="Plateaux")
    desk.send(
        desk.sheet(f"{attribute}/new"),
        code="wood",
        title__en="Wood",
        kind="choice",
        choices__0__choice="Eiche",
        choices__0__words__en="Oak",
        choices__0__words__fr="Chêne",
    )

    desk.send(desk.sheet(f"{category}/trays"), position="7")
    desk.send(desk.sheet(f"{attribute}/wood"), facet="on")

    kept = desk.ask("/api/admin/categories/trays")
    assert (kept["position"], kept["title"]) == (7, {"en": "Trays", "fr": "Plateaux"})
    kept = desk.ask("/api/admin/attributes/wood")
    assert kept["facet"]
    assert kept["words"] == {"en": {"Eiche": "Oak"}, "fr": {"Eiche": "Chêne"}}


def test_nothing_is_called_as_a_page_is(desk: Desk) -> None:
    refused = [
        desk.send(desk.sheet(f"{PRODUCTS}/categories/new"), slug="new", title__en="New"),
        desk.send(
            desk.sheet("/admin/shipping/new"),
            code="zones",
            title__en="By zone",
            rates__0__amount="1",
        ),
    ]

    assert [answer.status_code for answer in refused] == [422] * 2
    assert all("This name is taken by a page." in answer.text for answer in refused)


def test_who_cannot_remove_something_still_sees_what_others_change(desk: Desk) -> None:
    there = f"{PRODUCTS}/categories/living"
    told = {"version": desk.sheet(there).said["version"], "once": "6f3c"}

    kept = desk.client.post(f"{there}/remove", data=told)
    desk.send(desk.sheet(there), title__de="Stube")
    overtaken = desk.send(sheet_of(kept), position="3")

    assert "has products" in kept.text or "below" in kept.text, kept.text
    assert overtaken.status_code == 412
    assert "is “Stube” now" in overtaken.text

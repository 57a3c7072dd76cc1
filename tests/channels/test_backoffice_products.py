"""Products in the back office: found, created, changed by their parts, published and retired."""

from __future__ import annotations

import re
from collections.abc import Iterator
from uuid import NAMESPACE_URL, uuid5

import pytest
from playwright.sync_api import Page, expect

from tests.channels.desk import Desk, Json, Said, look_at, sheet_of, sign_in, soon, working
from tests.channels.eyes import Look, Shoot
from tests.journeys.running import Running

PRODUCTS = "/admin/products"


@pytest.fixture
def desk(shop: Running) -> Iterator[Desk]:
    with working(shop) as desk:
        yield desk


def created(desk: Desk, slug: str, **details: Said) -> str:
    """Create a draft with one variant, and tell where it is."""
    sheet = desk.sheet(f"{PRODUCTS}/new")
    answer = desk.send(sheet, title=slug.title(), slug=slug, **details)
    assert answer.status_code == 303, answer.text
    place = answer.headers["location"].removesuffix("/variants?done=created")
    rows = {"variants__0__sku": f"{slug}-1".upper(), "variants__0__shippable": "on"}
    desk.send(desk.sheet(f"{place}/variants"), **rows)
    return str(place)


def product(desk: Desk, place: str) -> Json:
    return desk.ask(f"/api{place}")


def test_a_product_with_all_its_parts_is_what_shoppers_see(desk: Desk) -> None:
    place = created(desk, "copper-kettle", description="<p>It sings.</p>", categories=["lighting"])
    desk.send(
        desk.sheet(f"{place}/pictures"),
        pictures__0__url="/demo/kettle.svg",
        pictures__0__alt="A kettle",
        pictures__0__words__de="Ein Kessel",
    )
    told = {"texts__0__locale": "de", "texts__0__title": "Kupferkessel"}
    languages = desk.sheet(f"{place}/languages")
    desk.send(languages, **told)
    prices = desk.sheet(f"{place}/prices")
    desk.send(prices, prices__0__amount="19.99", prices__0__compare_at="24")
    desk.send(desk.sheet(f"{place}/stock"), levels__0__on_hand="7", note="found in the cellar")
    publish = {"version": [str(product(desk, place)["version"])]}
    desk.client.post(f"{place}/publish", data=publish)

    def shown() -> Json:
        page = desk.ask("/api/store/products/copper-kettle", market="eu", locale="de")
        return page if page.get("price") and page.get("available") else None

    page = soon(shown)
    assert page["title"] == "Kupferkessel"
    assert page["description"] == "<p>It sings.</p>"
    assert page["price"] == {"amount": 1999, "currency": "EUR"}
    assert page["variants"][0]["compare_at"]["amount"] == 2400
    assert [picture["alt"] for picture in page["pictures"]] == ["Ein Kessel"]


def test_who_is_overtaken_sees_what_changed_and_keeps_what_was_typed(desk: Desk) -> None:
    place = created(desk, "oak-bench")
    mine = desk.sheet(place)
    theirs = desk.sheet(place)
    desk.send(theirs, brand="Theirs")

    refused = desk.send(mine, title="Mine")

    assert refused.status_code == 412
    assert "Brand: “nothing” is “Theirs” now" in refused.text
    again = sheet_of(refused)
    assert (again.said["title"], again.said["brand"]) == (["Mine"], ["Theirs"])
    assert product(desk, place)["title"] == "Oak-Bench"
    assert desk.send(again).status_code == 303
    assert (product(desk, place)["title"], product(desk, place)["brand"]) == ("Mine", "Theirs")


def test_a_form_that_is_sent_twice_is_done_once(desk: Desk) -> None:
    place = created(desk, "twice-told")
    sheet = desk.sheet(place)
    before = product(desk, place)["version"]

    answers = [desk.send(sheet, title="Twice") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [303, 303]
    assert product(desk, place)["version"] == before + 1


def test_a_product_is_created_once_however_often_the_button_is_pressed(desk: Desk) -> None:
    sheet = desk.sheet(f"{PRODUCTS}/new")

    answers = [desk.send(sheet, title="Once", slug="only-once") for _ in range(2)]

    first, second = (answer.headers["location"] for answer in answers)
    assert first == second


@pytest.mark.parametrize(
    ("part", "typed", "field", "reason"),
    [
        ("", {"slug": "Not A Slug"}, "slug", "joined by hyphens"),
        ("", {"title": ""}, "title", "Fill this in"),
        ("", {"slug": "everyday-tee"}, "slug", "belongs to another product"),
        ("/variants", {"variants__0__weight_grams": "-5"}, "variants.0.weight_grams", "grams"),
        ("/pictures", {"pictures__0__url": "javascript:x"}, "pictures.0.url", "https://"),
        ("/prices", {"prices__0__amount": "1.999"}, "prices.0.amount", "2 decimals"),
        ("/prices", {"prices__0__amount": "1,99"}, "prices.0.amount", "19.99"),
        ("/stock", {"levels__0__on_hand": "-1"}, "levels.0.on_hand", "0 or more"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_nothing_is_lost(
    desk: Desk, part: str, typed: dict[str, str], field: str, reason: str
) -> None:
    slug = f"wrong-{uuid5(NAMESPACE_URL, part + str(typed)).hex[:8]}"
    place = created(desk, slug)
    before = product(desk, place)

    refused = desk.send(desk.sheet(place + part), **typed)

    assert refused.status_code in (409, 422)
    error = re.search(rf'id="{re.escape(field)}-error">([^<]+)<', refused.text)
    assert error, refused.text
    assert reason in error[1]
    assert sheet_of(refused).said[field] == [next(iter(typed.values()))]
    assert product(desk, place) == before


def test_variants_are_made_of_the_combinations_that_are_missing(desk: Desk) -> None:
    place = created(desk, "linen-shirt")
    options = {
        "options__0__key": "a",
        "options__0__name": "Size",
        "options__0__values": "S\r\nM",
        "variants__0__picks__a": "S",
    }

    combined = desk.send(desk.sheet(f"{place}/variants"), do="combine", **options)
    desk.send(sheet_of(combined))

    variants = product(desk, place)["variants"]
    assert [(one["sku"], one["options"]) for one in variants] == [
        ("LINEN-SHIRT-1", {"Size": "S"}),
        ("LINEN-M", {"Size": "M"}),
    ]


def test_a_value_without_its_option_is_refused_at_the_variant(desk: Desk) -> None:
    place = created(desk, "bare-option")
    options = {"options__0__key": "a", "options__0__name": "Size", "options__0__values": "S"}

    refused = desk.send(desk.sheet(f"{place}/variants"), **options)

    assert refused.status_code == 422
    assert 'id="variants.0.picks.a-error"' in refused.text


def test_a_price_that_is_emptied_is_removed(desk: Desk) -> None:
    place = created(desk, "priceless")
    desk.send(desk.sheet(f"{place}/prices"), prices__0__amount="5")

    desk.send(desk.sheet(f"{place}/prices"), prices__0__amount="")

    assert desk.sheet(f"{place}/prices").said["prices.0.amount"] == [""]


def test_a_list_is_searched_filtered_and_paged_without_telling_anything_twice(desk: Desk) -> None:
    found = desk.client.get(PRODUCTS, params={"q": "tee white", "state": "published"}).text
    assert "Everyday Tee" in found
    assert "Market Basket" not in found

    first = desk.client.get(PRODUCTS).text
    following = re.search(r'rel="next"\s+href="([^"]+)"', first)
    assert following
    second = desk.client.get(following[1].replace("&amp;", "&")).text
    told = [set(re.findall(r'name="product"\s+value="([^"]+)"', page)) for page in (first, second)]
    assert [len(ids) for ids in told] == [24, 24]
    assert not told[0] & told[1]


def test_several_products_are_retired_after_one_question(desk: Desk) -> None:
    places = [created(desk, f"gone-{number}") for number in range(2)]
    ids = [place.rpartition("/")[2] for place in places]
    list_of = {"product": ids, "q": "gone"}

    question = desk.client.post(f"{PRODUCTS}/retire", data=list_of)
    assert question.status_code == 200
    assert "Gone-0" in question.text
    assert [product(desk, place)["state"] for place in places] == ["draft", "draft"]
    desk.client.post(f"{PRODUCTS}/retire/sure", data=list_of)

    assert [product(desk, place)["state"] for place in places] == ["retired", "retired"]


def test_of_several_products_all_are_published_or_none(desk: Desk) -> None:
    whole = created(desk, "whole-one")
    sheet = desk.sheet(f"{PRODUCTS}/new")
    empty = desk.send(sheet, title="Empty", slug="empty-one").headers["location"]
    ids = [whole.rpartition("/")[2], empty.split("/")[3]]

    refused = desk.client.post(f"{PRODUCTS}/publish", data={"product": ids, "q": "-one"})

    assert refused.status_code == 422
    assert "Empty" in refused.text
    assert product(desk, whole)["state"] == "draft"


def test_what_a_picture_is_called_in_a_language_can_be_taken_back(desk: Desk) -> None:
    place = created(desk, "speechless")
    picture = {"pictures__0__url": "/demo/kettle.svg", "pictures__0__alt": "A kettle"}
    said = {"pictures__0__words__de": "Ein Kessel"}
    desk.send(desk.sheet(f"{place}/pictures"), **picture, **said)
    assert product(desk, place)["translations"]["de"]["words"] == {"A kettle": "Ein Kessel"}

    desk.send(desk.sheet(f"{place}/pictures"), pictures__0__words__de="")

    assert desk.sheet(f"{place}/pictures").said["pictures.0.words.de"] == [""]
    assert not product(desk, place)["translations"].get("de", {}).get("words")


def test_of_two_who_type_prices_each_keeps_what_the_other_did_not_touch(desk: Desk) -> None:
    place = created(desk, "two-prices")
    mine, theirs = (desk.sheet(f"{place}/prices") for _ in range(2))
    desk.send(theirs, prices__0__amount="5.00")

    answer = desk.send(mine, prices__1__amount="6.00")

    assert answer.status_code == 303, answer.text
    now = desk.sheet(f"{place}/prices").said
    assert [now[f"prices.{row}.amount"] for row in range(2)] == [["5.00"], ["6.00"]]


def test_a_price_that_both_have_changed_is_looked_at_before_it_is_saved(desk: Desk) -> None:
    place = created(desk, "one-price")
    mine, theirs = (desk.sheet(f"{place}/prices") for _ in range(2))
    desk.send(theirs, prices__0__amount="5.00", prices__1__amount="7.00")

    refused = desk.send(mine, prices__0__amount="4.00")
    saved = desk.send(sheet_of(refused))

    assert (refused.status_code, saved.status_code) == (412, 303)
    now = desk.sheet(f"{place}/prices").said
    assert [now[f"prices.{row}.amount"] for row in range(2)] == [["4.00"], ["7.00"]]


def test_a_stranger_is_led_to_the_door(shop: Running, desk: Desk) -> None:
    desk.client.headers.pop("authorization")

    answer = desk.client.get(PRODUCTS)

    assert answer.headers["location"].startswith("/admin/sign-in")


@pytest.fixture
def signed_in(page: Page, shop: Running) -> Page:
    sign_in(page, shop)
    return page


def test_a_variant_is_added_in_a_browser_without_leaving_the_page(signed_in: Page) -> None:
    page = signed_in
    page.goto(f"{PRODUCTS}?q=pleat+pot")
    page.get_by_role("link", name="Pleat Pot").click()
    page.get_by_role("link", name="Variants").click()
    rows = page.locator('input[name$=".sku"]')
    before = rows.count()

    page.get_by_role("button", name="Add a variant").click()
    expect(rows).to_have_count(before + 1)
    rows.last.fill("PLEAT-EXTRA")
    page.get_by_role("button", name="Save the changes").click()

    expect(page.get_by_role("alert")).to_contain_text("is missing")
    expect(rows.last).to_have_value("PLEAT-EXTRA")


def test_one_box_ticks_all_products_of_the_page(signed_in: Page) -> None:
    page = signed_in
    page.goto(PRODUCTS)

    page.get_by_label("Tick all on this page").check()
    expect(page.locator('[name="product"]:checked')).to_have_count(24)
    page.get_by_label("Tick all on this page").uncheck()

    expect(page.locator('[name="product"]:checked')).to_have_count(0)


def test_a_choice_of_a_filter_asks_once(signed_in: Page) -> None:
    page = signed_in
    page.goto(PRODUCTS)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    page.get_by_label("State").select_option("retired")
    page.wait_for_url("**state=retired**")
    page.wait_for_timeout(600)

    assert len([url for url in asked if "state=retired" in url]) == 1


def test_every_page_about_products_can_be_used_by_everybody(
    signed_in: Page, assert_accessible: Look, shoot: Shoot
) -> None:
    page = signed_in
    page.goto(f"{PRODUCTS}?q=pleat+pot")
    place = page.get_by_role("link", name="Pleat Pot").get_attribute("href")
    parts = ("", "/variants", "/pictures", "/languages", "/prices", "/stock")
    shown = {
        "products": PRODUCTS,
        "product-new": f"{PRODUCTS}/new",
        "categories": f"{PRODUCTS}/categories",
        "category": f"{PRODUCTS}/categories/lighting",
        "attribute": f"{PRODUCTS}/attributes/material",
        **{f"product{part.replace('/', '-')}": f"{place}{part}" for part in parts},
    }

    look_at(page, shown, assert_accessible, shoot, ("products", "product", "product-variants"))

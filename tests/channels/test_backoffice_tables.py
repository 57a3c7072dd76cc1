"""The tables of the back office: shipping rates, taxes, markets and price lists."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import Page, expect

from banyan.channels.backoffice.shipping import condition, spelled
from tests.channels.desk import Desk, look_at, sheet_of, sign_in, working
from tests.channels.eyes import Look, Shoot
from tests.journeys.running import Running

SHIPPING, TAXES = "/admin/shipping", "/admin/taxes"
BOUNDS = st.integers(0, 10**6).map(str) | st.just("")


@pytest.fixture
def desk(shop: Running) -> Iterator[Desk]:
    with working(shop) as desk:
        yield desk


def price_of(desk: Desk, method: str, **parcel: str) -> int | None:
    """Ask the API what a parcel costs."""
    told = {"country": "DE", "total": {"amount": 20_00, "currency": "EUR"}, "weight_grams": 500}
    said = desk.client.post(
        f"/api/admin/shipping-methods/{method}/try",
        json=told | parcel,
        headers={"accept": "application/json"},
    ).json()
    return said["price"]["amount"] if said.get("price") else None


@given(BOUNDS, BOUNDS)
def test_bounds_are_read_from_the_condition_that_they_make(least: str, below: str) -> None:
    assert spelled(condition(least, below)) == (least, below, "")


@pytest.mark.parametrize("told", ["<= 5", "[1..5]", "> 2", "1, 2"])
def test_a_condition_that_is_no_two_bounds_is_kept_as_it_is(told: str) -> None:
    assert spelled(told) == ("", "", told)


def test_an_edited_row_is_what_parcels_cost(desk: Desk) -> None:
    sheet = desk.sheet(f"{SHIPPING}/eu-standard")
    assert price_of(desk, "eu-standard") == 490

    desk.send(sheet, rates__2__amount="5.50")

    assert price_of(desk, "eu-standard") == 550


def test_rows_are_added_moved_and_removed_before_anything_is_saved(desk: Desk) -> None:
    sheet = desk.sheet(f"{SHIPPING}/eu-express")
    rows = [f"rates.{number}.amount" for number in range(5)]
    before = [sheet.said[name][0] for name in rows[:4]]

    added = sheet_of(desk.send(sheet, do="add rates"))
    added.said["rates.4.amount"] = ["1.00"]
    moved = sheet_of(desk.send(added, do="up rates 4"))
    removed = sheet_of(desk.send(moved, do="remove rates 0"))

    assert [moved.said[name][0] for name in rows] == [*before[:3], "1.00", before[3]]
    assert [removed.said[name][0] for name in rows[:4]] == [*before[1:3], "1.00", before[3]]
    assert desk.sheet(f"{SHIPPING}/eu-express").said["rates.0.amount"] == [before[0]]


def test_the_first_row_that_fits_is_shown_to_decide(desk: Desk) -> None:
    tried = desk.client.get(
        f"{SHIPPING}/us-standard", params={"country": "US", "total": "120", "weight_grams": "900"}
    ).text

    assert "Row 5 decides: $0.00" in tried
    assert tried.count('class="decides"') == 1


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"rates__0__amount": "x"}, "rates.0.amount"),
        ({"rates__0__amount": "1.005"}, "rates.0.amount"),
        ({"rates__0__weight_from": "9", "rates__0__weight_below": "3"}, "rates.0.weight_below"),
        ({"rates__0__weight_from": "heavy"}, "rates.0.weight_from"),
        ({"rates__0__zone": "atlantis"}, "rates.0.zone"),
    ],
)
def test_a_cell_that_is_wrong_says_so(desk: Desk, typed: dict[str, str], field: str) -> None:
    refused = desk.send(desk.sheet(f"{SHIPPING}/us-express"), **typed)

    assert refused.status_code == 422
    assert f'id="{field}-error"' in refused.text
    assert sheet_of(refused).said[field] == [next(reversed(typed.values()))]


def test_a_method_is_offered_no_longer_and_again(desk: Desk) -> None:
    sheet = desk.sheet(f"{SHIPPING}/new")
    rates = {"rates__0__amount": "3", "title__en": "By bicycle"}
    desk.send(sheet, code="bicycle", market="eu", active="on", **rates)

    desk.client.post(f"{SHIPPING}/bicycle/remove", data={"version": "1"})

    assert not desk.ask("/api/admin/shipping-methods/bicycle")["active"]
    desk.send(desk.sheet(f"{SHIPPING}/bicycle"), active="on")
    assert desk.ask("/api/admin/shipping-methods/bicycle")["active"]


def test_a_zone_knows_places_only_and_is_kept_while_a_method_needs_it(desk: Desk) -> None:
    wrong = desk.send(desk.sheet(f"{SHIPPING}/zones/new"), code="x", title="X", places="Germany")
    desk.send(desk.sheet(f"{SHIPPING}/zones/new"), code="alps", title="Alps", places="AT\nCH")
    kept = desk.client.post(f"{SHIPPING}/zones/eu-near/remove", data={"version": "1"})

    assert "“Germany” is no place" in wrong.text
    assert desk.ask("/api/admin/zones/alps")["places"] == ["AT", "CH"]
    assert kept.status_code == 409
    assert "still refers to this zone" in kept.text


def test_a_tax_is_typed_in_percent_and_kept_in_millionths(desk: Desk) -> None:
    sheet = desk.sheet(f"{TAXES}/rates/us")
    row = len([name for name in sheet.said if name.endswith(".percent")])
    fresh = {"country": "US", "region": "AZ", "tax_class": "books", "percent": "10.75"}

    typed = {f"rates__{row}__{name}": told for name, told in fresh.items()}
    answer = desk.send(sheet, **typed, **{f"rates__{row}__name": "Arizona"})

    assert answer.status_code == 303, answer.text
    rates = desk.ask("/api/admin/tax-rates", market="us", limit=100)["items"]
    assert [one["millionths"] for one in rates if one["region"] == "AZ"] == [107_500]


def test_of_two_who_edit_taxes_each_keeps_what_the_other_did_not_touch(desk: Desk) -> None:
    mine, theirs = (desk.sheet(f"{TAXES}/rates/eu") for _ in range(2))
    desk.send(theirs, rates__0__percent="21.5", rates__1__percent="3")

    refused = desk.send(mine, rates__1__percent="4", rates__2__percent="5")

    assert refused.status_code == 422
    assert "Row 2: somebody else has changed it meanwhile" in refused.text
    now = desk.sheet(f"{TAXES}/rates/eu")
    told = [now.said[f"rates.{number}.percent"][0] for number in range(3)]
    assert told == ["21.5", "3", "5"]


def test_a_tax_row_that_is_removed_is_gone_and_others_stay(desk: Desk) -> None:
    sheet = desk.sheet(f"{TAXES}/rates/us")
    names = [name for name in sheet.said if name.endswith(".region")]
    at = next(name for name in names if sheet.said[name] == ["WA"]).split(".")[1]

    without = sheet_of(desk.send(sheet, do=f"remove rates {at}"))
    desk.send(without)

    rates = desk.ask("/api/admin/tax-rates", market="us", limit=100)["items"]
    assert len(names) - 1 == len(rates)


@pytest.mark.parametrize("percent", ["101", "-1", "19 %", "19,5", "1.23456"])
def test_a_percentage_that_is_none_is_explained(desk: Desk, percent: str) -> None:
    refused = desk.send(desk.sheet(f"{TAXES}/rates/us"), rates__0__percent=percent)

    assert "Row 1: A percentage is 0 to 100" in refused.text


def test_a_market_is_opened_closed_and_opened_again(desk: Desk) -> None:
    sheet = desk.sheet(f"{TAXES}/markets/new")
    told = {"code": "ch", "title": "Switzerland", "currency": "CHF", "locales": "de fr"}
    desk.send(sheet, countries="CH LI", position="9", **told)

    made = desk.ask("/api/admin/markets/ch")
    assert (made["countries"], made["open"]) == (["CH", "LI"], False)
    desk.send(desk.sheet(f"{TAXES}/markets/ch"), open="on")
    version = str(desk.ask("/api/admin/markets/ch")["version"])
    desk.client.post(f"{TAXES}/markets/ch/remove", data={"version": version})
    assert not desk.ask("/api/admin/markets/ch")["open"]


def test_a_price_list_holds_for_a_time_of_the_shops_clock(desk: Desk) -> None:
    sheet = desk.sheet(f"{TAXES}/price-lists/new")
    told = {"code": "sale", "market": "eu", "title": "Sale", "priority": "5"}

    backwards = desk.send(sheet, since="2027-02-01T00:00", until="2027-01-01T00:00", **told)
    desk.send(sheet_of(backwards), until="2027-03-01T00:00")

    assert "It must end after it has begun." in backwards.text
    made = desk.ask("/api/admin/price-lists/sale")
    assert (made["currency"], bool(made["since"])) == ("EUR", True)
    again = desk.sheet(f"{TAXES}/price-lists/sale")
    assert again.said["until"] == ["2027-03-01T00:00"]


@pytest.fixture
def signed_in(page: Page, shop: Running) -> Page:
    sign_in(page, shop)
    return page


def test_a_row_is_moved_and_tried_in_a_browser(signed_in: Page) -> None:
    page = signed_in
    page.goto(f"{SHIPPING}/us-express")

    page.get_by_role("button", name="Move row 4 up").click()
    expect(page.get_by_label("Costs in row 3")).to_have_value("39.90")
    page.get_by_role("button", name="Save the changes").click()
    page.goto(f"{SHIPPING}/us-express")
    page.get_by_label("Country", exact=True).fill("US")
    page.locator("#weight_grams").fill("6000")
    page.get_by_role("button", name="Try").click()

    expect(page.locator("#trial")).to_contain_text("Row 3 decides: $39.90")


def test_every_page_about_tables_can_be_used_by_everybody(
    signed_in: Page, assert_accessible: Look, shoot: Shoot
) -> None:
    shown = {
        "shipping": SHIPPING,
        "shipping-method": f"{SHIPPING}/eu-standard?country=DE&total=80",
        "zone": f"{SHIPPING}/zones/eu-near",
        "taxes": TAXES,
        "tax-rates": f"{TAXES}/rates/eu",
        "market": f"{TAXES}/markets/eu",
        "price-list": f"{TAXES}/price-lists/eu",
    }

    look_at(signed_in, shown, assert_accessible, shoot, ("shipping-method", "tax-rates"))

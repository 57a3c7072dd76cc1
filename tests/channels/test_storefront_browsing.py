"""Browsing in a real browser: by finger and by key, with and without script, in light and dark."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.channels.eyes import PHONE, Look, Shoot

HOME = "/eu/en"
LIST = "/eu/en/categories/living"
PRODUCT = "/eu/en/products/market-basket"
PAGES = {
    "home": "/eu/de",
    "list": LIST,
    "empty": "/eu/en/search?q=qqxxzzqq",
    "product": PRODUCT,
    "sold-out": "/eu/de/products/evening-turntable",
}

# What moves after it was shown, summed up as the browser itself does (Layout Instability API).
SHIFTS = """
window.shifts = 0;
new PerformanceObserver(list => {
    for (const entry of list.getEntries()) window.shifts += entry.value;
}).observe({type: "layout-shift", buffered: true});
"""


@pytest.mark.parametrize("name", PAGES)
def test_everybody_can_use_the_page(
    page: Page, name: str, assert_accessible: Look, shoot: Shoot
) -> None:
    page.emulate_media(reduced_motion="reduce")
    page.goto(PAGES[name])

    assert_accessible(page)
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size(PHONE)
    assert_accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    page.emulate_media(color_scheme="light")
    shoot(page, f"storefront-{name}")


@pytest.mark.parametrize("path", [HOME, LIST, PRODUCT])
@pytest.mark.parametrize("phone", [False, True], ids=["desktop", "phone"])
def test_nothing_moves_once_it_is_shown(page: Page, path: str, *, phone: bool) -> None:
    page.add_init_script(SHIFTS)
    if phone:
        page.set_viewport_size(PHONE)

    page.goto(path, wait_until="networkidle")

    assert page.evaluate("shifts") == 0


def test_suggestions_are_moved_through_by_keys(page: Page) -> None:
    page.goto(HOME)
    field = page.get_by_role("combobox", name="Search products")

    field.press_sequentially("chair")
    expect(page.get_by_role("listbox", name="Suggestions")).to_be_visible()
    expect(field).to_have_attribute("aria-expanded", "true")
    field.press("ArrowDown")
    first = page.get_by_role("option").first
    expect(first).to_have_attribute("aria-selected", "true")
    expect(field).to_have_attribute("aria-activedescendant", first.get_attribute("id") or "")
    field.press("Escape")
    expect(page.get_by_role("listbox")).to_have_count(0)
    expect(field).to_have_attribute("aria-expanded", "false")
    field.press("ArrowDown")
    expect(page.get_by_role("option").first).to_be_visible()
    field.press("ArrowDown")
    field.press("Enter")

    page.wait_for_url("**/eu/en/products/**")


def test_suggestions_are_accessible(page: Page, assert_accessible: Look) -> None:
    page.goto(HOME)
    page.get_by_role("combobox").press_sequentially("chair")
    page.get_by_role("option").first.wait_for()

    assert_accessible(page)


def test_filters_and_more_products_come_without_a_new_page(page: Page) -> None:
    page.goto(LIST)
    page.evaluate("window.stayed = true")

    page.get_by_role("checkbox", name="Sage").check()
    expect(page.get_by_role("status").filter(has_text="products")).to_have_text("15 products")
    expect(page.get_by_role("checkbox", name="Sage")).to_be_focused()
    page.get_by_role("link", name="Remove filter: Sage").click()
    expect(page.get_by_role("status").filter(has_text="products")).to_have_text("50 products")
    page.get_by_label("Sort by").select_option("price")
    page.wait_for_url("**sort=price")
    page.get_by_role("link", name="Show more products").click()
    expect(page.locator("#cards > li")).to_have_count(48)
    expect(page.locator("#cards > li").nth(24).get_by_role("link")).to_be_focused()

    assert page.evaluate("window.stayed")


def test_going_back_shows_the_list_as_it_was(page: Page) -> None:
    page.goto(LIST)

    page.get_by_role("checkbox", name="Sage").check()
    page.wait_for_url("**filter=color*")
    page.go_back()

    expect(page.get_by_role("status").filter(has_text="products")).to_have_text("50 products")


def test_a_phone_has_its_menu_and_filters(page: Page, assert_accessible: Look) -> None:
    page.set_viewport_size(PHONE)
    page.goto(HOME)

    page.get_by_role("button", name="Menu").click()
    assert_accessible(page)
    page.get_by_role("link", name="Seating").first.click()
    page.wait_for_url("**/categories/seating")
    page.get_by_role("button", name="Filters", exact=True).click()
    assert_accessible(page)
    page.get_by_role("checkbox", name="Forest").check()
    show = page.get_by_role("button", name="Show")
    page.wait_for_url("**filter=color*")
    show.click()

    expect(show).to_be_hidden()
    expect(page.get_by_role("link", name="Remove filter: Forest")).to_be_visible()


def test_picking_an_option_keeps_the_place_and_changes_the_price(page: Page) -> None:
    page.goto(PRODUCT)
    page.evaluate("window.stayed = true")

    page.get_by_role("radio", name="Large").check(force=True)

    expect(page.locator("#offer")).to_contain_text("€69.00")
    expect(page.get_by_role("radio", name="Large")).to_be_focused()
    assert page.evaluate("window.stayed")


def test_without_script_a_product_is_found_narrowed_down_and_picked(without_script: Page) -> None:
    page = without_script
    page.set_viewport_size(PHONE)
    page.goto("/")

    page.get_by_role("button", name="Menu").click()
    page.get_by_role("link", name="Tables & Storage").first.click()
    page.get_by_role("button", name="Filters", exact=True).click()
    page.get_by_role("checkbox", name="Rust").check()
    page.get_by_role("button", name="Show").click()
    page.get_by_role("link", name="Market Basket").click()
    page.get_by_role("radio", name="Rust").check(force=True)
    page.get_by_role("radio", name="Large").check(force=True)
    page.get_by_role("button", name="Show this choice").click()

    expect(page.locator("#offer")).to_contain_text("€69.00")
    expect(page.locator("#buy [name=sku]")).to_have_value("MARKET-RUST-LARGE")


def test_without_script_a_query_is_answered_and_the_language_changed(without_script: Page) -> None:
    page = without_script
    page.goto(PRODUCT)

    page.get_by_role("searchbox", name="Search products").fill("lamp")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Results for “lamp”")
    page.get_by_role("button", name="Country and language").click()
    page.get_by_role("link", name="Deutsch", exact=True).click()

    page.wait_for_url("**/eu/de/search?q=lamp")
    expect(page.locator("html")).to_have_attribute("lang", "de")

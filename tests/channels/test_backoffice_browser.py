"""The back office in a browser: signing in, an order from money to mail, what got stuck."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

from tests.channels.eyes import PHONE, Look, Shoot
from tests.channels.office import dead_letter, ordered, stuck_saga
from tests.journeys.running import Running


def signs_in(page: Page, shop: Running, to: str = "/admin") -> None:
    page.goto(to)
    page.get_by_label("Admin token").fill(shop.token)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"**{to}")


def opens(page: Page, title: str) -> Locator:
    """Open the form behind a title."""
    form = page.locator("details.action").filter(has=page.locator("summary", has_text=title))
    form.locator("summary").click()
    return form


def test_whoever_signs_in_comes_to_the_page_that_was_asked_for(
    page: Page, shop: Running, assert_accessible: Look, shoot: Shoot
) -> None:
    page.goto("/admin/topology")
    page.get_by_label("Admin token").fill("bny_wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("admin-token")
    assert_accessible(page)
    shoot(page, "backoffice-sign-in")

    page.get_by_label("Admin token").fill(shop.token)
    page.get_by_role("button", name="Sign in").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Topology")
    page.get_by_role("link", name="ordering", exact=True).click()
    expect(page.locator("path.lit").first).to_be_attached()
    assert_accessible(page)
    shoot(page, "backoffice-topology")


def test_an_order_is_captured_refunded_and_canceled_and_its_mail_sent_again(
    page: Page, shop: Running, assert_accessible: Look, shoot: Shoot
) -> None:
    order = ordered(shop)
    signs_in(page, shop, order)

    capture = opens(page, "Capture")
    capture.get_by_label("Amount in EUR").fill("10")
    capture.get_by_role("button").click()
    assert_accessible(page)
    page.get_by_role("button", name="Capture €10.00").click()
    expect(page.get_by_role("status").first).to_contain_text("The money was taken.")

    refund = opens(page, "Refund")
    refund.get_by_label("Amount in EUR").fill("4")
    refund.get_by_role("button").click()
    page.get_by_role("button", name="Refund €4.00").click()
    expect(page.get_by_text("€4.00 given back")).to_be_visible()
    assert_accessible(page)
    shoot(page, "backoffice-order")

    page.get_by_role("button", name=re.compile("Send once more")).click()
    expect(page.get_by_role("status").first).to_contain_text("on its way once more")

    cancel = opens(page, "Cancel the order")
    cancel.get_by_label("Reason").fill("out of fashion")
    cancel.get_by_role("button").click()
    page.get_by_role("button", name="Cancel order").click()
    expect(page.get_by_text("Canceled: out of fashion")).to_be_visible()
    assert "done=" not in page.url


def test_a_refusal_is_read_where_it_happened(page: Page, shop: Running) -> None:
    signs_in(page, shop, ordered(shop))

    capture = opens(page, "Capture")
    capture.get_by_label("Amount in EUR").fill("ten")
    capture.get_by_role("button").click()

    alert = page.get_by_role("alert")
    expect(alert).to_be_focused()
    alert.get_by_role("link").click()
    expect(page.get_by_label("Amount in EUR")).to_be_focused()


def test_orders_are_searched_while_typing(page: Page, shop: Running) -> None:
    ordered(shop)
    signs_in(page, shop, "/admin/orders")

    page.get_by_label("Number or e-mail").press_sequentially("nobody@example.com")
    expect(page.get_by_text("No order fits these filters")).to_be_visible()
    assert "nobody%40example.com" in page.url

    page.get_by_role("link", name="Show all orders").click()
    expect(page.get_by_role("table")).to_be_visible()


def test_a_dead_letter_is_replayed_and_a_stuck_saga_turned_back(
    page: Page, shop: Running, assert_accessible: Look, shoot: Shoot
) -> None:
    dead_letter(shop)
    stuck_saga(shop, "lost")
    signs_in(page, shop, "/admin/events")
    assert_accessible(page)
    shoot(page, "backoffice-events")

    page.get_by_role("button", name=re.compile("^Replay banyan.inventory")).first.click()
    expect(page.get_by_text("Given another try.")).to_be_visible()
    expect(page.get_by_text("No dead letters")).to_be_visible()
    page.goto("/admin/events/search/sagas/lost")
    form = opens(page, "Turn it back")
    assert_accessible(page)
    form.get_by_role("button").click()

    expect(page.locator(".badge", has_text="undone")).to_be_visible()


def test_the_office_fits_a_phone(
    page: Page, shop: Running, assert_accessible: Look, shoot: Shoot
) -> None:
    order = ordered(shop)
    page.set_viewport_size(PHONE)
    signs_in(page, shop)
    shoot(page, "backoffice-dashboard")

    for there in ("/admin", "/admin/orders", order, "/admin/events", "/admin/topology"):
        page.goto(there)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), there
        assert_accessible(page)
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("link", name="Orders", exact=True).click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Orders")
    shoot(page, "backoffice-orders")


def test_an_order_is_worked_on_without_javascript(without_script: Page, shop: Running) -> None:
    page = without_script
    signs_in(page, shop, ordered(shop))

    opens(page, "Release the rest").get_by_role("button").click()
    page.get_by_role("button", name=re.compile("^Release €")).click()

    expect(page.get_by_text("What was not taken is free again.")).to_be_visible()

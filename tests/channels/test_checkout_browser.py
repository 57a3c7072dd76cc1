"""Purchases in a real browser: in each market and language, by keys, and without scripts."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.channels.eyes import PHONE, Look, Shoot
from tests.channels.shopping import Keeper
from tests.journeys.running import Running

GOOD, DECLINED, CHALLENGED = "4242424242424242", "4000000000000002", "4000000000003220"
PRESS = re.compile("obligation to pay|Place order|Zahlungspflichtig")


@pytest.fixture(scope="module")
def keeper(shop: Running) -> Iterator[Keeper]:
    keeper = Keeper(shop)
    yield keeper
    keeper.client.close()


def put_in(page: Page, home: str, sku: str) -> None:
    """Put something into the cart without looking at its page."""
    page.request.post(f"{home}/cart/lines", form={"sku": sku, "quantity": "2"})


def fill_in(page: Page, home: str) -> None:
    """Tell the checkout who and where one is."""
    page.goto(f"{home}/checkout")
    page.locator("#email").fill("ada@example.com")
    page.locator("#shipping-name").fill("Ada Lovelace")
    page.locator("#shipping-street").fill("Lindenstraße 12")
    if home.startswith("/us"):
        page.locator("#shipping-region").select_option("CA")
        page.locator("#shipping-city").fill("San Francisco")
        page.locator("#shipping-postal_code").fill("94103")
    else:
        page.locator("#shipping-city").fill("Berlin")
        page.locator("#shipping-postal_code").fill("10969")
    page.locator("#shipping-city").press("Enter")


def give_card(page: Page, number: str) -> None:
    """Type a card into the field of the bank."""
    field = page.frame_locator("iframe.hosted")
    field.locator("#number").fill(number)
    field.locator("#expiry").fill("1230")
    field.locator("#cvc").fill("123")


def press(page: Page) -> None:
    """Order."""
    page.get_by_role("button", name=PRESS).click()


@pytest.mark.parametrize(
    ("home", "thanks", "phone"),
    [
        ("/eu/en", "Your order is confirmed", False),
        ("/eu/de", "Ihre Bestellung ist bestätigt", True),
        ("/us/en", "Your order is confirmed", True),
    ],
)
def test_a_guest_buys_in_each_market_and_language(
    page: Page,
    keeper: Keeper,
    assert_accessible: Look,
    shoot: Shoot,
    home: str,
    thanks: str,
    *,
    phone: bool,
) -> None:
    slug, _ = keeper.good()
    name = home.strip("/").replace("/", "-")
    if phone:
        page.set_viewport_size(PHONE)

    page.goto(f"{home}/products/{slug}")
    page.locator("#buy button").click()
    drawer = page.get_by_role("dialog")
    expect(drawer.locator(".line")).to_have_count(1)
    expect(page.locator("[data-cart-count]")).to_have_text("1")
    drawer.locator(".step[value='1']").click()
    expect(page.locator("[data-cart-count]")).to_have_text("2")
    assert_accessible(page)
    drawer.locator("a[href$='/checkout']").click()
    fill_in(page, home)
    give_card(page, GOOD)
    assert_accessible(page)
    shoot(page, f"checkout-{name}")
    press(page)

    expect(page.locator("h1")).to_contain_text(thanks)
    expect(page.locator("[data-cart-count]")).to_be_empty()
    assert_accessible(page)
    shoot(page, f"order-{name}")


def test_of_two_ways_to_pay_only_the_chosen_one_is_asked(page: Page, keeper: Keeper) -> None:
    """Another way stands before the sandbox's, and its field never answers."""
    put_in(page, "/eu/en", keeper.good()[1])
    page.add_init_script(
        """new MutationObserver(() => {
          const only = document.querySelector("input[type=hidden][name=payment]");
          if (only) only.outerHTML = `<input type="radio" name="payment" value="other">
            <iframe data-origin="https://bank.test" data-method="other"></iframe>
            <input type="radio" name="payment" value="${only.value}" checked>`;
        }).observe(document, { childList: true, subtree: true });"""
    )
    fill_in(page, "/eu/en")
    expect(page.locator("iframe[data-origin]")).to_have_count(2)
    give_card(page, GOOD)
    press(page)

    expect(page.locator("h1")).to_contain_text("Your order is confirmed")


def test_a_guest_buys_without_scripts(without_script: Page, keeper: Keeper, shoot: Shoot) -> None:
    page = without_script
    slug, _ = keeper.good()

    page.goto(f"/eu/en/products/{slug}")
    page.locator("#buy button").click()
    expect(page.locator(".cart-notice")).to_contain_text("Added to your cart")
    page.locator("input[name=quantity]").fill("3")
    page.get_by_role("button", name="Update").click()
    shoot(page, "cart-without-script")
    page.get_by_role("link", name="Go to checkout").click()
    page.locator("#shipping-country").select_option("IE")
    page.get_by_role("button", name="Show its fields").first.click()
    expect(page.locator("#shipping-region")).to_be_visible()
    page.locator("#shipping-country").select_option("DE")
    page.get_by_role("button", name="Show its fields").first.click()
    fill_in(page, "/eu/en")
    page.get_by_role("radio", name="Express").check()
    page.get_by_role("button", name="Update the total").click()
    give_card(page, GOOD)
    page.frame_locator("iframe.hosted").get_by_role("button").click()
    expect(page.frame_locator("iframe.hosted").get_by_text("4242")).to_be_visible()
    press(page)

    expect(page.locator("h1")).to_contain_text("Your order is confirmed")


def test_a_declined_card_gives_place_to_a_good_one(
    page: Page, keeper: Keeper, assert_accessible: Look, shoot: Shoot
) -> None:
    put_in(page, "/eu/en", keeper.good()[1])
    fill_in(page, "/eu/en")
    give_card(page, DECLINED)
    press(page)

    notice = page.get_by_role("alert")
    expect(notice).to_contain_text("The payment did not go through")
    expect(notice).to_be_focused()
    assert_accessible(page)
    shoot(page, "declined")
    press(page)
    expect(page.locator("#press-said")).to_contain_text("check the card")
    give_card(page, GOOD)
    press(page)

    expect(page.locator("h1")).to_contain_text("Your order is confirmed")


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [("Confirm", "Your order is confirmed"), ("Refuse", "The payment did not go through")],
)
def test_the_bank_asks_and_the_page_follows_its_answer(
    page: Page, keeper: Keeper, assert_accessible: Look, shoot: Shoot, answer: str, outcome: str
) -> None:
    put_in(page, "/eu/en", keeper.good()[1])
    fill_in(page, "/eu/en")
    give_card(page, CHALLENGED)
    press(page)

    page.get_by_role("button", name=answer).click()

    said = page.locator("h1, .notice-title").filter(has_text=re.compile(f"{outcome}|not confirmed"))
    expect(said).to_be_visible()
    assert_accessible(page)
    shoot(page, f"challenge-{answer.lower()}")


def test_what_changes_meanwhile_is_told_before_anybody_pays(
    page: Page, keeper: Keeper, assert_accessible: Look, shoot: Shoot
) -> None:
    _, sku = keeper.good()
    put_in(page, "/eu/en", sku)
    fill_in(page, "/eu/en")
    give_card(page, GOOD)

    keeper.reprices(sku, 11_111)
    press(page)
    expect(page.get_by_role("alert")).to_contain_text("222.22 now")
    shoot(page, "price-changed")
    keeper.leaves(sku, 1)
    press(page)
    expect(page.get_by_role("alert")).to_contain_text("only one is left")
    assert_accessible(page)
    shoot(page, "sold-meanwhile")
    page.get_by_role("button", name="Take the last one").click()
    expect(page.locator(".line input")).to_have_value("1")
    page.goto("/eu/en/checkout")
    give_card(page, GOOD)
    press(page)

    expect(page.locator("h1")).to_contain_text("Your order is confirmed")


def test_keys_are_enough_to_buy(page: Page, keeper: Keeper, assert_accessible: Look) -> None:
    put_in(page, "/us/en", keeper.good()[1])
    page.goto("/us/en/cart")
    assert_accessible(page)

    def go_to(name: str) -> None:
        """Press Tab until something with that id has the focus, also in the field of the bank."""
        for _ in range(80):
            page.keyboard.press("Tab")
            for frame in page.frames:
                if frame.evaluate("document.activeElement?.id") == name:
                    return
        raise AssertionError(f"no key leads to {name}")

    page.get_by_role("link", name="Go to checkout").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/checkout")
    typed = {
        "email": "ada@example.com",
        "shipping-name": "Ada Lovelace",
        "shipping-street": "1 Main Street",
        "shipping-city": "San Francisco",
        "shipping-region": "cal",
        "shipping-postal_code": "94103",
    }
    for name, text in typed.items():
        go_to(name)
        page.keyboard.type(text)
    page.keyboard.press("Enter")
    page.frame_locator("iframe.hosted").locator("#number").wait_for()
    for name, text in {"number": GOOD, "expiry": "1230", "cvc": "123"}.items():
        go_to(name)
        page.keyboard.type(text)
    go_to("order-now")
    page.keyboard.press("Enter")

    expect(page.locator("h1")).to_contain_text("Your order is confirmed")

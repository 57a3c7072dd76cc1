"""From the cart to the order, as a program fills in the forms: no browser is needed for that."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.channels.shopping import ADA, Keeper, Shopper, headline
from tests.journeys.running import Running


@pytest.fixture(scope="module")
def keeper(shop: Running) -> Iterator[Keeper]:
    keeper = Keeper(shop)
    yield keeper
    keeper.client.close()


@pytest.fixture
def shopper(client: httpx.Client) -> Shopper:
    return Shopper(client)


@pytest.fixture
def ready(shopper: Shopper, keeper: Keeper) -> tuple[Shopper, str]:
    """Bring a shopper with two of something before the button that orders."""
    _, sku = keeper.good()
    shopper.puts_in(sku, 2)
    shopper.fills_in()
    return shopper, sku


def test_a_cart_is_a_cookie_of_its_market(client: httpx.Client, keeper: Keeper) -> None:
    _, sku = keeper.good()

    added = client.post("/eu/en/cart/lines", data={"sku": sku, "quantity": "3"})

    assert added.status_code == 303
    cart, count = sorted(added.headers.get_list("set-cookie"), key=len, reverse=True)
    assert cart.startswith("banyan-cart=")
    assert "Path=/eu;" in cart
    assert "HttpOnly" in cart
    assert "SameSite=lax" in cart
    assert count.startswith("banyan-cart-count=3;")
    assert "HttpOnly" not in count
    assert "Nothing is in your cart" in client.get("/us/en/cart").text
    assert sku not in client.get("/eu/de/cart").headers.get("location", "")


@pytest.mark.parametrize("known", ["not an id", "01a20581-048b-734a-bae8-6013e56b6b94"])
def test_a_cart_that_is_nowhere_is_replaced(shopper: Shopper, keeper: Keeper, known: str) -> None:
    _, sku = keeper.good()
    shopper.client.cookies.set("banyan-cart", known, domain="127.0.0.1", path="/eu")

    page = shopper.puts_in(sku)

    assert "Added to your cart." in page.text


def test_units_are_typed_or_stepped(shopper: Shopper, keeper: Keeper) -> None:
    _, sku = keeper.good()
    page = shopper.puts_in(sku, 2)
    found = re.search(r'action="/eu/en/(cart/lines/[^"/]+)"', page.text)
    assert found

    shopper.sends(found[1], quantity="5", step="1")
    six = shopper.client.cookies["banyan-cart-count"]
    wrong = shopper.sends(found[1], quantity="1", step="-1")
    gone = shopper.sends(f"{found[1]}/removal")

    assert six == "6"
    assert "A quantity is a whole number" in wrong.text
    assert "Nothing is in your cart" in gone.text


def test_the_cart_tells_what_has_changed(shopper: Shopper, keeper: Keeper) -> None:
    (_, rare), (_, dear) = keeper.good(), keeper.good()
    shopper.puts_in(rare, 5)
    shopper.puts_in(dear)

    keeper.leaves(rare, 2)
    keeper.reprices(dear, 12_345)
    page = shopper.goes("cart")

    assert "Only 2 are left." in page.text
    assert "€123.45 now" in page.text
    assert "Go to checkout" not in page.text


def test_an_empty_cart_is_not_checked_out(shopper: Shopper) -> None:
    page = shopper.goes("checkout")

    assert page.url.path == "/eu/en/cart"


def test_what_is_wrong_is_told_at_its_field_and_nothing_typed_is_lost(
    shopper: Shopper, keeper: Keeper
) -> None:
    shopper.puts_in(keeper.good()[1])
    shopper.details = {**ADA, "email": "ada@", "shipping-postal_code": "1", "shipping-city": ""}

    page = shopper.fills_in()

    assert page.status_code == 422
    flawed = re.findall(r'id="(\S+)-flaw"', page.text)
    assert flawed == ["email", "shipping-postal_code", "shipping-city"]
    assert all(f'href="#{name}"' in page.text for name in flawed)
    assert 'value="ada@"' in page.text
    assert 'value="Lindenstraße 12"' in page.text


def test_another_country_asks_for_its_own_fields(shopper: Shopper, keeper: Keeper) -> None:
    shopper.puts_in(keeper.good()[1])

    page = shopper.sends("checkout", **{**ADA, "shipping-country": "IT"}, intent="country")

    assert page.status_code == 200
    assert re.search(r'<option value="MI"\s*>\s*Milano', page.text)
    assert 'value="Lindenstraße 12"' in page.text
    assert "aria-invalid" not in page.text


@pytest.mark.parametrize(
    ("home", "words"),
    [("/eu/en", "Order with obligation to pay €"), ("/eu/de", "Zahlungspflichtig bestellen")],
)
def test_the_button_says_what_it_costs_whoever_presses_it(
    shopper: Shopper, keeper: Keeper, home: str, words: str
) -> None:
    """As Directive 2011/83/EU asks in its Article 8(2)."""
    shopper.home = home
    shopper.puts_in(keeper.good()[1])

    page = shopper.fills_in()

    button = re.search(r'value="order">(.*?)</button>', page.text, re.DOTALL)
    assert button
    assert words in button[1]
    assert re.search(r"\d+[.,]\d\d", button[1])


def test_only_the_bank_may_be_framed(ready: tuple[Shopper, str]) -> None:
    page = ready[0].goes("checkout")

    field = re.search(r'<iframe[^>]* src="(https?://[^/"]+)', page.text)
    assert field
    assert f"frame-src {field[1]};" in page.headers["content-security-policy"]
    assert f"form-action 'self' {field[1]};" in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "private, no-store"


def test_a_way_of_shipping_changes_the_total_and_keeps_what_is_typed(
    ready: tuple[Shopper, str],
) -> None:
    shopper, _ = ready
    before, token = int(shopper.reads("total")), shopper.reads("token-sandbox")

    page = shopper.sends(
        "checkout",
        **{**ADA, "shipping-city": "Potsdam"},
        **{"delivery": "eu-express", "payment": "sandbox", "token-sandbox": token},
        intent="delivery",
    )

    assert int(shopper.reads("total")) > before
    assert 'value="Potsdam"' in page.text
    assert shopper.reads("token-sandbox") == token


def test_an_address_that_the_way_does_not_reach_gets_another_way(
    ready: tuple[Shopper, str],
) -> None:
    shopper, _ = ready
    shopper.fills_in(delivery="eu-express")
    shopper.details = {
        **ADA,
        "shipping-country": "IT",
        "shipping-region": "MI",
        "shipping-postal_code": "20121",
    }

    page = shopper.fills_in()

    assert page.status_code == 200
    assert "Order with obligation to pay" in page.text


def test_what_is_saved_later_leaves_the_card_where_it_is(ready: tuple[Shopper, str]) -> None:
    shopper, _ = ready
    token = shopper.reads("token-sandbox")

    shopper.fills_in(**{"payment": "sandbox", "token-sandbox": token})

    assert token.startswith("tok_")
    assert shopper.reads("token-sandbox") == token


def test_an_invoice_may_go_elsewhere(ready: tuple[Shopper, str]) -> None:
    shopper, _ = ready
    billing = {name.replace("shipping-", "billing-"): said for name, said in ADA.items()}
    shopper.details = {**billing, **ADA, "billing-city": "Potsdam", "same": ""}

    page = shopper.presses("tok_ok")

    assert "10969 Berlin" in page.text
    assert "10969 Potsdam" in page.text


def test_an_order_is_shown_by_its_address_alone(
    ready: tuple[Shopper, str], client: httpx.Client
) -> None:
    shopper, _ = ready

    page = shopper.presses("tok_ok")

    assert headline(page) == "Thank you! Your order is confirmed."
    assert "Lindenstraße 12" in page.text
    assert page.headers["cache-control"] == "private, no-store"
    assert page.headers["referrer-policy"] == "same-origin"
    assert '<meta name="robots" content="noindex">' in page.text
    assert "banyan-cart" not in client.cookies
    client.cookies.clear()
    assert client.get(page.url.path).status_code == 200
    assert client.get(page.url.path.replace("/eu/", "/us/")).status_code == 404


def test_why_the_shop_canceled_an_order_is_not_told_to_its_shopper(
    ready: tuple[Shopper, str], keeper: Keeper
) -> None:
    shopper, _ = ready
    path = shopper.presses("tok_ok").url.path
    order = path.rpartition("/")[2]

    keeper.client.post(
        f"/api/admin/orders/{order}/cancellation",
        json={"reason": "smells of fraud"},
        headers={"idempotency-key": f"cancel-{order}"},
    ).raise_for_status()

    page = shopper.client.get(path)
    assert "This order was canceled" in page.text
    assert "smells of fraud" not in page.text
    assert shopper.client.get(f"/api/store/orders/{order}").json()["cancel_reason"] is None
    told = keeper.client.get(f"/api/admin/orders/{order}").json()
    assert told["cancel_reason"] == "smells of fraud"


def test_the_same_press_twice_is_one_order(ready: tuple[Shopper, str]) -> None:
    shopper, _ = ready
    cookies, html = dict(shopper.client.cookies), shopper.html

    first = shopper.presses("tok_ok", follow=False)
    shopper.html = html
    shopper.client.cookies.clear()
    shopper.client.cookies.update(cookies)
    second = shopper.presses("tok_ok", follow=False)

    assert first.status_code == 303
    assert "/eu/en/orders/" in first.headers["location"]
    assert second.headers["location"] == first.headers["location"]


def test_a_declined_card_is_explained_and_another_pays(ready: tuple[Shopper, str]) -> None:
    shopper, _ = ready
    html = shopper.html

    declined = shopper.presses("tok_insufficient")
    shopper.html = html
    again = shopper.presses("tok_insufficient")
    paid = shopper.presses("tok_ok")

    assert declined.status_code == again.status_code == 402
    assert headline(declined) == headline(again) == "The payment did not go through"
    assert "not enough money on this card" in declined.text
    assert "tok_insufficient" not in declined.text
    assert headline(paid) == "Thank you! Your order is confirmed."


def test_without_a_card_nothing_is_ordered(ready: tuple[Shopper, str]) -> None:
    shopper, _ = ready

    page = shopper.presses(shopper.reads("token-sandbox"))

    assert page.status_code == 422
    assert headline(page) == "A card is needed"


def test_a_new_price_needs_a_new_press(ready: tuple[Shopper, str], keeper: Keeper) -> None:
    shopper, sku = ready

    keeper.reprices(sku, 9_999)
    changed = shopper.presses("tok_ok")
    paid = shopper.presses("tok_ok")

    assert changed.status_code == 409
    assert headline(changed) == "The total has changed"
    assert re.search(r"and is €199\.98 now", changed.text)
    assert headline(paid) == "Thank you! Your order is confirmed."
    assert "€199.98" in paid.text


def test_a_total_from_another_page_is_not_ordered(ready: tuple[Shopper, str]) -> None:
    shopper, sku = ready
    html = shopper.html

    shopper.puts_in(sku)
    shopper.html = html
    page = shopper.presses("tok_ok")

    assert headline(page) == "The total has changed"


@pytest.mark.parametrize(
    ("left", "advice"), [(1, "Take the last one"), (0, "Remove it from the cart")]
)
def test_what_was_sold_meanwhile_is_told_with_a_way_on(
    ready: tuple[Shopper, str], keeper: Keeper, left: int, advice: str
) -> None:
    shopper, sku = ready

    keeper.leaves(sku, left)
    page = shopper.presses("tok_ok")

    assert page.status_code == 409
    assert headline(page) == "This cannot be ordered as it is"
    assert advice in page.text
    keeper.leaves(sku, 5)
    assert headline(shopper.presses("tok_ok")) == "Thank you! Your order is confirmed."


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ("confirm", "Thank you! Your order is confirmed."),
        ("refuse", "The payment did not go through"),
    ],
)
def test_the_bank_asks_and_the_order_follows_its_answer(
    ready: tuple[Shopper, str], answer: str, outcome: str
) -> None:
    shopper, _ = ready
    sent = shopper.presses("tok_challenge", follow=False)
    waiting = shopper.goes("checkout")

    bank = httpx.post(sent.headers["location"], data={"answer": answer})
    back = shopper.client.get(bank.headers["location"], follow_redirects=True)
    there = back.url.path if "/orders/" in back.url.path else waiting.url.path

    assert headline(waiting) == "Please confirm at your bank"
    assert headline(until(lambda: shopper.client.get(there), outcome)) == outcome


def until(page: Callable[[], httpx.Response], outcome: str) -> httpx.Response:
    """Ask again until a page is about what is expected, for some seconds."""
    for _ in range(50):
        found = page()
        if headline(found) == outcome:
            break
        time.sleep(0.1)
    return found

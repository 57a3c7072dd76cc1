"""Trade over HTTP: a shop that also sells in America, and shoppers who buy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

import httpx

from tests.journeys.counter import STOCK, Counter, eventually
from tests.journeys.running import ADA

STORE, BACK = "/api/store", "/api/admin"
GRACE = {
    "name": "Grace Hopper",
    "street": "1 Navy Yard",
    "postal_code": "10001",
    "city": "New York",
    "country": "US",
    "region": "NY",
}
READY = {"email": "ada@example.com", "shipping_address": ADA, "shipping_method": "post"}
CARD = {"method": "sandbox", "token": "tok_ok"}

EUROPE = {
    "code": "eu",
    "title": "Europe",
    "currency": "EUR",
    "countries": ["DE", "AT"],
    "locales": ["en", "de"],
    "tax_inclusive": True,
}
VAT = {"market": "eu", "tax_class": "standard", "millionths": 190_000, "name": "VAT"}
POST = {"code": "post", "market": "eu", "title": {"en": "Post"}, "rates": [{"amount": 490}]}
IN_EUROPE: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("POST", "/markets", EUROPE),
    ("POST", "/price-lists", {"code": "eu", "market": "eu", "currency": "EUR"}),
    ("POST", "/tax-rates", VAT),
    ("POST", "/warehouses", {"code": "berlin", "title": "Berlin", "country": "DE"}),
    ("POST", "/shipping-methods", POST),
)
AMERICA = {
    "code": "us",
    "title": "America",
    "currency": "USD",
    "countries": ["US"],
    "locales": ["en-US"],
    "tax_inclusive": False,
    "position": 1,
}
SALES_TAX = {
    "market": "us",
    "tax_class": "standard",
    "country": "US",
    "region": "NY",
    "millionths": 88_750,
    "name": "Sales tax",
}
PARCEL = {
    "code": "parcel",
    "market": "us",
    "title": {"en": "Parcel"},
    "rates": [{"amount": 900}],
}
IN_AMERICA: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("POST", "/markets", AMERICA),
    ("POST", "/price-lists", {"code": "us", "market": "us", "currency": "USD"}),
    ("PUT", "/prices", {"prices": [{"price_list": "us", "sku": "LAMP", "amount": 5900}]}),
    ("POST", "/tax-rates", SALES_TAX),
    ("POST", "/shipping-methods", PARCEL),
)


def furnish(counter: Counter) -> None:
    """Open a market in an empty shop and put a lamp and a shade on its shelves."""
    admin = counter.admin
    _tell(admin, IN_EUROPE)
    for sku, amount in (("LAMP", 4999), ("SHADE", 1500)):
        price = {"price_list": "eu", "sku": sku, "amount": amount}
        _tell(admin, [("PUT", "/prices", {"prices": [price]})])
        product = {
            "slug": sku.lower(),
            "title": sku.title(),
            "variants": [{"sku": sku, "weight_grams": 900}],
        }
        made = admin.post(f"{BACK}/products", json=product).raise_for_status()
        admin.post(
            f"{BACK}/products/{made.json()['id']}/publish",
            headers={"if-match": made.headers["etag"]},
        ).raise_for_status()
        came = {"sku": sku, "warehouse": "berlin", "quantity": STOCK, "reason": "received"}
        _tell(admin, [("POST", "/stock/movements", came)])
    eventually(lambda: page(counter)["price"] and (page(counter)["available"] or None))
    with shopping(counter) as shopper:
        eventually(lambda: _can_be_ordered(shopper))


def _tell(admin: httpx.Client, told: Iterable[tuple[str, str, dict[str, Any]]]) -> None:
    for method, path, body in told:
        admin.request(method, BACK + path, json=body).raise_for_status()


def _can_be_ordered(shopper: httpx.Client) -> bool | None:
    """Tell whether those who take and send orders have heard of all goods, too."""
    cart = shopper.post("/carts").raise_for_status().json()["id"]
    line = {"sku": "SHADE"}
    return shopper.post(f"/carts/{cart}/lines", json=line).is_success or None


def sell_in_america(counter: Counter) -> None:
    """Open a market there, and speak of the lamp in German everywhere."""
    _tell(counter.admin, IN_AMERICA)
    (lamp,) = counter.admin.get(f"{BACK}/products", params={"q": "lamp"}).json()["items"]
    said = {name: told for name, told in lamp.items() if name not in ("id", "state", "version")}
    counter.admin.put(
        f"{BACK}/products/{lamp['id']}",
        json={**said, "translations": {"de": {"title": "Lampe"}}},
        headers={"if-match": f'"{lamp["version"]}"'},
    ).raise_for_status()
    eventually(lambda: page(counter, locale="de")["title"] == "Lampe" or None)
    eventually(lambda: page(counter, market="us")["price"])


def page(counter: Counter, **asked: str) -> dict[str, Any]:
    """Read the page of the lamp; an empty one in a market that is not known yet."""
    answer = counter.shopper.get(f"{STORE}/products/lamp", params=asked)
    told: dict[str, Any] = answer.json()
    return {"title": None, "price": None, "available": None} | told


@contextmanager
def shopping(counter: Counter) -> Iterator[httpx.Client]:
    """Enter the shop, as somebody of whom nothing is known."""
    with httpx.Client(base_url=counter.url + STORE, timeout=15, trust_env=False) as shopper:
        yield shopper


def filled(shopper: httpx.Client, **more: object) -> str:
    """Put a lamp into a new cart, and say what an order needs."""
    cart: str = shopper.post("/carts").raise_for_status().json()["id"]
    shopper.post(f"/carts/{cart}/lines", json={"sku": "LAMP"}).raise_for_status()
    shopper.patch(f"/carts/{cart}", json={**READY, **more}).raise_for_status()
    return cart


def check_out(shopper: httpx.Client, cart: str, token: str = "tok_ok") -> httpx.Response:
    """Order a cart; the same token again is the same request."""
    key = sha256(f"{token} {cart}".encode()).hexdigest()
    return shopper.post(
        f"/carts/{cart}/checkout",
        json={"payment": {**CARD, "token": token}},
        headers={"idempotency-key": key},
    )


def buy_twice(counter: Counter) -> None:
    """Place two orders, and wait until their mails are written."""
    with shopping(counter) as shopper:
        for _ in range(2):
            check_out(shopper, filled(shopper)).raise_for_status()
    eventually(lambda: len(counter.admin.get(f"{BACK}/messages").json()["items"]) > 1 or None)

"""Buy a lamp over HTTP, as a stranger with nothing but the documented paths would.

Usage: python tests/smoke/purchase.py http://127.0.0.1:8000
"""

import json
import secrets
import sys
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

SHOPPER = {
    "email": "ada@example.com",
    "shipping_address": {
        "name": "Ada Lovelace",
        "street": "Lindenstraße 12",
        "postal_code": "10969",
        "city": "Berlin",
        "country": "DE",
    },
}


class Shop:
    """The public API of a running shop."""

    def __init__(self, url: str) -> None:
        self.url = f"{url.rstrip('/')}/api/store"

    def get(self, path: str) -> Any:  # noqa: ANN401 - JSON is what it is
        """Read something."""
        return self.ask("GET", path, expected=200)

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        expected: int,
        headers: dict[str, str] | None = None,
    ) -> Any:  # noqa: ANN401 - JSON is what it is
        """Send a request and insist on the status of its answer."""
        request = Request(  # noqa: S310 - the address is the caller's
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", **(headers or {})},
        )
        try:
            with urlopen(request, timeout=30) as response:  # noqa: S310 - as above
                status, answer = response.status, response.read()
        except HTTPError as refused:
            status, answer = refused.code, refused.read()
        assert status == expected, f"{method} {path} answered {status}: {answer.decode()}"
        return json.loads(answer)


def buy(url: str) -> str:
    """Buy one unit of a product that is in stock, and return the id of the order."""
    shop = Shop(url)

    listed = shop.get("/products?q=lamp&limit=24")["items"]
    card = next(item for item in listed if item["available"])
    product = shop.get(f"/products/{card['slug']}")
    variant = next(variant for variant in product["variants"] if variant["available"])

    cart = shop.ask("POST", "/carts", {}, expected=201)
    here = f"/carts/{cart['id']}"
    assert cart["lines"] == []
    cart = shop.ask("POST", f"{here}/lines", {"sku": variant["sku"], "quantity": 1}, expected=201)
    assert [(line["sku"], line["quantity"]) for line in cart["lines"]] == [(variant["sku"], 1)]
    assert cart["lines"][0]["unit_price"] == variant["price"]

    shop.ask("PATCH", here, SHOPPER, expected=200)
    method = shop.get(f"{here}/shipping-methods")["items"][0]
    cart = shop.ask("PATCH", here, {"shipping_method": method["code"]}, expected=200)
    assert cart["totals"]["shipping"] == method["price"]

    payment = {"payment": {"method": "sandbox", "token": "tok_ok"}}
    key = {"Idempotency-Key": f'"{secrets.token_hex(16)}"'}
    order = shop.ask("POST", f"{here}/checkout", payment, expected=201, headers=key)["order"]
    assert order["state"] == "confirmed", f"the order is {order['state']}"
    assert order["number"]
    assert order["totals"]["total"] == cart["totals"]["total"], "the shopper was told another price"

    replayed = shop.ask("POST", f"{here}/checkout", payment, expected=201, headers=key)["order"]
    assert replayed == order, "the same key made another order"
    assert shop.get(f"/orders/{order['id']}")["number"] == order["number"]

    print(f"bought {card['title']!r}: order {order['number']}, {order['totals']['total']}")
    return str(order["id"])


if __name__ == "__main__":
    buy(sys.argv[1])

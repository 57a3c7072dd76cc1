"""A shopper without a browser, and the hand that changes the shop behind the shopper's back."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.journeys.running import Running

ADA = {
    "email": "ada@example.com",
    "same": "on",
    "shipping-country": "DE",
    "shipping-name": "Ada Lovelace",
    "shipping-street": "Lindenstraße 12",
    "shipping-postal_code": "10969",
    "shipping-city": "Berlin",
}
ENOUGH = 400


@dataclass
class Shopper:
    """Somebody who fills in forms in one place of the shop, and remembers the last page."""

    client: httpx.Client
    home: str = "/eu/en"
    details: dict[str, str] = field(default_factory=ADA.copy)
    html: str = ""

    def goes(self, path: str) -> httpx.Response:
        return self._seen(self.client.get(f"{self.home}/{path}", follow_redirects=True))

    def sends(self, path: str, **said: str) -> httpx.Response:
        there = f"{self.home}/{path}"
        return self._seen(self.client.post(there, data=said, follow_redirects=True))

    def puts_in(self, sku: str, quantity: int = 1) -> httpx.Response:
        return self.sends("cart/lines", sku=sku, quantity=str(quantity))

    def fills_in(self, **more: str) -> httpx.Response:
        return self.sends("checkout", **self.details, **more, intent="details")

    def presses(self, card: str, *, follow: bool = True, **more: str) -> httpx.Response:
        """Order for what the button on the last page says."""
        told = {name: self.reads(name) for name in ("total", "version")}
        said = {**self.details, **told, "payment": "sandbox", "token-sandbox": card, **more}
        there = f"{self.home}/checkout"
        answer = self.client.post(there, data={**said, "intent": "order"}, follow_redirects=follow)
        return self._seen(answer)

    def reads(self, name: str) -> str:
        """Read what the last page says in a hidden field."""
        found = re.search(rf'name="{name}"\s+value="([^"]*)"', self.html)
        return found[1] if found else ""

    def _seen(self, answer: httpx.Response) -> httpx.Response:
        self.html = answer.text
        return answer


def headline(answer: httpx.Response) -> str:
    """Read what a page is about: the title of its notice, or else of the whole."""
    found = re.search(r'class="notice-title">(.*?)<', answer.text, re.DOTALL)
    found = found or re.search(r"<h1[^>]*>(.*?)</h1>", answer.text, re.DOTALL)
    assert found, answer.text
    return found[1].strip()


@dataclass
class Keeper:
    """Somebody who runs the shop, through its API; gives every test a good of its own."""

    shop: Running
    taken: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.client = httpx.Client(base_url=self.shop.url, headers=self.shop.admin)

    def good(self) -> tuple[str, str]:
        """Find something of middling price that no other test was given, and stock up on it."""
        found = self._told("/api/store/products", filter="price:7500-20000", limit="100")["items"]
        for item in found:
            if item["slug"] in self.taken or not item["available"]:
                continue
            self.taken.add(item["slug"])
            page = self._told(f"/api/store/products/{item['slug']}")
            sku = next(one["sku"] for one in page["variants"] if one["available"])
            self.leaves(sku, ENOUGH)
            return item["slug"], sku
        raise AssertionError("the shop is too small for so many tests")

    def leaves(self, sku: str, units: int) -> None:
        """Leave exactly so many units, in one warehouse."""
        for number, level in enumerate(self._told("/api/admin/stock", sku=sku)["items"]):
            counted = {"on_hand": level["reserved"] + (0 if number else units), "backorder": False}
            self.client.put(
                f"/api/admin/stock/{sku}/{level['warehouse']}",
                json=counted,
                headers={"if-match": f'"{level["version"]}"'},
            ).raise_for_status()

    def reprices(self, sku: str, amount: int) -> None:
        """Change what a SKU costs in Europe."""
        known = self._told("/api/admin/prices", sku=sku)["items"]
        ours = [{**one, "amount": amount} for one in known if one["price_list"] == "eu"]
        self.client.put("/api/admin/prices", json={"prices": ours}).raise_for_status()

    def _told(self, path: str, **asked: str) -> dict[str, Any]:
        found = self.client.get(path, params=asked).raise_for_status()
        return dict(found.json())

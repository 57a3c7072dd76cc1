"""What shoppers do in Banyan's shop, over its HTTP API."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.client import Wrong
from benchmarks.load import Operation, Visitor

MARKET = "eu"
ADDRESS = {
    "name": "Ada Lovelace",
    "street": "Lindenstraße 12",
    "postal_code": "10969",
    "city": "Berlin",
    "country": "DE",
}


async def browse(visitor: Visitor) -> None:
    """LIST: 24 products of a category with prices."""
    await _browse(visitor, {})


async def browse_cold(visitor: Visitor) -> None:
    """LIST, as nobody has asked for it before."""
    await _browse(visitor, _stranger(visitor))


async def show(visitor: Visitor) -> None:
    """DETAIL: one product with variants, prices, availability."""
    await _show(visitor, {})


async def show_cold(visitor: Visitor) -> None:
    """DETAIL, as nobody has asked for it before."""
    await _show(visitor, _stranger(visitor))


async def seek(visitor: Visitor) -> None:
    """SEARCH: full-text query, 24 results; each visitor asks as nobody has asked before."""
    words = visitor.chance.choice(visitor.context["queries"]).replace(" ", "+")
    path = f"/api/store/products?q={words}&limit=24"
    found = await visitor.connection.ask("GET", path, headers=_stranger(visitor))
    _hold(found.json(200)["items"] != [], found.body)


async def add(visitor: Visitor) -> None:
    """ADD: create a cart and add one item."""
    await _filled(visitor)


async def check_out(visitor: Visitor) -> None:
    """CHECKOUT: the whole guest flow, from an empty cart to a confirmed order."""
    ask = visitor.connection.ask
    cart = await _filled(visitor)
    here = f"/api/store/carts/{cart}"
    details = {"email": "ada@example.com", "shipping_address": ADDRESS}
    (await ask("PATCH", here, details)).json(200)
    methods = (await ask("GET", f"{here}/shipping-methods")).json(200)["items"]
    (await ask("PATCH", here, {"shipping_method": methods[0]["code"]})).json(200)
    payment = {"payment": {"method": "sandbox", "token": "tok_ok"}}
    ordered = await ask("POST", f"{here}/checkout", payment, {"idempotency-key": cart})
    order = ordered.json(201)["order"]
    _hold(order["state"] == "confirmed" and bool(order["number"]), ordered.body)


operations: Mapping[str, Operation] = {
    "LIST": browse,
    "LIST cold": browse_cold,
    "DETAIL": show,
    "DETAIL cold": show_cold,
    "SEARCH": seek,
    "ADD": add,
    "CHECKOUT": check_out,
}


async def _browse(visitor: Visitor, headers: Mapping[str, str]) -> None:
    category = visitor.chance.choice(visitor.context["categories"])
    path = f"/api/store/products?category={category}&limit=24"
    reply = await visitor.connection.ask("GET", path, headers=headers)
    _hold(reply.status == 200 and reply.body.count(b'"slug"') >= 24, reply.body)


async def _show(visitor: Visitor, headers: Mapping[str, str]) -> None:
    slug = visitor.chance.choice(visitor.context["hot"])
    reply = await visitor.connection.ask("GET", f"/api/store/products/{slug}", headers=headers)
    _hold(reply.status == 200 and slug.encode() in reply.body, reply.body)


def _stranger(visitor: Visitor) -> Mapping[str, str]:
    """Wish for a language that nobody speaks: the same answer, kept for nobody else."""
    return {"accept-language": f"en, x-{visitor.chance.getrandbits(40):010x};q=0.1"}


async def _filled(visitor: Visitor) -> str:
    ask = visitor.connection.ask
    cart = (await ask("POST", "/api/store/carts", {"market": MARKET})).json(201)["id"]
    sku = visitor.chance.choice(visitor.context["skus"])
    line = {"sku": sku, "quantity": 1}
    (await ask("POST", f"/api/store/carts/{cart}/lines", line)).json(201)
    return str(cart)


def _hold(truth: bool, told: bytes) -> None:  # noqa: FBT001 - as an assertion
    if not truth:
        raise Wrong(told[:300].decode(errors="replace"))

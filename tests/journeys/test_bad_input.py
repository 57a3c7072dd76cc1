"""Whatever is wrong with a request: it is refused in the words of the house, and nothing breaks."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from banyan.kernel.edge import MOST_BYTES
from tests.journeys.counter import Counter, eventually
from tests.journeys.refusal import SOME_ID, operations, places, refused
from tests.journeys.running import ADA
from tests.journeys.trade import BACK, CARD, READY, check_out, filled

JSON = {"content-type": "application/json"}
BIG = json.dumps({"market": " " * MOST_BYTES}).encode()


@pytest.mark.parametrize("headers", [{}, {"idempotency-key": "big"}], ids=["plain", "with a key"])
@pytest.mark.parametrize("body", [BIG, [BIG]], ids=["at once", "in chunks"])
def test_a_body_over_a_mebibyte_is_refused(
    shopper: httpx.Client, body: bytes | list[bytes], headers: dict[str, str]
) -> None:
    content = iter(body) if isinstance(body, list) else body

    answer = shopper.post("/carts", content=content, headers=JSON | headers)

    assert refused(answer, 413, "body_too_large")["limit_bytes"] == MOST_BYTES


LINE: dict[str, Any] = {"sku": "LAMP", "quantity": 1}


@pytest.mark.parametrize(
    ("path", "body", "at"),
    [
        ("/lines", {**LINE, "sku": 7}, "/sku"),
        ("/lines", {**LINE, "sku": None}, "/sku"),
        ("/lines", {**LINE, "sku": ""}, "/sku"),
        ("/lines", {**LINE, "sku": "LAMP\n"}, "/sku"),
        ("/lines", {**LINE, "sku": "L" * 101}, "/sku"),
        ("/lines", {"quantity": 1}, "/sku"),
        ("/lines", {**LINE, "quantity": "1"}, "/quantity"),
        ("/lines", {**LINE, "quantity": True}, "/quantity"),
        ("/lines", {**LINE, "quantity": None}, "/quantity"),
        ("/lines", {**LINE, "quantity": 1.5}, "/quantity"),
        ("/lines", {**LINE, "quantity": 0}, "/quantity"),
        ("/lines", {**LINE, "quantity": -1}, "/quantity"),
        ("/lines", {**LINE, "quantity": 10_001}, "/quantity"),
        ("/lines", {**LINE, "quantity": 2**63}, "/quantity"),
        ("/lines", {**LINE, "quantity": 10**400}, "/quantity"),
        ("/lines", {**LINE, "price": 1}, "/price"),
        ("/lines", [LINE], ""),
        ("/lines", None, ""),
        ("", {"email": "ada@example"}, "/email"),
        ("", {"email": "ada@example.com\nBcc: all@example.com"}, "/email"),
        ("", {"email": "ada@example.com\n"}, "/email"),
        ("", {"coupons": "SUMMER"}, "/coupons"),
        ("", {"coupons": [""]}, "/coupons/0"),
        ("", {"coupons": ["A"] * 21}, "/coupons"),
        ("", {"emial": "ada@example.com"}, "/emial"),
        ("", {"shipping_address": {**ADA, "streat": "x"}}, "/shipping_address/streat"),
        ("", {"shipping_address": {**ADA, "a/b~c": "x"}}, "/shipping_address/a~1b~0c"),
        ("", {"shipping_address": {**ADA, "city": None}}, "/shipping_address/city"),
        ("", {"shipping_address": {**ADA, "country": "de"}}, "/shipping_address/country"),
        ("", {"shipping_address": {**ADA, "country": "DE\n"}}, "/shipping_address/country"),
        ("", {"shipping_address": {**ADA, "name": "A\0da"}}, "/shipping_address/name"),
        ("", {"shipping_address": {**ADA, "name": "A" * 201}}, "/shipping_address/name"),
        ("", {"shipping_address": {"name": "Ada Lovelace"}}, "/shipping_address/street"),
        ("/checkout", {"payment": {**CARD, "method": "SANDBOX "}}, "/payment/method"),
        ("/checkout", {"payment": {**CARD, "cvc": "123"}}, "/payment/cvc"),
        ("/checkout", {"payment": {**CARD, "return_url": "javascript:x"}}, "/payment/return_url"),
    ],
)
def test_what_is_wrong_in_a_body_is_pointed_to(
    shopper: httpx.Client, cart: str, path: str, body: object, at: str
) -> None:
    method = "POST" if path else "PATCH"
    headers = {"idempotency-key": "wrong"} if path == "/checkout" else {}

    answer = shopper.request(method, cart + path, json=body, headers=JSON | headers)

    assert at in places(refused(answer, 400, "bad_request"))
    assert shopper.get(cart).json()["lines"] == []


@pytest.mark.parametrize(
    "text",
    [
        *(
            b"",
            b"{",
            b'{"sku": "LAMP",}',
            b"{'sku': 'LAMP'}",
            b"sku=LAMP",
            b"\xff",
            b"\xef\xbb\xbf{}",
        ),
        *(b"NaN", b'{"quantity": Infinity}', b'{"quantity": 1e999}', b'{"sku": "\\ud800"}'),
        *(b'{"sku": "\xed\xa0\x80"}', b'{"s\\u0000ku": 1}', b"[" * 100_000, b'{"a":' * 50_000),
    ],
)
def test_what_is_no_json_is_refused_as_a_whole(
    shopper: httpx.Client, cart: str, text: bytes
) -> None:
    answer = shopper.post(f"{cart}/lines", content=text, headers=JSON)

    assert places(refused(answer, 400, "bad_request")) == [""]


@pytest.mark.parametrize("media_type", ["text/plain", "application/xml", "multipart/form-data", ""])
def test_a_body_of_another_kind_is_refused(
    shopper: httpx.Client, cart: str, media_type: str
) -> None:
    answer = shopper.post(
        f"{cart}/lines", content=json.dumps(LINE), headers={"content-type": media_type}
    )

    assert refused(answer, 415, "unsupported_media_type")["accepted"] == "application/json"
    assert answer.headers["accept"] == "application/json"


def test_an_answer_of_another_kind_is_not_to_be_had(shopper: httpx.Client) -> None:
    answer = shopper.get("/products", headers={"accept": "application/xml"})

    assert refused(answer, 406, "not_acceptable")["offered"] == "application/json"


def test_nobody_gets_over_ten_thousand_by_adding_up(shopper: httpx.Client, cart: str) -> None:
    most = shopper.post(f"{cart}/lines", json={**LINE, "quantity": 10_000})

    more = shopper.post(f"{cart}/lines", json=LINE)

    assert most.status_code == 201
    assert refused(more, 422, "too_many")["limit"] == 10_000


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code", "explained"),
    [
        ("POST", "/lines", {"sku": "LAMB"}, 404, "unknown_sku", {"sku": "LAMB"}),
        ("PATCH", f"/lines/{SOME_ID}", {"quantity": 1}, 404, "unknown_line", {"line": SOME_ID}),
        ("DELETE", f"/lines/{SOME_ID}", None, 404, "unknown_line", {"line": SOME_ID}),
        ("PATCH", "", {"coupons": ["FREE"]}, 422, "unknown_coupon", {"coupon": "FREE"}),
        ("POST", "/checkout", {"payment": CARD}, 409, "empty_cart", {}),
    ],
)
def test_what_is_well_said_but_cannot_be_is_explained(
    shopper: httpx.Client,
    cart: str,
    method: str,
    path: str,
    body: object,
    status: int,
    code: str,
    explained: dict[str, str],
) -> None:
    headers = {"idempotency-key": cart[7:]} if path == "/checkout" else {}

    answer = shopper.request(method, cart + path, json=body, headers=headers)

    assert explained.items() <= refused(answer, status, code).items()


def test_what_an_order_lacks_is_named(shopper: httpx.Client, cart: str) -> None:
    shopper.post(f"{cart}/lines", json=LINE).raise_for_status()
    shopper.patch(cart, json={"email": READY["email"]}).raise_for_status()

    answer = check_out(shopper, cart[7:])

    missing = refused(answer, 422, "cart_incomplete")["missing"]
    assert missing == ["shipping_address", "shipping_method"]


@pytest.mark.parametrize(
    ("method", "path", "asked"),
    [
        ("GET", "/products", {"params": {"market": "nowhere"}}),
        ("GET", "/products/lamp", {"headers": {"banyan-market": "nowhere"}}),
        ("POST", "/carts", {"params": {"market": "nowhere"}}),
        ("POST", "/carts", {"json": {"market": "nowhere"}}),
    ],
)
def test_a_market_that_is_not_there_is_not_replaced_by_another(
    shopper: httpx.Client, method: str, path: str, asked: dict[str, Any]
) -> None:
    answer = shopper.request(method, path, **asked)

    assert refused(answer, 404, "unknown_market")["market"] == "nowhere"


@pytest.mark.parametrize(
    ("path", "asked", "at"),
    [
        ("/products", {"params": {"market": "EU"}}, "market"),
        ("/products", {"headers": {"banyan-market": "e u"}}, "Banyan-Market"),
        ("/products", {"params": {"locale": "de_DE"}}, "locale"),
        ("/products", {"params": {"limit": "0"}}, "limit"),
        ("/products", {"params": {"limit": "101"}}, "limit"),
        ("/products", {"params": {"limit": "many"}}, "limit"),
        ("/products", {"params": {"limit": "99999999999999999999"}}, "limit"),
        ("/products", {"params": {"sort": "cheap"}}, "sort"),
        ("/products", {"params": {"sort": "null"}}, "sort"),
        ("/products", {"params": {"filter": "brand"}}, "filter"),
        ("/products", {"params": {"q": "x" * 201}}, "q"),
        ("/products?q=%00", {}, "query"),
        ("/products/la%00mp", {}, "path"),
        ("/products/lamp%0A", {}, "path"),
        ("/carts/1", {}, "cart"),
        (f"/carts/{SOME_ID}x", {}, "cart"),
        ("/orders/null", {}, "order"),
    ],
)
def test_a_parameter_that_is_wrong_is_named(
    shopper: httpx.Client, path: str, asked: dict[str, Any], at: str
) -> None:
    answer = shopper.get(path, **asked)

    refused(answer, 400, "bad_request", at=at)


@pytest.mark.parametrize(
    ("path", "code"), [("/carts", "unknown_cart"), ("/orders", "unknown_order"), ("", "not_found")]
)
def test_what_is_not_there_is_not_found(shopper: httpx.Client, path: str, code: str) -> None:
    answer = shopper.get(f"{path}/{SOME_ID}")

    refused(answer, 404, code)


@pytest.mark.parametrize(
    "cursor", ["%00%01", "bnVsbA", "W10", "eyJhIjoxfQ", "WzEsMl0", "!", "LAMP"]
)
def test_no_list_goes_on_where_it_never_was(counter: Counter, cursor: str) -> None:
    lists = [
        (path, described)
        for method, path, described in operations(counter)
        if any(one["name"] == "cursor" for one in described["parameters"])
    ]
    assert len(lists) > 8

    for path, _ in lists:
        answer = counter.admin.get(path, params={"cursor": cursor})

        refused(answer, 400, "bad_cursor")


@pytest.mark.parametrize("path", ["/api", "/api/store", "/api/store/cart", "/.env"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_an_unknown_address_is_not_found(counter: Counter, method: str, path: str) -> None:
    answer = counter.shopper.request(method, path)

    refused(answer, 404, "not_found")


def test_what_is_strange_but_allowed_is_kept_as_it_was_said(
    counter: Counter, shopper: httpx.Client
) -> None:
    strange = {
        **ADA,
        "name": "Robert'); DROP TABLE carts;--\r\nBcc: x@example.com",
        "street": "<script>alert(1)</script> {{ 7 * 7 }} %s ${x}",
        "city": "\u202eBerlin \U0001f3f0",
    }

    ordered = check_out(shopper, filled(shopper, shipping_address=strange)).json()["order"]

    shown = shopper.get(f"/orders/{ordered['id']}").json()["shipping_address"]
    assert shown.items() >= strange.items()
    mail = eventually(lambda: sent_about(counter, ordered["id"]))
    written = counter.admin.get(f"{BACK}/messages/{mail}").json()
    assert "<script>" not in written["html"]
    assert strange["street"] in written["text"]


def sent_about(counter: Counter, order: str) -> str | None:
    """Find the mail about an order, once it is sent."""
    found = counter.admin.get(f"{BACK}/messages", params={"about": order}).json()["items"]
    return next((one["id"] for one in found if one["state"] == "sent"), None)


def test_each_request_has_a_trace_of_its_own_after_a_large_one_too(shopper: httpx.Client) -> None:
    large = shopper.post("/carts", json={"market": "x" * 200_000})
    traces = {shopper.get("/nothing").headers["trace-id"] for _ in range(3)}

    assert len({large.headers["trace-id"], *traces}) == 4

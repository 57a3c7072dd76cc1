"""The HTTP face of payments."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from banyan.kernel.http import build
from banyan.kernel.security import Caller, Gate
from banyan.modules.payments.contract import InvalidWebhook
from tests.modules.payments.counter import IDS, Counter, some_payment
from tests.plugins.sandbox_merchant import CONFIRM, Shop

PAYMENTS = "/api/admin/payments"


class Porter(Gate):
    """Knows somebody who may move money, and somebody who may only look."""

    async def caller(self, token: str) -> Caller | None:
        grants = {"cashier": "payments:*", "reader": "payments:read"}
        return Caller(subject=token, permissions=frozenset({grants[token]}))


@pytest.fixture
async def http(counter: Counter) -> AsyncIterator[httpx.AsyncClient]:
    shop = counter.house.app
    app: Any = build(
        shop.routes(), dependencies=shop.dependencies(), gate=Porter(), ready=shop.ready
    )
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://shop",
        headers={"authorization": "Bearer cashier"},
    ) as client:
        yield client


def key(text: str) -> dict[str, str]:
    return {"idempotency-key": text}


def eur(amount: int) -> dict[str, object]:
    return {"amount": amount, "currency": "EUR"}


async def test_money_is_taken_and_given_back_over_http(
    http: httpx.AsyncClient, counter: Counter
) -> None:
    payment = some_payment()
    await counter.authorize(payment)
    here = f"{PAYMENTS}/{payment}"

    taken = await http.post(f"{here}/captures", json={"amount": eur(600)}, headers=key("one"))
    given = await http.post(f"{here}/refunds", json={"reason": "Broken"}, headers=key("two"))
    shown = await http.get(here)
    ledger = await http.get(f"{here}/ledger")

    assert [answer.status_code for answer in (taken, given, shown, ledger)] == [201, 201, 200, 200]
    assert taken.json()["captured"] == eur(600)
    assert given.json()["refunded"] == eur(600)
    assert shown.json() == given.json()
    assert shown.headers["etag"] == f'"{shown.json()["version"]}"'
    assert [(entry["account"], entry["amount"]) for entry in ledger.json()["items"]] == [
        ("provider:sandbox:authorized", 1000),
        ("orders:authorized", -1000),
        ("provider:sandbox:authorized", -600),
        ("orders:authorized", 600),
        ("provider:sandbox:captured", 600),
        ("orders:captured", -600),
        ("provider:sandbox:captured", -600),
        ("orders:captured", 600),
    ]


async def test_the_same_key_moves_money_once_and_another_key_moves_more(
    http: httpx.AsyncClient, counter: Counter
) -> None:
    payment = some_payment()
    await counter.authorize(payment)
    url, body = f"{PAYMENTS}/{payment}/captures", {"amount": eur(100)}

    first = await http.post(url, json=body, headers=key("a"))
    again = await http.post(url, json=body, headers=key("a"))
    other = await http.post(url, json=body, headers=key("b"))
    abused = await http.post(url, json={"amount": eur(99)}, headers=key("a"))

    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert other.json()["captured"] == eur(200)
    assert (abused.status_code, abused.json()["code"]) == (422, "key_reused")
    assert counter.held(payment) == (1000, 200, 0, 0)


async def test_a_payment_is_let_go_over_http(http: httpx.AsyncClient, counter: Counter) -> None:
    payment = some_payment()
    await counter.authorize(payment)

    voided = await http.post(f"{PAYMENTS}/{payment}/void", headers=key("v"))

    assert (voided.status_code, voided.json()["state"]) == (200, "voided")
    assert counter.held(payment) == (1000, 0, 1000, 0)


async def test_of_a_partly_taken_payment_the_rest_is_let_go_over_http(
    http: httpx.AsyncClient, counter: Counter
) -> None:
    payment = some_payment()
    await counter.authorize(payment)
    here = f"{PAYMENTS}/{payment}"
    await http.post(f"{here}/captures", json={"amount": eur(600)}, headers=key("one"))

    voided = await http.post(f"{here}/void", headers=key("two"))
    again = await http.post(f"{here}/void", headers=key("three"))
    more = await http.post(f"{here}/captures", json={"amount": eur(1)}, headers=key("four"))
    given = await http.post(f"{here}/refunds", json={}, headers=key("five"))

    assert (voided.status_code, voided.json()["state"]) == (200, "released")
    assert (voided.json()["captured"], voided.json()["voided"]) == (eur(600), eur(400))
    assert again.json() == voided.json()
    assert (more.status_code, more.json()["code"]) == (409, "not_authorized")
    assert given.json()["refunded"] == eur(600)
    assert counter.held(payment) == (1000, 600, 400, 600)


async def test_a_payment_that_was_taken_in_full_is_not_let_go_over_http(
    http: httpx.AsyncClient, counter: Counter
) -> None:
    payment = await counter.captured()

    refused = await http.post(f"{PAYMENTS}/{payment}/void", headers=key("v"))

    assert (refused.status_code, refused.json()["code"]) == (409, "already_captured")


async def test_payments_are_listed_by_the_page_and_by_the_order(
    http: httpx.AsyncClient, counter: Counter
) -> None:
    made = [await counter.authorize(some_payment()) for _ in range(3)]

    first = (await http.get(PAYMENTS, params={"limit": 2})).json()
    rest = (await http.get(PAYMENTS, params={"limit": 2, "cursor": first["next"]})).json()
    of_one = (await http.get(PAYMENTS, params={"order": str(made[0].order)})).json()

    found = [payment["id"] for payment in (*first["items"], *rest["items"])]
    assert found == [str(payment.id) for payment in reversed(made)]
    assert rest["next"] is None
    assert [payment["id"] for payment in of_one["items"]] == [str(made[0].id)]


@pytest.mark.parametrize("act", ["captures", "refunds", "void"])
async def test_without_a_key_or_a_grant_no_money_moves(
    http: httpx.AsyncClient, counter: Counter, act: str
) -> None:
    payment = await counter.captured()
    url = f"{PAYMENTS}/{payment}/{act}"

    keyless = await http.post(url, json={})
    reader = await http.post(url, json={}, headers={"authorization": "Bearer reader", **key("k")})
    del http.headers["authorization"]
    stranger = await http.post(url, json={}, headers=key("k"))

    assert [one.status_code for one in (keyless, reader, stranger)] == [400, 403, 401]
    assert counter.held(payment) == (1000, 1000, 0, 0)


async def test_what_cannot_be_taken_is_refused_with_its_reason(
    http: httpx.AsyncClient, counter: Counter
) -> None:
    payment = some_payment()
    await counter.authorize(payment)
    url = f"{PAYMENTS}/{payment}/captures"

    for number, (body, status, code) in enumerate(
        (
            ({"amount": eur(1001)}, 409, "exceeds_authorized"),
            ({"amount": eur(0)}, 422, "invalid_amount"),
            ({"amount": eur(-5)}, 422, "invalid_amount"),
            ({"amount": {"amount": 5, "currency": "USD"}}, 422, "currency_mismatch"),
            ({"amount": {"amount": 5, "currency": "euro"}}, 400, "bad_request"),
            ({"amount": {"amount": 2**63, "currency": "EUR"}}, 400, "bad_request"),
            ({"amuont": eur(5)}, 400, "bad_request"),
        )
    ):
        refused = await http.post(url, json=body, headers=key(str(number)))
        assert (refused.status_code, refused.json()["code"]) == (status, code), body

    assert counter.held(payment) == (1000, 0, 0, 0)


async def test_an_unknown_payment_is_not_found(http: httpx.AsyncClient) -> None:
    here = f"{PAYMENTS}/{IDS.new()}"

    answers = [
        await http.get(here),
        await http.get(f"{here}/ledger"),
        await http.post(f"{here}/captures", json={}, headers=key("k")),
        await http.post(f"{here}/refunds", json={}, headers=key("k")),
        await http.post(f"{here}/void", headers=key("k")),
    ]

    assert {(one.status_code, one.json()["code"]) for one in answers} == {(404, "unknown_payment")}


async def test_a_signed_webhook_is_answered_2xx_however_often_it_comes(
    http: httpx.AsyncClient, counter: Counter, door: Shop
) -> None:
    payment = some_payment()
    asked = await counter.authorize(payment, "tok_challenge")
    counter.merchant.client.post(str(asked.redirect_url), data=CONFIRM)
    webhook = door.next(str(payment))
    counter.at_the_time_of(webhook)

    answers = [
        await http.post(
            "/api/payments/sandbox/webhooks", content=webhook.body, headers=webhook.headers
        )
        for _ in range(2)
    ]

    assert [answer.status_code for answer in answers] == [204, 204]
    assert (await counter.payments.payment(payment=payment)).state == "authorized"


async def test_a_webhook_that_nobody_signed_is_refused(http: httpx.AsyncClient) -> None:
    for body in (b"", b"{}", b"\xff\xfe", b"\x00"):
        refused = await http.post("/api/payments/sandbox/webhooks", content=body)
        nobody = await http.post("/api/payments/gold/webhooks", content=body)

        assert (refused.status_code, refused.json()["code"]) == (400, InvalidWebhook.code)
        assert (nobody.status_code, nobody.json()["code"]) == (422, "unknown_provider")

"""The ways to pay, and the fields in which cards are typed: at the provider, not in the shop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from banyan.kernel.http import build
from banyan.kernel.link import Unavailable, wire
from banyan.kernel.module import Plugin
from banyan.kernel.security import Caller, Gate
from banyan.kernel.testing import Server
from banyan.modules.payments.contract import (
    HostedField,
    InvalidToken,
    PaymentDeclined,
    PaymentMethod,
    Payments,
)
from banyan.modules.payments.ports import PaymentProvider
from banyan.plugins.sandbox.plugin import plugin
from banyan.plugins.sandbox.provider import SandboxProvider
from tests.modules.payments.counter import Counter, open_counter, some_payment
from tests.plugins.sandbox_process import SandboxProcess

SHOP = "https://shop.example"
CARD = {"number": "4242 4242 4242 4242", "expiry": "12/34", "cvc": "123"}
METHODS = "/api/store/payment-methods"


class Nobody(Gate):
    """Knows no one: whoever wants to pay is a stranger."""

    async def caller(self, token: str) -> Caller | None:
        return None


class Mute(SandboxProvider):
    """A provider that needs an answer from elsewhere for its field, and gets none."""

    async def field(
        self, *, origin: str, wishes: tuple[str, ...], token: str
    ) -> HostedField | None:
        raise Unavailable(what="mute")


class Fieldless(SandboxProvider):
    """A provider to whom nothing is typed."""

    def title(self, wishes: tuple[str, ...]) -> str:
        return "Invoice"

    async def field(
        self, *, origin: str, wishes: tuple[str, ...], token: str
    ) -> HostedField | None:
        return None


@pytest.fixture
async def http(counter: Counter) -> AsyncIterator[httpx.AsyncClient]:
    shop = counter.house.app
    app: Any = build(
        shop.routes(), dependencies=shop.dependencies(), gate=Nobody(), ready=shop.ready
    )
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop:8000") as client:
        yield client


async def offered(
    counter: Counter, *wishes: str, token: str = ""
) -> tuple[PaymentMethod, HostedField]:
    (method,) = await counter.payments.methods(origin=SHOP, wishes=wishes, token=token)
    assert method.field
    return method, method.field


def type_card(counter: Counter, field: HostedField, **other: str) -> httpx.Response:
    """Fill the provider's form in, which stands at an address that the shop does not have."""
    return counter.merchant.client.post(field.url, data=CARD | other)


async def test_a_method_has_a_field_at_its_provider_in_the_shopper_s_language(
    counter: Counter, bank: SandboxProcess
) -> None:
    german, field = await offered(counter, "de-AT", "en")
    english, _ = await offered(counter, "fi")

    address = urlsplit(field.url)
    assert (german.code, german.title, english.title) == ("sandbox", "Karte", "Card")
    assert field.origin == bank.url
    assert field.url.startswith(f"{bank.url}/fields/{field.token}?")
    assert parse_qs(address.query) == {"origin": [SHOP], "locale": ["de"]}


async def test_every_checkout_gets_a_token_of_its_own_unless_it_has_one(counter: Counter) -> None:
    tokens = {(await offered(counter))[1].token for _ in range(20)}
    kept = tokens.pop()

    _, again = await offered(counter, token=kept)
    _, foreign = await offered(counter, token="tok_acme_1234")

    assert len(tokens) == 19
    assert again.token == kept
    assert foreign.token.startswith("tok_field_")


async def test_what_is_typed_into_the_field_pays(counter: Counter) -> None:
    _, field = await offered(counter)
    type_card(counter, field, number="5555 5555 5555 4444")

    payment = await counter.authorize(some_payment(), field.token)

    assert payment.state == "authorized"
    assert (payment.card_brand, payment.card_last4) == ("mastercard", "4444")


async def test_a_field_that_nobody_filled_in_is_no_token(counter: Counter) -> None:
    _, field = await offered(counter)

    with pytest.raises(InvalidToken):
        await counter.authorize(some_payment(), field.token)

    type_card(counter, field)
    assert (await counter.authorize(some_payment(), field.token)).state == "authorized"


async def test_a_card_that_has_paid_is_typed_again_for_another_payment(counter: Counter) -> None:
    _, field = await offered(counter)
    type_card(counter, field, number="4000 0000 0000 9995")
    first = some_payment()
    with pytest.raises(PaymentDeclined) as declined:
        await counter.authorize(first, field.token)

    with pytest.raises(InvalidToken):
        await counter.authorize(some_payment(), field.token)

    assert declined.value.reason == "insufficient_funds"


async def test_a_typed_card_may_ask_for_confirmation(counter: Counter) -> None:
    _, field = await offered(counter)
    type_card(counter, field, number="4000 0000 0000 3220")

    payment = await counter.authorize(some_payment(), field.token)

    assert payment.state == "challenged"
    assert payment.redirect_url


async def test_a_provider_that_does_not_answer_is_left_out(
    server: Server, bank: SandboxProcess, tmp_path: Path
) -> None:
    others = [
        Plugin(name="mute", fills={PaymentProvider: Mute}),
        Plugin(name="invoice", fills={PaymentProvider: Fieldless}),
    ]
    async with open_counter(
        server, bank, tmp_path, plugins=(plugin, *others), link=wire
    ) as counter:
        methods = await counter.house.ask(Payments).methods(origin=SHOP)

    assert {method.code: method.field is None for method in methods} == {
        "sandbox": False,
        "invoice": True,
    }


async def test_browsers_may_find_the_bank_elsewhere_than_the_shop_does(
    server: Server, bank: SandboxProcess, tmp_path: Path
) -> None:
    public = {"sandbox": {"public_url": "https://pay.example/bank/"}}
    async with open_counter(server, bank, tmp_path, configured=public) as counter:
        _, field = await offered(counter)

    assert field.origin == "https://pay.example"
    assert field.url.startswith(f"https://pay.example/bank/fields/{field.token}?")


async def test_the_ways_to_pay_are_told_over_http(
    http: httpx.AsyncClient, bank: SandboxProcess
) -> None:
    here = await http.get(METHODS, headers={"accept-language": "de"})
    elsewhere = await http.get(METHODS, params={"origin": SHOP, "locale": "en"})

    (method,) = here.json()["items"]
    assert here.status_code == 200
    assert here.headers["cache-control"] == "no-store"
    assert method == {
        "code": "sandbox",
        "title": "Karte",
        "field": {
            "url": f"{bank.url}/fields/{method['field']['token']}"
            "?origin=http%3A%2F%2Fshop%3A8000&locale=de",
            "origin": bank.url,
            "token": method["field"]["token"],
        },
    }
    (other,) = elsewhere.json()["items"]
    assert other["title"] == "Card"
    assert "origin=https%3A%2F%2Fshop.example&locale=en" in other["field"]["url"]
    assert other["field"]["token"] != method["field"]["token"]


@pytest.mark.parametrize("origin", ["*", "shop.example", "https://shop.example/", "javascript:1"])
async def test_what_is_no_origin_is_refused_over_http(http: httpx.AsyncClient, origin: str) -> None:
    refused = await http.get(METHODS, params={"origin": origin})

    assert (refused.status_code, refused.json()["code"]) == (400, "bad_request")
    assert refused.json()["errors"][0]["parameter"] == "origin"


@pytest.mark.parametrize("host", ["x y", "shop.example; script-src *"])
async def test_what_is_no_host_is_refused_over_http(http: httpx.AsyncClient, host: str) -> None:
    refused = await http.get(METHODS, headers={"host": host})

    assert (refused.status_code, refused.json()["code"]) == (400, "bad_request")

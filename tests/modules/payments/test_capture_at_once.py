"""A shop that takes the money of an order as soon as it stands."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from banyan.kernel.testing import Server
from banyan.modules.ordering.contract import Order, OrderConfirmed, Totals
from banyan.modules.payments.contract import PaymentAuthorized, PaymentCaptured, PaymentFailed
from banyan.vocabulary import Address, CartId, Locale, MarketCode, PaymentId
from tests.modules.payments.counter import (
    IDS,
    TEN,
    Counter,
    euros,
    open_counter,
    some_order,
    some_payment,
)
from tests.plugins.sandbox_process import SandboxProcess

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOME = Address(name="Ada", street="Lindenstraße 12", city="Berlin", country="DE")


def confirmed(payment: PaymentId | None) -> OrderConfirmed:
    nothing = euros(0)
    totals = Totals(subtotal=TEN, shipping=nothing, tax=nothing, total=TEN, tax_inclusive=True)
    order = Order(
        id=some_order(),
        state="confirmed",
        cart=CartId(IDS.new()),
        market=MarketCode("eu"),
        locale=Locale("en"),
        currency="EUR",
        email="ada@example.com",
        shipping_address=HOME,
        billing_address=HOME,
        shipping_method="post",
        lines=(),
        totals=totals,
        placed_at=NOON,
        payment=payment,
    )
    return OrderConfirmed(order=order)


@pytest.fixture
async def eager(server: Server, bank: SandboxProcess, tmp_path: Path) -> AsyncIterator[Counter]:
    at_once = {"payments": {"capture": "automatic"}}
    async with open_counter(server, bank, tmp_path, configured=at_once) as counter:
        yield counter


async def test_the_money_of_a_confirmed_order_is_taken_once_however_often_it_is_told(
    eager: Counter,
) -> None:
    payment = some_payment()
    await eager.authorize(payment)
    eager.house.deliveries = 2

    await eager.house.hear(confirmed(payment))
    await eager.house.hear(confirmed(payment))

    assert (await eager.payments.payment(payment=payment)).captured == TEN
    assert eager.held(payment) == (1000, 1000, 0, 0)
    assert await eager.story() == [PaymentAuthorized, PaymentCaptured]


async def test_an_order_without_a_payment_has_no_money_to_take(eager: Counter) -> None:
    await eager.house.hear(confirmed(None))

    assert await eager.story() == []


async def test_money_that_was_let_go_meanwhile_is_not_taken(eager: Counter) -> None:
    payment = some_payment()
    await eager.authorize(payment)
    await eager.payments.void(payment=payment)

    await eager.house.hear(confirmed(payment))

    assert eager.held(payment) == (1000, 0, 1000, 0)
    assert await eager.story() == [PaymentAuthorized, PaymentFailed]


async def test_while_the_bank_is_away_the_money_waits_to_be_taken(
    server: Server, tmp_path: Path
) -> None:
    at_once = {"payments": {"capture": "automatic"}}
    payment = some_payment()
    with SandboxProcess(tmp_path / "bank") as bank:
        async with open_counter(server, bank, tmp_path, configured=at_once) as counter:
            await counter.authorize(payment)
            bank.kill()
            await counter.house.hear(confirmed(payment))

            bank.start()
            await counter.house.pass_time(95)

            assert counter.held(payment) == (1000, 1000, 0, 0)
            assert await counter.findings() == []


async def test_by_default_the_money_of_a_confirmed_order_is_left_for_later(
    counter: Counter,
) -> None:
    payment = some_payment()
    await counter.authorize(payment)

    await counter.house.hear(confirmed(payment))

    assert counter.held(payment) == (1000, 0, 0, 0)

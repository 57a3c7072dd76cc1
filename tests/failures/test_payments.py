"""Failures of other shops with money, each planted here: none of them happens."""

from __future__ import annotations

import asyncio
from collections import Counter as Tally
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from banyan.kernel.link import Link, Unavailable
from banyan.kernel.testing import Server
from banyan.modules.payments.contract import (
    ExceedsCaptured,
    Payment,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentFailed,
    PaymentUnderWay,
    RefundIssued,
)
from banyan.vocabulary import Money, PaymentId
from tests.modules.payments.counter import (
    IDS,
    Counter,
    dying,
    euros,
    open_counter,
    some_order,
    some_payment,
)
from tests.plugins.sandbox_merchant import CONFIRM, REFUSE, Shop
from tests.plugins.sandbox_process import SandboxProcess

SWEEP_SECONDS = 95


@pytest.fixture(scope="session")
def door() -> Iterator[Shop]:
    """Receive the bank's webhooks, and keep them until a test lets them arrive."""
    door = Shop()
    yield door
    door.close()


@pytest.fixture(scope="session")
def bank(door: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    folder = tmp_path_factory.mktemp("bank")
    with SandboxProcess(folder, webhook=door.url, slow_seconds=1.5) as bank:
        yield bank


@pytest.fixture
async def counter(
    server: Server, bank: SandboxProcess, tmp_path: Path, link: Link
) -> AsyncIterator[Counter]:
    async with open_counter(server, bank, tmp_path, link=link) as counter:
        yield counter


async def challenged(counter: Counter, answer: dict[str, str], mode: str = "") -> PaymentId:
    """Begin a payment, and let the shopper answer the bank's question."""
    payment = some_payment()
    asked = await counter.authorize(payment, f"tok_challenge{mode}")
    counter.merchant.client.post(str(asked.redirect_url), data=answer)
    return payment


async def test_d8_every_word_of_the_bank_has_a_consequence_and_silence_is_swept_up(
    counter: Counter, door: Shop
) -> None:
    told = {
        "declined": await challenged(counter, REFUSE),
        "authorized": await challenged(counter, CONFIRM),
        "voided": await challenged(counter, CONFIRM),
    }
    counter.merchant.void(str(told["voided"]))
    unheard = {
        "declined": await challenged(counter, REFUSE, "_never"),
        "authorized": await challenged(counter, CONFIRM, "_never"),
        "voided": await challenged(counter, CONFIRM, "_never"),
    }
    counter.merchant.void(str(unheard["voided"]))

    for payment in told.values():
        for _ in range(2):
            await counter.hear(door.next(str(payment)))
    before = {state: (await find(counter, payment)).state for state, payment in unheard.items()}
    await counter.house.pass_time(SWEEP_SECONDS)

    assert set(before.values()) == {"challenged"}
    for payments in (told, unheard):
        for state, payment in payments.items():
            assert (await find(counter, payment)).state == state
    fates = Tally(await counter.story())
    assert fates[PaymentFailed] == 4
    assert await counter.service.audit_waiting() == []


async def find(counter: Counter, payment: PaymentId) -> Payment:
    return await counter.payments.payment(payment=payment)


async def test_d9_three_identical_webhooks_at_once_settle_once(
    counter: Counter, door: Shop
) -> None:
    payment = await challenged(counter, CONFIRM, "_thrice")
    webhooks = [door.next(str(payment)) for _ in range(6)]
    authorized = [one for one in webhooks if one.type == "payment.authorized"]
    assert len({webhook.id for webhook in authorized}) == 1

    await asyncio.gather(*(counter.hear(webhook) for webhook in webhooks))

    assert (await find(counter, payment)).state == "authorized"
    assert await counter.story() == [PaymentAuthorized]
    assert len(await counter.payments.ledger(payment=payment)) == 2
    kept = "SELECT times FROM webhooks WHERE id = $1"
    assert await counter.room.database.value(kept, authorized[0].id) == 3


async def test_d10_what_is_settled_already_is_a_success(counter: Counter, door: Shop) -> None:
    payment, capture = some_payment(), IDS.new()
    await counter.authorize(payment)
    first = await counter.payments.capture(payment=payment, capture=capture)

    again = await counter.payments.capture(payment=payment, capture=capture)
    authorized = await counter.authorize(payment)
    refreshed = await counter.payments.refresh(payment=payment)
    await counter.hear(door.next(str(payment)))

    assert again == authorized == refreshed == first
    assert counter.held(payment) == (1000, 1000, 0, 0)


async def test_d12_the_claim_is_there_for_all_to_see_before_the_bank_is_asked(
    counter: Counter,
) -> None:
    payment, order = some_payment(), some_order()
    with dying("before call sandbox.authorize"):
        await counter.authorize(payment, order=order)

    with pytest.raises(PaymentUnderWay):
        await counter.authorize(some_payment(), order=order)
    carried_on = await counter.authorize(payment, order=order)

    assert carried_on.state == "authorized"
    assert counter.held(payment) == (1000, 0, 0, 0)


async def test_d12_a_failure_that_comes_late_does_not_overwrite_a_success(
    server: Server, bank: SandboxProcess, tmp_path: Path, link: Link, door: Shop
) -> None:
    payment, hurry = some_payment(), {"sandbox": {"timeout_seconds": 0.8}}
    async with open_counter(server, bank, tmp_path, link=link, configured=hurry) as counter:
        slow = asyncio.ensure_future(counter.authorize(payment, "tok_slow"))

        await counter.hear(await asyncio.to_thread(door.next, str(payment)))
        with pytest.raises(Unavailable):
            await slow

        assert (await find(counter, payment)).state == "authorized"
        assert (await counter.authorize(payment, "tok_slow")).state == "authorized"
        assert await counter.story() == [PaymentAuthorized]


async def test_d20_the_shopper_comes_back_while_the_bank_tells_and_both_are_welcome(
    counter: Counter, door: Shop
) -> None:
    payment = await challenged(counter, CONFIRM)
    webhooks = [door.next(str(payment)) for _ in range(2)]

    answers = await asyncio.gather(
        *(counter.payments.refresh(payment=payment) for _ in range(3)),
        *(counter.hear(webhook) for webhook in webhooks),
    )

    assert {answer.state for answer in answers if answer} == {"authorized"}
    assert await counter.story() == [PaymentAuthorized]


@pytest.mark.parametrize("token", ["tok_ok", "tok_challenge"])
async def test_d21_an_order_is_not_paid_twice_by_loading_the_page_again(
    counter: Counter, token: str
) -> None:
    order, first = some_order(), some_payment()
    begun = await counter.authorize(first, token, order=order)

    with pytest.raises(PaymentUnderWay):
        await counter.authorize(some_payment(), token, order=order)
    again = await counter.authorize(first, token, order=order)

    assert again == begun
    assert len(await counter.payments.payments(orders=(order,))) == 1


async def test_d23_refunds_at_once_never_give_back_more_than_was_taken(counter: Counter) -> None:
    payment = await counter.captured()

    answers = await asyncio.gather(
        *(
            counter.payments.refund(payment=payment, refund=IDS.new(), amount=euros(300))
            for _ in range(10)
        ),
        return_exceptions=True,
    )

    assert Tally(type(answer) for answer in answers) == {Payment: 3, ExceedsCaptured: 7}
    assert (await find(counter, payment)).refunded == euros(900)
    assert counter.held(payment) == (1000, 1000, 0, 900)


async def test_d23_the_database_refuses_a_refund_that_no_code_has_checked(
    counter: Counter,
) -> None:
    payment = await counter.captured()
    sql = (
        "INSERT INTO transfers (payment, kind, id, amount, state, begun_at) "
        "VALUES ($1, 'refund', $2, $3, 'pending', $4)"
    )

    async def refund(amount: int) -> None:
        async with counter.room.database.begin() as tx:
            await tx.execute(sql, payment, IDS.new(), amount, counter.house.clock.now())

    answers = await asyncio.gather(*(refund(600) for _ in range(5)), return_exceptions=True)

    refused = [answer for answer in answers if isinstance(answer, asyncpg.CheckViolationError)]
    assert len(refused) == 4
    assert {no.constraint_name for no in refused} == {"refunds_stay_within_captures"}


@pytest.mark.parametrize(
    "total",
    [
        Money(amount=9890, currency="EUR"),
        Money(amount=9890, currency="JPY"),
        Money(amount=98_901, currency="BHD"),
    ],
)
async def test_m2_what_is_captured_is_the_total_in_every_currency(
    counter: Counter, total: Money
) -> None:
    payment = await counter.captured(total)

    found = await find(counter, payment)

    assert found.captured == found.amount == total
    assert counter.merchant.payment(str(payment))["captured"] == {
        "amount": total.amount,
        "currency": total.currency,
    }
    assert (await counter.balances(payment))["provider:sandbox:captured"] == total.amount


async def test_e4_each_act_is_told_once_and_webhooks_add_nothing(
    counter: Counter, door: Shop
) -> None:
    payment, capture, refund = some_payment(), IDS.new(), IDS.new()

    await counter.authorize(payment)
    await counter.payments.capture(payment=payment, capture=capture)
    await counter.payments.refund(payment=payment, refund=refund)
    for _ in range(3):
        await counter.hear(door.next(str(payment)))

    assert await counter.story() == [PaymentAuthorized, PaymentCaptured, RefundIssued]

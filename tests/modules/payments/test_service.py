"""Payments on a real database, opposite a real bank."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import UUID

import pytest

from banyan.kernel.link import Link
from banyan.kernel.testing import Server
from banyan.modules.payments.contract import (
    AlreadyCaptured,
    DifferentTerms,
    ExceedsAuthorized,
    ExceedsCaptured,
    InvalidToken,
    NotAuthorized,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentDeclined,
    PaymentFailed,
    PaymentUnderWay,
    RefundIssued,
    TransferRefused,
    UnknownPayment,
    UnknownProvider,
)
from banyan.vocabulary import CurrencyMismatch, Money
from tests.modules.payments.counter import (
    IDS,
    TEN,
    Counter,
    euros,
    open_counter,
    some_order,
    some_payment,
)
from tests.plugins.sandbox_merchant import CONFIRM
from tests.plugins.sandbox_process import SandboxProcess


async def test_money_is_set_aside_taken_and_given_back(
    server: Server, bank: SandboxProcess, tmp_path: Path, link: Link
) -> None:
    payment, capture, refund = some_payment(), IDS.new(), IDS.new()
    async with open_counter(server, bank, tmp_path, link=link) as counter:
        authorized = await counter.authorize(payment)
        await counter.payments.capture(payment=payment, capture=capture, amount=euros(600))
        done = await counter.payments.refund(
            payment=payment, refund=refund, amount=euros(100), reason="Scratched"
        )

        assert (authorized.state, authorized.card_brand, authorized.card_last4) == (
            "authorized",
            "visa",
            "4242",
        )
        assert done == await counter.payments.payment(payment=payment)
        assert (done.captured, done.refunded) == (euros(600), euros(100))
        assert [(t.id, t.kind, t.state, t.reason) for t in done.transfers] == [
            (capture, "capture", "done", ""),
            (refund, "refund", "done", "Scratched"),
        ]
        assert counter.held(payment) == (1000, 600, 0, 100)
        assert await counter.balances(payment) == {
            "provider:sandbox:authorized": 400,
            "orders:authorized": -400,
            "provider:sandbox:captured": 500,
            "orders:captured": -500,
        }
        assert await counter.story() == [
            PaymentAuthorized,
            PaymentCaptured,
            RefundIssued,
        ]


async def test_the_same_again_is_found_and_moves_nothing(counter: Counter) -> None:
    payment, capture, refund = some_payment(), IDS.new(), IDS.new()

    for _ in range(2):
        await counter.authorize(payment)
        await counter.payments.capture(payment=payment, capture=capture)
        last = await counter.payments.refund(payment=payment, refund=refund, amount=euros(300))

    assert (last.captured, last.refunded) == (TEN, euros(300))
    assert counter.held(payment) == (1000, 1000, 0, 300)
    assert len(await counter.story()) == 3


@pytest.mark.parametrize(
    ("token", "reason"),
    [("tok_declined", "card_declined"), ("tok_insufficient", "insufficient_funds")],
)
async def test_a_declined_payment_is_declined_each_time(
    counter: Counter, token: str, reason: str
) -> None:
    payment = some_payment()

    for _ in range(2):
        with pytest.raises(PaymentDeclined) as refused:
            await counter.authorize(payment, token)

    assert refused.value.reason == reason
    (failed,) = await counter.told(PaymentFailed)
    assert failed == PaymentFailed(payment=payment, order=failed.order, reason=reason)
    assert await counter.payments.ledger(payment=payment) == ()


async def test_after_a_declined_payment_the_order_may_have_another(counter: Counter) -> None:
    order, first, second = some_order(), some_payment(), some_payment()
    with pytest.raises(PaymentDeclined):
        await counter.authorize(first, "tok_declined", order=order)

    authorized = await counter.authorize(second, order=order)

    assert authorized.state == "authorized"
    listed = await counter.payments.payments(orders=(order,))
    assert [payment.id for payment in listed] == [second, first]


async def test_an_order_has_one_payment_at_a_time(counter: Counter) -> None:
    order = some_order()
    payments = [some_payment() for _ in range(5)]

    answers = await asyncio.gather(
        *(counter.authorize(payment, order=order) for payment in payments), return_exceptions=True
    )

    assert sorted(type(answer).__name__ for answer in answers) == [
        "Payment",
        *["PaymentUnderWay"] * 4,
    ]
    refused = next(answer for answer in answers if isinstance(answer, PaymentUnderWay))
    assert refused.order == order
    assert [p.state for p in await counter.payments.payments(orders=(order,))] == ["authorized"]


async def test_the_same_payment_twice_at_once_is_one(counter: Counter) -> None:
    payment = some_payment()

    answers = await asyncio.gather(*(counter.authorize(payment) for _ in range(5)))

    assert {answer.state for answer in answers} == {"authorized"}
    assert counter.held(payment) == (1000, 0, 0, 0)
    assert len(await counter.story()) == 1


async def test_other_terms_under_the_same_id_are_refused(counter: Counter) -> None:
    payment, capture = some_payment(), IDS.new()
    await counter.authorize(payment)
    await counter.payments.capture(payment=payment, capture=capture, amount=euros(10))

    with pytest.raises(DifferentTerms):
        await counter.authorize(payment, amount=euros(999))
    with pytest.raises(DifferentTerms):
        await counter.payments.capture(payment=payment, capture=capture, amount=euros(11))

    assert counter.held(payment) == (1000, 10, 0, 0)


async def test_a_token_that_the_bank_does_not_know_is_refused(counter: Counter) -> None:
    payment = some_payment()

    for _ in range(2):
        with pytest.raises(InvalidToken) as refused:
            await counter.authorize(payment, "tok_nonsense_4711")

    assert refused.value.token_hint == "tok_nonsense…"
    assert (await counter.payments.payment(payment=payment)).state == "declined"


async def test_a_card_number_is_refused_before_anything_is_kept_or_sent(counter: Counter) -> None:
    payment = some_payment()

    with pytest.raises(InvalidToken):
        await counter.authorize(payment, "4242 4242 4242 4242")

    with pytest.raises(UnknownPayment):
        await counter.payments.payment(payment=payment)


async def test_a_card_number_does_not_stay_in_the_reason_of_a_refund(counter: Counter) -> None:
    payment = await counter.captured()

    given = await counter.payments.refund(
        payment=payment, refund=IDS.new(), reason="to 4242424242424242, please"
    )

    assert given.transfers[-1].reason == "to [card], please"


async def test_a_provider_that_is_not_installed_is_unknown(counter: Counter) -> None:
    with pytest.raises(UnknownProvider):
        await counter.payments.authorize(
            payment=some_payment(), order=some_order(), amount=TEN, provider="gold", token="t"
        )


async def test_a_challenged_payment_waits_for_the_shopper(counter: Counter) -> None:
    payment = some_payment()
    asked = await counter.authorize(payment, "tok_challenge", return_url="http://shop.test/back")
    assert asked.redirect_url is not None

    counter.merchant.client.post(asked.redirect_url, data=CONFIRM)
    confirmed = await counter.payments.refresh(payment=payment)

    assert (asked.state, confirmed.state) == ("challenged", "authorized")
    assert confirmed.redirect_url is None
    assert await counter.story() == [PaymentAuthorized]


async def test_a_payment_that_is_let_go_holds_nothing(counter: Counter) -> None:
    payment = some_payment()
    await counter.authorize(payment)

    for _ in range(2):
        await counter.payments.void(payment=payment)

    assert counter.held(payment) == (1000, 0, 1000, 0)
    assert await counter.balances(payment) == {}
    assert await counter.story() == [PaymentAuthorized, PaymentFailed]
    with pytest.raises(PaymentDeclined) as refused:
        await counter.authorize(payment)
    assert refused.value.reason == "voided"


async def test_what_was_voided_before_it_was_begun_comes_to_nothing(counter: Counter) -> None:
    payment = some_payment()
    await counter.payments.void(payment=payment)
    await counter.payments.void(payment=payment)

    with pytest.raises(PaymentDeclined) as refused:
        await counter.authorize(payment)

    assert refused.value.reason == "voided"
    asked = counter.merchant.client.get("/v1/payments", params={"reference": str(payment)})
    assert asked.json()["items"] == []
    with pytest.raises(UnknownPayment):
        await counter.payments.payment(payment=payment)


async def test_taken_money_is_not_let_go(counter: Counter) -> None:
    payment = await counter.captured()

    with pytest.raises(AlreadyCaptured):
        await counter.payments.void(payment=payment)

    assert counter.held(payment) == (1000, 1000, 0, 0)


async def test_of_a_partly_taken_payment_the_rest_is_let_go(
    server: Server, bank: SandboxProcess, tmp_path: Path, link: Link
) -> None:
    payment = some_payment()
    async with open_counter(server, bank, tmp_path, link=link) as counter:
        await counter.authorize(payment)
        await counter.payments.capture(payment=payment, capture=IDS.new(), amount=euros(600))

        for _ in range(2):
            await counter.payments.void(payment=payment)
        released = await counter.payments.payment(payment=payment)
        with pytest.raises(NotAuthorized) as refused:
            await counter.payments.capture(payment=payment, capture=IDS.new(), amount=euros(1))
        given = await counter.payments.refund(payment=payment, refund=IDS.new())

        assert (released.state, released.captured, released.voided) == (
            "released",
            euros(600),
            euros(400),
        )
        assert await counter.payments.refresh(payment=payment) == given
        assert refused.value.state == given.state == "released"
        assert given.refunded == euros(600)
        assert counter.held(payment) == (1000, 600, 400, 600)
        assert counter.merchant.kinds(str(payment)).count(("void", 400)) == 1
        assert await counter.balances(payment) == {}
        assert await counter.story() == [PaymentAuthorized, PaymentCaptured, RefundIssued]
        assert await counter.findings(payment) == []


async def test_an_order_whose_payment_was_partly_taken_gets_no_other(counter: Counter) -> None:
    order, payment = some_order(), some_payment()
    await counter.authorize(payment, order=order)
    await counter.payments.capture(payment=payment, capture=IDS.new(), amount=euros(600))
    await counter.payments.void(payment=payment)

    with pytest.raises(PaymentUnderWay):
        await counter.authorize(some_payment(), order=order)


async def test_what_the_bank_has_taken_meanwhile_stays_taken_and_the_rest_is_let_go(
    counter: Counter,
) -> None:
    partly, wholly = some_payment(), some_payment()
    for payment, amount in ((partly, 600), (wholly, 1000)):
        await counter.authorize(payment)
        counter.merchant.capture(str(payment), amount)

    await counter.payments.void(payment=partly)
    with pytest.raises(AlreadyCaptured):
        await counter.payments.void(payment=wholly)

    assert (await counter.payments.payment(payment=partly)).state == "released"
    assert counter.held(partly) == (1000, 600, 400, 0)
    assert counter.held(wholly) == (1000, 1000, 0, 0)
    assert await counter.findings(partly, wholly) == []


async def test_more_than_is_left_is_neither_taken_nor_given_back(counter: Counter) -> None:
    payment = some_payment()
    await counter.authorize(payment)
    await counter.payments.capture(payment=payment, capture=IDS.new(), amount=euros(700))

    with pytest.raises(ExceedsAuthorized) as too_much:
        await counter.payments.capture(payment=payment, capture=IDS.new(), amount=euros(301))
    with pytest.raises(ExceedsCaptured) as too_much_back:
        await counter.payments.refund(payment=payment, refund=IDS.new(), amount=euros(701))
    with pytest.raises(CurrencyMismatch):
        await counter.payments.refund(
            payment=payment, refund=IDS.new(), amount=Money(amount=1, currency="USD")
        )

    assert (too_much.value.left, too_much_back.value.left) == (euros(300), euros(700))
    assert counter.held(payment) == (1000, 700, 0, 0)


async def test_nothing_is_taken_from_an_unknown_or_unfinished_payment(counter: Counter) -> None:
    payment = some_payment()
    await counter.authorize(payment, "tok_challenge")

    with pytest.raises(NotAuthorized):
        await counter.payments.capture(payment=payment, capture=IDS.new())
    with pytest.raises(UnknownPayment):
        await counter.payments.capture(payment=some_payment(), capture=IDS.new())


async def test_what_the_bank_refuses_is_given_free_again(counter: Counter) -> None:
    payment, capture = some_payment(), IDS.new()
    await counter.authorize(payment)
    counter.merchant.void(str(payment))

    for _ in range(2):
        with pytest.raises(TransferRefused) as refused:
            await counter.payments.capture(payment=payment, capture=capture)

    assert refused.value.reason == "not_authorized"
    found = await counter.payments.payment(payment=payment)
    assert (found.state, found.captured) == ("voided", euros(0))
    assert [(t.state, t.failure) for t in found.transfers] == [("failed", "not_authorized")]
    assert await counter.balances(payment) == {}
    assert await counter.story() == [PaymentAuthorized, PaymentFailed]


async def test_a_capture_and_a_refund_may_carry_the_same_id(counter: Counter) -> None:
    payment, same = some_payment(), UUID(int=7)
    await counter.authorize(payment)
    await counter.payments.capture(payment=payment, capture=same)

    given = await counter.payments.refund(payment=payment, refund=same)

    assert given.refunded == TEN


async def test_payments_are_listed_newest_first_page_by_page(counter: Counter) -> None:
    made = [(await counter.authorize(some_payment())).id for _ in range(3)]

    first = await counter.payments.payments(limit=2)
    rest = await counter.payments.payments(limit=2, before=first[-1].id)

    assert [payment.id for payment in (*first, *rest)] == made[::-1]


async def test_the_ledger_lists_the_newest_bookings_of_all(counter: Counter) -> None:
    first, second = await counter.captured(), await counter.captured()

    newest = await counter.payments.ledger(limit=4)

    assert {entry.payment for entry in newest} == {second}
    assert {entry.payment for entry in await counter.payments.ledger()} == {first, second}


async def test_an_authorization_costs_few_statements(counter: Counter) -> None:
    watched = counter.house.watch()

    await counter.authorize(some_payment())

    said = [sql for _, sql in watched if sql != "COMMIT"]
    assert len(said) == 2, [sql[:60] for sql in said]

"""What a provider tells is believed when it is signed, and then only as a reason to look."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from banyan.kernel.testing import Server
from banyan.modules.payments.contract import (
    InvalidWebhook,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentFailed,
    RefundIssued,
    UnknownProvider,
)
from banyan.vocabulary import PaymentId
from tests.modules.payments.counter import (
    IDS,
    TEN,
    Counter,
    counting,
    dying,
    euros,
    open_counter,
    some_payment,
)
from tests.plugins.sandbox_merchant import CONFIRM, REFUSE, Shop
from tests.plugins.sandbox_process import SandboxProcess


async def challenged(counter: Counter, door: Shop, answer: dict[str, str]) -> PaymentId:
    """Begin a payment, and let the shopper answer the bank's question."""
    payment = some_payment()
    asked = await counter.authorize(payment, "tok_challenge")
    counter.merchant.client.post(str(asked.redirect_url), data=answer)
    return payment


async def test_a_confirmed_challenge_is_learned_from_a_webhook(
    counter: Counter, door: Shop
) -> None:
    payment = await challenged(counter, door, CONFIRM)

    await counter.hear(door.next(str(payment)))

    assert (await counter.payments.payment(payment=payment)).state == "authorized"
    assert await counter.story() == [PaymentAuthorized]


async def test_webhooks_out_of_order_and_twice_end_the_same(counter: Counter, door: Shop) -> None:
    payment = await challenged(counter, door, REFUSE)
    webhooks = [door.next(str(payment)) for _ in range(2)]

    for webhook in (*reversed(webhooks), *webhooks):
        await counter.hear(webhook)

    assert {webhook.type for webhook in webhooks} == {
        "payment.challenge_failed",
        "payment.declined",
    }
    assert (await counter.payments.payment(payment=payment)).state == "declined"
    assert await counter.story() == [PaymentFailed]


async def test_a_webhook_may_come_before_the_answer_that_it_is_about(
    counter: Counter, door: Shop
) -> None:
    payment = some_payment()
    with dying("after call sandbox.authorize"):
        await counter.authorize(payment)

    await counter.hear(door.next(str(payment)))
    found = await counter.authorize(payment)

    assert found.state == "authorized"
    assert await counter.story() == [PaymentAuthorized]


async def test_a_webhook_heard_before_is_not_looked_into_again(
    counter: Counter, door: Shop
) -> None:
    payment = await challenged(counter, door, CONFIRM)
    webhook = door.next(str(payment))
    await counter.hear(webhook)

    with counting("before call sandbox.look") as looks:
        await counter.hear(webhook)

    assert looks == []


async def test_a_webhook_that_says_nothing_new_asks_nobody(counter: Counter, door: Shop) -> None:
    payment = some_payment()
    await counter.authorize(payment)

    with counting("before call sandbox.look") as looks:
        await counter.hear(door.next(str(payment)))

    assert looks == []


async def test_a_webhook_whose_effect_was_lost_is_heard_when_it_comes_again(
    counter: Counter, door: Shop
) -> None:
    payment = await challenged(counter, door, CONFIRM)
    webhook = door.next(str(payment))
    with dying("after call sandbox.look"):
        await counter.hear(webhook)

    await counter.hear(webhook)

    assert (await counter.payments.payment(payment=payment)).state == "authorized"


async def test_a_webhook_is_welcome_while_the_bank_does_not_answer(
    server: Server, tmp_path: Path, door: Shop
) -> None:
    with SandboxProcess(tmp_path / "bank", webhook=door.url) as bank:
        async with open_counter(server, bank, tmp_path) as counter:
            payment = await counter.captured()
            counter.merchant.refund(str(payment), 250)
            webhooks = [door.next(str(payment)) for _ in range(3)]
            bank.kill()

            for webhook in webhooks:
                await counter.hear(webhook)
            unknown = await counter.payments.payment(payment=payment)
            away = await counter.service.audit_providers()
            bank.start()
            await counter.house.pass_time(95)

            assert unknown.refunded == euros(0)
            assert away == ["sandbox does not answer, so the ledgers cannot be compared"]
            assert (await counter.payments.payment(payment=payment)).refunded == euros(250)
            assert await counter.findings() == []


async def test_a_webhook_about_something_unknown_is_welcome(counter: Counter, door: Shop) -> None:
    stranger, unused = "order-of-another-shop", str(IDS.new())
    counter.merchant.authorize(stranger)
    counter.merchant.authorize(unused)

    await counter.hear(door.next(stranger))
    await counter.hear(door.next(unused))

    assert await counter.payments.payments() == ()


async def test_money_that_is_held_for_a_voided_payment_is_let_go_at_the_first_hint(
    counter: Counter, door: Shop
) -> None:
    payment = some_payment()
    await counter.authorize(payment)
    with dying("before call sandbox.void"):
        await counter.payments.void(payment=payment)

    await counter.hear(door.next(str(payment)))

    assert counter.held(payment) == (1000, 0, 1000, 0)
    assert await counter.balances(payment) == {}


async def test_a_refund_made_at_the_bank_is_found_in_the_books(
    counter: Counter, door: Shop
) -> None:
    payment = await counter.captured()
    counter.merchant.refund(str(payment), 250)

    for _ in range(3):
        await counter.hear(door.next(str(payment)))

    found = await counter.payments.payment(payment=payment)
    assert (found.refunded, found.transfers[-1].reason) == (euros(250), "Found at sandbox")
    assert await counter.story() == [PaymentAuthorized, PaymentCaptured, RefundIssued]
    assert (await counter.balances(payment))["provider:sandbox:captured"] == 750


@pytest.mark.parametrize("way", ["void", "final capture"])
async def test_a_rest_that_was_let_go_at_the_bank_is_found_in_the_books(
    counter: Counter, door: Shop, way: str
) -> None:
    payment = some_payment()
    await counter.authorize(payment)
    counter.merchant.capture(str(payment), 600, final=way == "final capture")
    if way == "void":
        counter.merchant.void(str(payment))
    told = [door.next(str(payment)) for _ in range(2 if way == "final capture" else 3)]

    for webhook in (*reversed(told), *told):
        await counter.hear(webhook)

    found = await counter.payments.payment(payment=payment)
    assert (found.state, found.captured, found.voided) == ("released", euros(600), euros(400))
    assert await counter.story() == [PaymentAuthorized, PaymentCaptured]
    assert await counter.balances(payment) == {
        "provider:sandbox:captured": 600,
        "orders:captured": -600,
    }


async def test_a_webhook_of_a_capture_that_is_under_way_books_nothing_twice(
    counter: Counter, door: Shop
) -> None:
    payment, capture = some_payment(), IDS.new()
    await counter.authorize(payment, "tok_ok_early")
    door.next(str(payment))

    taking = asyncio.ensure_future(counter.payments.capture(payment=payment, capture=capture))
    webhook = await asyncio.to_thread(door.next, str(payment))
    await asyncio.gather(taking, counter.hear(webhook))

    found = await counter.payments.payment(payment=payment)
    assert (found.captured, [transfer.id for transfer in found.transfers]) == (TEN, [capture])
    assert await counter.story() == [PaymentAuthorized, PaymentCaptured]


async def test_a_forged_or_old_webhook_is_refused(counter: Counter, door: Shop) -> None:
    payment = await challenged(counter, door, CONFIRM)
    webhook = door.next(str(payment))
    webhook.body = webhook.body.replace(b"EUR", b"USD")

    with pytest.raises(InvalidWebhook):
        await counter.hear(webhook)
    with pytest.raises(InvalidWebhook):
        await counter.payments.hear(provider="sandbox", headers={}, body="{}")
    with pytest.raises(UnknownProvider):
        await counter.payments.hear(provider="gold", headers={}, body="{}")

    assert (await counter.payments.payment(payment=payment)).state == "challenged"


async def test_a_webhook_is_kept_as_it_came_and_dropped_after_a_month(
    counter: Counter, door: Shop
) -> None:
    payment = await challenged(counter, door, CONFIRM)
    webhook = door.next(str(payment))
    await counter.hear(webhook)
    kept = "SELECT body FROM webhooks WHERE id = $1"
    before = await counter.room.database.value(kept, webhook.id)

    await counter.house.pass_time(31 * 86_400)

    assert before == webhook.body.decode()
    assert await counter.room.database.value(kept, webhook.id) is None

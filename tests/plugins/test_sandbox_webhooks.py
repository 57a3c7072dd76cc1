"""The sandbox bank's webhooks: signed, and early, late, thrice, never or refused."""

import base64
import hashlib
import hmac
import threading
import time
from collections.abc import Callable

from tests.plugins.sandbox_merchant import PATIENCE_SECONDS, Merchant, Shop
from tests.plugins.sandbox_process import SandboxProcess


def eventually(truth: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not truth():
        assert time.monotonic() < deadline, "It never came true"
        time.sleep(0.02)


def test_a_webhook_is_signed_as_standard_webhooks_says(
    merchant: Merchant, shop: Shop, bank: SandboxProcess, reference: str
) -> None:
    merchant.authorize(reference)

    webhook = shop.next(reference)

    secret = base64.b64decode(bank.secret_file.read_text().strip().removeprefix("whsec_"))
    timestamp = webhook.headers["webhook-timestamp"]
    signed = f"{webhook.id}.{timestamp}.".encode() + webhook.body
    digest = base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
    assert webhook.headers["webhook-signature"] == f"v1,{digest}"
    assert abs(time.time() - int(timestamp)) < 300  # noqa: TID251  the bank's clock is the machine's
    assert (webhook.type, webhook.payment) == ("payment.authorized", merchant.payment(reference))


def test_each_move_of_money_is_told(merchant: Merchant, shop: Shop, reference: str) -> None:
    merchant.authorize(reference)
    authorized = shop.next(reference)
    merchant.capture(reference, 700)
    captured = shop.next(reference)
    merchant.refund(reference, 200)
    refunded = shop.next(reference)

    told = [(webhook.type, webhook.moved) for webhook in (authorized, captured, refunded)]
    assert told == [
        ("payment.authorized", 1000),
        ("payment.captured", 700),
        ("payment.refunded", 200),
    ]


def test_an_early_webhook_arrives_before_the_answer(
    merchant: Merchant, shop: Shop, reference: str
) -> None:
    shop.answered[reference] = threading.Event()

    merchant.authorize(reference, "tok_ok_early")
    shop.answered[reference].set()

    shop.next(reference)
    assert shop.read_before_answer[reference]


def test_a_normal_webhook_does_not_hold_the_answer_up(
    merchant: Merchant, shop: Shop, reference: str
) -> None:
    shop.answered[reference] = threading.Event()

    merchant.authorize(reference)
    shop.answered[reference].set()

    shop.next(reference)
    assert not shop.read_before_answer[reference]


def test_a_late_webhook_takes_its_time(merchant: Merchant, shop: Shop, reference: str) -> None:
    merchant.client.post("/v1/test/webhooks", json={"mode": "late", "delay_seconds": 0.4})

    merchant.authorize(reference)
    answered = time.monotonic()
    shop.next(reference)

    assert time.monotonic() - answered >= 0.3


def test_a_webhook_may_come_three_times_under_one_id(
    merchant: Merchant, shop: Shop, reference: str
) -> None:
    merchant.authorize(reference, "tok_ok_thrice_buyer-7")

    copies = [shop.next(reference) for _ in range(3)]

    assert len({copy.id for copy in copies}) == 1
    assert len({copy.body for copy in copies}) == 1
    assert shop.inbox[reference].empty()


def test_a_webhook_that_never_comes_is_kept_and_sent_when_asked(
    merchant: Merchant, shop: Shop, reference: str
) -> None:
    merchant.client.post("/v1/test/webhooks", json={"mode": "never"})
    merchant.authorize(reference, capture=True)
    assert shop.inbox[reference].empty()

    sent = merchant.client.post(
        "/v1/test/webhooks/deliver", json={"state": "withheld", "newest_first": True}
    ).json()

    assert sent == {"delivered": 2, "undelivered": 0}
    assert [shop.next(reference).type for _ in range(2)] == [
        "payment.captured",
        "payment.authorized",
    ]


def test_everything_can_be_delivered_twice(merchant: Merchant, shop: Shop, reference: str) -> None:
    merchant.authorize(reference)
    first = shop.next(reference)

    merchant.client.post("/v1/test/webhooks/deliver")

    second = shop.next(reference)
    assert (second.id, second.body) == (first.id, first.body)


def test_a_refused_webhook_is_tried_three_times_and_then_kept(
    merchant: Merchant, shop: Shop, reference: str
) -> None:
    shop.refusals[reference] = 3
    merchant.authorize(reference)
    tries = [shop.next(reference) for _ in range(3)]

    def fate() -> tuple[str, int]:
        stored = merchant.client.get("/v1/test/webhooks").json()["items"]
        (mine,) = [webhook for webhook in stored if webhook["id"] == tries[0].id]
        return mine["state"], mine["attempts"]

    eventually(lambda: fate() == ("undelivered", 3))
    merchant.client.post("/v1/test/webhooks/deliver", json={"state": "undelivered"})

    assert len({webhook.id for webhook in tries}) == 1
    assert shop.next(reference).id == tries[0].id
    assert fate() == ("delivered", 4)

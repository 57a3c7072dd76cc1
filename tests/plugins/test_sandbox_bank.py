"""The rules of the sandbox bank, asked for as a shop does: of a real process, over loopback."""

import sqlite3
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import httpx
import pytest

from tests.plugins.sandbox_merchant import (
    CONFIRM,
    TOTALS,
    Merchant,
    euros,
    pages,
    refusal,
)
from tests.plugins.sandbox_process import SandboxProcess


def test_a_good_card_is_authorized_and_nothing_is_taken_yet(
    merchant: Merchant, reference: str
) -> None:
    answer = merchant.authorize(reference)

    payment = answer.json()
    assert answer.status_code == 201
    assert (payment["status"], payment["reference"]) == ("authorized", reference)
    assert (payment["authorized"], payment["captured"]) == (euros(1000), euros(0))
    assert payment["card"] == {"brand": "visa", "last4": "4242", "exp": "2034-12"}
    assert merchant.kinds(reference) == [("authorize", 1000)]


def test_a_payment_may_be_captured_at_once(merchant: Merchant, reference: str) -> None:
    payment = merchant.authorize(reference, capture=True).json()

    assert (payment["status"], payment["captured"]) == ("captured", euros(1000))
    assert merchant.kinds(reference) == [("authorize", 1000), ("capture", 1000)]


@pytest.mark.parametrize(
    ("token", "code"),
    [("tok_declined", "card_declined"), ("tok_insufficient_buyer-7", "insufficient_funds")],
)
def test_a_bad_card_is_declined_and_moves_no_money(
    merchant: Merchant, reference: str, token: str, code: str
) -> None:
    answer = merchant.authorize(reference, token)

    assert answer.status_code == 201
    assert (answer.json()["status"], answer.json()["decline_code"]) == ("declined", code)
    assert merchant.kinds(reference) == []


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"token": "tok_unknown"}, 422),
        ({"token": "4242424242424242"}, 422),
        ({"amount": euros(0)}, 422),
        ({"amount": euros(-5)}, 422),
        ({"amount": {"amount": 19.99, "currency": "EUR"}}, 422),
        ({"amount": {"amount": 1999, "currency": "euro"}}, 422),
        ({"reference": "with space"}, 422),
        ({"reference": "nul\0"}, 422),
        ({"reference": "pay_0123"}, 422),
        ({"reference": None}, 422),
        ({"return_url": "javascript:alert(1)"}, 422),
        ({"captrue": True}, 422),
        ({"token": "x" * 70_000}, 413),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(
    merchant: Merchant, reference: str, change: dict[str, object], status: int
) -> None:
    body = {"reference": reference, "amount": euros(1), "token": "tok_ok", **change}

    answer = merchant.post("/v1/payments", body)

    assert refusal(answer)[0] == status
    assert merchant.kinds(reference) == []


def test_broken_json_and_unknown_paths_are_problems_too(merchant: Merchant) -> None:
    broken = merchant.client.post("/v1/payments", content=b"{")
    nowhere = merchant.client.get("/v2/payments")
    nobody = merchant.client.get("/v1/payments/order-unknown")

    assert refusal(broken) == (400, "bad_request")
    assert refusal(nowhere) == (404, "not_found")
    assert refusal(nobody) == (404, "unknown_payment")


def test_every_change_needs_an_idempotency_key(merchant: Merchant, reference: str) -> None:
    body = {"reference": reference, "amount": euros(1), "token": "tok_ok"}

    answer = merchant.client.post("/v1/payments", json=body)

    assert refusal(answer) == (400, "idempotency_key_required")
    assert merchant.kinds(reference) == []


def test_the_same_key_gets_the_same_answer_and_moves_money_once(
    merchant: Merchant, reference: str
) -> None:
    first = merchant.authorize(reference, key=f"key-{reference}")

    second = merchant.authorize(reference, key=f"key-{reference}")

    assert second.content == first.content
    assert second.status_code == first.status_code
    assert second.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert merchant.kinds(reference) == [("authorize", 1000)]


def test_a_refusal_is_remembered_under_its_key_as_well(merchant: Merchant, reference: str) -> None:
    merchant.authorize(reference, "tok_challenge")
    path, key = f"/v1/payments/{reference}/captures", f"key-{reference}"
    refused = merchant.post(path, {"amount": euros(1)}, key=key)
    merchant.client.post(f"/challenge/{merchant.payment(reference)['id']}", data=CONFIRM)

    again = merchant.post(path, {"amount": euros(1)}, key=key)

    assert refusal(refused) == refusal(again) == (409, "not_authorized")


def test_the_same_key_with_another_body_is_refused(merchant: Merchant, reference: str) -> None:
    merchant.authorize(reference, key=f"key-{reference}")

    other = merchant.authorize(f"{reference}-other", key=f"key-{reference}")

    assert refusal(other) == (422, "idempotency_key_reused")
    assert merchant.kinds(f"{reference}-other") == []


def test_a_second_request_in_flight_waits_for_the_answer_of_the_first(
    merchant: Merchant, reference: str
) -> None:
    with ThreadPoolExecutor(4) as pool:
        asked = [
            pool.submit(merchant.authorize, reference, "tok_slow", key=f"key-{reference}")
            for _ in range(4)
        ]
        answers = [answer.result() for answer in asked]

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert sum("idempotent-replayed" in answer.headers for answer in answers) == 3
    assert min(answer.elapsed.total_seconds() for answer in answers) >= 0.4
    assert merchant.kinds(reference) == [("authorize", 1000)]


def test_a_reference_belongs_to_one_payment(merchant: Merchant, reference: str) -> None:
    first = merchant.authorize(reference).json()

    second = merchant.authorize(reference)

    assert refusal(second) == (409, "reference_taken")
    assert second.json()["payment"] == first["id"]


def test_a_slow_card_is_charged_before_the_answer_comes(
    bank: SandboxProcess, merchant: Merchant, reference: str
) -> None:
    with bank.client() as client:
        client.timeout = httpx.Timeout(0.2)
        with pytest.raises(httpx.ReadTimeout):
            Merchant(client).authorize(reference, "tok_slow")

    assert merchant.payment(reference)["status"] == "authorized"


def test_a_flaky_card_is_charged_though_the_connection_drops(
    merchant: Merchant, reference: str
) -> None:
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        merchant.authorize(reference, "tok_flaky", key=f"key-{reference}")

    found = merchant.payment(reference)
    again = merchant.authorize(reference, "tok_flaky", key=f"key-{reference}")
    assert found["status"] == "authorized"
    assert (again.status_code, again.json()) == (201, found)
    assert merchant.kinds(reference) == [("authorize", 1000)]


def test_a_reference_that_was_never_used_is_not_found(merchant: Merchant, reference: str) -> None:
    answer = merchant.client.get("/v1/payments", params={"reference": reference})

    assert (answer.status_code, answer.json()["items"]) == (200, [])


def test_held_money_is_let_go_once(merchant: Merchant, reference: str) -> None:
    merchant.authorize(reference)

    first, second = merchant.void(reference), merchant.void(reference)

    assert (first.status_code, first.json()["status"]) == (200, "voided")
    assert second.json() == first.json()
    assert refusal(merchant.capture(reference, 1)) == (409, "not_authorized")
    assert merchant.kinds(reference) == [("authorize", 1000), ("void", 1000)]


def test_a_payment_is_voided_by_its_id_too(merchant: Merchant, reference: str) -> None:
    payment = merchant.authorize(reference).json()

    assert merchant.void(payment["id"]).json()["status"] == "voided"
    assert refusal(merchant.void("pay_unknown")) == (404, "unknown_payment")


def test_a_void_that_overtakes_the_authorization_wins(merchant: Merchant, reference: str) -> None:
    early = merchant.void(reference)

    late = merchant.authorize(reference)

    assert (early.status_code, early.json()["status"]) == (200, "voided")
    assert (late.json()["status"], late.json()["decline_code"]) == ("declined", "voided")
    assert late.json()["amount"] == euros(1000)
    assert refusal(merchant.authorize(reference)) == (409, "reference_taken")
    assert merchant.kinds(reference) == []


def test_nothing_has_to_be_let_go_of_a_declined_payment(merchant: Merchant, reference: str) -> None:
    merchant.authorize(reference, "tok_declined")

    voided = merchant.void(reference)

    assert (voided.status_code, voided.json()["status"]) == (200, "declined")


def test_captured_money_cannot_be_voided(merchant: Merchant, reference: str) -> None:
    merchant.authorize(reference, capture=True)

    assert refusal(merchant.void(reference)) == (409, "already_captured")


def test_of_partly_captured_money_the_rest_is_let_go_once(
    merchant: Merchant, reference: str
) -> None:
    merchant.authorize(reference)
    merchant.capture(reference, 300)
    merchant.capture(reference, 300)

    first, second = merchant.void(reference), merchant.void(reference)

    assert (first.status_code, first.json()["status"]) == (200, "captured")
    assert (first.json()["captured"], first.json()["voided"]) == (euros(600), euros(400))
    assert second.json() == first.json()
    assert refusal(merchant.capture(reference, 1)) == (409, "exceeds_authorization")
    assert merchant.refund(reference, 600).json()["refunded"] == euros(600)
    assert merchant.kinds(reference) == [
        ("authorize", 1000),
        ("capture", 300),
        ("capture", 300),
        ("void", 400),
        ("refund", 600),
    ]


def test_a_capture_and_a_void_that_race_share_what_was_held(
    merchant: Merchant, reference: str
) -> None:
    merchant.authorize(reference)
    merchant.capture(reference, 100)

    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(merchant.capture, reference, 200) for _ in range(4)]
        voided = [pool.submit(merchant.void, reference) for _ in range(4)]
        taken = sum(answer.result().status_code == 201 for answer in asked)

    assert {answer.result().status_code for answer in voided} == {200}
    payment = merchant.payment(reference)
    assert payment["captured"] == euros(100 + 200 * taken)
    assert payment["voided"] == euros(900 - 200 * taken)


def test_money_is_captured_in_parts_and_never_more_than_was_held(
    merchant: Merchant, reference: str
) -> None:
    merchant.authorize(reference)

    parts = [merchant.capture(reference, amount) for amount in (300, 700, 1)]

    assert [part.status_code for part in parts] == [201, 201, 409]
    assert parts[0].json()["captured"] == euros(300)
    assert refusal(parts[2]) == (409, "exceeds_authorization")
    assert merchant.kinds(reference) == [("authorize", 1000), ("capture", 300), ("capture", 700)]


def test_the_final_capture_gives_the_rest_back(merchant: Merchant, reference: str) -> None:
    merchant.authorize(reference)

    payment = merchant.capture(reference, 600, final=True).json()

    assert (payment["captured"], payment["voided"]) == (euros(600), euros(400))
    assert refusal(merchant.capture(reference, 1)) == (409, "exceeds_authorization")


def test_money_is_refunded_in_parts_and_never_more_than_was_captured(
    merchant: Merchant, reference: str
) -> None:
    merchant.authorize(reference)
    assert refusal(merchant.refund(reference, 1)) == (409, "exceeds_captured")
    merchant.capture(reference, 800)

    parts = [merchant.refund(reference, amount) for amount in (500, 300, 1)]

    assert [part.status_code for part in parts] == [201, 201, 409]
    assert merchant.payment(reference)["refunded"] == euros(800)


def test_another_currency_is_refused(merchant: Merchant, reference: str) -> None:
    merchant.authorize(reference)

    answer = merchant.post(
        f"/v1/payments/{reference}/captures", {"amount": {"amount": 1, "currency": "USD"}}
    )

    assert refusal(answer) == (422, "currency_mismatch")


def test_refunds_that_race_never_exceed_what_was_captured(
    merchant: Merchant, reference: str
) -> None:
    merchant.authorize(reference, capture=True)

    with ThreadPoolExecutor(16) as pool:
        asked = [pool.submit(merchant.refund, reference, 150) for _ in range(16)]
        answers = Counter(answer.result().status_code for answer in asked)

    assert answers == {201: 6, 409: 10}
    assert merchant.payment(reference)["refunded"] == euros(900)


@pytest.mark.parametrize(
    "offence",
    [
        "INSERT INTO entries (payment, kind, amount) SELECT id, 'refund', 1001 FROM victim",
        "INSERT INTO entries (payment, kind, amount) SELECT id, 'capture', 1 FROM victim",
        "INSERT INTO entries (payment, kind, amount) SELECT id, 'authorize', 1000 FROM victim",
        "INSERT INTO entries (payment, kind, amount) SELECT id, 'refund', -1 FROM victim",
        "INSERT INTO entries (payment, kind, amount) VALUES ('pay_nobody', 'capture', 1)",
        "UPDATE entries SET amount = 1 WHERE payment = (SELECT id FROM victim)",
        "DELETE FROM entries WHERE payment = (SELECT id FROM victim)",
        "UPDATE payments SET refunded = captured + 1 WHERE id = (SELECT id FROM victim)",
    ],
)
def test_the_database_itself_refuses_impossible_money(
    bank: SandboxProcess, merchant: Merchant, reference: str, offence: str
) -> None:
    merchant.authorize(reference, capture=True)

    with closing(sqlite3.connect(bank.ledger)) as database:
        database.execute("PRAGMA foreign_keys = ON")
        database.execute(
            "CREATE TEMP TABLE victim AS SELECT id FROM payments WHERE reference = ?", [reference]
        )
        with pytest.raises(sqlite3.IntegrityError):
            database.execute(offence)

    assert merchant.kinds(reference) == [("authorize", 1000), ("capture", 1000)]


def test_entries_positions_and_balance_tell_the_same_story(
    merchant: Merchant, reference: str
) -> None:
    merchant.authorize(reference)
    merchant.capture(reference, 600, final=True)
    merchant.refund(reference, 50)

    entries = pages(merchant.client, "/v1/ledger", "since")
    positions = pages(merchant.client, "/v1/ledger/by-reference", "after")
    (balance,) = merchant.client.get("/v1/balance").json()["items"]

    (mine,) = [position for position in positions if position["reference"] == reference]
    assert [mine[total] for total in TOTALS.values()] == [1000, 600, 400, 50]
    assert [entry["id"] for entry in entries] == sorted({entry["id"] for entry in entries})
    for kind, total in TOTALS.items():
        moved = sum(entry["amount"]["amount"] for entry in entries if entry["kind"] == kind)
        assert moved == balance[total] == sum(position[total] for position in positions)
    assert balance["held"] == balance["authorized"] - balance["captured"] - balance["voided"]
    assert balance["net"] == balance["captured"] - balance["refunded"]

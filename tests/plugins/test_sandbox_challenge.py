"""The page on which a shopper confirms a payment to the sandbox bank, or refuses it."""

from pathlib import Path

from tests.plugins.sandbox_merchant import CONFIRM, REFUSE, Merchant, Shop
from tests.plugins.sandbox_process import SandboxProcess


def test_a_challenge_holds_money_only_when_the_shopper_confirms(
    merchant: Merchant, shop: Shop, reference: str
) -> None:
    back = "http://shop.test/back?order=7"
    asked = merchant.authorize(reference, "tok_challenge", return_url=back).json()
    page = merchant.client.get(asked["action"]["redirect_url"])
    assert (asked["status"], merchant.kinds(reference)) == ("requires_action", [])

    sent_back = merchant.client.post(asked["action"]["redirect_url"], data=CONFIRM)

    assert "€10.00" in page.text
    assert "<script" not in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "form-action 'self' http://shop.test" in policy
    assert sent_back.status_code == 303
    assert sent_back.headers["location"] == (
        f"http://shop.test/back?order=7&reference={reference}&payment={asked['id']}"
    )
    assert merchant.payment(reference)["status"] == "authorized"
    assert merchant.payment(reference)["action"] is None
    assert merchant.kinds(reference) == [("authorize", 1000)]
    assert {shop.next(reference).type for _ in range(2)} == {
        "payment.challenge_succeeded",
        "payment.authorized",
    }


def test_a_refused_challenge_declines_and_only_the_first_answer_counts(
    merchant: Merchant, shop: Shop, reference: str
) -> None:
    action = merchant.authorize(reference, "tok_challenge").json()["action"]["redirect_url"]
    merchant.client.post(action, data=REFUSE)

    too_late = merchant.client.post(action, data=CONFIRM)

    assert "declined" in too_late.text
    assert merchant.payment(reference)["decline_code"] == "authentication_failed"
    assert merchant.kinds(reference) == []
    assert {shop.next(reference).type for _ in range(2)} == {
        "payment.challenge_failed",
        "payment.declined",
    }


def test_a_voided_challenge_cannot_be_confirmed(merchant: Merchant, reference: str) -> None:
    action = merchant.authorize(reference, "tok_challenge").json()["action"]["redirect_url"]
    merchant.void(reference)

    merchant.client.post(action, data=CONFIRM)

    assert merchant.payment(reference)["status"] == "voided"
    assert merchant.kinds(reference) == []


def test_a_challenge_is_not_found_by_a_reference_that_can_be_guessed(
    merchant: Merchant, reference: str
) -> None:
    merchant.authorize(reference, "tok_challenge")

    assert merchant.client.get(f"/challenge/{reference}").status_code == 422
    assert merchant.client.post(f"/challenge/{reference}", data=CONFIRM).status_code == 422


def test_a_bank_behind_another_address_sends_shoppers_there(tmp_path: Path, reference: str) -> None:
    public = "https://bank.example/sandbox"
    with SandboxProcess(tmp_path, public_url=f"{public}/") as bank, bank.client() as client:
        asked = Merchant(client).authorize(reference, "tok_challenge").json()

    assert asked["action"]["redirect_url"] == f"{public}/challenge/{asked['id']}"

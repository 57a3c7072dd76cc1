"""The hosted field of the sandbox bank: where a card is typed, and what a shop learns of it."""

from datetime import date

import httpx
import pytest

from banyan.plugins.sandbox import typed
from banyan.plugins.sandbox.cards import new_token
from banyan.plugins.sandbox.typed import Typed
from tests.plugins.sandbox_merchant import CONFIRM, Merchant, refusal
from tests.plugins.sandbox_process import SandboxProcess

SHOP = "https://shop.example"
GOOD = {"number": "4242 4242 4242 4242", "expiry": "12 / 34", "cvc": "123", "name": "Mia Muster"}
AMEX = GOOD | {"number": "3782 822463 10005", "cvc": "1234"}
TODAY = date(2026, 11, 22)


@pytest.fixture
def token() -> str:
    return new_token()


def show(client: httpx.Client, token: str, **query: str) -> httpx.Response:
    return client.get(f"/fields/{token}", params={"origin": SHOP} | query)


def give(client: httpx.Client, token: str, typed: dict[str, str], **query: str) -> httpx.Response:
    """Fill the form in and press its button, as a browser without JavaScript does."""
    return client.post(f"/fields/{token}", params={"origin": SHOP} | query, data=typed)


def test_a_card_that_was_typed_pays_under_its_token(
    merchant: Merchant, reference: str, token: str
) -> None:
    given = give(merchant.client, token, AMEX)
    shown = merchant.client.get(str(given.url.join(given.headers["location"])))
    paid = merchant.authorize(reference, token).json()

    assert given.status_code == 303
    assert "Amex" in shown.text
    assert 'data-state="saved"' in shown.text
    assert "10005" not in shown.text
    assert paid["status"] == "authorized"
    assert paid["card"] == {"brand": "amex", "last4": "0005", "exp": "2034-12"}
    assert merchant.kinds(reference) == [("authorize", 1000)]


@pytest.mark.parametrize(
    ("number", "status", "reason"),
    [
        ("4242 4242 4242 4242", "authorized", None),
        ("4000-0000-0000-0002", "declined", "card_declined"),
        ("4000000000009995", "declined", "insufficient_funds"),
        ("4000 0000 0000 3220", "requires_action", None),
        ("5555 5555 5555 4444", "authorized", None),
    ],
)
def test_the_number_decides(
    merchant: Merchant, reference: str, token: str, number: str, status: str, reason: str | None
) -> None:
    give(merchant.client, token, GOOD | {"number": number})

    paid = merchant.authorize(reference, token).json()

    assert (paid["status"], paid["decline_code"]) == (status, reason)
    assert paid["card"]["last4"] == number[-4:]


def test_a_card_that_asks_for_confirmation_is_named_where_it_is_confirmed(
    merchant: Merchant, reference: str, token: str
) -> None:
    give(merchant.client, token, GOOD | {"number": "4000 0000 0000 3220"})
    action = merchant.authorize(reference, token).json()["action"]["redirect_url"]

    asked = merchant.client.get(action, headers={"accept-language": "de-AT"})
    merchant.client.post(action, data=CONFIRM)

    assert "Zahlung bestätigen" in asked.text
    assert "Visa •••• 3220" in asked.text
    assert "10,00\xa0€" in asked.text
    assert merchant.payment(reference)["status"] == "authorized"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"number": ""}, "Enter the card number."),
        ({"number": "4242 4242 4242 4241"}, "This is not a valid card number."),
        ({"number": "4242"}, "This is not a valid card number."),
        ({"number": "٤٢٤٢٤٢٤٢٤٢٤٢٤٢٤٢"}, "This is not a valid card number."),
        ({"expiry": ""}, "Enter the expiry date."),
        ({"expiry": "13/34"}, "Enter month and year, such as 04/29."),
        ({"expiry": "01/20"}, "This card has expired."),
        ({"cvc": ""}, "Enter the security code."),
        ({"cvc": "12"}, "Enter the 3 digits from the back of the card."),
        (
            {"number": "378282246310005", "cvc": "123"},
            "Enter the 4 digits from the front of the card.",
        ),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_nothing_is_kept(
    merchant: Merchant, reference: str, token: str, wrong: dict[str, str], said: str
) -> None:
    answer = give(merchant.client, token, GOOD | wrong)

    field = list(wrong)[-1]
    assert answer.status_code == 422
    assert f'aria-describedby="{field}-flaw"' in answer.text
    assert said in answer.text.partition(f'id="{field}-flaw"')[2]
    assert answer.text.count("-flaw") == 2
    assert refusal(merchant.authorize(reference, token)) == (422, "unknown_token")


def test_all_that_is_wrong_is_said_at_once_and_the_security_code_is_not_repeated(
    client: httpx.Client, token: str
) -> None:
    answer = give(client, token, {"number": "1", "expiry": "2", "cvc": "98765", "name": "<Mia>"})

    assert answer.text.count('class="flaw"') == 3
    assert 'value="&lt;Mia&gt;"' in answer.text
    assert "98765" not in answer.text


def test_a_card_is_good_until_its_month_has_ended() -> None:
    this_month, last_month = (
        Typed(**GOOD | {"expiry": "11/26"}),
        Typed(**GOOD | {"expiry": "10/26"}),
    )

    assert typed.flaws(this_month, today=TODAY) == {}
    assert typed.flaws(last_month, today=TODAY) == {"expiry": "expired"}


@pytest.mark.parametrize("written", ["04/29", "4/29", "04 / 2029", "0429", " 04-29 "])
def test_a_date_is_read_as_people_write_it(written: str) -> None:
    assert typed.card(Typed(**GOOD | {"expiry": written})).exp == "2029-04"


def test_a_token_without_a_card_is_unknown_until_there_is_one(
    merchant: Merchant, reference: str, token: str
) -> None:
    early = merchant.authorize(reference, token, key=f"{reference} asked")
    give(merchant.client, token, GOOD)

    late = merchant.authorize(reference, token, key=f"{reference} asked")

    assert refusal(early) == (422, "unknown_token")
    assert late.json()["status"] == "authorized"


def test_another_card_takes_the_place_of_the_first_until_it_has_paid(
    merchant: Merchant, reference: str, token: str
) -> None:
    give(merchant.client, token, AMEX)
    replaced = give(merchant.client, token, GOOD)
    merchant.authorize(reference, token)

    too_late = give(merchant.client, token, AMEX)

    assert replaced.status_code == 303
    assert too_late.status_code == 409
    assert 'data-state="used"' in too_late.text
    assert 'data-state="used"' in show(merchant.client, token).text
    assert merchant.payment(reference)["card"]["last4"] == "4242"


def test_a_saved_card_is_shown_and_another_can_be_typed(client: httpx.Client, token: str) -> None:
    give(client, token, GOOD)

    saved, form_again = show(client, token), show(client, token, another="yes")

    assert 'data-brand="visa"' in saved.text
    assert 'data-last4="4242"' in saved.text
    assert "<form" not in saved.text
    assert 'data-state="empty"' in form_again.text
    assert "4242 4242 4242 4242" not in form_again.text.partition("</form>")[0]


def test_a_token_pays_once_even_if_it_was_declined(
    merchant: Merchant, reference: str, token: str
) -> None:
    give(merchant.client, token, GOOD | {"number": "4000 0000 0000 0002"})
    first = merchant.authorize(reference, token, key=reference)

    again = merchant.authorize(reference, token, key=reference)
    other = merchant.authorize(f"{reference}-b", token)

    assert again.json() == first.json()
    assert refusal(other) == (409, "token_used")
    assert merchant.client.get("/v1/payments", params={"reference": f"{reference}-b"}).json() == {
        "items": [],
        "next": None,
    }


def test_no_number_is_kept_or_logged(
    bank: SandboxProcess, merchant: Merchant, reference: str, token: str
) -> None:
    give(merchant.client, token, GOOD | {"number": "6011 0009 9013 9424"})
    give(merchant.client, token, GOOD | {"number": "6011 0009 9013 9423"})
    merchant.authorize(reference, token)

    kept = b"".join(file.read_bytes() for file in bank.data.iterdir())

    assert token.encode() in kept
    assert b"9424" in kept
    for number in (b"6011000990139424", b"6011 0009 9013", b"60110009"):
        assert number not in kept
    assert "6011" not in repr(Typed(number="6011 0009 9013 9424"))


def test_the_page_is_framed_by_the_shop_only_and_kept_by_nobody(
    client: httpx.Client, token: str
) -> None:
    framed = show(client, token)
    wrong = give(client, token, {})
    alone = client.get(f"/fields/{token}")

    for page in (framed, wrong):
        assert page.headers["content-security-policy"] == (
            "default-src 'none'; style-src 'self'; script-src 'self'; base-uri 'none';"
            f" frame-ancestors {SHOP}; form-action 'self'"
        )
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["referrer-policy"] == "no-referrer"
        assert f'data-origin="{SHOP}"' in page.text
    assert "frame-ancestors 'none'" in alone.headers["content-security-policy"]
    assert "<script" not in alone.text
    assert give(client, token, GOOD).headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "shop.example",
        "null",
        "javascript:alert(1)",
        "https://shop.example/",
        "https://shop.example https://evil.example",
        "https://shop.example; script-src *",
        "https://*.example",
        "https://shop.example\n",
        "https://user@shop.example",
    ],
)
def test_what_is_no_origin_frames_nothing(client: httpx.Client, token: str, origin: str) -> None:
    shown = show(client, token, origin=origin)
    given = give(client, token, GOOD, origin=origin)

    assert refusal(shown) == (422, "unprocessable_entity")
    assert refusal(given) == (422, "unprocessable_entity")


@pytest.mark.parametrize("token", ["tok_ok", "tok_field_short", "tok_field_" + "0" * 32])
def test_only_a_token_of_its_kind_has_a_field(client: httpx.Client, token: str) -> None:
    assert show(client, token).status_code == 422


def test_the_form_speaks_the_language_that_is_asked_for(client: httpx.Client, token: str) -> None:
    told = show(client, token, locale="de-CH")
    wished = client.get(f"/fields/{token}", headers={"accept-language": "fr, de;q=0.8, en;q=0.5"})
    unknown = show(client, token, locale="fi")
    wrong = give(client, token, {}, locale="de")

    for page in (told, wished, wrong):
        assert '<html lang="de"' in page.text
        assert "Kartennummer" in page.text
    assert '<html lang="en"' in unknown.text
    assert "Geben Sie die Kartennummer ein." in wrong.text


def test_browsers_know_what_each_field_is_for(client: httpx.Client, token: str) -> None:
    page = show(client, token).text

    for field, purpose in (
        ("number", "cc-number"),
        ("expiry", "cc-exp"),
        ("cvc", "cc-csc"),
        ("name", "cc-name"),
    ):
        typed = page.partition(f'<input id="{field}"')[2].partition(">")[0]
        assert f'<label for="{field}">' in page
        assert f'autocomplete="{purpose}"' in typed
        assert ('inputmode="numeric"' in typed) == (field != "name")
    assert "4000 0000 0000 3220" in page


def test_style_and_script_come_from_the_bank_and_nothing_else_does(client: httpx.Client) -> None:
    style, script = client.get("/assets/bank.css"), client.get("/assets/field.js")

    assert style.headers["content-type"] == "text/css; charset=utf-8"
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    assert client.get("/assets/field.py").status_code == 422
    assert client.get("/assets/..%2Fschema.sql").status_code in {404, 422}

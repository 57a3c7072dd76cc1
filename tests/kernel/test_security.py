"""A caller may what was granted, a message proves its sender, a card number is seen."""

import asyncio
import base64
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from banyan.kernel.security import (
    Caller,
    TokenGate,
    UnverifiedWebhook,
    admin_token,
    discreet,
    fingerprint,
    looks_like_card_number,
    sign,
    verify,
    webhook_secret,
    without_card_numbers,
)
from banyan.kernel.settings import Misconfigured, Secret

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SHARED = webhook_secret()

words = st.text("abcdefgh", min_size=1, max_size=5)
ids = st.text("abcdefgh0123456789_-", min_size=1, max_size=20)


def caller(*permissions: str) -> Caller:
    return Caller(subject="somebody", permissions=frozenset(permissions))


@given(words, words)
def test_a_grant_covers_itself_and_a_wildcard_what_is_below_it(noun: str, verb: str) -> None:
    permission = f"{noun}:{verb}"

    assert caller(permission).may(permission)
    assert caller(f"{noun}:*").may(permission)
    assert caller("*").may(permission)
    assert caller(f"{noun}:*").may(f"{permission}:deeper")


@given(words, words, words)
def test_a_grant_covers_nothing_beside_it(noun: str, verb: str, other: str) -> None:
    assume(other not in {noun, verb})
    permission = f"{noun}:{verb}"

    assert not caller(f"{other}:*", f"{other}:{verb}", f"{noun}:{other}").may(permission)
    assert not caller(permission).may(f"{noun}:*")
    assert not caller(permission).may("*")
    assert not caller(noun, f"{noun[:1]}*").may(permission)


def test_the_anonymous_may_nothing() -> None:
    assert not Caller.anonymous().may("catalog:read")


@given(st.text())
def test_a_gate_lets_in_the_holder_of_its_token_and_nobody_else(token: str) -> None:
    gate = TokenGate(fingerprint("bny_the-token"))
    assume(token != "bny_the-token")

    holder = asyncio.run(gate.caller("bny_the-token"))

    assert holder is not None
    assert holder.may("anything:at:all")
    assert asyncio.run(gate.caller(token)) is None


def test_a_token_that_is_no_text_at_all_is_refused_and_not_a_fault() -> None:
    assert asyncio.run(TokenGate(fingerprint("bny_x")).caller("\ud800")) is None


def test_the_admin_token_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    token = admin_token(tmp_path / "data")

    assert token.reveal().startswith("bny_")
    assert len(token.reveal()) == 47
    assert admin_token(tmp_path / "data") == token
    assert [file.name for file in (tmp_path / "data").iterdir()] == ["admin-token"]
    assert stat.S_IMODE((tmp_path / "data" / "admin-token").stat().st_mode) == 0o600


def test_two_folders_have_two_tokens(tmp_path: Path) -> None:
    assert admin_token(tmp_path / "one") != admin_token(tmp_path / "other")


def test_processes_that_start_together_agree_on_the_token(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        tokens = set(pool.map(admin_token, [tmp_path] * 32))

    assert len(tokens) == 1


def test_a_token_that_others_can_read_is_refused(tmp_path: Path) -> None:
    admin_token(tmp_path)
    (tmp_path / "admin-token").chmod(0o644)

    with pytest.raises(Misconfigured, match="read by others: delete it"):
        admin_token(tmp_path)


@pytest.mark.parametrize("content", [b"", b"hunter2", b"\xff\xfe"])
def test_a_file_without_a_token_in_it_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "admin-token"
    file.touch(0o600)
    file.write_bytes(content)

    with pytest.raises(Misconfigured, match="holds no token"):
        admin_token(tmp_path)


def test_the_signature_is_that_of_the_published_example() -> None:
    """The example is that of the Standard Webhooks specification's reference libraries."""
    headers = sign(
        Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        webhook="msg_p5jXN8AQM9LWM0D4loKWxJek",
        sent=datetime.fromtimestamp(1614265330, UTC),
        body=b'{"test": 2432232314}',
    )

    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@given(ids, st.binary(), st.integers(-300, 300))
def test_a_signed_message_is_recognized_for_five_minutes(
    webhook: str, body: bytes, age: int
) -> None:
    headers = sign(SHARED, webhook=webhook, sent=NOON, body=body)

    assert verify([SHARED], headers, body, now=NOON + timedelta(seconds=age)) == webhook


@given(st.integers(301, 10**8), st.sampled_from([1, -1]))
def test_a_genuine_message_from_another_time_is_outdated(seconds: int, side: int) -> None:
    headers = sign(SHARED, webhook="m1", sent=NOON, body=b"{}")

    with pytest.raises(UnverifiedWebhook) as refused:
        verify([SHARED], headers, b"{}", now=NOON + side * timedelta(seconds=seconds))

    assert refused.value.reason == "outdated"


@given(st.binary(), st.binary(), ids, ids, st.integers(0, 300))
def test_a_changed_message_is_forged(
    body: bytes, changed: bytes, webhook: str, renamed: str, later: int
) -> None:
    headers = sign(SHARED, webhook=webhook, sent=NOON, body=body)
    restamped = str(int(NOON.timestamp()) + later)
    assume((body, webhook, later) != (changed, renamed, 0))

    with pytest.raises(UnverifiedWebhook) as refused:
        verify(
            [SHARED],
            headers | {"webhook-id": renamed, "webhook-timestamp": restamped},
            changed,
            now=NOON,
        )

    assert refused.value.reason == "forged"


def test_a_stranger_s_signature_is_forged() -> None:
    headers = sign(webhook_secret(), webhook="m1", sent=NOON, body=b"{}")

    with pytest.raises(UnverifiedWebhook, match="reason=forged"):
        verify([SHARED], headers, b"{}", now=NOON)


def test_while_a_secret_is_replaced_both_are_accepted_on_either_side() -> None:
    old, new = webhook_secret(), webhook_secret()
    by_old = sign(old, webhook="m1", sent=NOON, body=b"{}")
    by_new = sign(new, webhook="m1", sent=NOON, body=b"{}")
    by_both = by_old | {
        "webhook-signature": f"v1a,c29tZQ== {by_old['webhook-signature']} "
        f"{by_new['webhook-signature']}"
    }

    assert verify([old, new], by_old, b"{}", now=NOON) == "m1"
    assert verify([old, new], by_new, b"{}", now=NOON) == "m1"
    assert verify([new], by_both, b"{}", now=NOON) == "m1"


def test_header_names_are_read_in_any_case() -> None:
    headers = sign(SHARED, webhook="m1", sent=NOON, body=b"{}")

    shouted = {name.upper(): value for name, value in headers.items()}

    assert verify([SHARED], shouted, b"{}", now=NOON) == "m1"


@pytest.mark.parametrize(
    "spoiled",
    [
        {"webhook-id": ""},
        {"webhook-timestamp": ""},
        {"webhook-timestamp": "noon"},
        {"webhook-timestamp": "-1"},
        {"webhook-timestamp": "\uff19"},
        {"webhook-timestamp": "9" * 400},
        {"webhook-signature": ""},
        {"webhook-signature": "v2,abc"},
    ],
)
def test_a_message_that_lacks_what_proves_it_is_incomplete(spoiled: dict[str, str]) -> None:
    headers = sign(SHARED, webhook="m1", sent=NOON, body=b"{}") | spoiled

    with pytest.raises(UnverifiedWebhook, match="reason=incomplete"):
        verify([SHARED], headers, b"{}", now=NOON)


@given(
    st.dictionaries(
        st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature"]),
        st.text() | st.just("v1,é") | st.just("1772366400"),
    ),
    st.binary(),
)
def test_no_headers_whatever_cause_anything_but_a_refusal(
    headers: dict[str, str], body: bytes
) -> None:
    with pytest.raises(UnverifiedWebhook):
        verify([SHARED], headers, body, now=NOON)


@pytest.mark.parametrize("broken", ["", "whsec_", "whsec_%%%"])
def test_a_broken_secret_is_the_operator_s_mistake(broken: str) -> None:
    with pytest.raises(Misconfigured, match="whsec_"):
        sign(Secret(broken), webhook="m1", sent=NOON, body=b"{}")


def test_a_webhook_secret_has_the_length_that_the_standard_asks_for() -> None:
    key = base64.b64decode(webhook_secret().reveal().removeprefix("whsec_"))

    assert 24 <= len(key) <= 64


def completed(digits: str) -> str:
    """Append the one digit that makes Luhn's sum whole, found by trying all ten."""
    return next(f"{digits}{last}" for last in range(10) if luhn(f"{digits}{last}"))


def luhn(digits: str) -> bool:
    """Sum by the rule's own words: double every second digit from the right, minus 9 above 9."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


numbers = st.text("0123456789", min_size=12, max_size=18).map(completed)
prose = st.text("abcdxyz .,:", max_size=10)


@st.composite
def written(draw: st.DrawFn) -> str:
    """Write a card number as people do: in groups, with spaces or dashes, or in one piece."""
    number = draw(numbers)
    gap = draw(st.sampled_from(["", " ", "-", "\u00a0", "–"]))
    size = draw(st.integers(1, 19))
    return gap.join(number[at : at + size] for at in range(0, len(number), size))


@given(prose, written(), prose)
def test_a_card_number_is_seen_however_it_is_written(before: str, card: str, after: str) -> None:
    text = f"{before}{card}{after}"

    assert looks_like_card_number(text)
    assert without_card_numbers(text) == f"{before}[card]{after}"


@given(numbers, st.integers(0, 11), st.integers(1, 9))
def test_one_wrong_digit_is_no_card_number(number: str, place: int, by: int) -> None:
    changed = str((int(number[place]) + by) % 10)

    assert not looks_like_card_number(number[:place] + changed + number[place + 1 :])


@given(st.text("0123456789", max_size=12), st.text("0123456789", min_size=20, max_size=40))
def test_too_few_or_too_many_digits_are_no_card_number(few: str, many: str) -> None:
    assert not looks_like_card_number(few)
    assert not looks_like_card_number(many)


def test_a_card_number_is_seen_beside_other_numbers() -> None:
    text = "call 555 0100 - 4111 1111 1111 1111 12/28 or 5500-0000-0000-0004"

    assert without_card_numbers(text) == "call 555 0100 - [card] 12/28 or [card]"


@given(st.uuids())
def test_an_id_is_no_card_number(made: UUID) -> None:
    assert not looks_like_card_number(str(made))


@given(st.text())
def test_text_without_a_card_number_is_left_alone(text: str) -> None:
    if not looks_like_card_number(text):
        assert without_card_numbers(text) == text


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("write to jane.doe+shop@mail.example.com!", "write to [email]!"),
        ("postgres://shop:hunter2@db.example/shop", "postgres://[private]@db.example/shop"),
        ("Authorization: Bearer abc.def-ghi=", "Authorization: Bearer [private]"),
        ("it said basic dXNlcjpwYXNz", "it said basic [private]"),
        ("the token bny_q1-w2_e3 is out", "the token bny_[private] is out"),
        ("whsec_MfKQ9r8GKYqr/wjU=", "whsec_[private]"),
        ("jwt eyJhbGciOi.eyJzdWIi.sig", "jwt eyJ[private]"),
        ("paid with 4111-1111-1111-1111", "paid with [card]"),
        (4111111111111111, "[card]"),
        (Secret("hunter2"), "…"),
        (Caller(subject="jane@example.com"), {"subject": "[email]", "permissions": []}),
        ({"jane@example.com": 1}, {"[email]": 1}),
        ((1, 2.5, None, True, "lamp"), [1, 2.5, None, True, "lamp"]),
        (UUID("01a203ff-0f59-728a-9231-0131fcfd07e0"), "01a203ff-0f59-728a-9231-0131fcfd07e0"),
    ],
)
def test_what_is_private_in_a_value_is_not_shown(told: object, shown: object) -> None:
    assert discreet("note", told) == shown


@pytest.mark.parametrize(
    "name",
    [
        "email",
        "customer_email",
        "shopper_first_name",
        "shippingAddress",
        "X-Api-Key",
        "Authorization",
        "webhook-signature",
    ],
)
def test_what_is_private_by_its_name_is_not_shown_at_any_depth(name: str) -> None:
    told = {"outer": [{name: "Jane Doe"}], name: {"inner": "Jane Doe"}}

    assert "Jane" not in str(discreet("note", told))


@pytest.mark.parametrize("name", ["key", "discarded", "cardinality", "tokenized_at", "sku"])
def test_a_harmless_name_hides_nothing(name: str) -> None:
    assert discreet(name, "lamp") == "lamp"


@given(st.text())
def test_text_with_nothing_private_in_it_is_shown_as_it_is(text: str) -> None:
    assume("@" not in text)
    assume(not any(word in text.lower() for word in ("bearer", "basic", "bny_", "whsec_", "eyj")))
    assume(not looks_like_card_number(text))

    assert discreet("note", text) == text


def test_of_an_endless_text_the_beginning_and_the_end_are_shown() -> None:
    shown = discreet("note", "first " + "x" * 100_000 + " last")

    assert shown.startswith("first ")
    assert shown.endswith(" last")
    assert len(shown) < 8200

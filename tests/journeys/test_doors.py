"""What is demanded at the door: tokens, tags of what was seen, keys where money moves."""

from __future__ import annotations

import asyncio
import re
import socket

import asyncpg
import httpx
import pytest

from tests.journeys.counter import READER, Counter
from tests.journeys.refusal import (
    CARD_NUMBER,
    exemplary,
    may_answer,
    operations,
    refused,
    without_ids,
)
from tests.journeys.trade import BACK, CARD, STORE, check_out, filled, shopping

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
LINE = {"sku": "LAMP", "quantity": 1}


@pytest.mark.parametrize(
    "authorization",
    [
        *("Bearer bny_wrong", "Bearer", "Bearer {token}x", "Basic {token}", "{token}", "\xff"),
        "Bearer {token:.8}",
    ],
)
@pytest.mark.parametrize("path", [f"{STORE}/products", f"{BACK}/orders", "/nowhere"])
def test_a_token_that_nobody_was_given_opens_nothing(
    counter: Counter, authorization: str, path: str
) -> None:
    shown = authorization.format(token=counter.token)
    told = [(b"authorization", shown.encode("latin-1"))]

    answer = counter.shopper.get(path, headers=told)

    refused(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"] == 'Bearer realm="banyan"'


def test_who_speaks_no_http_is_sent_away_and_that_is_no_fault_of_ours(counter: Counter) -> None:
    url = httpx.URL(counter.url)

    with socket.create_connection((url.host, url.port), timeout=15) as line:
        line.sendall(b"open sesame\r\n\r\n")
        answer = line.recv(100)

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert counter.faults() == []


def test_the_back_office_is_closed_to_whoever_has_no_token(counter: Counter) -> None:
    guarded = [one for one in operations(counter) if one[1].startswith(BACK)]
    assert len(guarded) > 50

    for method, path, described in guarded:
        answer = counter.shopper.request(method, path)

        refused(answer, 401, "unauthenticated")
        assert answer.headers["www-authenticate"] == 'Bearer realm="banyan"'
        assert described["security"] == [{"bearer": []}]


def test_who_was_granted_one_thing_may_do_nothing_else(together: Counter) -> None:
    let_in = set()
    with together.holder_of(READER) as reader:
        for method, path, _ in operations(together):
            answer = reader.request(method, path)
            if answer.status_code != 403 and path.startswith(BACK):
                let_in.add((method, path.removeprefix(BACK).split("/")[1]))
            elif path.startswith(BACK):
                assert re.fullmatch(r"\w+:\w+", refused(answer, 403, "forbidden")["permission"])

    assert let_in == {("GET", thing) for thing in ("products", "categories", "attributes")}


def test_nothing_in_the_back_office_is_changed_unseen(counter: Counter) -> None:
    edits = [one for one in operations(counter) if may_answer(one[2], "match_missing")]
    assert len(edits) > 10

    for method, path, _ in edits:
        refused(counter.admin.request(method, path, json={}), 428, "match_missing")


@pytest.mark.parametrize("tag", ["7", '"7', '"7" "8"', "W/7", "", "null"])
def test_what_was_seen_is_told_by_tags(counter: Counter, tag: str) -> None:
    answer = counter.admin.delete(f"{BACK}/price-lists/eu", headers={"if-match": tag})

    refused(answer, 400, "bad_request", at="If-Match")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/markets/eu", "stale_market"),
        ("/price-lists/eu", "stale_price_list"),
        ("/tax-rates/eu/standard/*/*", "stale_tax_rate"),
        ("/shipping-methods/post", "stale_method"),
    ],
)
@pytest.mark.parametrize("seen", ['"99"', 'W/"1"', '"abc"', '"7", "8"'])
def test_a_change_of_what_was_seen_otherwise_is_refused(
    counter: Counter, path: str, code: str, seen: str
) -> None:
    now = counter.admin.get(BACK + path)
    fields = now.json()
    if code == "stale_method":
        fields = {name: told for name, told in fields.items() if name not in ("code", "version")}

    answer = counter.admin.put(BACK + path, json=fields, headers={"if-match": seen})

    assert refused(answer, 412, code)["version"] == now.json()["version"]


def test_money_never_moves_without_a_key(counter: Counter) -> None:
    moves = [one for one in operations(counter) if may_answer(one[2], "idempotency_key_missing")]
    named = {path.rsplit("/", 1)[1] for _, path, _ in moves}
    assert named == {"checkout", "cancellation", "captures", "refunds", "void"}

    for method, path, _ in moves:
        refused(counter.admin.request(method, path, json={}), 400, "idempotency_key_missing")
        garbled = counter.admin.request(
            method, path, json={}, headers={"idempotency-key": "two words"}
        )
        refused(garbled, 400, "bad_request", at="Idempotency-Key")


@pytest.fixture(scope="module")
def paid(counter: Counter) -> str:
    """Have an order, and tell where its payment is."""
    with shopping(counter) as shopper:
        order = check_out(shopper, filled(shopper)).raise_for_status().json()["order"]
    return f"{BACK}/payments/{order['payment']}"


def test_the_same_key_for_another_request_is_refused(
    counter: Counter, shopper: httpx.Client, paid: str
) -> None:
    cart = filled(shopper)
    asked: list[tuple[str, object, object]] = [
        (f"{STORE}/carts", {}, {"market": "eu"}),
        (f"{STORE}/carts/{cart}/lines", LINE, {**LINE, "quantity": 2}),
        (f"{STORE}/carts/{cart}/checkout", {"payment": CARD}, {"payment": {**CARD, "token": "x"}}),
        (f"{paid}/captures", {"amount": {"amount": 7, "currency": "EUR"}}, {}),
        (f"{paid}/refunds", {"amount": {"amount": 5, "currency": "EUR"}}, {}),
    ]
    for number, (path, first, other) in enumerate(asked):
        key = {"idempotency-key": f"another-{number}"}
        counter.admin.post(path, json=first, headers=key).raise_for_status()

        answer = counter.admin.post(path, json=other, headers=key)

        assert refused(answer, 422, "key_reused")["key"] == f"another-{number}"


def test_the_same_request_again_is_answered_the_same_and_says_so(
    counter: Counter, shopper: httpx.Client, paid: str
) -> None:
    cart = filled(shopper)
    asked: list[tuple[str, object]] = [
        (f"{STORE}/carts", {}),
        (f"{STORE}/carts/{cart}/lines", LINE),
        (f"{STORE}/carts/{cart}/checkout", {"payment": CARD}),
        (f"{paid}/captures", {"amount": {"amount": 3, "currency": "EUR"}}),
        (f"{paid}/refunds", {"amount": {"amount": 2, "currency": "EUR"}}),
    ]
    for number, (path, body) in enumerate(asked):
        key = {"idempotency-key": f'"again {number}"'}
        first = counter.admin.post(path, json=body, headers=key).raise_for_status()
        counter.admin.get(paid).raise_for_status()

        again = counter.admin.post(path, json=body, headers=key)

        assert (again.status_code, again.json()) == (first.status_code, first.json()), path
        assert again.headers["etag"] == first.headers["etag"]
        assert again.headers["idempotent-replayed"] == "true"
        assert "idempotent-replayed" not in first.headers


def test_a_refusal_is_repeated_under_its_key_and_another_key_may_succeed(
    shopper: httpx.Client,
) -> None:
    cart = filled(shopper)

    declined, again = (
        check_out(shopper, cart, "tok_declined"),
        check_out(shopper, cart, "tok_declined"),
    )
    other = check_out(shopper, cart)

    assert refused(declined, 402, "payment_refused")["reason"] == "card_declined"
    assert refused(again, 402, "payment_refused")["reason"] == "card_declined"
    assert again.headers["idempotent-replayed"] == "true"
    assert (other.status_code, other.json()["order"]["state"]) == (201, "confirmed")


@pytest.mark.parametrize(
    "token", [CARD_NUMBER, "4111 1111 1111 1111", f"tok_{CARD_NUMBER}", "4111-1111-1111-1111"]
)
def test_a_card_number_is_never_taken_for_a_token_nor_kept_nor_echoed(
    counter: Counter, shopper: httpx.Client, token: str
) -> None:
    cart = filled(shopper)

    answer = check_out(shopper, cart, token)

    assert refused(answer, 422, "unknown_payment_token")["pointer"] == "/payment/token"
    assert token not in answer.text
    assert asyncio.run(kept(counter, "4111")) == []
    assert not re.search(r"4111\D?1111", without_ids("\n".join(counter.log())))
    assert shopper.get(f"/carts/{cart}").json()["order"] is None


async def kept(counter: Counter, digits: str) -> list[str]:
    """Look through all tables for something that must not be there."""
    connection = await asyncpg.connect(counter.dsn)
    try:
        tables = await connection.fetch(
            "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables "
            "WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        )
        return [
            table["name"]
            for table in tables
            if await connection.fetchval(
                "SELECT EXISTS (SELECT FROM "  # noqa: S608 - PostgreSQL has quoted the name
                f"{table['name']} AS row WHERE row::text LIKE $1)",
                f"%{digits}%1111%",
            )
        ]
    finally:
        await connection.close()


def test_what_is_at_an_address_is_asked_in_the_documented_ways_only(counter: Counter) -> None:
    for path, item in counter.document["paths"].items():
        offered = {method.upper() for method in item}
        offered |= {"HEAD"} if "GET" in offered else set()
        for method in {*METHODS, "TRACE"} - offered:
            answer = counter.admin.request(method, exemplary(path))

            refused(answer, 405, "method_not_allowed")
            assert set(answer.headers["allow"].split(", ")) == offered | {"OPTIONS"}, path

"""The rules of payments: what a provider says is taken over in any order, and never twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from banyan.modules.payments import model
from banyan.modules.payments.contract import (
    AlreadyCaptured,
    DifferentTerms,
    ExceedsAuthorized,
    ExceedsCaptured,
    InvalidAmount,
    InvalidToken,
    LedgerEntry,
    NotAuthorized,
    PaymentAuthorized,
    PaymentDeclined,
    PaymentFailed,
    Transfer,
    TransferKind,
)
from banyan.modules.payments.model import NEXT, Claim
from banyan.modules.payments.ports import Standing
from banyan.vocabulary import CurrencyMismatch, Money, OrderId, PaymentId

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PAYMENT, ORDER = PaymentId(UUID(int=1)), OrderId(UUID(int=2))


def euros(amount: int) -> Money:
    return Money(amount=amount, currency="EUR")


def opened(amount: int = 1000) -> Claim:
    return model.open_claim(PAYMENT, ORDER, euros(amount), "sandbox", now=NOW)


AUTHORIZED = Standing(state="authorized", authorized=1000, reference="pay_1")
CHALLENGED = Standing(state="challenged", redirect_url="https://bank.test/3ds")
DECLINED = Standing(state="declined", decline_reason="insufficient_funds")
VOIDED = Standing(state="voided", authorized=1000, voided=1000)
PARTLY_TAKEN = Standing(state="authorized", authorized=1000, captured=600)
RELEASED = Standing(state="authorized", authorized=1000, captured=600, voided=400)
GIVEN_BACK = Standing(state="authorized", authorized=1000, captured=600, refunded=200)

STORIES: Sequence[Sequence[Standing]] = (
    (AUTHORIZED,),
    (CHALLENGED, AUTHORIZED, VOIDED),
    (CHALLENGED, DECLINED),
    (AUTHORIZED, PARTLY_TAKEN, GIVEN_BACK),
    (AUTHORIZED, PARTLY_TAKEN, RELEASED, replace(RELEASED, refunded=600)),
    (AUTHORIZED, PARTLY_TAKEN, replace(RELEASED, state="voided")),
)
"""What a provider may say of a payment, one after the other."""

heard = st.sampled_from(STORIES).flatmap(
    lambda story: st.permutations([*story, *story]).map(lambda told: (story, told))
)


def record_all(claim: Claim, told: Sequence[Standing]) -> list[Claim]:
    claims = [claim]
    for standing in told:
        claims.append(model.record(claims[-1], standing, now=NOW))
    return claims


def fate(claim: Claim) -> tuple[object, ...]:
    totals = (claim.authorized, claim.captured, claim.voided, claim.refunded)
    return (claim.state, claim.decline_reason, *totals)


def balances(entries: Sequence[LedgerEntry]) -> Counter[str]:
    sums: Counter[str] = Counter()
    for entry in entries:
        sums[entry.account] += entry.amount
    return sums


@given(heard)
def test_news_in_any_order_and_twice_end_as_the_story_does(
    heard: tuple[Sequence[Standing], Sequence[Standing]],
) -> None:
    story, told = heard

    in_order = record_all(opened(), story)[-1]
    end = record_all(opened(), told)[-1]

    assert fate(end) == fate(in_order)


@given(heard)
def test_what_is_settled_stays_and_totals_only_grow(
    heard: tuple[Sequence[Standing], Sequence[Standing]],
) -> None:
    claims = record_all(opened(), heard[1])

    for before, after in pairwise(claims):
        assert after.state in {before.state, *NEXT[before.state]}
        for total in ("authorized", "captured", "voided", "refunded"):
            assert getattr(after, total) >= getattr(before, total)
        assert after.voided + after.captured <= after.authorized
        assert after.refunded <= after.captured


@given(heard)
def test_the_same_news_again_changes_nothing(
    heard: tuple[Sequence[Standing], Sequence[Standing]],
) -> None:
    end = record_all(opened(), heard[1])[-1]

    assert model.record(end, heard[1][-1], now=NOW) == end


@given(heard)
def test_whatever_is_recorded_is_booked_and_every_booking_adds_up_to_zero(
    heard: tuple[Sequence[Standing], Sequence[Standing]],
) -> None:
    claims = record_all(opened(), heard[1])
    entries: list[LedgerEntry] = []
    for before, after in pairwise(claims):
        found = model.found(before, after, now=NOW)
        entries += model.book(before, after, found, now=NOW)

    end = claims[-1]
    sums = balances(entries)

    for booking in {entry.booking for entry in entries}:
        assert sum(entry.amount for entry in entries if entry.booking == booking) == 0
    assert sums["provider:sandbox:authorized"] == end.authorized - end.voided - end.captured
    assert sums["provider:sandbox:captured"] == end.captured - end.refunded
    assert len({(entry.booking, entry.account) for entry in entries}) == len(entries)


@given(heard)
def test_a_payment_tells_of_its_fate_once_however_often_the_provider_does(
    heard: tuple[Sequence[Standing], Sequence[Standing]],
) -> None:
    told = [
        event
        for before, after in pairwise(record_all(opened(), heard[1]))
        for event in model.news(before, after)
    ]

    assert [type(event) for event in told].count(PaymentAuthorized) <= 1
    assert [type(event) for event in told].count(PaymentFailed) <= 1


@pytest.mark.parametrize("standing", [AUTHORIZED, CHALLENGED])
def test_money_that_comes_after_the_void_is_let_go(standing: Standing) -> None:
    voided = model.let_go(opened(), now=NOW)

    after = model.record(voided, standing, now=NOW)

    assert (after.state, after.to_let_go) == ("voided", True)


def test_a_payment_closed_on_both_sides_waits_for_nothing() -> None:
    voided = model.let_go(opened(), now=NOW)

    after = model.record(voided, Standing(state="voided"), now=NOW)

    assert (after.to_let_go, after.due_at, after.waiting_since) == (False, None, None)


def test_taken_money_is_a_fact_even_where_the_payment_was_voided_here() -> None:
    voided = model.let_go(opened(), now=NOW)

    after = model.record(voided, PARTLY_TAKEN, now=NOW)

    assert (after.state, after.captured, after.decline_reason) == ("released", 600, None)
    assert after.to_let_go


def test_news_wait_for_the_answer_to_a_capture_that_is_under_way() -> None:
    claim = replace(record_all(opened(), [AUTHORIZED])[-1], capturing=600)

    assert model.record(claim, VOIDED, now=NOW) == claim


def test_what_is_taken_cannot_be_let_go() -> None:
    taken = record_all(opened(), [replace(PARTLY_TAKEN, captured=1000)])[-1]

    with pytest.raises(AlreadyCaptured):
        model.let_go(taken, now=NOW)


@given(st.integers(1, 999), st.integers(0, 999))
def test_the_rest_is_let_go_and_what_was_taken_can_be_given_back(taken: int, given: int) -> None:
    given = min(taken, given)
    told = replace(PARTLY_TAKEN, captured=taken, refunded=given)
    before = record_all(opened(), [told])[-1]

    released = model.let_go(before, now=NOW)
    after = model.record(released, replace(told, voided=1000 - taken), now=NOW)

    assert (released.state, released.held, released.to_let_go) == ("released", 1000 - taken, True)
    assert (after.state, after.held, after.to_let_go, after.due_at) == ("released", 0, False, None)
    assert balances(model.book(released, after, (), now=NOW)) == {
        "provider:sandbox:authorized": taken - 1000,
        "orders:authorized": 1000 - taken,
    }
    assert model.news(before, after) == ()
    for claim in (released, after):
        assert model.let_go(claim, now=NOW) == claim
        with pytest.raises(NotAuthorized):
            model.begin(claim, "capture", UUID(int=9), euros(1), now=NOW)
        with suppress(ExceedsCaptured):
            refund = model.begin(claim, "refund", UUID(int=9), None, now=NOW)
            assert refund.amount == euros(taken - given)
            assert given < taken


@pytest.mark.parametrize("late", [AUTHORIZED, PARTLY_TAKEN, GIVEN_BACK])
def test_late_news_do_not_open_what_was_released(late: Standing) -> None:
    released = record_all(opened(), [RELEASED])[-1]

    after = model.record(released, late, now=NOW)

    assert (after.state, after.held, after.due_at) == ("released", 0, None)


def test_a_part_let_go_at_the_provider_leaves_the_rest_to_be_taken() -> None:
    claim = record_all(opened(), [replace(PARTLY_TAKEN, voided=100)])[-1]

    taken = model.begin(claim, "capture", UUID(int=9), None, now=NOW)

    assert (claim.state, taken.amount) == ("authorized", euros(300))


def test_a_declined_payment_needs_no_letting_go() -> None:
    declined = record_all(opened(), [DECLINED])[-1]

    assert model.let_go(declined, now=NOW) == declined


kinds: st.SearchStrategy[TransferKind] = st.sampled_from(["capture", "refund"])


@given(st.lists(st.tuples(kinds, st.none() | st.integers(1, 1500), st.booleans()), max_size=20))
def test_no_sequence_of_transfers_takes_or_gives_back_too_much(
    wishes: list[tuple[TransferKind, int | None, bool]],
) -> None:
    claim = record_all(opened(), [AUTHORIZED])[-1]

    for number, (kind, amount, settles) in enumerate(wishes):
        wanted = None if amount is None else euros(amount)
        with suppress(ExceedsAuthorized, ExceedsCaptured):
            transfer = model.begin(claim, kind, UUID(int=number), wanted, now=NOW)
            claim = counted(claim, transfer, settles=settles)
        assert claim.captured + claim.capturing <= claim.authorized
        assert claim.refunded + claim.refunding <= claim.captured


def counted(claim: Claim, transfer: Transfer, *, settles: bool) -> Claim:
    """Count as the database does."""
    amount = transfer.amount.amount
    if transfer.kind == "capture":
        name = "captured" if settles else "capturing"
    else:
        name = "refunded" if settles else "refunding"
    return replace(claim, **{name: getattr(claim, name) + amount})


@pytest.mark.parametrize(("asked", "fits"), [(400, True), (401, False), (None, True)])
def test_exactly_what_is_left_can_be_taken(asked: int | None, *, fits: bool) -> None:
    claim = record_all(opened(), [PARTLY_TAKEN])[-1]
    amount = None if asked is None else euros(asked)

    if fits:
        taken = model.begin(claim, "capture", UUID(int=9), amount, now=NOW)
        assert taken.amount == euros(400)
    else:
        with pytest.raises(ExceedsAuthorized) as refused:
            model.begin(claim, "capture", UUID(int=9), amount, now=NOW)
        assert refused.value.left == euros(400)


@pytest.mark.parametrize("amount", [0, -1])
def test_only_amounts_above_zero_are_moved(amount: int) -> None:
    claim = record_all(opened(), [AUTHORIZED])[-1]

    with pytest.raises(InvalidAmount):
        model.begin(claim, "capture", UUID(int=9), euros(amount), now=NOW)
    with pytest.raises(InvalidAmount):
        opened(amount)


def test_money_moves_in_the_currency_of_its_payment_only() -> None:
    claim = record_all(opened(), [AUTHORIZED])[-1]

    with pytest.raises(CurrencyMismatch):
        model.begin(claim, "capture", UUID(int=9), Money(amount=1, currency="USD"), now=NOW)


@pytest.mark.parametrize("told", [CHALLENGED, DECLINED, VOIDED])
def test_nothing_is_taken_from_a_payment_that_is_not_authorized(told: Standing) -> None:
    claim = record_all(opened(), [told])[-1]

    with pytest.raises(NotAuthorized) as refused:
        model.begin(claim, "capture", UUID(int=9), None, now=NOW)

    assert refused.value.state == claim.state


def test_an_id_stands_for_one_payment_and_one_transfer() -> None:
    transfer = model.begin(
        record_all(opened(), [AUTHORIZED])[-1], "capture", UUID(int=9), euros(5), now=NOW
    )

    model.refuse_other_terms(opened(), opened())
    model.refuse_other_transfer(transfer, None)
    with pytest.raises(DifferentTerms):
        model.refuse_other_terms(opened(), opened(999))
    with pytest.raises(DifferentTerms):
        model.refuse_other_transfer(transfer, euros(6))


@given(st.text(max_size=5), st.sampled_from(["4242424242424242", "5555 5555 5555 4444"]))
def test_a_card_number_in_the_place_of_a_token_is_refused_and_not_echoed(
    before: str, card: str
) -> None:
    with pytest.raises(InvalidToken) as refused:
        model.refuse_card_number(f"{before} {card}")

    assert not any(digit in str(refused.value) for digit in "0123456789")


@given(st.text())
def test_a_hint_at_a_token_shows_no_digit_and_little_else(token: str) -> None:
    declined = replace(record_all(opened(), [DECLINED])[-1], decline_reason="invalid_token")

    with pytest.raises(InvalidToken) as refused:
        model.outcome(declined, token=token)

    assert not any(one.isdigit() for one in refused.value.token_hint)
    assert len(refused.value.token_hint) <= 13


def test_a_declined_payment_says_why() -> None:
    with pytest.raises(PaymentDeclined) as refused:
        model.outcome(record_all(opened(), [DECLINED])[-1])

    assert refused.value.reason == "insufficient_funds"

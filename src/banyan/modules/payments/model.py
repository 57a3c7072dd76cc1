"""The rules of payments. No I/O, no clock, no chance."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from uuid import UUID, uuid5

from msgspec.structs import replace

from banyan.kernel.contract import Value
from banyan.kernel.event import Event
from banyan.kernel.security import looks_like_card_number
from banyan.modules.payments.contract import (
    AlreadyCaptured,
    DifferentTerms,
    ExceedsAuthorized,
    ExceedsCaptured,
    InvalidAmount,
    InvalidToken,
    LedgerEntry,
    NotAuthorized,
    Payment,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentDeclined,
    PaymentFailed,
    PaymentState,
    RefundIssued,
    Transfer,
    TransferKind,
)
from banyan.modules.payments.ports import INVALID_TOKEN, Position, Standing, Subject
from banyan.vocabulary import CurrencyMismatch, Money, OrderId, PaymentId

PATIENCE = timedelta(minutes=1)
"""How long an answer of the provider may be outstanding before it is asked again."""

VOIDED = "voided"

NEXT: Mapping[PaymentState, frozenset[PaymentState]] = {
    "pending": frozenset({"challenged", "authorized", "released", "declined", "voided"}),
    "challenged": frozenset({"authorized", "released", "declined", "voided"}),
    "authorized": frozenset({"released", "voided"}),
    "released": frozenset(),
    "declined": frozenset(),
    "voided": frozenset(),
}
"""What may follow a state; whatever else a provider says is late news."""


class Claim(Value, frozen=True, kw_only=True):
    """A payment as the books have it, in minor units of its currency.

    `capturing` and `refunding` are reserved by transfers under way. While an answer of the
    provider is outstanding, `waiting_since` says since when, and `due_at` when to ask again.
    """

    id: PaymentId
    order: OrderId
    provider: str
    state: PaymentState
    currency: str
    amount: int
    reference: str = ""
    authorized: int = 0
    voided: int = 0
    capturing: int = 0
    captured: int = 0
    refunding: int = 0
    refunded: int = 0
    decline_reason: str | None = None
    redirect_url: str | None = None
    card_brand: str = ""
    card_last4: str = ""
    waiting_since: datetime | None = None
    due_at: datetime | None = None
    version: int = 1
    transfers: tuple[Transfer, ...] = ()

    @property
    def held(self) -> int:
        """Say how much is set aside, and neither taken, being taken nor let go."""
        return self.authorized - self.voided - self.captured - self.capturing

    @property
    def taken_in_full(self) -> bool:
        """Tell whether nothing is left that could be let go."""
        return 0 < self.captured == self.authorized

    @property
    def to_let_go(self) -> bool:
        """Tell whether the provider must still hear that nobody will take this money."""
        closed = not NEXT[self.state] and self.due_at is not None
        return closed and (self.held > 0 or not self.captured)

    @property
    def subject(self) -> Subject:
        """Name this payment as its provider needs it."""
        return Subject(payment=self.id, order=self.order, reference=self.reference)

    def money(self, amount: int) -> Money:
        """Speak of an amount in the currency of this payment."""
        return Money(amount=amount, currency=self.currency)

    def shown(self) -> Payment:
        """Show what others may know."""
        return Payment(
            id=self.id,
            order=self.order,
            provider=self.provider,
            state=self.state,
            amount=self.money(self.amount),
            captured=self.money(self.captured),
            voided=self.money(self.voided),
            refunded=self.money(self.refunded),
            decline_reason=self.decline_reason,
            redirect_url=self.redirect_url,
            card_brand=self.card_brand,
            card_last4=self.card_last4,
            transfers=self.transfers,
            version=self.version,
        )


def refuse_card_number(token: str) -> None:
    """Refuse a card number in the place of a token (PCI DSS); only its first letters are echoed."""
    if looks_like_card_number(token):
        raise InvalidToken(token_hint=_hint(token))


def refuse_amount(amount: Money) -> None:
    """Refuse to move nothing, or less."""
    if amount.amount <= 0:
        raise InvalidAmount(amount=amount)


def open_claim(
    payment: PaymentId, order: OrderId, amount: Money, provider: str, *, now: datetime
) -> Claim:
    """Begin a payment: it waits for its provider."""
    refuse_amount(amount)
    claim = Claim(
        id=payment,
        order=order,
        provider=provider,
        state="pending",
        currency=amount.currency,
        amount=amount.amount,
    )
    return wait(claim, now)


def refuse_other_terms(claim: Claim, wanted: Claim) -> None:
    """Refuse to take a payment for another one that has the same id."""
    terms = (wanted.order, wanted.provider, wanted.currency, wanted.amount)
    if (claim.order, claim.provider, claim.currency, claim.amount) != terms:
        raise DifferentTerms(id=claim.id)


def outcome(claim: Claim, *, token: str | None = None) -> Payment:
    """Show a payment, or say why no money will come from it."""
    if token is not None and claim.decline_reason == INVALID_TOKEN:
        raise InvalidToken(token_hint=_hint(token))
    if claim.state in ("declined", "voided"):
        raise PaymentDeclined(payment=claim.id, reason=claim.decline_reason or claim.state)
    return claim.shown()


def _hint(token: str) -> str:
    """Quote the letters that a token begins with: never a digit, for it may be a card's."""
    letters = re.match(r"[A-Za-z_]{0,12}", token)
    return f"{letters[0] if letters else ''}…"


def record(claim: Claim, told: Standing, *, now: datetime) -> Claim:
    """Take over what the provider says. What is settled stays: news may be late or come twice."""
    if claim.capturing:
        # Whatever was let go of there, the answer to what we are taking comes first.
        return claim
    counted = replace(
        claim,
        authorized=max(claim.authorized, told.authorized),
        voided=max(claim.voided, told.voided),
        captured=max(claim.captured, told.captured),
        refunded=claim.refunded if claim.refunding else max(claim.refunded, told.refunded),
    )
    state = _next_state(counted, told)
    after = replace(
        counted,
        state=state,
        reference=told.reference or claim.reference,
        decline_reason=_decline_reason(state, claim, told),
        redirect_url=told.redirect_url if state == "challenged" else None,
        card_brand=told.card_brand or claim.card_brand,
        card_last4=told.card_last4 or claim.card_last4,
    )
    waits = _under_way(after, told)
    after = wait(after, now) if waits else replace(after, waiting_since=None, due_at=None)
    return after if after == claim else replace(after, version=claim.version + 1)


def _next_state(claim: Claim, told: Standing) -> PaymentState:
    if claim.captured:
        # Taken money is a fact, whatever was meant to happen here.
        closed = claim.state in ("voided", "released") or (claim.voided and not claim.held)
        return "released" if closed else "authorized"
    return told.state if told.state in NEXT[claim.state] else claim.state


def _decline_reason(state: PaymentState, claim: Claim, told: Standing) -> str | None:
    if state not in ("declined", "voided"):
        return None
    return claim.decline_reason or told.decline_reason or state


def _under_way(claim: Claim, told: Standing) -> bool:
    open_there = claim.held > 0 or (told.state == "challenged" and not claim.authorized)
    closed_here_only = not NEXT[claim.state] and open_there
    return claim.state in ("pending", "challenged") or claim.refunding > 0 or closed_here_only


def wait(claim: Claim, now: datetime) -> Claim:
    """Put a payment under way, so that it is never forgotten."""
    if claim.due_at:
        return claim
    return replace(claim, waiting_since=now, due_at=now + PATIENCE)


def let_go(claim: Claim, *, now: datetime) -> Claim:
    """Close a payment here, before the provider is asked to let go of what is not taken."""
    if claim.capturing or claim.taken_in_full:
        raise AlreadyCaptured(payment=claim.id)
    if not NEXT[claim.state]:
        return claim
    closed = replace(
        claim,
        state="released" if claim.captured else "voided",
        decline_reason=None if claim.captured else VOIDED,
        redirect_url=None,
        waiting_since=None,
        due_at=None,
        version=claim.version + 1,
    )
    return wait(closed, now)


def begin(
    claim: Claim,
    kind: TransferKind,
    transfer: UUID,
    amount: Money | None,
    *,
    reason: str = "",
    now: datetime,
) -> Transfer:
    """Decide how much is taken or given back: what was asked for, or all that is left."""
    if kind == "capture" and claim.state != "authorized":
        raise NotAuthorized(payment=claim.id, state=claim.state)
    refundable = claim.captured - claim.refunded - claim.refunding
    left = claim.money(claim.held if kind == "capture" else refundable)
    if amount is None:
        amount = left
    elif amount.currency != claim.currency:
        raise CurrencyMismatch(currency=claim.currency, other=amount.currency)
    else:
        refuse_amount(amount)
    if not 0 < amount.amount <= left.amount:
        exceeds = ExceedsAuthorized if kind == "capture" else ExceedsCaptured
        raise exceeds(payment=claim.id, left=left)
    return Transfer(id=transfer, kind=kind, amount=amount, state="pending", reason=reason, at=now)


def refuse_other_transfer(transfer: Transfer, amount: Money | None) -> None:
    """Refuse to take a transfer for another one that has the same id."""
    if amount is not None and amount != transfer.amount:
        raise DifferentTerms(id=transfer.id)


def found(before: Claim, after: Claim, *, now: datetime) -> tuple[Transfer, ...]:
    """List what was taken or given back at the provider without us, as on its own website."""
    totals: tuple[tuple[TransferKind, int, int], ...] = (
        ("capture", before.captured, after.captured),
        ("refund", before.refunded, after.refunded),
    )
    return tuple(
        Transfer(
            id=uuid5(after.id, f"{kind} up to {total}"),
            kind=kind,
            amount=after.money(total - known),
            state="done",
            reason=f"Found at {after.provider}",
            at=now,
        )
        for kind, known, total in totals
        if total > known
    )


def book(
    before: Claim, after: Claim, found: Iterable[Transfer], *, now: datetime
) -> tuple[LedgerEntry, ...]:
    """Book what was set aside, let go of or found between two looks at a payment."""
    amounts = {
        f"authorize up to {after.authorized}": after.authorized - before.authorized,
        f"void up to {after.voided}": before.voided - after.voided,
    }
    return (
        *(
            entry
            for name, amount in amounts.items()
            if amount
            for entry in _entries(after, uuid5(after.id, name), {"authorized": amount}, now)
        ),
        *(entry for transfer in found for entry in book_transfer(after, transfer, now=now)),
    )


def book_transfer(claim: Claim, transfer: Transfer, *, now: datetime) -> tuple[LedgerEntry, ...]:
    """Book what was taken or given back."""
    amount = transfer.amount.amount
    booking = uuid5(claim.id, f"{transfer.kind} {transfer.id}")
    if transfer.kind == "refund":
        return _entries(claim, booking, {"captured": -amount}, now)
    return _entries(claim, booking, {"authorized": -amount, "captured": amount}, now)


def _entries(
    claim: Claim, booking: UUID, amounts: Mapping[str, int], now: datetime
) -> tuple[LedgerEntry, ...]:
    """Debit the provider's accounts and credit those of the orders, or the reverse if negative."""
    return tuple(
        LedgerEntry(
            booking=booking,
            account=f"{owner}:{name}",
            amount=sign * amount,
            currency=claim.currency,
            payment=claim.id,
            at=now,
        )
        for name, amount in amounts.items()
        for owner, sign in ((f"provider:{claim.provider}", 1), ("orders", -1))
    )


def news(before: Claim, after: Claim, found: Iterable[Transfer] = ()) -> tuple[Event, ...]:
    """Tell what others should know of a change of state, and of what was found."""
    return (*_fate(before, after), *(transferred(after, transfer) for transfer in found))


def _fate(before: Claim, after: Claim) -> Iterator[Event]:
    if after.state == before.state:
        return
    payment, order, challenged = after.id, after.order, before.state == "challenged"
    if after.state == "authorized":
        amount = after.money(after.amount)
        yield PaymentAuthorized(payment=payment, order=order, amount=amount, challenged=challenged)
    elif after.state in ("declined", "voided"):
        reason = after.decline_reason or after.state
        yield PaymentFailed(payment=payment, order=order, reason=reason, challenged=challenged)


def transferred(claim: Claim, transfer: Transfer) -> PaymentCaptured | RefundIssued:
    """Tell that money has changed hands."""
    if transfer.kind == "capture":
        return PaymentCaptured(
            payment=claim.id, order=claim.order, capture=transfer.id, amount=transfer.amount
        )
    return RefundIssued(
        payment=claim.id, order=claim.order, refund=transfer.id, amount=transfer.amount
    )


def differences(
    ours: Iterable[Position], theirs: Iterable[Position]
) -> Iterator[tuple[PaymentId, Position | None, Position | None]]:
    """Find the payments of which two ledgers say different things."""
    left = {position.payment: position for position in ours}
    right = {position.payment: position for position in theirs}
    for payment in sorted({*left, *right}):
        if left.get(payment) != right.get(payment):
            yield payment, left.get(payment), right.get(payment)


def agree(claim: Claim, told: Standing | None) -> bool:
    """Tell whether the provider says the same totals as our books."""
    totals = ("authorized", "captured", "voided", "refunded")
    return told is not None and all(getattr(claim, one) == getattr(told, one) for one in totals)


def described(position: Position | None) -> str:
    """Say in words what a ledger knows of a payment."""
    if position is None:
        return "nothing"
    return (
        f"{position.currency} authorized {position.authorized}, captured {position.captured}, "
        f"voided {position.voided}, refunded {position.refunded}"
    )

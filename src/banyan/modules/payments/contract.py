"""Payments: money set aside, taken and given back.

What happens to money is booked in a double-entry ledger, in these accounts:

- `provider:<name>:authorized`: what the provider has set aside for us and we have not taken;
- `provider:<name>:captured`: what it has taken for us, less what it has given back;
- `orders:authorized` and `orders:captured`: the same, owed to the orders for which it is there.

Setting aside debits the provider's account and credits that of the orders; letting go is the
reverse. Taking moves both from `authorized` to `captured`; giving back reverses `captured`.
"""

from __future__ import annotations

from typing import Annotated, Literal, Protocol
from uuid import UUID

from msgspec import Meta

from banyan.kernel.contract import Problem, Value, contract, query, raises, undertaking
from banyan.kernel.event import Event
from banyan.vocabulary import CurrencyMismatch, Moment, Money, OrderId, PaymentId

PaymentState = Literal["pending", "challenged", "authorized", "released", "declined", "voided"]
TransferKind = Literal["capture", "refund"]
TransferState = Literal["pending", "done", "failed"]


class Transfer(Value, frozen=True, kw_only=True):
    """Money that is taken (capture) or given back (refund); its id makes it happen once.

    `reason` is ours, for giving back; `failure` is the provider's, for not carrying it out.
    """

    id: UUID
    kind: TransferKind
    amount: Money
    state: TransferState
    reason: str = ""
    at: Moment | None = None
    failure: str = ""


class Payment(Value, frozen=True, kw_only=True):
    """Money of one order at one provider: `refunded` ≤ `captured` ≤ `amount` - `voided`.

    It is `released` when a part was taken and the rest let go: nothing more can be taken, and
    what was taken can be given back.
    """

    id: PaymentId
    order: OrderId
    provider: str
    state: PaymentState
    amount: Money
    captured: Money
    voided: Money
    refunded: Money
    decline_reason: str | None = None
    redirect_url: str | None = None
    card_brand: str = ""
    card_last4: str = ""
    transfers: tuple[Transfer, ...] = ()
    version: int = 0


class LedgerEntry(Value, frozen=True, kw_only=True):
    """One side of a booking: positive amounts debit an account, negative ones credit it.

    The entries of one `booking` add up to zero in each currency.
    """

    booking: UUID
    account: str
    amount: int
    currency: str
    payment: PaymentId
    at: Moment


class HostedField(Value, frozen=True, kw_only=True):
    """Where a shopper types a card: a page of the provider's own, shown in a frame by the shop.

    Whoever hands all card data to others like this keeps to the short list of PCI DSS, SAQ A. It
    asks that the page with the card comes, every part of it, from the provider: `origin` is the
    provider's, never the shop's, and no script of the shop runs there. The shop's own page may be
    attacked to show another field: its policy names `origin` as the only one to be framed, and
    nothing but the shop's own scripts runs beside it (SAQ A, eligibility and 11.6.1).

    Where the bank asks the shopper to confirm a payment, a checkout leads there at once if that is
    at `origin`, too: browsers let a form lead only where its page said (CSP `form-action`).
    Elsewhere leads a link on the page of the order.

    The provider remembers the card under `token`, and that is what a checkout carries. Nobody can
    guess it, and it pays once: another checkout takes another.
    """

    url: str
    origin: str
    token: str


class PaymentMethod(Value, frozen=True, kw_only=True):
    """A way to pay: a checkout names its `code`, and the token of its `field` if it has one."""

    code: str
    title: str
    field: HostedField | None = None


class DifferentTerms(Problem, status=409):
    """This id was used before for something else; take a new one."""

    id: UUID


class PaymentUnderWay(Problem, status=409):
    """Another payment of this order is under way, or has gone through."""

    order: OrderId


class InvalidAmount(Problem, status=422):
    """Only an amount above zero can be moved."""

    amount: Money


class UnknownProvider(Problem, status=422):
    """There is no such payment provider."""

    provider: str


class UnknownPayment(Problem, status=404):
    """There is no such payment."""

    payment: PaymentId


class PaymentDeclined(Problem, status=402):
    """The provider has declined the payment."""

    payment: PaymentId
    reason: str


class InvalidToken(Problem, status=422):
    """The provider does not know this token."""

    token_hint: str


class NotAuthorized(Problem, status=409):
    """In its present state nothing can be taken from this payment."""

    payment: PaymentId
    state: str


class ExceedsAuthorized(Problem, status=409):
    """More would be captured than was authorized."""

    payment: PaymentId
    left: Money


class ExceedsCaptured(Problem, status=409):
    """More would be refunded than was captured."""

    payment: PaymentId
    left: Money


class TransferRefused(Problem, status=409):
    """The provider does not carry this out; nothing was moved."""

    payment: PaymentId
    transfer: UUID
    reason: str


class AlreadyCaptured(Problem, status=409):
    """All of the money was taken; it can be refunded, not voided."""

    payment: PaymentId


class InvalidWebhook(Problem, status=400):
    """The webhook is not signed by the provider, or is too old."""

    provider: str


class PaymentAuthorized(Event):
    """Money is set aside for an order; perhaps after the bank had `challenged` the shopper."""

    payment: PaymentId
    order: OrderId
    amount: Money
    challenged: bool = False


class PaymentFailed(Event):
    """No money will come from this payment; perhaps after the bank had `challenged` the shopper."""

    payment: PaymentId
    order: OrderId
    reason: str
    challenged: bool = False


class PaymentCaptured(Event):
    """Money was taken."""

    payment: PaymentId
    order: OrderId
    capture: UUID
    amount: Money


class RefundIssued(Event):
    """Money was given back."""

    payment: PaymentId
    order: OrderId
    refund: UUID
    amount: Money


@contract("payments")
class Payments(Protocol):
    """What channels and other modules may ask of payments."""

    @query
    async def methods(
        self, *, origin: str, wishes: tuple[str, ...] = (), token: str = ""
    ) -> tuple[PaymentMethod, ...]:
        """Offer the ways to pay, with a fresh field for each in which a card is to be typed.

        A field can be shown by pages of `origin` only, which is written as browsers do (RFC 6454):
        `https://shop.example`. `wishes` are languages, best first. Shown once
        more with a `token` that it had before, a field still has what was typed: take that only
        from the shopper's own form, never from a link. A provider that does not answer in time is
        left out.
        """
        ...

    @undertaking
    @raises(
        UnknownProvider,
        PaymentDeclined,
        InvalidToken,
        InvalidAmount,
        PaymentUnderWay,
        DifferentTerms,
    )
    async def authorize(
        self,
        *,
        payment: PaymentId,
        order: OrderId,
        amount: Money,
        provider: str,
        token: str,
        return_url: str = "",
    ) -> Payment:
        """Set money aside. The same payment again is found as it is, or carried on with.

        A `challenged` payment waits for the shopper at `redirect_url`. An order has one payment at
        a time; after a declined or voided one there may be another.
        """
        ...

    @undertaking
    @raises(UnknownPayment, PaymentDeclined)
    async def refresh(self, *, payment: PaymentId) -> Payment:
        """Ask the provider how a payment stands; for when no webhook comes."""
        ...

    @undertaking
    @raises(AlreadyCaptured)
    async def void(self, *, payment: PaymentId) -> None:
        """Let go of money that was set aside and not taken, if any was; taken money stays taken.

        It leaves its mark where nothing was authorized yet, here and at the provider, so that a
        late `authorize` comes to nothing.
        """
        ...

    @undertaking
    @raises(
        UnknownPayment,
        NotAuthorized,
        ExceedsAuthorized,
        TransferRefused,
        InvalidAmount,
        CurrencyMismatch,
        DifferentTerms,
    )
    async def capture(
        self, *, payment: PaymentId, capture: UUID, amount: Money | None = None
    ) -> Payment:
        """Take money that was set aside, all that is left or a part of it."""
        ...

    @undertaking
    @raises(
        UnknownPayment,
        ExceedsCaptured,
        TransferRefused,
        InvalidAmount,
        CurrencyMismatch,
        DifferentTerms,
    )
    async def refund(
        self,
        *,
        payment: PaymentId,
        refund: UUID,
        amount: Money | None = None,
        reason: Annotated[str, Meta(max_length=500)] = "",
    ) -> Payment:
        """Give money back, all that is left or a part of it; no card number stays in `reason`."""
        ...

    @query
    @raises(UnknownPayment)
    async def payment(self, *, payment: PaymentId) -> Payment:
        """Return a payment with its transfers."""
        ...

    @query
    async def payments(
        self,
        *,
        orders: tuple[OrderId, ...] = (),
        before: PaymentId | None = None,
        limit: int = 1000,
    ) -> tuple[Payment, ...]:
        """Return the payments of some orders, or list all, newest first, without transfers."""
        ...

    @query
    async def ledger(
        self, *, payment: PaymentId | None = None, limit: int = 1000
    ) -> tuple[LedgerEntry, ...]:
        """Return the bookings of a payment, or the newest of all."""
        ...

    @undertaking
    @raises(UnknownProvider, InvalidWebhook)
    async def hear(self, *, provider: str, headers: dict[str, str], body: str) -> None:
        """Take in a provider's webhook: verify it, store it once, and see what it changes."""
        ...

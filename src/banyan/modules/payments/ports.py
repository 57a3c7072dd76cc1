"""What payments asks of a payment service provider; a plugin fills it under the provider's name.

Every request carries our ids, and asked again with the same ids it happens once. When no clear
answer comes in time, the provider raises the kernel's `Unavailable`: the outcome is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol
from uuid import UUID

from banyan.kernel.contract import Problem, Value
from banyan.modules.payments.contract import HostedField
from banyan.vocabulary import Money, OrderId, PaymentId

INVALID_TOKEN = "invalid_token"  # noqa: S105 - the reason, not a token


class Subject(Value, frozen=True, kw_only=True):
    """Which payment is meant: our id, its order, and the provider's own name for it once known."""

    payment: PaymentId
    order: OrderId | None = None
    reference: str = ""


class Standing(Value, frozen=True, kw_only=True):
    """How a payment stands at its provider; totals in minor units of its currency.

    `reference` is the provider's own name for it. A token that the provider does not know is
    declined with the reason `INVALID_TOKEN`.
    """

    state: Literal["challenged", "authorized", "declined", "voided"]
    reference: str = ""
    authorized: int = 0
    captured: int = 0
    voided: int = 0
    refunded: int = 0
    decline_reason: str | None = None
    redirect_url: str | None = None
    card_brand: str = ""
    card_last4: str = ""


class Position(Value, frozen=True, kw_only=True):
    """What a ledger says of one payment in total, in minor units."""

    payment: PaymentId
    currency: str
    authorized: int = 0
    captured: int = 0
    voided: int = 0
    refunded: int = 0


class ProviderEvent(Value, frozen=True, kw_only=True):
    """A webhook that was verified: what it is about, if about a payment of ours.

    With a `standing`, the provider is not asked about a payment on which it says nothing new.
    """

    id: str
    kind: str
    payment: PaymentId | None = None
    standing: Standing | None = None


class Refused(Problem, status=409):
    """The provider refuses a transfer; nothing was moved."""

    reason: str


class PaymentProvider(Protocol):
    """A payment service provider."""

    def title(self, wishes: tuple[str, ...]) -> str:
        """Say what shoppers call this way to pay, in the best language that you speak."""
        ...

    async def field(
        self, *, origin: str, wishes: tuple[str, ...], token: str
    ) -> HostedField | None:
        """Make a field for one checkout, under a fresh token that nobody can guess; None without.

        The page with the card comes from your own origin (PCI DSS, SAQ A). It checks that `origin`
        is one, and lets itself be framed by that only. A `token` of yours is taken once more; what
        is none, such as one of another provider, is not.
        """
        ...

    async def authorize(
        self, subject: Subject, *, amount: Money, token: str, return_url: str
    ) -> Standing:
        """Set money aside; a payment that was voided before is not authorized any more."""
        ...

    async def look(self, subject: Subject) -> Standing | None:
        """Tell how a payment stands; None when the provider has never heard of it."""
        ...

    async def void(self, subject: Subject) -> Standing:
        """Let go of whatever is not taken, and refuse what comes later; taken money stays taken."""
        ...

    async def capture(self, subject: Subject, *, transfer: UUID, amount: Money) -> Standing:
        """Take money that is set aside, or raise `Refused`."""
        ...

    async def refund(self, subject: Subject, *, transfer: UUID, amount: Money) -> Standing:
        """Give taken money back, or raise `Refused`."""
        ...

    def verify(self, *, headers: Mapping[str, str], body: bytes) -> ProviderEvent:
        """Check who sent a webhook, or raise the kernel's `UnverifiedWebhook`."""
        ...

    async def ledger(self, *, after: PaymentId | None) -> tuple[Position, ...]:
        """Return a page of what moved for our payments, sorted by payment; empty at the end."""
        ...

"""The words of the bank's HTTP API: what it is asked, what it answers, what it tells."""

from typing import Annotated, Generic, Literal, TypeVar

from msgspec import Meta, Struct

Reference = Annotated[str, Meta(pattern=r"\A(?!pay_)[A-Za-z0-9._:-]{1,100}\Z")]
ReturnUrl = Annotated[
    str, Meta(pattern=r"\Ahttps?://[A-Za-z0-9.-]{1,253}(:\d{1,5})?([/?#][!-~]{0,2000})?\Z")
]
Status = Literal["requires_action", "authorized", "captured", "voided", "declined"]
Kind = Literal["authorize", "capture", "void", "refund"]
WebhookMode = Literal["normal", "early", "late", "thrice", "never"]
WebhookState = Literal["pending", "withheld", "delivered", "undelivered"]
T = TypeVar("T")


class Value(Struct, frozen=True, kw_only=True):
    """Something that the bank says."""


class Asked(Value, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that the bank is asked; a misspelled field is refused, not overlooked."""


class Money(Asked, frozen=True, kw_only=True):
    """An amount in minor units: 1999 EUR is €19.99, 1999 JPY is ¥1999."""

    amount: int
    currency: Annotated[str, Meta(pattern=r"\A[A-Z]{3}\Z")]


class Sum(Money, frozen=True, kw_only=True):
    """An amount that is worth moving."""

    amount: Annotated[int, Meta(gt=0, le=10**12)]


class NewPayment(Asked, frozen=True, kw_only=True):
    """A wish to hold money (and to take it at once, with `capture`)."""

    reference: Reference
    amount: Sum
    token: str
    capture: bool = False
    return_url: ReturnUrl | None = None


class NewCapture(Asked, frozen=True, kw_only=True):
    """A wish to take held money; the `final` capture gives back whatever is still held."""

    amount: Sum
    final: bool = False


class NewRefund(Asked, frozen=True, kw_only=True):
    """A wish to return captured money."""

    amount: Sum


class Card(Value, frozen=True, kw_only=True):
    """As much of a card as a shop may keep."""

    brand: str
    last4: str
    exp: str = "2034-12"


class Action(Value, frozen=True, kw_only=True):
    """What the shopper must still do."""

    redirect_url: str


class Payment(Value, frozen=True, kw_only=True):
    """One payment as it stands; `captured` may be a part of `amount`."""

    id: str
    reference: str
    status: Status
    amount: Money
    authorized: Money
    captured: Money
    voided: Money
    refunded: Money
    capture: bool
    created_at: str
    return_url: str | None = None
    decline_code: str | None = None
    action: Action | None = None
    card: Card | None = None


class Entry(Value, frozen=True, kw_only=True):
    """One line of the ledger: written once, never changed."""

    id: int
    payment: str
    reference: str
    kind: Kind
    amount: Money
    at: str


class Items(Value, Generic[T], frozen=True, kw_only=True):
    """A list, or a page of it: `next` continues it and is null on the last page."""

    items: list[T]
    next: int | str | None = None


class Position(Value, frozen=True, kw_only=True):
    """What the ledger says of one payment, in minor units."""

    reference: str
    payment: str
    currency: str
    authorized: int
    captured: int
    voided: int
    refunded: int


class Balance(Value, frozen=True, kw_only=True):
    """What the ledger says of one currency; `held` is open, `net` is what the merchant has."""

    currency: str
    authorized: int
    captured: int
    voided: int
    refunded: int
    held: int
    net: int


class Notice(Value, frozen=True, kw_only=True):
    """What a webhook is about: the payment after the event, and the entry that moved money."""

    payment: Payment
    entry: Entry | None = None


class WebhookBody(Value, frozen=True, kw_only=True):
    """A webhook's body, shaped as Standard Webhooks recommends."""

    type: str
    timestamp: str
    data: Notice


class Webhook(Value, frozen=True, kw_only=True):
    """A stored webhook and its fate."""

    id: str
    type: str
    mode: WebhookMode
    state: WebhookState
    attempts: int


class Steering(Asked, frozen=True, kw_only=True):
    """How webhooks travel from now on, unless a token says otherwise."""

    mode: WebhookMode = "normal"
    delay_seconds: Annotated[float, Meta(ge=0, le=3600)] = 2.0


class Redelivery(Asked, frozen=True, kw_only=True):
    """Which stored webhooks to send again now, and in which order."""

    state: WebhookState | None = None
    newest_first: bool = False


class Redelivered(Value, frozen=True, kw_only=True):
    """How sending again went."""

    delivered: int
    undelivered: int

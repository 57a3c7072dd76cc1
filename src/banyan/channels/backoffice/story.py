"""The story of an order: every moment that is known of it, from all who took part, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import groupby
from typing import Literal

from banyan.kernel.backstage import SagaHistory, Step
from banyan.kernel.contract import Value
from banyan.modules.notifications.contract import Message
from banyan.modules.ordering.contract import Order
from banyan.modules.payments.contract import LedgerEntry, Payment
from banyan.vocabulary import Money

Tone = Literal["", "good", "warn", "bad"]

STEPS = {
    "reserve": "Stock was held",
    "release": "Stock was given back",
    "authorize": "The bank was asked to set the money aside",
    "send_shopper": "The shopper was sent to the bank",
    "refresh": "The bank was asked how the payment stands",
    "void": "Money that was not taken was let go",
    "refund": "What was taken was given back",
    "allocate": "Stock was kept for good",
    "confirm": "The order was confirmed",
    "withdraw": "The order was withdrawn",
    "tell": "Everybody was told of the cancellation",
    "capture": "The bank was asked for the money",
    "reopen": "The cart was opened again",
}
"""What steps of sagas do, as people say it; others are called by their name."""

MAILS: dict[str, tuple[str, Tone]] = {
    "sent": ("Mail sent", "good"),
    "pending": ("Mail on its way", ""),
    "failed": ("Mail failed", "bad"),
}


class Moment(Value, frozen=True, kw_only=True):
    """Something that happened, and who tells of it."""

    at: datetime
    title: str
    teller: str
    text: str = ""
    tone: Tone = ""


def tell(
    order: Order,
    *,
    payments: Iterable[Payment],
    bookings: Iterable[LedgerEntry],
    messages: Iterable[Message],
    sagas: Iterable[tuple[str, SagaHistory]],
    write: Callable[[Money], str],
) -> list[Moment]:
    """Put all moments in order, the latest first; `write` says how an amount is written."""
    moments = [
        *_of_order(order),
        *_of_payments(payments, write),
        *_of_ledger(bookings, write),
        *_of_mails(messages),
        *(moment for module, saga in sagas for moment in _of_saga(module, saga)),
    ]
    return sorted(moments, key=lambda moment: moment.at, reverse=True)


def title_of(step: str) -> str:
    """Say what a step of a saga does."""
    name = step.partition("#")[0].rpartition(".")[2]
    return STEPS.get(name, name.replace("_", " ").capitalize())


def _of_order(order: Order) -> Iterator[Moment]:
    yield Moment(at=order.placed_at, title="Order placed", teller="ordering")
    if order.confirmed_at:
        title = f"Order confirmed as number {order.number}"
        yield Moment(at=order.confirmed_at, title=title, teller="ordering", tone="good")
    if order.canceled_at:
        yield Moment(
            at=order.canceled_at,
            title="Order canceled" if order.confirmed_at else "Order came to nothing",
            text=order.cancel_reason or "",
            teller="ordering",
            tone="bad",
        )


def _of_payments(payments: Iterable[Payment], write: Callable[[Money], str]) -> Iterator[Moment]:
    for payment in payments:
        for one in payment.transfers:
            if one.at and one.state != "done":
                failed = one.state == "failed"
                yield Moment(
                    at=one.at,
                    title=f"{one.kind.capitalize()} of {write(one.amount)} "
                    + ("was refused" if failed else "is under way"),
                    text=one.failure or one.reason,
                    teller="payments",
                    tone="bad" if failed else "warn",
                )


def _of_ledger(entries: Iterable[LedgerEntry], write: Callable[[Money], str]) -> Iterator[Moment]:
    """Read what happened to money off the books: each booking debits an account of the provider."""
    ours = [entry for entry in entries if entry.account.startswith("provider:")]
    for _, booking in groupby(ours, key=lambda entry: entry.booking):
        by_account = {entry.account.rpartition(":")[2]: entry for entry in booking}
        title, tone, entry = _meaning(by_account)
        amount = Money(amount=abs(entry.amount), currency=entry.currency)
        yield Moment(at=entry.at, title=f"{write(amount)} {title}", teller="payments", tone=tone)


def _meaning(by_account: dict[str, LedgerEntry]) -> tuple[str, Tone, LedgerEntry]:
    if captured := by_account.get("captured"):
        return ("taken", "good", captured) if captured.amount > 0 else ("given back", "", captured)
    authorized = by_account["authorized"]
    if authorized.amount > 0:
        return "set aside", "good", authorized
    return "let go", "", authorized


def _of_mails(messages: Iterable[Message]) -> Iterator[Moment]:
    for message in messages:
        title, tone = MAILS[message.state]
        yield Moment(
            at=message.sent_at or message.created_at,
            title=title,
            text=message.error or message.template.replace("_", " "),
            teller="notifications",
            tone=tone,
        )


def _of_saga(module: str, history: SagaHistory) -> Iterator[Moment]:
    for step in history.steps:
        if step.at:
            yield Moment(
                at=step.at,
                title=title_of(step.name),
                text=step.problem.kind if step.problem else "",
                teller=f"{module} · saga",
                tone=_tone(step),
            )


def _tone(step: Step) -> Tone:
    return "bad" if step.problem else ""

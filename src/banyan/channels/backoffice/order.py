"""One order: what was bought, what has happened, and what can be done about it."""

from __future__ import annotations

import re
from asyncio import gather
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from typing import Annotated, Any, ClassVar
from uuid import UUID

from msgspec import Meta

from banyan.channels import look
from banyan.channels.backoffice import story
from banyan.channels.backoffice.desk import HOME, LOCALE, Office, done, perhaps
from banyan.channels.backoffice.sheet import once
from banyan.kernel import form
from banyan.kernel.backstage import Backstages, NoSuchSaga, SagaHistory
from banyan.kernel.contract import Problem, Value
from banyan.kernel.http import Answer, FromPath, Request, get, needs, post
from banyan.kernel.ids import Ids, derived
from banyan.kernel.link import Unavailable
from banyan.kernel.refusal import NotFound
from banyan.modules.inventory.contract import Inventory, Reservation
from banyan.modules.notifications.contract import Message, Notifications
from banyan.modules.ordering.contract import Order, Ordering
from banyan.modules.payments.contract import (
    DifferentTerms,
    ExceedsAuthorized,
    ExceedsCaptured,
    LedgerEntry,
    Payment,
    Payments,
    TransferRefused,
)
from banyan.vocabulary import Money, OrderId, PaymentId

MOST_MAILS = 50


class Wish(Value, frozen=True, kw_only=True):
    """What is asked for with a form: `once` is the id under which it is done once.

    `sure` says that it was confirmed. Without an `amount` it is about all that is left.
    """

    once: UUID
    payment: PaymentId | None = None
    message: UUID | None = None
    amount: Annotated[str, Meta(max_length=30)] = ""
    reason: Annotated[str, Meta(max_length=500)] = ""
    sure: bool = False


class Seen(Value, frozen=True, kw_only=True):
    """An order with what others know of it; None where they do not answer right now."""

    order: Order
    payments: tuple[Payment, ...] | None
    bookings: tuple[LedgerEntry, ...]
    messages: tuple[Message, ...] | None
    reservation: Reservation | None
    sagas: tuple[tuple[str, SagaHistory], ...]


class OneOrder(Office):
    """An order and the forms with which it is worked on: whatever moves money is asked twice."""

    path = f"{HOME}/orders/{{order:str}}"
    notices: ClassVar = {
        "captured": "The money was taken.",
        "refunded": "The money was given back.",
        "released": "What was not taken is free again.",
        "canceled": "The order was canceled. Its money and its stock are given back.",
        "resent": "The mail is on its way once more.",
    }
    ordering: Ordering
    payments: Payments
    inventory: Inventory
    notifications: Notifications
    backstage: Backstages
    ids: Ids

    @get(media_type="text/html")
    async def show(self, request: Request, order: FromPath[OrderId]) -> Answer[bytes]:
        """Show an order with all that has happened to it."""
        return await self._show(request, order)

    @post("/capture", media_type="text/html", guards=[needs("payments:write")])
    async def capture(self, request: Request, order: FromPath[OrderId]) -> Answer[bytes]:
        """Take money that was set aside, all that is left or a part."""

        async def take(payment: Payment, told: Wish, amount: Money | None) -> None:
            transfer = derived(payment.id, f"capture {told.once}")
            await self.payments.capture(payment=payment.id, capture=transfer, amount=amount)

        return await self._move(request, order, "capture", take, said="captured")

    @post("/refund", media_type="text/html", guards=[needs("payments:write")])
    async def refund(self, request: Request, order: FromPath[OrderId]) -> Answer[bytes]:
        """Give money back, all that is left or a part."""

        async def give(payment: Payment, told: Wish, amount: Money | None) -> None:
            await self.payments.refund(
                payment=payment.id,
                refund=derived(payment.id, f"refund {told.once}"),
                amount=amount,
                reason=told.reason,
            )

        return await self._move(request, order, "refund", give, said="refunded")

    @post("/release", media_type="text/html", guards=[needs("payments:write")])
    async def release(self, request: Request, order: FromPath[OrderId]) -> Answer[bytes]:
        """Let go of money that was set aside and not taken."""

        async def let_go(payment: Payment, _: Wish, __: Money | None) -> None:
            await self.payments.void(payment=payment.id)

        return await self._move(request, order, "release", let_go, said="released")

    @post("/cancel", media_type="text/html", guards=[needs("ordering:write")])
    async def cancel(self, request: Request, order: FromPath[OrderId]) -> Answer[bytes]:
        """Cancel an order: its money and its stock are given back."""
        told = await form.received(request, Wish)
        if told.value is None:
            return await self._show(request, order, "cancel", told, TOO_LONG)
        if not told.value.sure:
            return await self._ask(request, order, "cancel", told)
        reason = told.value.reason
        return await self._do(
            request,
            order,
            "cancel",
            told,
            self.ordering.cancel(order=order, reason=reason),
            said="canceled",
        )

    @post("/resend", media_type="text/html", guards=[needs("notifications:write")])
    async def resend(self, request: Request, order: FromPath[OrderId]) -> Answer[bytes]:
        """Send a mail once more."""
        told = await form.received(request, Wish)
        if told.value is None or told.value.message is None:
            return await self._show(request, order, "resend", told, {"": "Choose a mail."})
        message = told.value.message

        async def resend() -> None:
            with once(told, f"resend {message}"):
                await self.notifications.resend(message=message)

        return await self._do(request, order, "resend", told, resend(), said="resent")

    async def _move(
        self,
        request: Request,
        order: OrderId,
        what: str,
        move: Callable[[Payment, Wish, Money | None], Awaitable[None]],
        *,
        said: str,
    ) -> Answer[bytes]:
        """Move money once its amount can be read and somebody is sure of it."""
        told = await form.received(request, Wish)
        if told.value is None or told.value.payment is None:
            return await self._show(request, order, what, told, TOO_LONG)
        payment = await self.payments.payment(payment=told.value.payment)
        if payment.order != order:
            raise NotFound
        try:
            amount = amount_of(told.value.amount, payment.amount.currency)
        except ValueError as no:
            return await self._show(request, order, what, told, {"amount": str(no)})
        if not told.value.sure:
            return await self._ask(request, order, what, told, payment, amount)
        moved = move(payment, told.value, amount)
        return await self._do(request, order, what, told, moved, said=said)

    async def _do(
        self,
        request: Request,
        order: OrderId,
        what: str,
        told: form.Form[Wish],
        doing: Awaitable[object],
        *,
        said: str,
    ) -> Answer[bytes]:
        """Do what a form asks for, or show the form again with what was said against it."""
        try:
            await doing
        except Problem as no:
            # What the bank has refused for good is tried again under a new id; what may have been
            # done, under the same.
            again = isinstance(no, TransferRefused | DifferentTerms)
            same = None if again else told.text("once")
            flaws = {"": explained(no)}
            return await self._show(request, order, what, told, flaws, same=same, status=no.status)
        return done(f"{HOME}/orders/{order}", said)

    async def _ask(
        self,
        request: Request,
        order: OrderId,
        what: str,
        told: form.Form[Wish],
        payment: Payment | None = None,
        amount: Money | None = None,
    ) -> Answer[bytes]:
        """Ask whether somebody is sure, and say of what."""
        found = await self.ordering.order(order=order)
        return self.page(
            request,
            "order_sure.html",
            order=found,
            what=what,
            told=told,
            payment=payment,
            amount=amount or (payment and left(payment, what)),
        )

    async def _show(
        self,
        request: Request,
        order: OrderId,
        what: str = "",
        told: form.Form[Wish] | None = None,
        flaws: dict[str, str] | None = None,
        *,
        same: str | None = None,
        status: int = 422,
    ) -> Answer[bytes]:
        seen = await self._look(order)
        payments = seen.payments or ()
        return self.page(
            request,
            "order.html",
            status=status if flaws else 200,
            seen=seen,
            order=seen.order,
            left={(one.id, how): left(one, how) for one in payments for how in MOVES},
            moments=story.tell(
                seen.order,
                payments=payments,
                bookings=seen.bookings,
                messages=seen.messages or (),
                sagas=seen.sagas,
                write=lambda amount: look.money(amount, LOCALE),
            ),
            once=same or self.ids.new(),
            what=what,
            told=told or form.read("", Wish),
            flaws=flaws or {},
        )

    async def _look(self, order: OrderId) -> Seen:
        """Ask everybody for what they know of an order; who is away is done without."""
        found, listed, reservations, messages = await gather(
            self.ordering.order(order=order),
            perhaps(self.payments.payments(orders=(order,))),
            perhaps(self.inventory.reservations(ids=(order,))),
            perhaps(self.notifications.messages(about=str(order), limit=MOST_MAILS)),
        )
        ids = [one.id for one in listed or ()]
        payments, ledgers, sagas = await gather(
            gather(*(perhaps(self.payments.payment(payment=one)) for one in ids)),
            gather(*(perhaps(self.payments.ledger(payment=one)) for one in ids)),
            self._sagas(order, ids),
        )
        known = tuple(one for one in payments if one)
        return Seen(
            order=found,
            payments=None if listed is None or len(known) < len(ids) else known,
            bookings=tuple(entry for ledger in ledgers for entry in ledger or ()),
            messages=messages,
            reservation=next(iter(reservations or ()), None),
            sagas=sagas,
        )

    async def _sagas(
        self, order: OrderId, payments: Sequence[PaymentId]
    ) -> tuple[tuple[str, SagaHistory], ...]:
        known = [("ordering", str(order)), ("ordering", f"cancel {order}")]
        known += [("payments", f"capture {one}") for one in payments]
        found = await gather(*(self._saga(module, name) for module, name in known))
        return tuple((module, one) for (module, _), one in zip(known, found, strict=True) if one)

    async def _saga(self, module: str, name: str) -> SagaHistory | None:
        try:
            return await perhaps(self.backstage[module].saga(saga=name))
        except NoSuchSaga:
            return None


MOVES = ("capture", "refund", "release")
TOO_LONG = {"": "This form cannot be read. Reload the page, and fill it in once more."}


def left(payment: Payment, what: str) -> Money:
    """Tell how much can still be captured, refunded or released."""
    if what == "refund":
        return payment.captured - payment.refunded
    if payment.state != "authorized":
        return Money.zero(payment.amount.currency)
    return payment.amount - payment.captured - payment.voided


def amount_of(text: str, currency: str) -> Money | None:
    """Read an amount in major units, 12.50 or 12,50; nothing said means all that is left."""
    if not text:
        return None
    if not re.fullmatch(r"[0-9]{1,12}([.,][0-9]{1,4})?", text):
        raise ValueError("Amount: a number such as 12.50.")
    major = Decimal(text.replace(",", "."))
    amount = Money.of(major, currency)
    if amount.major() != major:
        raise ValueError(f"Amount: {currency} has no such small parts.")
    if amount.amount <= 0:
        raise ValueError("Amount: more than nothing.")
    return amount


def explained(problem: Problem) -> str:
    """Say why something was not done, and what to do now."""
    match problem:
        case ExceedsAuthorized() | ExceedsCaptured():
            most = look.money(problem.left, LOCALE)
            return f"That is more than there is: at most {most} can be moved."
        case TransferRefused():
            return f"The bank does not carry this out: {problem.reason}. Nothing was moved."
        case DifferentTerms():
            return "This form was used before for another amount. Look first, then send it again."
        case Unavailable():
            return (
                "There is no answer right now, so it may or may not have been done. "
                "Send the form once more: it is done once only."
            )
        case _:
            return problem.title()


routes: list[Any] = [OneOrder]

"""The HTTP face of payments: for shoppers, the back office, and providers that have news."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID, uuid5

from msgspec import Meta

from banyan.kernel.contract import Value
from banyan.kernel.http import (
    Answer,
    Controller,
    Cursor,
    FromPath,
    FromQuery,
    JSONBody,
    Limit,
    Request,
    Visiting,
    get,
    needs,
    obligatory_key,
    post,
    tagged,
)
from banyan.kernel.link import current
from banyan.kernel.paging import Page, after, page
from banyan.modules.payments.contract import (
    LedgerEntry,
    Payment,
    PaymentMethod,
    Payments,
)
from banyan.vocabulary import Money, OrderId, PaymentId

Origin = Annotated[str, Meta(pattern="^https?://[a-z0-9._-]{1,253}(:[0-9]{1,5})?$")]
Provider = Annotated[str, Meta(pattern="^[a-z0-9_-]{1,64}$")]


class NewCapture(Value, frozen=True, kw_only=True):
    """How much is to be taken; all that is left, unless said otherwise."""

    amount: Money | None = None


class NewRefund(Value, frozen=True, kw_only=True):
    """How much is to be given back, and why; all that is left, unless said otherwise."""

    amount: Money | None = None
    reason: Annotated[str, Meta(max_length=500)] = ""


class PaymentMethods(Controller):
    """How shoppers can pay."""

    path = "/api/store/payment-methods"
    tags = ("payments",)
    payments: Payments

    @get()
    async def offer(
        self, visit: Visiting, request: Request, origin: FromQuery[Origin | None] = None
    ) -> Page[PaymentMethod]:
        """List the ways to pay, with a field for the card that belongs to one checkout.

        Show `field.url` in a frame, and check out with `field.token`: no card number comes to the
        shop, so the short list of PCI DSS applies to it, SAQ A. `origin` is that of the page that
        shows the frame, unless it comes from here.
        """
        here = f"{request.url.scheme}://{request.headers.get('host', '')}".lower()
        return Page(items=await self.payments.methods(origin=origin or here, wishes=visit.wishes))


class PaymentsAdmin(Controller):
    """Payments, and what can be done about them."""

    path = "/api/admin/payments"
    tags = ("payments (admin)",)
    guards = (needs("payments:read"),)
    payments: Payments

    @get()
    async def browse(
        self, limit: Limit = 24, cursor: Cursor = None, order: FromQuery[OrderId | None] = None
    ) -> Page[Payment]:
        """List payments, newest first, of one order or of all."""
        found = await self.payments.payments(
            orders=(order,) if order else (),
            before=after(cursor, PaymentId),
            limit=limit + 1,
        )
        return page(found, limit=limit, place=lambda payment: payment.id)

    @get("/{payment:str}")
    async def show(self, payment: FromPath[PaymentId]) -> Answer[Payment]:
        """Show a payment with its transfers."""
        found = await self.payments.payment(payment=payment)
        return tagged(found, found.version)

    @get("/{payment:str}/ledger")
    async def ledger(self, payment: FromPath[PaymentId]) -> Page[LedgerEntry]:
        """List the bookings of a payment, oldest first."""
        await self.payments.payment(payment=payment)
        return Page(items=await self.payments.ledger(payment=payment))

    @post("/{payment:str}/captures", guards=[needs("payments:write"), obligatory_key])
    async def capture(
        self, payment: FromPath[PaymentId], data: JSONBody[NewCapture]
    ) -> Answer[Payment]:
        """Take money that was set aside."""
        taken = await self.payments.capture(
            payment=payment, capture=_transfer(payment), amount=data.amount
        )
        return tagged(taken, taken.version)

    @post("/{payment:str}/refunds", guards=[needs("payments:write"), obligatory_key])
    async def refund(
        self, payment: FromPath[PaymentId], data: JSONBody[NewRefund]
    ) -> Answer[Payment]:
        """Give money back."""
        given = await self.payments.refund(
            payment=payment, refund=_transfer(payment), amount=data.amount, reason=data.reason
        )
        return tagged(given, given.version)

    @post("/{payment:str}/void", guards=[needs("payments:write"), obligatory_key], status_code=200)
    async def void(self, payment: FromPath[PaymentId]) -> Answer[Payment]:
        """Let go of money that was set aside and not taken."""
        await self.payments.payment(payment=payment)
        await self.payments.void(payment=payment)
        found = await self.payments.payment(payment=payment)
        return tagged(found, found.version)


class Webhooks(Controller):
    """Where payment providers tell their news."""

    path = "/api/payments"
    tags = ("payments",)
    payments: Payments

    @post("/{provider:str}/webhooks", status_code=204)
    async def hear(self, provider: FromPath[Provider], request: Request) -> None:
        """Hear a provider's webhook.

        It must be signed as the provider signs. Heard before, or about nothing that we know, it is
        welcome all the same.
        """
        body = await request.body()
        await self.payments.hear(
            provider=provider, headers=dict(request.headers), body=body.decode(errors="replace")
        )


def _transfer(payment: PaymentId) -> UUID:
    """Name a transfer after the key of the request: sent again, it is the same transfer."""
    key = current().idempotency
    assert key, "the route demands a key"
    return uuid5(payment, f"{key.scope} {key.key}")


routes = (PaymentMethods, PaymentsAdmin, Webhooks)

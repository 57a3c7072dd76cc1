"""The answers of payments: load, decide, save, tell."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping
from datetime import timedelta
from uuid import UUID

from banyan.kernel.clock import Clock
from banyan.kernel.database import Database
from banyan.kernel.driver import Sagas
from banyan.kernel.link import Unavailable, spare
from banyan.kernel.security import UnverifiedWebhook, without_card_numbers
from banyan.kernel.transaction import Transaction
from banyan.modules.payments import model, store
from banyan.modules.payments.contract import (
    AlreadyCaptured,
    InvalidWebhook,
    LedgerEntry,
    Payment,
    PaymentDeclined,
    PaymentMethod,
    Payments,
    PaymentUnderWay,
    UnknownPayment,
    UnknownProvider,
)
from banyan.modules.payments.model import VOIDED, Claim
from banyan.modules.payments.ports import PaymentProvider, Position, Subject
from banyan.modules.payments.sagas import CaptureOrder, Cashier
from banyan.modules.payments.settings import PaymentsSettings
from banyan.vocabulary import Money, OrderId, PaymentId

Difference = tuple[str, PaymentId, Position | None, Position | None]
"""Where two ledgers differ: the provider, the payment, what ours says, what the provider's says."""

FIELD_SECONDS = 2.0
DUE_AT_ONCE = 20
FINDINGS = 100


class PaymentsService(Payments):
    """Payments and their ledger, in the schema `payments`."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        sagas: Sagas,
        providers: Mapping[str, PaymentProvider],
        capture_order: CaptureOrder,
        settings: PaymentsSettings,
    ) -> None:
        self.db = db
        self.clock = clock
        self.sagas = sagas
        self.providers = providers
        self.capture_order = capture_order
        self.settings = settings
        self.cashier = Cashier(db, clock, providers)

    async def methods(
        self, *, origin: str, wishes: tuple[str, ...] = (), token: str = ""
    ) -> tuple[PaymentMethod, ...]:
        async def offered(code: str, provider: PaymentProvider) -> PaymentMethod | None:
            field = await provider.field(origin=origin, wishes=wishes, token=token)
            return PaymentMethod(code=code, title=provider.title(wishes), field=field)

        asked = (
            spare(offered(code, provider), otherwise=None, seconds=FIELD_SECONDS)
            for code, provider in self.providers.items()
        )
        return tuple(filter(None, await asyncio.gather(*asked)))

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
        self._provider(provider)
        model.refuse_card_number(token)
        wanted = model.open_claim(payment, order, amount, provider, now=self.clock.now())
        if await store.open_claim(self.db, wanted):
            claim = wanted
        elif known := await store.claim(self.db, payment):
            claim = known
        elif await store.is_buried(self.db, payment):
            raise PaymentDeclined(payment=payment, reason=VOIDED)
        else:
            raise PaymentUnderWay(order=order)
        model.refuse_other_terms(claim, wanted)
        if claim.state == "pending":
            claim = await self.cashier.authorize(claim, token=token, return_url=return_url)
        return model.outcome(claim, token=token)

    async def refresh(self, *, payment: PaymentId) -> Payment:
        await self.cashier.look(await self._claim(payment))
        return model.outcome(await self._claim(payment))

    async def void(self, *, payment: PaymentId) -> None:
        async with self.db.begin() as tx:
            claim = await store.lock_or_bury(tx, payment)
            if claim is None:
                return
            closed = claim if claim.capturing else model.let_go(claim, now=self.clock.now())
            if closed != claim:
                store.save_claim(tx, closed, before=claim)
                tx.tell(*model.news(claim, closed))
        if closed.capturing:
            # Whether there is anything to let go of is known when the provider has answered.
            await self.cashier.carry_on(await self._claim(payment))
            await self.void(payment=payment)
        elif closed.to_let_go and (await self.cashier.let_go(closed)).taken_in_full:
            raise AlreadyCaptured(payment=payment)

    async def capture(
        self, *, payment: PaymentId, capture: UUID, amount: Money | None = None
    ) -> Payment:
        claim = await self.cashier.transfer(
            payment=payment, kind="capture", transfer=capture, amount=amount
        )
        return claim.shown()

    async def refund(
        self, *, payment: PaymentId, refund: UUID, amount: Money | None = None, reason: str = ""
    ) -> Payment:
        claim = await self.cashier.transfer(
            payment=payment,
            kind="refund",
            transfer=refund,
            amount=amount,
            reason=without_card_numbers(reason),
        )
        return claim.shown()

    async def payment(self, *, payment: PaymentId) -> Payment:
        return (await self._claim(payment)).shown()

    async def payments(
        self,
        *,
        orders: tuple[OrderId, ...] = (),
        before: PaymentId | None = None,
        limit: int = 1000,
    ) -> tuple[Payment, ...]:
        if orders:
            claims = await store.of_orders(self.db, orders, before, limit)
        else:
            claims = await store.newest(self.db, before, limit)
        return tuple(claim.shown() for claim in claims)

    async def ledger(
        self, *, payment: PaymentId | None = None, limit: int = 1000
    ) -> tuple[LedgerEntry, ...]:
        if payment:
            return await store.entries_of(self.db, payment, limit)
        return await store.newest_entries(self.db, limit)

    async def hear(self, *, provider: str, headers: dict[str, str], body: str) -> None:
        try:
            event = self._provider(provider).verify(headers=headers, body=body.encode())
        except UnverifiedWebhook:
            raise InvalidWebhook(provider=provider) from None
        claim = await store.claim(self.db, event.payment) if event.payment else None
        now, told = self.clock.now(), event.standing

        def note(tx: Transaction) -> None:
            store.hear_with(tx, provider, event, body, now)

        if claim is None or claim.provider != provider or self.cashier.has_settled(claim, told):
            async with self.db.begin() as tx:
                note(tx)
        elif told and claim.state == "pending":
            # It has overtaken the answer to our own question, and says the same.
            await self._if_it_answers(claim, self.cashier.record(claim, told, with_it=note))
        elif await store.hear(self.db, provider, event, body, now):
            # Webhooks overtake each other, and are only a hint to look.
            await self._if_it_answers(claim, self.cashier.look(claim))
            await store.settle_webhook(self.db, provider, event.id, now)

    async def take_at_once(self, payment: PaymentId) -> None:
        """Begin to take the money of a confirmed order, if this shop does so by itself."""
        if self.settings.capture == "automatic":
            async with self.db.begin() as tx:
                self.sagas.start(tx, self.capture_order, f"capture {payment}", payment=payment)

    async def finish_pending(self) -> None:
        """Go on with what nobody has carried on: an answer got lost, or a process died."""
        async with self.db.begin() as tx:
            due = await store.claim_due(tx, self.clock.now(), DUE_AT_ONCE)
        for claim in due:
            await self._try_again(claim)

    async def forget_webhooks(self) -> None:
        """Drop webhooks that no provider will send again."""
        async with self.db.begin() as tx:
            kept = timedelta(days=self.settings.webhook_days)
            await store.forget_webhooks(tx, self.clock.now() - kept)

    async def audit_books(self) -> list[str]:
        """Find where bookings do not balance, or payments differ from transfers or bookings."""
        return await store.contradictions(self.db, FINDINGS)

    async def audit_providers(self) -> list[str]:
        """Find where our ledger and that of a provider say different things."""
        try:
            return [
                f"payment {payment}: {provider} says {model.described(theirs)}; "
                f"the ledger says {model.described(ours)}"
                async for provider, payment, ours, theirs in self._differences()
            ]
        except Unavailable as away:
            return [f"{away.what} does not answer, so the ledgers cannot be compared"]

    async def mend_providers(self) -> list[str]:
        """Record what happened at a provider without us, and let go of money that is nobody's."""
        done = []
        async for provider, payment, _, theirs in self._differences():
            claim = await store.claim(self.db, payment)
            if claim:
                after = await self._try_again(claim)
                if after and after.version > claim.version:
                    done.append(f"payment {payment}: recorded what {provider} says")
            elif theirs and theirs.authorized > theirs.captured + theirs.voided:
                await self.providers[provider].void(Subject(payment=payment))
                done.append(f"payment {payment}: let go at {provider}, it is unknown here")
        return done

    async def audit_waiting(self) -> list[str]:
        """Find payments for whose answer we have been waiting for too long."""
        return [
            f"payment {claim.id}: {claim.state}, waiting for {claim.provider} "
            f"since {claim.waiting_since:%Y-%m-%d %H:%M} UTC"
            for claim in await self._waiting()
        ]

    async def mend_waiting(self) -> list[str]:
        """Ask once more; what still has no answer is voided, so that no money is held for it."""
        done = []
        for claim in await self._waiting():
            after = await self._try_again(claim)
            if after and after.state in ("pending", "challenged"):
                await self.void(payment=claim.id)
                done.append(f"payment {claim.id}: voided")
            elif after:
                done.append(f"payment {claim.id}: {after.state}")
        return done

    async def _differences(self) -> AsyncIterator[Difference]:
        """Compare the ledgers page by page; what has changed or is under way does not count."""
        for name, provider in self.providers.items():
            after: PaymentId | None = None
            more = True
            while more:
                theirs = await provider.ledger(after=after)
                last = theirs[-1].payment if theirs else None
                ours = await store.positions(self.db, name, after=after, last=last)
                for payment, mine, its in model.differences(ours, theirs):
                    if not await self._agree(provider, payment):
                        yield name, payment, mine, its
                after, more = last, bool(theirs)

    async def _agree(self, provider: PaymentProvider, payment: PaymentId) -> bool:
        claim = await store.claim(self.db, payment)
        if claim is None or claim.due_at:
            return claim is not None
        return model.agree(claim, await provider.look(claim.subject))

    async def _waiting(self) -> tuple[Claim, ...]:
        now = self.clock.now()
        return await store.waiting(
            self.db,
            since=now - timedelta(minutes=self.settings.stuck_minutes),
            challenged_since=now - timedelta(hours=self.settings.abandoned_hours),
            limit=FINDINGS,
        )

    async def _if_it_answers(self, claim: Claim, learn: Awaitable[object]) -> None:
        """Learn it now, or leave it to the job."""
        try:
            await learn
        except Unavailable:
            now = self.clock.now()
            async with self.db.begin() as tx:
                await store.make_due(tx, claim.id, now, now + model.PATIENCE)

    async def _try_again(self, claim: Claim) -> Claim | None:
        """Carry on as far as the provider answers; None when it does not."""
        try:
            return await self.cashier.carry_on(claim)
        except Unavailable:
            return None

    async def _claim(self, payment: PaymentId) -> Claim:
        claim = await store.claim(self.db, payment)
        if claim is None:
            raise UnknownPayment(payment=payment)
        return claim

    def _provider(self, name: str) -> PaymentProvider:
        if name not in self.providers:
            raise UnknownProvider(provider=name)
        return self.providers[name]

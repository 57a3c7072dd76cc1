"""What payments undertakes with a provider: claimed here, asked for there, recorded here.

No transaction is open while a provider is asked. What it did not clearly answer stays written down
as under way, and is asked again with the same ids.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from uuid import UUID, uuid5

from msgspec.structs import replace

from banyan.kernel.clock import Clock
from banyan.kernel.database import Database
from banyan.kernel.link import Unavailable
from banyan.kernel.saga import Saga
from banyan.kernel.transaction import Overtaken, Transaction
from banyan.modules.payments import model, store
from banyan.modules.payments.contract import Transfer, TransferKind, TransferRefused, UnknownPayment
from banyan.modules.payments.model import Claim
from banyan.modules.payments.ports import PaymentProvider, Refused, Standing
from banyan.vocabulary import Money, PaymentId

Also = Callable[[Transaction], object]


def _nothing_else(_: Transaction) -> None:
    """Write nothing else."""


class Cashier:
    """Moves money at the providers, and keeps the books of it."""

    def __init__(
        self, db: Database, clock: Clock, providers: Mapping[str, PaymentProvider]
    ) -> None:
        self.db = db
        self.clock = clock
        self.providers = providers

    async def authorize(self, claim: Claim, *, token: str, return_url: str) -> Claim:
        """Have money set aside."""
        told = await self._provider(claim).authorize(
            claim.subject, amount=claim.money(claim.amount), token=token, return_url=return_url
        )
        return await self.record(claim, told)

    async def look(self, claim: Claim) -> Claim:
        """See how a payment stands at its provider, and record it."""
        told = await self._provider(claim).look(claim.subject)
        return await self.record(claim, told) if told else claim

    async def let_go(self, claim: Claim) -> Claim:
        """Have the provider let go of what is not taken, and refuse whatever comes later."""
        told = await self._provider(claim).void(claim.subject)
        return await self._take_down(claim, told)

    async def record(self, claim: Claim, told: Standing, *, with_it: Also = _nothing_else) -> Claim:
        """Record how a payment stands; money that came too late is let go of at once.

        `with_it` puts what else is written with that, also if there is nothing to record.
        """
        after = await self._take_down(claim, told, with_it)
        return await self.let_go(after) if after.to_let_go else after

    def has_settled(self, claim: Claim, told: Standing | None) -> bool:
        """Tell whether the books are closed on what a provider says, if it says anything."""
        return told is not None and claim.due_at is None and self._knows(claim, told)

    async def transfer(
        self,
        *,
        payment: PaymentId,
        kind: TransferKind,
        transfer: UUID,
        amount: Money | None,
        reason: str = "",
    ) -> Claim:
        """Take money or give it back; the same transfer again is found or carried on with."""
        async with self.db.begin() as tx:
            claim = await store.lock_claim(tx, payment)
            begun = await store.transfer(tx, payment, kind, transfer)
            if begun:
                model.refuse_other_transfer(begun, amount)
            else:
                begun = model.begin(
                    claim, kind, transfer, amount, reason=reason, now=self.clock.now()
                )
                await store.add_transfers(tx, payment, [begun])
        if begun.state == "pending":
            claim, begun = await self.carry_out(claim, begun)
        else:
            claim = await self._claim(payment)
        if begun.state == "failed":
            raise TransferRefused(payment=payment, transfer=transfer, reason=begun.failure)
        return claim

    async def take_all(self, *, payment: PaymentId) -> None:
        """Take all that is left of a payment; asked again, it is the same transfer."""
        transfer = uuid5(payment, "all")
        await self.transfer(payment=payment, kind="capture", transfer=transfer, amount=None)

    async def carry_out(self, claim: Claim, transfer: Transfer) -> tuple[Claim, Transfer]:
        """Have the provider carry a transfer out; what it refuses is free to be moved again."""
        provider = self._provider(claim)
        ask = provider.capture if transfer.kind == "capture" else provider.refund
        failure = ""
        try:
            await ask(claim.subject, transfer=transfer.id, amount=transfer.amount)
        except Refused as no:
            failure = no.reason
        settled = await self._settle(claim, transfer, failure=failure)
        if settled.state == "failed":
            # It knows something that we do not, such as that the money is not held any more.
            await self.look(claim)
        return await self._claim(claim.id), settled

    async def carry_on(self, claim: Claim) -> Claim:
        """Go on with whatever is under way."""
        pending = [transfer for transfer in claim.transfers if transfer.state == "pending"]
        for transfer in pending:
            claim, _ = await self.carry_out(claim, transfer)
        if claim.to_let_go:
            return await self.let_go(claim)
        return claim if pending else await self.look(claim)

    async def _take_down(
        self, claim: Claim, told: Standing, with_it: Also = _nothing_else
    ) -> Claim:
        """Write down what the provider says, with whatever follows from it."""
        while True:  # Whoever was overtaken looks again.
            try:
                async with self.db.begin() as tx:
                    with_it(tx)
                    return await self._put_down(tx, claim, told)
            except Overtaken:
                claim = await self._claim(claim.id)

    async def _put_down(self, tx: Transaction, before: Claim, told: Standing) -> Claim:
        now = self.clock.now()
        after = model.record(before, told, now=now)
        if after == before:
            return before
        found = model.found(before, after, now=now)
        # It stays under way until what was found is counted.
        store.save_claim(tx, model.wait(after, now) if found else after, before=before)
        if found:
            await store.add_transfers(tx, before.id, found)
        if entries := model.book(before, after, found, now=now):
            store.book(tx, entries)
        tx.tell(*model.news(before, after, found))
        return replace(after, version=after.version + len(found))

    def _knows(self, claim: Claim, told: Standing) -> bool:
        return model.record(claim, told, now=self.clock.now()) == claim

    async def _settle(self, claim: Claim, transfer: Transfer, *, failure: str) -> Transfer:
        """Note what came of a transfer, unless somebody else has done so meanwhile."""
        now = self.clock.now()
        settled = replace(transfer, state="failed" if failure else "done", failure=failure)
        async with self.db.begin() as tx:
            if not await store.settle_transfer(tx, claim.id, settled, now):
                known = await store.transfer(tx, claim.id, transfer.kind, transfer.id)
                assert known, "a transfer is never removed"
                return known
            if settled.state == "done":
                store.book(tx, model.book_transfer(claim, settled, now=now))
                tx.tell(model.transferred(claim, settled))
        return settled

    async def _claim(self, payment: PaymentId) -> Claim:
        claim = await store.claim(self.db, payment)
        if claim is None:
            raise UnknownPayment(payment=payment)
        return claim

    def _provider(self, claim: Claim) -> PaymentProvider:
        if claim.provider not in self.providers:
            raise Unavailable(what=claim.provider)
        return self.providers[claim.provider]


class CaptureOrder:
    """Take the money of an order once it stands."""

    def __init__(
        self, db: Database, clock: Clock, providers: Mapping[str, PaymentProvider]
    ) -> None:
        self.cashier = Cashier(db, clock, providers)

    async def __call__(self, saga: Saga, *, payment: PaymentId) -> None:
        await saga.do(self.cashier.take_all, payment=payment)

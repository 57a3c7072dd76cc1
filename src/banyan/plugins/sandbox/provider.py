"""The shop's side of the sandbox bank: asks it over HTTP, and believes its signed webhooks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import urlencode, urlsplit
from uuid import UUID

import httpx
import msgspec

from banyan.kernel import fault, security
from banyan.kernel.clock import Clock
from banyan.kernel.language import choose
from banyan.kernel.link import Unavailable, limited
from banyan.kernel.settings import Secret
from banyan.modules.payments import ports
from banyan.modules.payments.contract import HostedField
from banyan.modules.payments.ports import (
    INVALID_TOKEN,
    PaymentProvider,
    ProviderEvent,
    Refused,
    Standing,
    Subject,
)
from banyan.plugins.sandbox.cards import is_field_token, new_token
from banyan.plugins.sandbox.settings import SandboxSettings
from banyan.plugins.sandbox.values import Items, Payment, Position, Status, WebhookBody
from banyan.vocabulary import Money, PaymentId

T = TypeVar("T")

NAME = "sandbox"
PAGE = 500

TITLES = {"en": "Card", "de": "Karte"}

NO_CARD = frozenset({"unknown_token", "token_used"})
"""Refusals after which the shopper has to give a card anew."""

OPEN = frozenset({408, 425, 429, *range(500, 600)})
"""Statuses that leave the outcome open."""

STATES: Mapping[Status, Literal["challenged", "authorized", "declined", "voided"]] = {
    "requires_action": "challenged",
    "authorized": "authorized",
    "captured": "authorized",
    "declined": "declined",
    "voided": "voided",
}


class Refusal(msgspec.Struct, frozen=True):
    """As much of the bank's problem documents as we act upon."""

    code: str


class SandboxProvider(PaymentProvider):
    """A payment provider; our payment's id is the bank's reference, and begins each key."""

    def __init__(self, settings: SandboxSettings, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock

    async def open(self) -> None:
        """Get ready to connect."""
        self.client = httpx.AsyncClient(
            base_url=self.settings.url,
            timeout=self.settings.timeout_seconds,
            trust_env=False,
            # The roots of the web's trust cost a process 80 ms to read.
            verify=self.settings.url.startswith("https:"),
        )

    async def close(self) -> None:
        """Let go of all connections."""
        await self.client.aclose()

    def title(self, wishes: tuple[str, ...]) -> str:
        return TITLES[_language(wishes)]

    async def field(
        self, *, origin: str, wishes: tuple[str, ...], token: str
    ) -> HostedField | None:
        token = token if is_field_token(token) else new_token()
        public = urlsplit(self.settings.public_url or self.settings.url)
        query = urlencode({"origin": origin, "locale": _language(wishes)})
        return HostedField(
            url=f"{public.geturl().rstrip('/')}/fields/{token}?{query}",
            origin=f"{public.scheme}://{public.netloc}",
            token=token,
        )

    async def authorize(
        self, subject: Subject, *, amount: Money, token: str, return_url: str
    ) -> Standing:
        reference = str(subject.payment)
        wish = {"reference": reference, "amount": amount, "token": token}
        if return_url:
            wish["return_url"] = return_url
        try:
            return await self._change("authorize", "/v1/payments", key=reference, wish=wish)
        except Refused as no:
            if no.reason in NO_CARD:
                return Standing(state="declined", decline_reason=INVALID_TOKEN)
            # An old key or a used reference: what there is counts, whatever was asked now.
            known = await self.look(subject)
            return known or Standing(state="declined", decline_reason=no.reason)

    async def look(self, subject: Subject) -> Standing | None:
        found = await self._ask(
            "look", "/v1/payments", Items[Payment], {"reference": str(subject.payment)}
        )
        return _standing(found.items[0]) if found.items else None

    async def void(self, subject: Subject) -> Standing:
        path = f"/v1/payments/{subject.payment}/void"
        try:
            return await self._change("void", path, key=f"{subject.payment}:void")
        except Refused:
            # The money was taken already; that is how it stands.
            known = await self.look(subject)
            assert known, "the bank refuses to void only what it knows"
            return known

    async def capture(self, subject: Subject, *, transfer: UUID, amount: Money) -> Standing:
        path = f"/v1/payments/{subject.payment}/captures"
        key = f"{subject.payment}:capture:{transfer}"
        return await self._change("capture", path, key=key, wish={"amount": amount})

    async def refund(self, subject: Subject, *, transfer: UUID, amount: Money) -> Standing:
        path = f"/v1/payments/{subject.payment}/refunds"
        key = f"{subject.payment}:refund:{transfer}"
        return await self._change("refund", path, key=key, wish={"amount": amount})

    def verify(self, *, headers: Mapping[str, str], body: bytes) -> ProviderEvent:
        webhook = security.verify(self._secrets(), headers, body, now=self.clock.now())
        told = msgspec.json.decode(body, type=WebhookBody)
        return ProviderEvent(
            id=webhook,
            kind=told.type,
            payment=_ours(told.data.payment.reference),
            standing=_standing(told.data.payment),
        )

    async def ledger(self, *, after: PaymentId | None) -> tuple[ports.Position, ...]:
        last = str(after or "")
        while page := await self._positions(last):
            if ours := tuple(_position(one) for one in page if _ours(one.reference)):
                return ours
            last = page[-1].reference
        return ()

    async def _positions(self, after: str) -> list[Position]:
        asked = {"after": after, "limit": str(PAGE)}
        found = await self._ask("ledger", "/v1/ledger/by-reference", Items[Position], asked)
        return found.items

    async def _ask(self, what: str, path: str, kind: type[T], asked: Mapping[str, str]) -> T:
        answer = await self._send(what, self.client.build_request("GET", path, params=asked))
        if not answer.is_success:
            raise Unavailable(what=NAME)
        return _read(answer, kind)

    async def _change(
        self, what: str, path: str, *, key: str, wish: Mapping[str, Any] | None = None
    ) -> Standing:
        request = self.client.build_request(
            "POST",
            path,
            headers={"idempotency-key": key, "content-type": "application/json"},
            content=msgspec.json.encode(wish) if wish else None,
        )
        answer = await self._send(what, request)
        if answer.is_success:
            return _standing(_read(answer, Payment))
        raise Refused(reason=_read(answer, Refusal).code)

    async def _send(self, what: str, request: httpx.Request) -> httpx.Response:
        """Ask within the deadline of the call; without a clear answer the outcome is unknown."""
        fault.reached(f"before call {NAME}.{what}")
        try:
            async with limited(self.settings.timeout_seconds):
                answer = await self.client.send(request)
        except (TimeoutError, httpx.TransportError) as lost:
            raise Unavailable(what=NAME) from lost
        fault.reached(f"after call {NAME}.{what}")
        if answer.status_code in OPEN:
            raise Unavailable(what=NAME)
        return answer

    def _secrets(self) -> list[Secret]:
        """Collect what webhooks are signed with; the bank writes its file when it first opens."""
        file = self.settings.webhook_secret_file
        written = Path(file).read_text(encoding="ascii").split() if file else []
        return [one for one in (self.settings.webhook_secret, *map(Secret, written)) if one]


def _language(wishes: tuple[str, ...]) -> str:
    return choose(wishes, tuple(TITLES)) or "en"


def _read(answer: httpx.Response, kind: type[T]) -> T:
    """Understand an answer; if it makes no sense, it does not come from the bank."""
    try:
        return msgspec.json.decode(answer.content, type=kind)
    except msgspec.MsgspecError as nonsense:
        raise Unavailable(what=NAME) from nonsense


def _standing(payment: Payment) -> Standing:
    card = payment.card
    return Standing(
        state=STATES[payment.status],
        reference=payment.id,
        authorized=payment.authorized.amount,
        captured=payment.captured.amount,
        voided=payment.voided.amount,
        refunded=payment.refunded.amount,
        decline_reason=payment.decline_code,
        redirect_url=payment.action.redirect_url if payment.action else None,
        card_brand=card.brand if card else "",
        card_last4=card.last4 if card else "",
    )


def _position(position: Position) -> ports.Position:
    return ports.Position(
        payment=PaymentId(UUID(position.reference)),
        currency=position.currency,
        authorized=position.authorized,
        captured=position.captured,
        voided=position.voided,
        refunded=position.refunded,
    )


def _ours(reference: str) -> PaymentId | None:
    """Recognize a payment of ours: others may use the same bank."""
    try:
        payment = UUID(reference)
    except ValueError:
        return None
    return PaymentId(payment) if str(payment) == reference else None

"""Signed delivery of webhooks, as Standard Webhooks describes it."""

import asyncio
import base64
import hashlib
import hmac
import secrets
from typing import Self

import httpx

from banyan.kernel.clock import Clock
from banyan.plugins.sandbox.outbox import Outbox, Parcel
from banyan.plugins.sandbox.values import Redelivered, Redelivery

PREFIX = "whsec_"
PATIENCE_SECONDS = 5.0
AT_ONCE = 16


def new_secret() -> str:
    """Draw a secret to sign webhooks with."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def secret_key(secret: str) -> bytes:
    """Take the key out of a written secret; raise `ValueError` if it is none."""
    if not secret.startswith(PREFIX):
        raise ValueError("A webhook secret starts with " + PREFIX)
    key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    if not 24 <= len(key) <= 64:  # noqa: PLR2004  the bounds that the standard sets
        raise ValueError("A webhook secret holds 24 to 64 bytes")
    return key


def signature(key: bytes, webhook: str, timestamp: int, body: bytes) -> str:
    """Sign a webhook."""
    signed = b".".join((webhook.encode(), str(timestamp).encode(), body))
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


class Courier:
    """Carries webhooks to the shop; what it could not deliver stays in the outbox.

    Without a `url` it keeps all of them until a bank with one is started on the same vault.
    `pauses` are the seconds before the second, the third … attempt.
    """

    def __init__(
        self,
        outbox: Outbox,
        clock: Clock,
        *,
        url: str | None,
        key: bytes,
        pauses: tuple[float, ...],
    ) -> None:
        self.outbox = outbox
        self.clock = clock
        self.url = url
        self.key = key
        self.pauses = pauses
        self.taken = 0
        self.trips: set[asyncio.Task[None]] = set()
        self.roads = asyncio.Semaphore(AT_ONCE)

    async def __aenter__(self) -> Self:
        """Set out with what an earlier bank still owed."""
        self.client = httpx.AsyncClient(timeout=PATIENCE_SECONDS, trust_env=False)
        self._set_out()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave what is on its way to the next bank."""
        for trip in self.trips:
            trip.cancel()
        await asyncio.gather(*self.trips, return_exceptions=True)
        await self.client.aclose()

    async def dispatch(self) -> None:
        """Set out with every new webhook; return once the early ones have arrived."""
        if early := self._set_out():
            await asyncio.wait(early, timeout=PATIENCE_SECONDS)

    async def carry(self, parcel: Parcel) -> None:
        """Deliver a webhook when it is due, with a few attempts."""
        await asyncio.sleep(max(0.0, parcel.due - self.clock.now().timestamp()))
        for attempt, pause in enumerate((0.0, *self.pauses), start=1):
            await asyncio.sleep(pause)
            if await self.deliver(parcel):
                self.outbox.settle(parcel, state="delivered", attempts=attempt)
                return
        self.outbox.settle(parcel, state="undelivered", attempts=1 + len(self.pauses))

    async def deliver(self, parcel: Parcel) -> bool:
        """Make one attempt (three at once, if the webhook is to come thrice)."""
        copies = 3 if parcel.mode == "thrice" else 1
        return any(await asyncio.gather(*(self.post(parcel) for _ in range(copies))))

    async def post(self, parcel: Parcel) -> bool:
        """Bring a webhook to the shop, and hear whether it took it."""
        assert self.url is not None
        timestamp = int(self.clock.now().timestamp())
        headers = {
            "content-type": "application/json",
            "webhook-id": parcel.id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(self.key, parcel.id, timestamp, parcel.body),
        }
        async with self.roads:
            try:
                answer = await self.client.post(self.url, content=parcel.body, headers=headers)
            except (httpx.HTTPError, httpx.InvalidURL):
                return False
        return answer.is_success

    async def redeliver(self, asked: Redelivery) -> Redelivered:
        """Send stored webhooks again, one after the other, whether they arrived or not."""
        delivered = undelivered = 0
        if self.url is not None:
            for parcel in self.outbox.stored(asked.state, newest_first=asked.newest_first):
                if await self.deliver(parcel):
                    self.outbox.settle(parcel, state="delivered", attempts=1)
                    delivered += 1
                else:
                    self.outbox.settle(parcel, state="undelivered", attempts=1)
                    undelivered += 1
        return Redelivered(delivered=delivered, undelivered=undelivered)

    def _set_out(self) -> list[asyncio.Task[None]]:
        early = []
        for parcel in self.outbox.pending(after=self.taken) if self.url else ():
            self.taken = parcel.seq
            trip = asyncio.create_task(self.carry(parcel))
            self.trips.add(trip)
            trip.add_done_callback(self.trips.discard)
            if parcel.mode == "early":
                early.append(trip)
        return early

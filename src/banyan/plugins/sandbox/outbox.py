"""The webhooks that the bank owes: stored with the money they tell of, sent afterwards."""

import secrets
import sqlite3

import msgspec

from banyan.kernel.clock import Clock
from banyan.plugins.sandbox.values import (
    Notice,
    Steering,
    Value,
    Webhook,
    WebhookBody,
    WebhookMode,
    WebhookState,
)
from banyan.plugins.sandbox.vault import Vault

PAGE = 1000


class Parcel(Value, frozen=True, kw_only=True):
    """A webhook ready to travel; sent again, it is the same to the last byte."""

    seq: int
    id: str
    mode: WebhookMode
    due: float
    body: bytes


class Outbox:
    """Webhooks in the vault."""

    def __init__(self, vault: Vault, clock: Clock) -> None:
        self.vault = vault
        self.clock = clock

    @property
    def steering(self) -> Steering:
        """How webhooks travel unless a token says otherwise."""
        row = self.vault.one("SELECT mode, delay_seconds FROM steering")
        return msgspec.convert(dict(row), Steering) if row else Steering()

    def steer(self, steering: Steering) -> Steering:
        """Let webhooks travel in another way from now on."""
        self.vault.change(
            "INSERT OR REPLACE INTO steering (id, mode, delay_seconds) VALUES (1, ?, ?)",
            steering.mode,
            steering.delay_seconds,
        )
        return steering

    def put(self, kind: str, notice: Notice, *, mode: WebhookMode | None) -> None:
        """Owe a webhook; to be called in the transaction that it tells of."""
        steering = self.steering
        mode = mode or steering.mode
        now = self.clock.now()
        self.vault.change(
            "INSERT INTO webhooks (id, type, mode, state, due, body) VALUES (?, ?, ?, ?, ?, ?)",
            f"msg_{secrets.token_hex(12)}",
            kind,
            mode,
            "withheld" if mode == "never" else "pending",
            now.timestamp() + (steering.delay_seconds if mode == "late" else 0),
            msgspec.json.encode(WebhookBody(type=kind, timestamp=now.isoformat(), data=notice)),
        )

    def pending(self, *, after: int) -> list[Parcel]:
        """The webhooks still to be sent, oldest first."""
        rows = self.vault.all(
            "SELECT seq, id, mode, due, body FROM webhooks"
            " WHERE state = 'pending' AND seq > ? ORDER BY seq",
            after,
        )
        return [_parcel(row) for row in rows]

    def stored(self, state: WebhookState | None, *, newest_first: bool) -> list[Parcel]:
        """Every webhook ever owed, or those in a state."""
        rows = self.vault.all(
            "SELECT seq, id, mode, due, body FROM webhooks"
            " WHERE state = coalesce(?, state) ORDER BY seq",
            state,
        )
        parcels = [_parcel(row) for row in rows]
        return parcels[::-1] if newest_first else parcels

    def settle(self, parcel: Parcel, *, state: WebhookState, attempts: int) -> None:
        """Note how sending went; what arrived once has arrived, whatever came after."""
        self.vault.change(
            "UPDATE webhooks SET attempts = attempts + ?,"
            " state = CASE state WHEN 'delivered' THEN state ELSE ? END WHERE seq = ?",
            attempts,
            state,
            parcel.seq,
        )

    def webhooks(self) -> list[Webhook]:
        """The latest webhooks and their fate, oldest first."""
        rows = self.vault.all(
            "SELECT id, type, mode, state, attempts FROM webhooks ORDER BY seq DESC LIMIT ?", PAGE
        )
        return [msgspec.convert(dict(row), Webhook) for row in reversed(rows)]


def _parcel(row: sqlite3.Row) -> Parcel:
    return msgspec.convert(dict(row), Parcel)

"""The SQL of the bank: payments, and the entries from which all their money follows."""

import secrets
import sqlite3

import msgspec

from banyan.plugins.sandbox.cards import Cards
from banyan.plugins.sandbox.values import (
    Action,
    Balance,
    Entry,
    Kind,
    Money,
    NewPayment,
    Payment,
    Position,
)
from banyan.plugins.sandbox.vault import Vault

NO_CURRENCY = "XXX"


class Ledger:
    """Payments in the vault; `home` is the address where shoppers find the bank."""

    def __init__(self, vault: Vault, cards: Cards, *, home: str) -> None:
        self.vault = vault
        self.cards = cards
        self.home = home

    def open(self, asked: NewPayment, *, decline_code: str | None) -> str | None:
        """Write a payment down and answer its id, or `None` where its reference is in use.

        On the tombstone of a reference that was voided before, it is declined.
        """
        row = self.vault.one(
            "INSERT INTO payments"
            " (id, reference, token, currency, amount, capture, return_url, decline_code)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (reference) DO UPDATE SET token = excluded.token,"
            " currency = excluded.currency, amount = excluded.amount,"
            " capture = excluded.capture, return_url = excluded.return_url,"
            " decline_code = 'voided'"
            " WHERE token IS NULL RETURNING id",
            _new_id(),
            asked.reference,
            asked.token,
            asked.amount.currency,
            asked.amount.amount,
            asked.capture,
            asked.return_url,
            decline_code,
        )
        return row["id"] if row else None

    def bury(self, reference: str) -> str:
        """Leave a tombstone where a reference was voided before it was used."""
        payment = _new_id()
        self.vault.change(
            "INSERT INTO payments (id, reference, currency, amount, capture, withdrawn)"
            " VALUES (?, ?, ?, 0, 0, 1)",
            payment,
            reference,
            NO_CURRENCY,
        )
        return payment

    def withdraw(self, payment: str) -> None:
        """Close a payment for which no money was held yet."""
        self.vault.change("UPDATE payments SET withdrawn = 1 WHERE id = ?", payment)

    def decline(self, payment: str, *, code: str) -> None:
        """Refuse a payment for which no money was held yet."""
        self.vault.change("UPDATE payments SET decline_code = ? WHERE id = ?", code, payment)

    def move(self, payment: str, kind: Kind, amount: int) -> Entry:
        """Write an entry; the totals of its payment follow, or the database refuses it."""
        row = self.vault.one(
            "INSERT INTO entries (payment, kind, amount) VALUES (?, ?, ?) RETURNING id",
            payment,
            kind,
            amount,
        )
        assert row is not None
        return self.entries(since=row["id"] - 1, limit=1)[0]

    def find(self, name: str) -> Payment | None:
        """Look a payment up by the bank's id or by the merchant's reference."""
        row = self.vault.one("SELECT * FROM payments WHERE id = ? OR reference = ?", name, name)
        return self._payment(row) if row else None

    def token(self, payment: str) -> str:
        """The token with which a payment was asked for."""
        row = self.vault.one("SELECT token FROM payments WHERE id = ?", payment)
        return row["token"] if row and row["token"] else ""

    def entries(self, *, since: int, limit: int) -> list[Entry]:
        """The ledger's lines after one, oldest first."""
        rows = self.vault.all(
            "SELECT entries.*, payments.reference, payments.currency FROM entries"
            " JOIN payments ON payments.id = entries.payment"
            " WHERE entries.id > ? ORDER BY entries.id LIMIT ?",
            since,
            limit,
        )
        return [
            Entry(
                id=row["id"],
                payment=row["payment"],
                reference=row["reference"],
                kind=row["kind"],
                amount=Money(amount=row["amount"], currency=row["currency"]),
                at=row["at"],
            )
            for row in rows
        ]

    def positions(self, *, after: str, limit: int) -> list[Position]:
        """What the ledger says of each payment for which money moved, by reference."""
        rows = self.vault.all(
            "SELECT * FROM positions WHERE reference > ? ORDER BY reference LIMIT ?", after, limit
        )
        return [msgspec.convert(dict(row), Position) for row in rows]

    def balance(self) -> list[Balance]:
        """What the ledger says of each currency."""
        rows = self.vault.all(
            "SELECT currency, sum(authorized) AS authorized, sum(captured) AS captured,"
            " sum(voided) AS voided, sum(refunded) AS refunded,"
            " sum(authorized - captured - voided) AS held, sum(captured - refunded) AS net"
            " FROM positions GROUP BY currency ORDER BY currency"
        )
        return [msgspec.convert(dict(row), Balance) for row in rows]

    def _payment(self, row: sqlite3.Row) -> Payment:
        def money(column: str) -> Money:
            return Money(amount=row[column], currency=row["currency"])

        waits = row["status"] == "requires_action"
        return Payment(
            id=row["id"],
            reference=row["reference"],
            status=row["status"],
            amount=money("amount"),
            authorized=money("authorized"),
            captured=money("captured"),
            voided=money("voided"),
            refunded=money("refunded"),
            capture=bool(row["capture"]),
            created_at=row["created_at"],
            return_url=row["return_url"],
            decline_code=row["decline_code"],
            action=Action(redirect_url=f"{self.home}/challenge/{row['id']}") if waits else None,
            card=self.cards.read(row["token"]).card if row["token"] else None,
        )


def _new_id() -> str:
    return f"pay_{secrets.token_hex(12)}"

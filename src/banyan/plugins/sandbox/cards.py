"""The cards that shoppers gave to the bank: as little of each as a shop may know, by its token."""

import re
import secrets
import string

import msgspec

from banyan.plugins.sandbox import tokens
from banyan.plugins.sandbox.problems import TokenUsed, UnknownToken
from banyan.plugins.sandbox.tokens import TOKENS, Token
from banyan.plugins.sandbox.values import Card
from banyan.plugins.sandbox.vault import Vault

FIELD_TOKEN = r"\Atok_field_[A-Za-z]{32}\Z"  # noqa: S105 - the pattern, not a token


def new_token() -> str:
    """Draw a token for one checkout, of 182 bits; without digits, for none may look like a card."""
    return "tok_field_" + "".join(secrets.choice(string.ascii_letters) for _ in range(32))


def is_field_token(text: str) -> bool:
    """Tell whether a token is of the kind that stands for what is typed into a field."""
    return re.fullmatch(FIELD_TOKEN, text) is not None


class Cards:
    """Cards in the vault. A token pays once, and until then another card may take its place.

    That is what real providers do with what they call tokens or payment methods that belong to no
    customer: the first payment uses them up, even if it is declined.
    """

    def __init__(self, vault: Vault) -> None:
        self.vault = vault

    def keep(self, token: str, card: Card, *, behavior: str) -> None:
        """Remember a card under a token, instead of the one before."""
        with self.vault.transaction():
            if self.payer(token):
                raise TokenUsed
            self.vault.change(
                "INSERT INTO cards (token, brand, last4, exp, behavior) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (token) DO UPDATE SET brand = excluded.brand,"
                " last4 = excluded.last4, exp = excluded.exp, behavior = excluded.behavior",
                token,
                card.brand,
                card.last4,
                card.exp,
                behavior,
            )

    def read(self, token: str) -> Token:
        """Tell what a token stands for: a card that was typed, or the test card of its name."""
        if not is_field_token(token):
            return tokens.read(token)
        row = self.vault.one("SELECT brand, last4, exp, behavior FROM cards WHERE token = ?", token)
        if row is None:
            raise UnknownToken(field="token")
        card = Card(brand=row["brand"], last4=row["last4"], exp=row["exp"])
        return msgspec.structs.replace(TOKENS[row["behavior"]], card=card)

    def card(self, token: str) -> Card | None:
        """Look up the card under a field's token, if one was typed."""
        try:
            return self.read(token).card
        except UnknownToken:
            return None

    def payer(self, token: str) -> str | None:
        """Name the reference that a field's token has paid for; test tokens pay without end."""
        row = self.vault.one(
            "SELECT reference FROM payments WHERE token = ? AND token GLOB 'tok_field_*'", token
        )
        return row["reference"] if row else None

"""The bank's test tokens: what each makes it do, and how its webhooks travel."""

import re
from typing import Literal, get_args

from banyan.plugins.sandbox.problems import UnknownToken
from banyan.plugins.sandbox.values import Card, Value, WebhookMode

Manner = Literal["prompt", "slow", "flaky"]


class Token(Value, frozen=True, kw_only=True):
    """What a token stands for: a card, a decision and a manner of answering."""

    card: Card
    decision: Literal["approve", "decline", "challenge"] = "approve"
    decline_code: str | None = None
    manner: Manner = "prompt"


TOKENS = {
    "ok": Token(card=Card(brand="visa", last4="4242")),
    "declined": Token(
        card=Card(brand="visa", last4="0002"), decision="decline", decline_code="card_declined"
    ),
    "insufficient": Token(
        card=Card(brand="visa", last4="9995"), decision="decline", decline_code="insufficient_funds"
    ),
    "slow": Token(card=Card(brand="mastercard", last4="4444"), manner="slow"),
    "flaky": Token(card=Card(brand="amex", last4="0005"), manner="flaky"),
    "challenge": Token(card=Card(brand="visa", last4="3220"), decision="challenge"),
}


def read(text: str) -> Token:
    """Look a token up; anything may follow its first word: `tok_ok_buyer-17`."""
    written = re.fullmatch(r"tok_([a-z]+)(_[A-Za-z0-9_.:-]{1,100})?", text)
    if written is None or written[1] not in TOKENS:
        raise UnknownToken(field="token")
    return TOKENS[written[1]]


def webhook_mode(text: str) -> WebhookMode | None:
    """Find the webhook mode that a token asks for, as `tok_ok_thrice_buyer-17` does."""
    words = text.split("_")
    return next((mode for mode in get_args(WebhookMode) if mode in words), None)

"""The rules of notifications: what a letter says. No I/O, no clock, no chance.

The texts are templates that are part of the code; a language is spoken where it has a file with
the words of the template.
"""

from __future__ import annotations

from datetime import datetime, tzinfo
from functools import cache
from uuid import UUID

from babel.dates import format_date
from babel.numbers import format_currency

from banyan import postal
from banyan.kernel.contract import Value
from banyan.kernel.language import manner, negotiate
from banyan.kernel.template import Templates
from banyan.modules.notifications.contract import MessageState, Preview
from banyan.modules.ordering.contract import Order, OrderLine, Totals
from banyan.vocabulary import Address, Money

TEMPLATES = Templates("banyan.modules.notifications")
ORDER_CONFIRMED = "order_confirmed"
DEFAULT_LANGUAGE = "en"


class Recipient(Value, frozen=True, kw_only=True):
    """Whom a letter is for: all that has to be forgotten after a while."""

    email: str
    address: Address


class Receipt(Value, frozen=True, kw_only=True):
    """What the confirmation of an order states."""

    number: str
    confirmed_at: datetime
    lines: tuple[OrderLine, ...]
    totals: Totals


class Letter(Value, frozen=True, kw_only=True):
    """A message with what it is written from; `sending` counts how often it was to be sent."""

    id: UUID
    template: str
    about: str
    locale: str
    facts: Receipt
    recipient: Recipient | None
    state: MessageState = "pending"
    sending: int = 1


def confirmation(message: UUID, order: Order) -> Letter:
    """Begin the letter that confirms an order."""
    assert order.number, "an order that stands has its number"
    assert order.confirmed_at, "and stands since a moment"
    return Letter(
        id=message,
        template=ORDER_CONFIRMED,
        about=str(order.id),
        locale=order.locale,
        facts=Receipt(
            number=order.number,
            confirmed_at=order.confirmed_at,
            lines=order.lines,
            totals=order.totals,
        ),
        recipient=Recipient(email=order.email, address=order.shipping_address),
    )


def next_sending(letter: Letter) -> int:
    """Count one more sending, unless one is still under way."""
    return letter.sending if letter.state == "pending" else letter.sending + 1


def write(letter: Letter, *, shop: str, timezone: tzinfo) -> Preview:
    """Write a letter in its reader's language, with money and dates as they are written there."""
    language = _language(letter)
    # Numbers are written as in the reader's country, unless the words are in another language.
    locale = letter.locale if letter.locale.split("-")[0].lower() == language else language
    style, to = manner(locale), letter.recipient

    @cache
    def money(amount: Money) -> str:
        return format_currency(amount.major(), amount.currency, locale=style)

    def date(moment: datetime) -> str:
        day = format_date(moment.astimezone(timezone), "long", locale=style)
        return day.replace(" ", "\N{NO-BREAK SPACE}")

    address_lines = postal.written(to.address, locale) if to else ()

    def render(part: str) -> str:
        return TEMPLATES.render(
            f"{letter.template}/{part}",
            words_file=f"{_words(letter.template)}{language}.txt",
            language=language,
            shop=shop,
            facts=letter.facts,
            recipient=to,
            address_lines=address_lines,
            money=money,
            date=date,
        )

    subject = " ".join(render("subject.txt").split())
    return Preview(subject=subject, text=render("body.txt"), html=render("body.html"))


@cache
def languages(template: str) -> tuple[str, ...]:
    """List the languages that a template speaks."""
    files = [name for name in TEMPLATES.names() if name.startswith(_words(template))]
    return tuple(name.removeprefix(_words(template)).removesuffix(".txt") for name in files)


def _words(template: str) -> str:
    return f"{template}/words/"


def _language(letter: Letter) -> str:
    return negotiate(letter.locale, languages(letter.template), DEFAULT_LANGUAGE)

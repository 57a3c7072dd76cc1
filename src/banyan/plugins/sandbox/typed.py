"""A card as a shopper types it: what is wrong with it, and the little that is kept."""

import re
from datetime import date

from banyan.kernel.security import looks_like_card_number
from banyan.plugins.sandbox.values import Card, Value

NUMBERS = {
    "4242424242424242": "ok",
    "4000000000000002": "declined",
    "4000000000009995": "insufficient",
    "4000000000003220": "challenge",
}
"""The bank's test cards, and the test token that each behaves like; any other is approved."""

BRANDS = {
    "visa": r"4",
    "mastercard": r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720",
    "amex": r"3[47]",
    "discover": r"6011|64[4-9]|65",
}
BRAND_NAMES = {
    "visa": "Visa",
    "mastercard": "Mastercard",
    "amex": "Amex",
    "discover": "Discover",
}
OTHER_BRAND = "card"


class Typed(Value, frozen=True, kw_only=True):
    """What was typed into the form: read and forgotten, and never shown in a log."""

    number: str = ""
    expiry: str = ""
    cvc: str = ""
    name: str = ""

    def __repr__(self) -> str:
        return "Typed(…)"

    @property
    def digits(self) -> str:
        """The card's number without what is typed between its digits."""
        return re.sub(r"[\s-]", "", self.number)


def flaws(typed: Typed, *, today: date) -> dict[str, str]:
    """Say what is wrong with each field; nothing, if the card can be used."""
    found = {
        "number": _flaw_of_number(typed.digits),
        "expiry": _flaw_of_expiry(typed.expiry, today),
        "cvc": _flaw_of_cvc(typed),
    }
    return {field: flaw for field, flaw in found.items() if flaw}


def card(typed: Typed) -> Card:
    """Keep of a card without flaws what a shop may know."""
    month = _month(typed.expiry)
    assert month, "a card without flaws has a month"
    return Card(brand=brand(typed.digits), last4=typed.digits[-4:], exp=f"{month:%Y-%m}")


def behavior(typed: Typed) -> str:
    """Name the test token that a card behaves like."""
    return NUMBERS.get(typed.digits, "ok")


def brand(digits: str) -> str:
    """Tell whose card a number is, by how it begins."""
    known = (name for name, begins in BRANDS.items() if re.match(begins, digits))
    return next(known, OTHER_BRAND)


def _flaw_of_number(digits: str) -> str | None:
    if not digits:
        return "number_missing"
    valid = re.fullmatch(r"[0-9]+", digits) and looks_like_card_number(digits)
    return None if valid else "number_wrong"


def _flaw_of_expiry(expiry: str, today: date) -> str | None:
    if not expiry.strip():
        return "expiry_missing"
    month = _month(expiry)
    if month is None:
        return "expiry_wrong"
    # A card is good until its month has ended.
    return "expired" if month < today.replace(day=1) else None


def _flaw_of_cvc(typed: Typed) -> str | None:
    if not typed.cvc.strip():
        return "cvc_missing"
    american = brand(typed.digits) == "amex"
    if re.fullmatch(r"[0-9]{4}" if american else r"[0-9]{3}", typed.cvc.strip()):
        return None
    return "cvc_four" if american else "cvc_three"


def _month(expiry: str) -> date | None:
    """Read `04/29`, `4 / 2029` or `0429`."""
    written = re.fullmatch(r"\s*(0?[1-9]|1[0-2])\s*[/.-]\s*(20)?([0-9]{2})\s*", expiry)
    written = written or re.fullmatch(r"\s*(0[1-9]|1[0-2])\s*(20)?([0-9]{2})\s*", expiry)
    return date(2000 + int(written[3]), int(written[1]), 1) if written else None

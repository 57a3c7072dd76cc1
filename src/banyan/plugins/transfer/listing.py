"""What a file says of a product: the same words, whatever the format of the file."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

import msgspec

from banyan.kernel.contract import Problem, Value
from banyan.kernel.ids import derived
from banyan.modules.catalog.contract import Attribute, Category, Product
from banyan.modules.inventory.contract import Held
from banyan.modules.pricing.contract import Price

LONGEST_SLUG = 200
MOST_UNITS = 10**9
NOT_UTF8 = re.compile("[\udc80-\udcff]")
"""Bytes that are not UTF-8 are read as lone surrogates."""


class Unreadable(Problem, status=422):
    """The file cannot be read as a list of products for this shop."""

    reason: str


class Wrong(Exception):
    """Something in the file cannot be understood."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.refusal = Refusal(line=line, reason=reason)


class Refusal(Value, frozen=True, kw_only=True):
    """Why a product stays out, and the line of the file to look at."""

    line: int
    reason: str


class Listing(Value, frozen=True, kw_only=True):
    """A product with its prices and stock, and what it needs to be in the shop before.

    `line` is where it begins in the file, and `lines` where each of its variants stands.
    """

    line: int
    product: Product
    lines: tuple[int, ...] = ()
    prices: tuple[Price, ...] = ()
    stock: tuple[Held, ...] = ()
    categories: tuple[Category, ...] = ()
    attributes: tuple[Attribute, ...] = ()


_encoded = msgspec.msgpack.Encoder().encode
_decoded = msgspec.msgpack.Decoder(Listing).decode


def checked(listing: Listing) -> Listing:
    """Want a listing to keep the limits of its fields, which constructors do not look at."""
    try:
        return _decoded(_encoded(listing))
    except msgspec.ValidationError as no:
        raise Wrong(line_of(listing, str(no)), str(no)) from None


def line_of(listing: Listing, place: str) -> int:
    """Tell where in the file a place in a product stands: `/variants/2/sku`."""
    variant = re.search(r"variants[/\[](\d+)", place)
    number = int(variant[1]) if variant else len(listing.lines)
    return listing.lines[number] if number < len(listing.lines) else listing.line


def cannot_be_kept(text: str) -> str:
    """Say why no database keeps a text; nothing if it does."""
    if "\0" in text:
        return "there is a NUL character"
    return "" if text.isascii() or not NOT_UTF8.search(text) else "this is not UTF-8"


@lru_cache(1000)
def slugify(text: str) -> str:
    """Spell a text in lower-case words and hyphens; one without Latin letters by its digest."""
    plain = unicodedata.normalize("NFKD", text.casefold()).encode("ascii", "ignore").decode()
    words = re.findall(r"[a-z0-9]+", plain)
    return "-".join(words)[:LONGEST_SLUG].rstrip("-") or digest(text)


def digest(text: str) -> str:
    """Make a short word of a text, always the same one."""
    return derived("transfer", text).hex[:8]

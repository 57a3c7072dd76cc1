"""The rules of search. No I/O, no clock, no chance."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from uuid import UUID

import msgspec
from babel import Locale as Spoken
from babel import UnknownLocaleError
from babel.numbers import format_currency
from msgspec.structs import replace

from banyan.kernel import paging
from banyan.kernel.contract import Value
from banyan.kernel.language import lookup, negotiate
from banyan.modules.catalog.contract import Category
from banyan.modules.search.contract import (
    BadFilter,
    CategoryHead,
    Facet,
    FacetValue,
    Found,
    ProductCard,
    ProductPage,
    Shelf,
    Sort,
    Told,
)
from banyan.vocabulary import Locale, MarketCode, Money, Texts

MOST_ITEMS = 100
MOST_WORDS = 12
MOST_ENTRIES = 50_000
"""A sitemap that has more is not read (sitemaps.org)."""
MOST_VALUES = 100
"""A facet with more values shows those that most products have."""

TITLES: Mapping[str, Texts] = {
    "available": {Locale("en"): "In stock", Locale("de"): "Vorrätig"},
    "brand": {Locale("en"): "Brand", Locale("de"): "Marke"},
    "category": {Locale("en"): "Category", Locale("de"): "Kategorie"},
    "price": {Locale("en"): "Price", Locale("de"): "Preis"},
    "true": {Locale("en"): "Yes", Locale("de"): "Ja"},
    "new": {Locale("en"): "New in", Locale("de"): "Neu eingetroffen"},
    "false": {Locale("en"): "No", Locale("de"): "Nein"},
}
"""Our own words. A language that is missing here reads them in English."""

OURS = ("category", "price", "available", "brand")
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
PRICES = re.compile(r"([0-9]{0,15})-([0-9]{0,15})")
WHOLE_NUMBER = re.compile(r"-?[0-9]{1,18}")


class Chosen(Value, frozen=True, kw_only=True):
    """What was chosen of a facet: one of these values must hold."""

    code: str
    choices: tuple[str, ...]


class Place(Value, frozen=True, kw_only=True):
    """Where in a list to go on: after the product with this sort key."""

    key: str
    product: UUID


class Asked(Value, frozen=True, kw_only=True):
    """Which list is asked for, and which page of it."""

    q: str
    category: str | None
    chosen: tuple[Chosen, ...]
    sort: Sort
    market: MarketCode | None
    wishes: tuple[str, ...]
    limit: int
    after: Place | None = None

    @property
    def obligatory(self) -> tuple[str, ...]:
        """The values that all must hold, as documents spell them."""
        return tuple(
            one.choices[0]
            for one in self.chosen
            if len(one.choices) == 1 and one.code not in ("price", "available")
        )


class Hit(Value, frozen=True, kw_only=True):
    """A product on a list, and its place there."""

    card: ProductCard
    key: str
    product: UUID


class Counted(Value, frozen=True, kw_only=True):
    """How many products of a list have a value."""

    code: str
    value: str
    label: str
    count: int


class FacetAttribute(Value, frozen=True, kw_only=True):
    """What is known of an attribute that lists can be narrowed by."""

    code: str
    title: str
    unit: str
    choices: tuple[str, ...]


class Listed(Value, frozen=True, kw_only=True):
    """A page of a list as it was read, with one product more if there is a next page.

    `options` are the titles of those by which lists can be narrowed.
    """

    market: MarketCode | None
    locale: Locale | None
    currency: str | None
    tax_inclusive: bool | None
    category: CategoryHead | None
    hits: tuple[Hit, ...]
    counted: tuple[Counted, ...]
    attributes: tuple[FacetAttribute, ...]
    options: dict[str, str]
    total: int = 0
    uncounted: bool = False


def ask(
    q: str,
    category: str | None,
    filters: Mapping[str, Iterable[str]] | None,
    *,
    sort: Sort | None,
    market: MarketCode | None,
    wishes: Iterable[str],
    limit: int,
) -> Asked:
    """Settle what a list is asked for: a query is answered by relevance, all else newest first."""
    q = " ".join(q.split()[:MOST_WORDS])
    if sort is None or (sort == "relevance" and not q):
        sort = "relevance" if q else "newest"
    return Asked(
        q=q,
        category=category,
        chosen=choose(filters or {}),
        sort=sort,
        market=market,
        wishes=lookup(wishes),
        limit=bounded(limit),
    )


def bounded(limit: int) -> int:
    """Tell something, and no more than a page holds."""
    return max(1, min(limit, MOST_ITEMS))


def part(limit: int) -> int:
    """Tell something, and no more than a sitemap may hold."""
    return max(1, min(limit, MOST_ENTRIES))


def choose(filters: Mapping[str, Iterable[str]]) -> tuple[Chosen, ...]:
    """Put filters as documents spell them: in lower case, prices as PostgreSQL's ranges."""
    spelled: dict[str, list[str]] = {}
    for code, values in filters.items():
        choices = [_spelled(code.lower(), value.lower()) for value in values]
        spelled.setdefault(code.lower(), []).extend(choices)
    return tuple(
        Chosen(code=code, choices=tuple(sorted(set(choices))))
        for code, choices in sorted(spelled.items())
        if choices
    )


def _spelled(code: str, value: str) -> str:
    if code == "available":
        return value
    if code != "price":
        return f"{code}:{value}"
    ends = PRICES.fullmatch(value)
    if not ends or (ends[1] and ends[2] and int(ends[1]) > int(ends[2])):
        raise BadFilter(value=value)
    return f"[{ends[1]},{ends[2]})"


def name_of(asked: Asked) -> str:
    """Tell one list from another, whatever the page of it; only words depend on the language."""
    wishes = asked.wishes if asked.sort in ("relevance", "title") else ()
    told = [asked.q, asked.category, asked.chosen, asked.sort, asked.market, wishes]
    return _digest(told)


def turn_to(asked: Asked, cursor: str | None) -> Asked:
    """Go on where a page of this very list ended."""
    told = paging.after(cursor, tuple[str, str, UUID])
    if told is None:
        return asked
    name, key, product = told
    by_text = asked.sort in ("newest", "title")
    if name != name_of(asked) or not (by_text or WHOLE_NUMBER.fullmatch(key)):
        raise paging.BadCursor
    return replace(asked, after=Place(key=key, product=product))


def found(asked: Asked, listed: Listed) -> Found:
    """Make a page of what was read: of one hit more than was asked for, it only tells that."""
    hits = listed.hits[: asked.limit]
    more = len(listed.hits) > asked.limit
    return Found(
        items=tuple(hit.card for hit in hits),
        facets=facets(listed),
        next=paging.cursor((name_of(asked), hits[-1].key, hits[-1].product)) if more else None,
        market=listed.market or MarketCode(""),
        locale=listed.locale or Locale(""),
        tax_inclusive=bool(listed.tax_inclusive),
        category=listed.category,
        total=listed.total,
        uncounted=listed.uncounted,
    )


def facets(listed: Listed) -> tuple[Facet, ...]:
    """Sort what was counted into facets: ours first, then attributes and options by title."""
    counted: dict[str, list[Counted]] = {}
    for one in listed.counted:
        counted.setdefault(one.code, []).append(one)
    attributes = {attribute.code: attribute for attribute in listed.attributes}
    made = [_facet(listed, values, attributes.get(code)) for code, values in counted.items()]
    ours = {code: place for place, code in enumerate(OURS)}
    return tuple(sorted(made, key=lambda one: (ours.get(one.code, len(ours)), one.title, one.code)))


def _facet(listed: Listed, counted: list[Counted], attribute: FacetAttribute | None) -> Facet:
    code, language = counted[0].code, _language(listed)
    ordered = sorted(counted, key=lambda one: _rank(one, attribute))[:MOST_VALUES]
    title = attribute.title if attribute else listed.options.get(code) or _word(code, language)
    return Facet(
        code=code, title=title, values=tuple(_value(one, listed, attribute) for one in ordered)
    )


def _rank(one: Counted, attribute: FacetAttribute | None) -> tuple[object, ...]:
    """Put prices and numbers in their order, choices in the merchant's, the rest by frequency."""
    choices = [choice.lower() for choice in attribute.choices] if attribute else []
    if one.value in choices:
        return (0, choices.index(one.value), one.value)
    if NUMBER.fullmatch(one.value):
        return (1, float(one.value), one.value)
    return (2, -one.count, one.value)


def _value(one: Counted, listed: Listed, attribute: FacetAttribute | None) -> FacetValue:
    language = _language(listed)
    if one.code == "price":
        least, below = int(one.value), price_step_above(int(one.value))
        title = price_range(least, below, listed.currency or "", language)
        return FacetValue(value=f"{least}-{below}", title=title, count=one.count)
    title = _word(one.value, language) if one.value in ("true", "false") else one.label
    unit = attribute.unit if attribute else ""
    return FacetValue(value=one.value, title=f"{title} {unit}".strip(), count=one.count)


def price_step_above(least: int) -> int:
    """Tell where a range of prices ends: they begin at 1, 2, 5, 10, 20, 50 and so on."""
    return max(1, least * 5 // 2 if str(least).startswith("2") else least * 2)


@lru_cache(maxsize=1024)
def price_range(least: int, below: int, currency: str, language: str) -> str:
    """Write a range of prices in a language: 10.00 € – 20.00 €."""
    ends = (Money(amount=amount, currency=currency).major() for amount in (least, below))
    return " – ".join(format_currency(end, currency, locale=_spoken(language)) for end in ends)


def _spoken(language: str) -> str:
    try:
        return str(Spoken.parse(language, sep="-"))
    except (UnknownLocaleError, ValueError):
        return "en"


def _language(listed: Listed) -> str:
    return listed.locale or "en"


def _word(code: str, language: str) -> str:
    """Say one of our own words; a code that is none of them speaks for itself."""
    texts = TITLES.get(code, {})
    spoken = Locale(negotiate(language, tuple(texts), "en"))
    return texts.get(spoken) or code.replace("-", " ").capitalize()


def in_order(
    categories: Sequence[Category], paths: Mapping[str, Sequence[str]]
) -> tuple[Category, ...]:
    """Put parents before their children, and siblings by position."""
    places = {category.slug: (category.position, category.slug) for category in categories}
    return tuple(
        sorted(categories, key=lambda category: [places[slug] for slug in paths[category.slug]])
    )


def paths(categories: Iterable[Category]) -> dict[str, tuple[str, ...]]:
    """Lead from the root to each category."""
    parents = {category.slug: category.parent for category in categories}
    return {slug: _path(slug, parents) for slug in parents}


def _path(slug: str, parents: Mapping[str, str | None]) -> tuple[str, ...]:
    path: tuple[str, ...] = (slug,)
    while (parent := parents.get(path[0])) and parent in parents and parent not in path:
        path = (parent, *path)
    return path


def titled(shelves: Told[Shelf]) -> Told[Shelf]:
    """Say in the language of a page what the shelf of no category is."""
    items = tuple(
        shelf if shelf.category else replace(shelf, title=_word("new", shelves.locale))
        for shelf in shelves.items
    )
    return replace(shelves, items=items)


def stamped(page: ProductPage) -> ProductPage:
    """Give a page its version: another one whenever anything on it is another."""
    return replace(page, version=_digest(page))


def _digest(told: object) -> str:
    return hashlib.blake2s(msgspec.json.encode(told), digest_size=12).hexdigest()

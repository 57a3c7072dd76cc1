"""What the demo shop sells, read from `data/articles`, in the words of the modules' contracts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from html import escape
from itertools import chain
from itertools import product as every_combination
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import msgspec

from banyan.kernel.ids import dated, derived
from banyan.modules.catalog.contract import Option, Picture, Product, ProductText, Variant
from banyan.modules.inventory.contract import Movement
from banyan.modules.pricing.contract import Price
from banyan.vocabulary import Locale, Money, ProductId, Sku

DATA = Path(__file__).parent / "data"
BRAND = "Banyan & Co"
COLORED = ("Color", "Wood")
"""The options of which each value is shown in a picture of its own."""

OPENED = datetime(2026, 1, 1, tzinfo=UTC)
"""All articles are of that day: whatever is made later, is newer."""

MOST_IN_STOCK = 45

Amounts = Mapping[str, str]
"""What something costs on each price list, in major units."""


class Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An article in another language."""

    title: str
    text: tuple[str, ...]


class Article(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A thing that is sold in every combination of its options.

    `code` begins its SKUs. `extra` says what an option's value costs more. `stock` is what each
    warehouse has of a variant; without it, that is left to chance. `picture` names drawings from
    back to front, drawn in the option's colors or in `color`, with an `accent`.
    """

    slug: str
    code: str
    title: str
    text: tuple[str, ...]
    de: Words
    price: dict[str, str]
    was: dict[str, str] = {}
    extra: dict[str, dict[str, str]] = {}
    tax_class: str = "standard"
    grams: int = 0
    shippable: bool = True
    stock: int | None = None
    backorder: bool = False
    tags: tuple[str, ...] = ()
    picture: str
    color: str = ""
    accent: str = "Oak"
    options: dict[str, tuple[str, ...]] = {}
    attributes: dict[str, str | float | bool] = {}

    def variants(self) -> Iterator[tuple[Sku, dict[str, str]]]:
        """List each combination of the options, with its SKU."""
        for picks in every_combination(*self.options.values()):
            sku = "-".join([self.code, *(_short(pick) for pick in picks)])
            yield Sku(sku), dict(zip(self.options, picks, strict=True))

    def extras(self) -> Iterator[tuple[Sku, list[Amounts]]]:
        """List the SKUs, each with what its picked values cost more."""
        for sku, picks in self.variants():
            yield sku, [self.extra[pick] for pick in picks.values() if pick in self.extra]

    def words(self) -> dict[str, str]:
        """Say in German what shoppers pick and read, and what pictures show."""
        own = {*self.options, *chain(*self.options.values()), *self.attributes.values()}
        known = {word: said for word, said in glossary().items() if word in own}
        return known | {view.title: view.german for view in self.views()}

    def views(self) -> Iterator[View]:
        """List the pictures of the article: one for each color that it comes in."""
        colors = next((self.options[name] for name in COLORED if name in self.options), ())
        for color in colors:
            name, title = f"{self.slug}-{color.lower()}", f"{self.title}, {color}"
            german = f"{self.de.title}, {glossary()[color]}"
            yield View(name, title, german, self.picture, color, self.accent)
        if not colors:
            yield View(self.slug, self.title, self.de.title, self.picture, self.color, self.accent)


class Shelf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The articles of one category."""

    category: str
    articles: tuple[Article, ...]


class View(NamedTuple):
    """A picture to be drawn."""

    name: str
    title: str
    german: str
    drawings: str
    color: str
    accent: str


@lru_cache(maxsize=1)
def glossary() -> dict[str, str]:
    """Read what the words that articles share are in German."""
    read = msgspec.toml.decode((DATA / "words.toml").read_bytes(), type=dict[str, dict[str, str]])
    return read["de"]


@lru_cache(maxsize=1)
def shelves() -> tuple[Shelf, ...]:
    """Read everything that is sold."""
    files = sorted((DATA / "articles").glob("*.toml"))
    return tuple(msgspec.toml.decode(file.read_bytes(), type=Shelf) for file in files)


def articles() -> list[Article]:
    """List everything that is sold."""
    return [article for shelf in shelves() for article in shelf.articles]


def products() -> tuple[Product, ...]:
    """Describe the articles to the catalog."""
    return tuple(
        _product(article, shelf.category) for shelf in shelves() for article in shelf.articles
    )


def prices(currencies: Mapping[str, str]) -> tuple[Price, ...]:
    """Price every variant on each price list, given the lists' currencies."""
    return tuple(
        Price(
            price_list=price_list,
            sku=sku,
            amount=_cost(article.price, extras, price_list, currency),
            compare_at=_cost(article.was, extras, price_list, currency) if article.was else None,
        )
        for article in articles()
        for sku, extras in article.extras()
        for price_list, currency in currencies.items()
    )


def deliveries(warehouses: Sequence[str]) -> tuple[Movement, ...]:
    """Say what each warehouse has received; the same delivery always has the same id."""
    return tuple(
        Movement(
            id=derived("demo", f"{sku} to {warehouse}"),
            sku=sku,
            warehouse=warehouse,
            quantity=quantity,
            reason="received",
            note="The shop opens",
        )
        for article in articles()
        for sku, _ in article.variants()
        for warehouse in warehouses
        if (quantity := _stock(article, f"{sku} to {warehouse}"))
    )


def backordered() -> list[Sku]:
    """List what may be sold beyond what is there."""
    return [sku for article in articles() if article.backorder for sku, _ in article.variants()]


def _product(article: Article, category: str) -> Product:
    return Product(
        id=ProductId(dated(derived("demo", article.slug), OPENED)),
        slug=article.slug,
        title=article.title,
        state="published",
        description=_html(article.text),
        brand=BRAND,
        tax_class=article.tax_class,
        categories=(category,),
        tags=article.tags,
        attributes=article.attributes,
        options=tuple(Option(name=name, values=of) for name, of in article.options.items()),
        variants=tuple(
            Variant(sku=sku, options=picks, weight_grams=article.grams, shippable=article.shippable)
            for sku, picks in article.variants()
        ),
        pictures=tuple(
            Picture(url=f"/media/demo/{view.name}.svg", alt=view.title) for view in article.views()
        ),
        translations={
            Locale("de"): ProductText(
                title=article.de.title, description=_html(article.de.text), words=article.words()
            )
        },
    )


def _html(text: Sequence[str]) -> str:
    return "".join(f"<p>{escape(paragraph, quote=False)}</p>" for paragraph in text)


def _short(pick: str) -> str:
    return re.sub(r"[^A-Z0-9]+", "", pick.upper().replace("×", "X"))


def _cost(base: Amounts, extras: Sequence[Amounts], price_list: str, currency: str) -> int:
    return sum(Money.of(part[price_list], currency).amount for part in (base, *extras))


def _stock(article: Article, delivery: str) -> int:
    """Take what the article says, or else what chance gives: the same each time."""
    by_chance = crc32(delivery.encode()) % MOST_IN_STOCK
    return by_chance if article.stock is None else article.stock

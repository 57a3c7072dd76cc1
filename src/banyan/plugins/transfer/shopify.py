"""Reads the product files that Shopify exports.

A product begins with a row that has all its words; the rows that follow with the same handle add a
variant or a picture. Headers are known in both spellings that Shopify uses ("Variant SKU" and
"SKU"); columns that are missing or unknown do not matter. What is special:

- One variant of the option "Title" with the value "Default Title" means that there are no options.
- A variant without a SKU gets one of its handle and its values: `classic-varsity-top-small`.
- Weights are in grams, whatever unit is shown. Prices have the currency of the price list.
- A compare-at price of nothing or zero is none. Stock below zero is none.
- A product is published if it is so in the online store and active. What is archived comes as a
  draft, since Shopify may bring it back and Banyan never does.
- The type is the product's category, or else the path of its product category; both are made if
  they are missing. What is not taxable has the tax class `exempt`.

Not taken over are costs, search engine and Google fields, and the permission to sell what is out of
stock. A product with a row that cannot be understood stays out as a whole.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import pairwise

from banyan.kernel.contract import Value
from banyan.kernel.ids import Ids
from banyan.modules.catalog.contract import Category, Option, Picture, Product, Variant
from banyan.modules.inventory.contract import Held
from banyan.modules.pricing.contract import Price, PriceList
from banyan.plugins.transfer.listing import (
    MOST_UNITS,
    Listing,
    Refusal,
    Unreadable,
    Wrong,
    cannot_be_kept,
    checked,
    digest,
    slugify,
)
from banyan.vocabulary import Locale, ProductId, Sku, exponent

LONGEST_SKU = 100
LONGEST_CELL = 2**24
NEWER_NAMES = {
    "url handle": "handle",
    "description": "body (html)",
    "published on online store": "published",
    "sku": "variant sku",
    "barcode": "variant barcode",
    "price": "variant price",
    "compare-at price": "variant compare at price",
    "charge tax": "variant taxable",
    "inventory quantity": "variant inventory qty",
    "weight value (grams)": "variant grams",
    "requires shipping": "variant requires shipping",
    "product image url": "image src",
    "variant image url": "variant image",
}
GRAMS = {"g": "1", "kg": "1000", "oz": "28.349523125", "lb": "453.59237"}
NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,10})?")
BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class Terms(Value, frozen=True, kw_only=True):
    """What such a file does not say: where its prices and stock belong, and its language."""

    price_list: PriceList
    warehouse: str
    locale: Locale


class Row(dict[str, str]):
    """A row of the table by the names of its columns; where a cell is missing, it is empty."""

    def __init__(self, line: int, cells: Iterable[tuple[str, str]] = (), flaw: str = "") -> None:
        super().__init__(cells)
        self.line = line
        self.flaw = flaw

    def __missing__(self, column: str) -> str:
        return ""

    def truth(self, column: str, *, otherwise: bool = True) -> bool:
        """Read a cell that says true or false."""
        text = self[column].lower()
        if text and text not in BOOLEANS:
            raise Wrong(self.line, f"{column} is neither true nor false: {self[column]}")
        return BOOLEANS.get(text, otherwise)

    def number(self, column: str) -> Decimal | None:
        """Read a cell that holds a number; None where it is empty."""
        text = self[column]
        if text and not NUMBER.fullmatch(text):
            raise Wrong(self.line, f"{column} is no number: {text}")
        return Decimal(text) if text else None


def read(lines: Iterable[str], terms: Terms, ids: Ids) -> Iterator[Listing | Refusal]:
    """Read a file line by line, and tell each product, or why it stays out."""
    for rows in _products(_rows(lines)):
        try:
            yield _listing(rows, terms, ids)
        except Wrong as wrong:
            yield wrong.refusal


def _rows(lines: Iterable[str]) -> Iterator[Row]:
    csv.field_size_limit(LONGEST_CELL)
    table = csv.reader(lines, strict=True)
    try:
        names = [name.strip().lower() for name in next(table, [])]
    except csv.Error as error:
        raise Unreadable(reason=f"the first line is no header: {error}") from None
    names = [NEWER_NAMES.get(name, name) for name in names]
    if not {"handle", "title"} <= set(names):
        raise Unreadable(reason="the first line must name the columns Handle and Title")
    while True:
        line = table.line_num + 1
        try:
            cells = list(map(str.strip, next(table)))
        except StopIteration:
            return
        except csv.Error as error:
            yield Row(line, flaw=f"this is no row of a table: {error}")
            continue
        if any(cells):
            row = Row(line, zip(names, cells, strict=False), cannot_be_kept("".join(cells)))
            row.flaw = row.flaw or ("" if row["handle"] else "the row has no handle")
            yield row


def _products(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Put together the rows of each product; a flawed row between two of them is one of them."""
    product: list[Row] = []
    flawed: list[Row] = []
    for row in rows:
        if row.flaw:
            flawed.append(row)
            continue
        if product and row["handle"] == product[0]["handle"]:
            product += [*flawed, row]
        else:
            yield from filter(None, (product, *([one] for one in flawed)))
            product = [row]
        flawed = []
    yield from filter(None, (product, *([one] for one in flawed)))


def _listing(rows: list[Row], terms: Terms, ids: Ids) -> Listing:
    for row in rows:
        if row.flaw:
            raise Wrong(row.line, row.flaw)
    first = rows[0]
    if not first["title"]:
        raise Wrong(first.line, "the product has no title")
    slug = slugify(first["handle"])
    sold = [row for row in rows if _is_variant(row)] or [first]
    names = _option_names(first, sold)
    skus = _skus(slug, sold, names)
    categories = _categories(first, terms.locale)
    product = Product(
        id=ProductId(ids.new()),
        slug=slug,
        title=first["title"],
        state="published" if _is_published(first) else "draft",
        description=first["body (html)"],
        brand=first["vendor"],
        tax_class="standard" if first.truth("variant taxable") else "exempt",
        categories=tuple(category.slug for category in categories[-1:]),
        tags=_distinct(tag.strip() for tag in first["tags"].split(",")),
        options=tuple(
            Option(name=name, values=_distinct(row[column] for row in sold))
            for column, name in names.items()
        ),
        variants=tuple(_variant(row, sku, names) for row, sku in zip(sold, skus, strict=True)),
        pictures=_pictures(rows),
    )
    prices = [_price(row, sku, terms.price_list) for row, sku in zip(sold, skus, strict=True)]
    stock = [_stock(row, sku, terms.warehouse) for row, sku in zip(sold, skus, strict=True)]
    return checked(
        Listing(
            line=first.line,
            lines=tuple(row.line for row in sold),
            product=product,
            prices=tuple(price for price in prices if price),
            stock=tuple(held for held in stock if held),
            categories=categories,
        )
    )


def _is_variant(row: Row) -> bool:
    return bool(row["option1 value"] or row["variant sku"] or row["variant price"])


def _is_published(row: Row) -> bool:
    return row.truth("published") and row["status"].lower() in ("", "active")


def _option_names(first: Row, sold: list[Row]) -> dict[str, str]:
    """Tell the name of the option that each column with values is about."""
    if all(row["option1 value"] in ("", "Default Title") for row in sold):
        return {}
    columns = [(f"option{n} value", first[f"option{n} name"]) for n in (1, 2, 3)]
    for column, name in columns:
        if not name and any(row[column] for row in sold):
            raise Wrong(first.line, f"{column} has no name")
    return {column: name for column, name in columns if name}


def _skus(slug: str, sold: list[Row], names: dict[str, str]) -> list[Sku]:
    """Tell the SKU of each variant; where two would be spelled alike, they get a digest."""
    values = [tuple(row[column] for column in names) for row in sold]
    lines: dict[tuple[str, ...], int] = {}
    for row, told in zip(sold, values, strict=True):
        if (line := lines.setdefault(told, row.line)) != row.line:
            raise Wrong(row.line, f"the same variant is in line {line}")
    spelled = ["-".join([slug, *map(slugify, told)]) for told in values]
    often = Counter(spelled)
    return [
        # An apostrophe keeps spreadsheets from reading digits as a number.
        Sku(row["variant sku"].removeprefix("'") or _spelled(spelling, told, often[spelling]))
        for row, spelling, told in zip(sold, spelled, values, strict=True)
    ]


def _spelled(spelling: str, values: tuple[str, ...], often: int) -> str:
    if often == 1 and len(spelling) <= LONGEST_SKU:
        return spelling
    suffix = digest("\n".join([spelling, *values]))
    return f"{spelling[: LONGEST_SKU - len(suffix) - 1].rstrip('-')}-{suffix}"


def _variant(row: Row, sku: Sku, names: dict[str, str]) -> Variant:
    for column, name in names.items():
        if not row[column]:
            raise Wrong(row.line, f"the variant has no {name}")
    return Variant(
        sku=sku,
        options={name: row[column] for column, name in names.items()},
        barcode=row["variant barcode"].removeprefix("'"),
        weight_grams=_grams(row),
        shippable=row.truth("variant requires shipping"),
    )


def _grams(row: Row) -> int:
    grams = row.number("variant grams")
    if grams is None:
        unit = row["variant weight unit"].lower() or "g"
        if unit not in GRAMS:
            raise Wrong(row.line, f"variant weight unit is unknown: {unit}")
        grams = (row.number("variant weight") or Decimal(0)) * Decimal(GRAMS[unit])
    return round(grams)


def _price(row: Row, sku: Sku, price_list: PriceList) -> Price | None:
    amount = _amount(row, "variant price", price_list.currency)
    before = _amount(row, "variant compare at price", price_list.currency)
    if amount is None:
        return None
    return Price(price_list=price_list.code, sku=sku, amount=amount, compare_at=before or None)


def _amount(row: Row, column: str, currency: str) -> int | None:
    """Read an amount in minor units; one that would have to be rounded is a mistake."""
    major = row.number(column)
    if major is None:
        return None
    minor = major.scaleb(exponent(currency))
    if minor != int(minor) or minor < 0:
        raise Wrong(row.line, f"{column} is no amount in {currency}: {row[column]}")
    return int(minor)


def _stock(row: Row, sku: Sku, warehouse: str) -> Held | None:
    quantity = row.number("variant inventory qty")
    if quantity is None:
        return None
    if quantity != int(quantity):
        raise Wrong(row.line, f"variant inventory qty is no whole number: {quantity}")
    if quantity > MOST_UNITS:
        raise Wrong(row.line, f"variant inventory qty is more than {MOST_UNITS}")
    return Held(sku=sku, warehouse=warehouse, quantity=max(int(quantity), 0))


def _categories(row: Row, locale: Locale) -> tuple[Category, ...]:
    """Tell the way through the tree to where a product belongs."""
    path = [row["type"]] if row["type"] else row["product category"].split(">")
    titles = {slugify(title): title.strip() for title in path if title.strip()}
    parents = dict(pairwise(reversed(titles)))
    return tuple(
        Category(slug=slug, title={locale: title}, parent=parents.get(slug))
        for slug, title in titles.items()
    )


def _pictures(rows: list[Row]) -> tuple[Picture, ...]:
    """Put pictures into their order, those of variants at the end, and each of them once."""
    placed = [(row.number("image position"), row) for row in rows if row["image src"]]
    if all(position is not None for position, _ in placed):
        placed.sort(key=lambda place: place[0] or 0)
    told = [(row["image src"], row["image alt text"]) for _, row in placed]
    told += [(row["variant image"], "") for row in rows if row["variant image"]]
    pictures: dict[str, str] = {}
    for address, alt in told:
        pictures.setdefault(address.replace(" ", "%20"), alt)
    return tuple(Picture(url=url, alt=alt) for url, alt in pictures.items())


def _distinct(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for word in words if word))

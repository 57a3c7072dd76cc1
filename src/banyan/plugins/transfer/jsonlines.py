"""Reads and writes products as JSON Lines, in Banyan's own shape: one product a line.

    {"slug": "shirt", "title": "Shirt", "state": "published", "categories": ["shirts"],
     "options": [{"name": "Size", "values": ["S", "M"]}],
     "variants": [
       {"sku": "shirt-s", "options": {"Size": "S"},
        "prices": [{"price_list": "eu-base", "amount": 1999, "compare_at": 2499}],
        "stock": [{"warehouse": "main", "on_hand": 12}]},
       {"sku": "shirt-m", "options": {"Size": "M"}}],
     "translations": {"de": {"title": "Hemd", "words": {"Size": "Größe"}}},
     "category_definitions": [
       {"slug": "clothes", "title": {"en": "Clothes"}},
       {"slug": "shirts", "title": {"en": "Shirts", "de": "Hemden"}, "parent": "clothes"}],
     "attribute_definitions": []}

A line has the fields of a product as the catalog has it; `slug` and `title` are obligatory. Amounts
are in minor units of the price list's currency. `id` is only looked at where the slug is new.
Definitions, parents first, are made if they are missing; what the shop has stays as it is. A field
that is not known is a mistake.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta, structs

from banyan.kernel.contract import Value
from banyan.kernel.ids import Ids
from banyan.modules.catalog.contract import (
    Attribute,
    Category,
    Product,
    ProductDetails,
    ProductState,
    Slug,
    Variant,
)
from banyan.modules.inventory.contract import Held, Level
from banyan.modules.pricing.contract import Amount, Price
from banyan.plugins.transfer.listing import (
    MOST_UNITS,
    Listing,
    Refusal,
    Wrong,
    cannot_be_kept,
)
from banyan.vocabulary import ProductId, Sku


class PriceLine(Value, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a variant costs on a price list."""

    price_list: Slug
    amount: Amount
    compare_at: Amount | None = None


class StockLine(Value, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many units of a variant are in a warehouse."""

    warehouse: Slug
    on_hand: Annotated[int, Meta(ge=0, le=MOST_UNITS)]


class VariantLine(
    Variant, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """A variant with its prices and stock."""

    prices: tuple[PriceLine, ...] = ()
    stock: tuple[StockLine, ...] = ()


class ProductLine(
    ProductDetails, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """A line of the file."""

    id: ProductId | None = None
    state: ProductState = "draft"
    variants: tuple[VariantLine, ...] = ()
    category_definitions: tuple[Category, ...] = ()
    attribute_definitions: tuple[Attribute, ...] = ()


class Shop(Value, frozen=True, kw_only=True):
    """What a product refers to, or what refers to it."""

    categories: dict[str, Category]
    attributes: dict[str, Attribute]
    prices: dict[Sku, list[Price]]
    stock: dict[Sku, list[Level]]


_line = msgspec.json.Decoder(ProductLine).decode


def read(lines: Iterable[str], ids: Ids) -> Iterator[Listing | Refusal]:
    """Read a file line by line, and tell each product, or why it stays out.

    Who has no id in the file gets a new one.
    """
    for number, line in enumerate(lines, start=1):
        # Escaped backslashes are left out: a text about \\u0000 does not contain the character.
        flaw = cannot_be_kept(line.replace(r"\\", "").replace(r"\u0000", "\0"))
        if flaw:
            yield Refusal(line=number, reason=flaw)
        elif line.strip():
            try:
                yield _listing(number, _line(line), ids)
            except (msgspec.DecodeError, Wrong) as wrong:
                yield Refusal(line=number, reason=str(wrong))


def _listing(number: int, line: ProductLine, ids: Ids) -> Listing:
    for variant in line.variants:
        if len({price.price_list for price in variant.prices}) < len(variant.prices):
            raise Wrong(number, f"{variant.sku} has two prices on one list")
        if len({level.warehouse for level in variant.stock}) < len(variant.stock):
            raise Wrong(number, f"{variant.sku} is in one warehouse twice")
    said = _said(ProductDetails, line)
    said["variants"] = tuple(Variant(**_said(Variant, variant)) for variant in line.variants)
    return Listing(
        line=number,
        product=Product(id=line.id or ProductId(ids.new()), state=line.state, **said),
        prices=tuple(
            Price(
                price_list=price.price_list,
                sku=variant.sku,
                amount=price.amount,
                compare_at=price.compare_at,
            )
            for variant in line.variants
            for price in variant.prices
        ),
        stock=tuple(
            Held(sku=variant.sku, warehouse=level.warehouse, quantity=level.on_hand)
            for variant in line.variants
            for level in variant.stock
        ),
        categories=line.category_definitions,
        attributes=line.attribute_definitions,
    )


def _said(kind: type[Value], line: Value) -> dict[str, Any]:
    """Take what a kind of value says out of a line that says more, and was checked as a whole."""
    return {name: getattr(line, name) for name in kind.__struct_fields__}


def write(product: Product, shop: Shop) -> bytes:
    """Write a product as a line from which the very same is read."""
    line = msgspec.convert(product, ProductLine, from_attributes=True)
    categories = {c.slug: c for slug in product.categories for c in _way(slug, shop.categories)}
    line = structs.replace(
        line,
        variants=tuple(_variant(variant, shop) for variant in line.variants),
        category_definitions=tuple(
            structs.replace(category, version=0) for category in categories.values()
        ),
        attribute_definitions=tuple(
            structs.replace(shop.attributes[code], version=0)
            for code in product.attributes
            if code in shop.attributes
        ),
    )
    return msgspec.json.encode(line) + b"\n"


def _variant(variant: VariantLine, shop: Shop) -> VariantLine:
    prices, stock = shop.prices.get(variant.sku, ()), shop.stock.get(variant.sku, ())
    return structs.replace(
        variant,
        prices=tuple(msgspec.convert(one, PriceLine, from_attributes=True) for one in prices),
        stock=tuple(msgspec.convert(one, StockLine, from_attributes=True) for one in stock),
    )


def _way(slug: str | None, tree: Mapping[str, Category]) -> tuple[Category, ...]:
    """Tell the way from the root of the tree to a category."""
    category = tree.get(slug) if slug else None
    return (*_way(category.parent, tree), category) if category else ()

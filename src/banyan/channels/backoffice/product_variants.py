"""The variants of a product, and the options by which shoppers choose among them."""

from __future__ import annotations

import re
from dataclasses import replace as changed
from itertools import product as combined
from typing import Annotated, Any

from msgspec import Meta
from msgspec.structs import replace

from banyan.channels.backoffice.product_details import lines, words
from banyan.channels.backoffice.product_parts import PRODUCT, ProductPart
from banyan.channels.backoffice.sheet import Sheet
from banyan.kernel.contract import Value
from banyan.kernel.form import Form
from banyan.modules.catalog.contract import Option, Product, Variant, Word
from banyan.vocabulary import SkuText

MOST_COMBINED = 200
"""More rows than this are imported, not typed."""


class OptionRow(Value, frozen=True, kw_only=True):
    """An option with a value in each line; by its `key`, variants know it while it is renamed."""

    key: str
    name: Word
    values: Annotated[str, Meta(min_length=1)]


class VariantRow(Value, frozen=True, kw_only=True):
    """A variant; `picks` are its values by the keys of the options."""

    sku: SkuText
    picks: dict[str, str] = {}  # noqa: RUF012 - a value is never changed
    barcode: Annotated[str, Meta(max_length=50)] = ""
    weight_grams: Annotated[int, Meta(ge=0, le=10**9)] = 0
    shippable: bool = False


class Variants(Value, frozen=True, kw_only=True):
    """The options and variants of a product."""

    options: tuple[OptionRow, ...] = ()
    variants: tuple[VariantRow, ...] = ()


class ProductVariantsPage(ProductPart):
    """What of a product can be bought."""

    path = f"{PRODUCT}/variants"
    template = "product_variants.html"
    kind = Variants

    def part(self, product: Product) -> Variants:
        """Take options and variants out of a product."""
        keys = {option.name: f"o{number}" for number, option in enumerate(product.options)}
        return Variants(
            options=tuple(
                OptionRow(key=keys[one.name], name=one.name, values="\n".join(one.values))
                for one in product.options
            ),
            variants=tuple(
                VariantRow(
                    sku=one.sku,
                    picks={keys[name]: value for name, value in one.options.items()},
                    barcode=one.barcode,
                    weight_grams=one.weight_grams,
                    shippable=one.shippable,
                )
                for one in product.variants
            ),
        )

    async def merged(self, product: Product, part: Variants) -> Product:
        """Put options and variants back."""
        names = {option.key: option.name for option in part.options}
        return replace(
            product,
            options=tuple(
                Option(name=option.name, values=lines(option.values)) for option in part.options
            ),
            variants=tuple(
                Variant(
                    sku=row.sku,
                    options={names[key]: value for key, value in row.picks.items() if key in names},
                    barcode=row.barcode,
                    weight_grams=row.weight_grams,
                    shippable=row.shippable,
                )
                for row in part.variants
            ),
        )

    def rearranged(self, told: Form[Any], wish: str) -> Sheet[Any]:
        """Show a row more or less, or all combinations of the options that are missing."""
        if wish == "combine":
            return super().rearranged(combine(told), "")
        sheet = super().rearranged(told, wish)
        if wish != "add options":
            return sheet
        row = sheet.form.rows("options")[-1]
        said = {**sheet.form.said, f"{row}.key": [self.ids.new().hex]}
        return changed(sheet, form=changed(sheet.form, said=said))

    def place(self, told: Form[Any], name: str) -> str:
        """Find the field of a variant's value, or of the SKU that is taken."""
        if found := re.fullmatch(r"(variants\.\d+)\.options\.(.+)", name):
            keys = {option[1]: option[0] for option in options_of(told)}
            return f"{found[1]}.picks.{keys.get(found[2], '')}"
        return name

    async def around(self, product: Product, sheet: Sheet[Any]) -> dict[str, Any]:  # noqa: ARG002
        """Tell the options as they are typed, and how many combinations have no variant."""
        options = [(key, name, words(values)) for key, name, values in options_of(sheet.form)]
        return {"options": options, "missing": len(_missing(sheet.form))}


def options_of(told: Form[Any]) -> list[tuple[str, str, tuple[str, ...]]]:
    """List the options that are typed so far: key, name and values."""
    return [
        (told.text(f"{row}.key"), told.text(f"{row}.name"), lines(told.text(f"{row}.values")))
        for row in told.rows("options")
        if told.text(f"{row}.name") and lines(told.text(f"{row}.values"))
    ]


def combine(told: Form[Any]) -> Form[Any]:
    """Add a row for each combination that has no variant, with a SKU made of its values."""
    said = dict(told.said)
    first = len(told.rows("variants"))
    stem = _stem(told)
    keys = [key for key, _, _ in options_of(told)]
    for number, picks in enumerate(_missing(told)[:MOST_COMBINED], start=first):
        sku = "-".join([stem, *(_short(pick) for pick in picks)])
        said |= {f"variants.{number}.sku": [sku], f"variants.{number}.shippable": ["on"]}
        said |= {
            f"variants.{number}.picks.{key}": [pick] for key, pick in zip(keys, picks, strict=True)
        }
    return changed(told, said=said)


def _missing(told: Form[Any]) -> list[tuple[str, ...]]:
    options = options_of(told)
    size = 1
    for _, _, values in options:
        size *= len(values)
    if not options or size > MOST_COMBINED:
        return []
    there = {
        tuple(told.text(f"{row}.picks.{key}") for key, _, _ in options)
        for row in told.rows("variants")
    }
    return [
        picks for picks in combined(*(values for _, _, values in options)) if picks not in there
    ]


def _stem(told: Form[Any]) -> str:
    """Take what the SKUs so far begin with, up to a hyphen."""
    skus = [told.text(f"{row}.sku") for row in told.rows("variants")]
    return next((sku.split("-")[0] for sku in skus if sku), "SKU")


def _short(text: str) -> str:
    return re.sub(r"[^A-Z0-9]+", "", text.upper())[:12] or "X"


routes = [ProductVariantsPage]

"""Banyan's own product files say all that there is to say, and are read strictly."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from banyan.kernel.ids import SeededIds
from banyan.modules.catalog.contract import Product
from banyan.modules.inventory.contract import Held, Level
from banyan.modules.pricing.contract import Price
from banyan.plugins.transfer.jsonlines import Shop, read, write
from banyan.plugins.transfer.listing import Listing, Refusal
from tests.modules.catalog.examples import CLOTHES, GERMAN_MATERIAL, GERMAN_SHIRT, SHIRT, SHIRTS

NOTHING = Shop(categories={}, attributes={}, prices={}, stock={})
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


def listings(text: str) -> list[Listing | Refusal]:
    return list(read(io.StringIO(text, newline=""), SeededIds()))


def only(text: str) -> Listing:
    (listing,) = listings(text)
    assert isinstance(listing, Listing), listing
    return listing


def variant(field: str) -> str:
    return f'{{"slug": "x", "title": "X", "variants": [{{"sku": "x", {field}}}]}}'


def test_a_short_line_is_enough() -> None:
    first, second = (only('{"slug": "lamp", "title": "Lamp"}') for _ in range(2))

    assert first == second
    assert first.product == Product(id=first.product.id, slug="lamp", title="Lamp")


def test_a_line_says_everything_about_a_product() -> None:
    product = replace(
        GERMAN_SHIRT,
        state="published",
        categories=("shirts",),
        attributes={"material": "linen"},
        version=7,
    )
    sku = product.variants[0].sku
    price = Price(price_list="base", sku=sku, amount=1999, compare_at=2499)
    level = Level(sku=sku, warehouse="main", on_hand=5, reserved=2, available=3)
    shop = Shop(
        categories={"clothes": replace(CLOTHES, version=3), "shirts": replace(SHIRTS, version=1)},
        attributes={"material": replace(GERMAN_MATERIAL, version=2)},
        prices={sku: [price]},
        stock={sku: [level]},
    )

    listing = only(write(product, shop).decode())

    assert listing.product == replace(product, version=0)
    assert listing.prices == (price,)
    assert listing.stock == (Held(sku=sku, warehouse="main", quantity=5),)
    assert listing.categories == (CLOTHES, SHIRTS)
    assert listing.attributes == (GERMAN_MATERIAL,)


@given(
    title=TEXT.filter(bool),
    description=TEXT,
    alt=TEXT,
    number=st.floats(allow_nan=False, allow_infinity=False),
)
def test_what_is_written_is_read_again(
    title: str, description: str, alt: str, number: float
) -> None:
    product = replace(
        SHIRT,
        title=title,
        description=description,
        attributes={"number": number, "text": alt, "truth": True},
    )

    text = write(product, NOTHING).decode()

    assert text.count("\n") == 1
    assert only(text).product == product


def test_an_id_is_kept() -> None:
    written = write(SHIRT, NOTHING).decode()

    assert only(written).product.id == SHIRT.id


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "truncated"),
        ("[]", "object"),
        ('{"slug": "x"}', "title"),
        ('{"slug": "Not a slug", "title": "X"}', "regex"),
        ('{"slug": "x", "title": "X", "colour": "red"}', "colour"),
        (variant('"prices": [{"amount": 1}]'), "price_list"),
        (variant('"prices": [{"price_list": "b", "amount": -1}]'), ">= 0"),
        (variant('"stock": [{"warehouse": "m", "on_hand": 1.5}]'), "int"),
        (variant('"stock": [{"warehouse": "m", "on_hand": -1}]'), ">= 0"),
        (variant('"colour": "red"'), "colour"),
        ('{"slug": "x", "title": "a\\u0000b"}', "NUL"),
        ('{"slug": "x", "title": "a\udcffb"}', "UTF-8"),
    ],
)
def test_what_cannot_be_understood_is_told_with_its_line(line: str, reason: str) -> None:
    good, bad = listings(f'{{"slug": "a", "title": "A"}}\n\n{line}\n')

    assert isinstance(good, Listing)
    assert isinstance(bad, Refusal)
    assert bad.line == 3
    assert reason in bad.reason


def test_a_text_about_an_escape_is_not_the_escape() -> None:
    line = json.dumps({"slug": "x", "title": r"about \u0000"})

    assert only(line).product.title == r"about \u0000"

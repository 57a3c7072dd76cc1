"""Shopify's product files are understood, real ones and odd ones."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import pytest

from banyan.kernel.ids import SeededIds
from banyan.modules.catalog.contract import Category, Option, Picture
from banyan.modules.pricing.contract import Price, PriceList
from banyan.plugins.transfer.listing import Listing, Refusal, Unreadable
from banyan.plugins.transfer.shopify import Terms, read
from banyan.vocabulary import Locale, MarketCode, Sku

REAL = Path(__file__).parents[3] / "shared" / "data" / "shopify"
EN = Locale("en")
HEADER = (
    "Handle,Title,Body (HTML),Type,Tags,Published,Option1 Name,Option1 Value,Option2 Name,"
    "Option2 Value,Variant SKU,Variant Grams,Variant Inventory Qty,Variant Price,"
    "Variant Compare At Price,Image Src,Image Position,Status"
)


def terms(currency: str = "EUR") -> Terms:
    base = PriceList(code="base", market=MarketCode("eu"), currency=currency)
    return Terms(price_list=base, warehouse="main", locale=EN)


def told(*rows: str, header: str = HEADER, currency: str = "EUR") -> list[Listing | Refusal]:
    text = "\n".join([header, *rows])
    return list(read(io.StringIO(text, newline=""), terms(currency), SeededIds()))


def row(handle: str, title: str = "", **cells: str) -> str:
    """Write a row with some cells, named in lower case and with underscores."""
    known = {"handle": handle, "title": title, **cells}
    names = [name.lower().replace(" (html)", "").replace(" ", "_") for name in HEADER.split(",")]
    assert set(known) <= set(names), set(known) - set(names)
    return ",".join('"' + known.get(name, "").replace('"', '""') + '"' for name in names)


def only(found: Iterable[Listing | Refusal]) -> Listing:
    (listing,) = found
    assert isinstance(listing, Listing), listing
    return listing


def refused(found: Iterable[Listing | Refusal]) -> Refusal:
    (refusal,) = found
    assert isinstance(refusal, Refusal), refusal
    return refusal


@pytest.mark.skipif(not REAL.is_dir(), reason="the real files are not at hand")
@pytest.mark.parametrize(
    ("name", "products", "variants", "pictures", "categories"),
    [
        ("apparel", 20, 22, 20, set()),
        ("home-and-garden", 20, 21, 21, {"indoor", "outdoor"}),
        ("jewelery", 20, 23, 41, {"bracelet", "earrings", "necklace"}),
    ],
)
def test_a_real_file_is_understood(
    name: str, products: int, variants: int, pictures: int, categories: set[str]
) -> None:
    with (REAL / f"{name}.csv").open(encoding="utf-8-sig", newline="") as file:
        found = [one for one in read(file, terms(), SeededIds()) if isinstance(one, Listing)]

    assert len(found) == products
    assert sum(len(one.product.variants) for one in found) == variants
    assert sum(len(one.product.pictures) for one in found) == pictures
    assert sum(len(one.prices) for one in found) == variants
    assert {c for one in found for c in one.product.categories} == categories
    assert {one.product.state for one in found} == {"published"}


@pytest.mark.skipif(not REAL.is_dir(), reason="the real files are not at hand")
def test_a_real_product_is_understood_in_all_its_rows() -> None:
    with (REAL / "jewelery.csv").open(encoding="utf-8-sig", newline="") as file:
        found = {
            one.product.slug: one
            for one in read(file, terms(), SeededIds())
            if isinstance(one, Listing)
        }

    gem, anchor, earrings = found["gemstone"], found["leather-anchor"], found["boho-earrings"]

    assert gem.product.options == (Option(name="Colour", values=("Blue", "Purple")),)
    assert [variant.sku for variant in gem.product.variants] == ["gemstone-blue", "gemstone-purple"]
    assert gem.product.description.endswith("<li>Made in USA</li>\n</ul>")
    assert len(gem.product.pictures) == 4
    assert gem.product.tags == ("Blue", "Gem", "Purple", "Silver", "Turquoise")
    assert gem.lines == (29, 36)
    assert [(price.amount, price.compare_at) for price in anchor.prices] == [
        (6999, 8500),
        (5500, 8500),
    ]
    assert [held.quantity for held in anchor.stock] == [1, 0]
    assert earrings.product.variants[0].weight_grams == 28
    assert earrings.product.options == ()


def test_a_default_title_is_no_option() -> None:
    listing = only(told(row("lamp", "Lamp", option1_name="Title", option1_value="Default Title")))

    assert listing.product.options == ()
    assert [(v.sku, v.options) for v in listing.product.variants] == [("lamp", {})]


def test_rows_that_follow_add_variants_and_pictures() -> None:
    listing = only(
        told(
            row(
                "lamp",
                "Lamp",
                option1_name="Size",
                option1_value="S",
                image_src="https://a/2.jpg",
                image_position="2",
            ),
            row("lamp", option1_value="M", variant_price="5"),
            row("lamp", image_src="https://a/1.jpg", image_position="1"),
        )
    )

    assert listing.product.options == (Option(name="Size", values=("S", "M")),)
    assert [variant.options for variant in listing.product.variants] == [
        {"Size": "S"},
        {"Size": "M"},
    ]
    assert listing.product.pictures == (
        Picture(url="https://a/1.jpg"),
        Picture(url="https://a/2.jpg"),
    )
    assert listing.lines == (2, 3)
    assert listing.prices == (Price(price_list="base", sku=Sku("lamp-m"), amount=500),)


def test_a_variant_without_a_sku_gets_the_same_one_in_every_run() -> None:
    rows = [
        row("glasses", "Glasses", option1_name="Power", option1_value="+1.00"),
        row("glasses", option1_value="-1.00"),
        row("glasses", option1_value="読"),
        row("glasses", option1_value="0", variant_sku="'0815"),
    ]

    first, second = only(told(*rows)), only(told(rows[0], *reversed(rows[1:])))

    skus = {variant.options["Power"]: variant.sku for variant in first.product.variants}
    assert len(set(skus.values())) == 4
    assert skus["0"] == "0815"
    assert all(sku.startswith("glasses-") for power, sku in skus.items() if power != "0")
    assert skus == {variant.options["Power"]: variant.sku for variant in second.product.variants}


def test_a_long_handle_makes_no_sku_that_is_too_long() -> None:
    listing = only(told(row("x" * 180, "Long")))

    assert len(listing.product.variants[0].sku) <= 100


@pytest.mark.parametrize(
    ("handle", "slug"),
    [("Blue_Lamp", "blue-lamp"), ("café--crème-", "cafe-creme"), ("straße", "strasse")],
)
def test_a_handle_becomes_a_slug(handle: str, slug: str) -> None:
    assert only(told(row(handle, "Lamp"))).product.slug == slug


def test_handles_without_latin_letters_stay_apart() -> None:
    one, other = told(row("灯", "Lamp"), row("机", "Desk"))

    assert isinstance(one, Listing)
    assert isinstance(other, Listing)
    assert one.product.slug != other.product.slug


@pytest.mark.parametrize(
    ("published", "status", "state"),
    [
        ("true", "", "published"),
        ("TRUE", "active", "published"),
        ("", "", "published"),
        ("false", "active", "draft"),
        ("true", "draft", "draft"),
        ("true", "archived", "draft"),
    ],
)
def test_what_is_sold_online_is_published(published: str, status: str, state: str) -> None:
    assert only(told(row("x", "X", published=published, status=status))).product.state == state


@pytest.mark.parametrize(
    ("currency", "price", "amount"),
    [("EUR", "19.99", 1999), ("EUR", "20", 2000), ("JPY", "500.00", 500), ("BHD", "1.234", 1234)],
)
def test_a_price_is_in_the_currency_of_its_list(currency: str, price: str, amount: int) -> None:
    (told_price,) = only(told(row("x", "X", variant_price=price), currency=currency)).prices

    assert told_price.amount == amount


def test_nothing_to_compare_with_and_nothing_in_stock_are_just_that() -> None:
    listing = only(
        told(
            row(
                "x",
                "X",
                variant_price="9",
                variant_compare_at_price="0.00",
                variant_inventory_qty="-3",
            )
        )
    )

    assert listing.prices[0].compare_at is None
    assert listing.stock[0].quantity == 0


def test_a_product_category_is_a_way_through_the_tree() -> None:
    listing = only(
        told(
            "ring,Ring,Apparel & Accessories > Jewelry > Rings",
            header="Handle,Title,Product Category",
        )
    )

    assert listing.product.categories == ("rings",)
    assert [(c.slug, c.parent) for c in listing.categories] == [
        ("apparel-accessories", None),
        ("jewelry", "apparel-accessories"),
        ("rings", "jewelry"),
    ]


def test_a_type_is_the_category_itself() -> None:
    listing = only(told(row("x", "X", type="Floor Lamps")))

    assert listing.categories == (Category(slug="floor-lamps", title={EN: "Floor Lamps"}),)


def test_the_newer_names_of_the_columns_are_understood() -> None:
    listing = only(
        told(
            "Lamp,lamp,<p>Light</p>,TRUE,Active,L-1,4006381333931,Size,S,12.50,15,7,900,FALSE,https://a/1.jpg",
            header=(
                "Title,URL handle,Description,Published on online store,Status,SKU,Barcode,"
                "Option1 name,Option1 value,Price,Compare-at price,Inventory quantity,"
                "Weight value (grams),Requires shipping,Product image URL"
            ),
        )
    )

    (variant,) = listing.product.variants
    assert listing.product.description == "<p>Light</p>"
    assert (variant.sku, variant.barcode, variant.weight_grams) == ("L-1", "4006381333931", 900)
    assert not variant.shippable
    assert (listing.prices[0].amount, listing.prices[0].compare_at) == (1250, 1500)
    assert listing.stock[0].quantity == 7
    assert listing.product.pictures == (Picture(url="https://a/1.jpg"),)


def test_a_weight_may_have_a_unit() -> None:
    header = "Handle,Title,Variant Weight,Variant Weight Unit"

    ounce, pound = told("a,A,1,oz", "b,B,2,lb", header=header)

    assert isinstance(ounce, Listing)
    assert isinstance(pound, Listing)
    assert ounce.product.variants[0].weight_grams == 28
    assert pound.product.variants[0].weight_grams == 907


def test_what_is_not_taxable_is_exempt() -> None:
    listing = only(told("a,A,false", header="Handle,Title,Variant Taxable"))

    assert listing.product.tax_class == "exempt"


def test_quotes_line_breaks_and_blank_lines_do_not_matter() -> None:
    listing = only(told("", row("x", "X", body='<b>12" wide,\nred</b>'), "", ",,,"))

    assert listing.product.description == '<b>12" wide,\nred</b>'


@pytest.mark.parametrize(
    ("rows", "line", "reason"),
    [
        ([row("x")], 2, "no title"),
        ([row("", "X")], 2, "no handle"),
        ([row("x", "X", variant_price="12,50")], 2, "no number"),
        ([row("x", "X", variant_price="-1")], 2, "no amount in EUR"),
        ([row("x", "X", variant_price="0.999")], 2, "no amount in EUR"),
        ([row("x", "X", variant_grams="heavy")], 2, "no number"),
        ([row("x", "X", variant_inventory_qty="1.5")], 2, "no whole number"),
        ([row("x", "X", variant_inventory_qty="1000000001")], 2, "more than 1000000000"),
        ([row("x", "X", published="maybe")], 2, "neither true nor false"),
        ([row("x", "X", option1_value="S")], 2, "has no name"),
        ([row("x", "X", image_src="ftp://a/b")], 2, "regex"),
        ([row("x", "X" * 301)], 2, "length"),
        ([row("x", "X\0")], 2, "NUL"),
        ([row("x", "\udcff")], 2, "UTF-8"),
        (
            [
                row("x", "X\n", option1_name="Size", option1_value="S"),
                row("x", option1_value="M", variant_price="free"),
            ],
            4,
            "no number",
        ),
        (
            [
                row("x", "X", option1_name="Size", option1_value="S", option2_name="Color"),
            ],
            2,
            "no Color",
        ),
        (
            [
                row("x", "X", option1_name="Size", option1_value="S"),
                row("x", option1_value="M", variant_sku="a" * 101),
            ],
            3,
            "length",
        ),
        (
            [
                row("x", "X", option1_name="Size", option1_value="S"),
                'x,"a"b,',
                row("x", option1_value="M"),
            ],
            3,
            "no row",
        ),
    ],
)
def test_what_cannot_be_understood_is_told_with_its_line(
    rows: list[str], line: int, reason: str
) -> None:
    refusal = refused(told(*rows))

    assert refusal.line == line
    assert reason in refusal.reason


def test_a_bad_row_keeps_only_its_own_product_out() -> None:
    found = told(
        row("a", "A"),
        'b,"B"x,',
        row("c", "C"),
        row("d", "D", variant_price="cheap"),
        row("e", "E"),
    )

    assert [one.line for one in found if isinstance(one, Refusal)] == [3, 5]
    assert [one.product.slug for one in found if isinstance(one, Listing)] == ["a", "c", "e"]


def test_a_quote_that_never_ends_is_told_where_it_begins() -> None:
    good, bad = told(row("a", "A"), 'b,"B', row("c", "C").replace('"', ""))

    assert isinstance(good, Listing)
    assert isinstance(bad, Refusal)
    assert bad.line == 3


@pytest.mark.parametrize("header", ["", "Name,Price", '"Handle'])
def test_a_file_without_a_header_is_not_read(header: str) -> None:
    with pytest.raises(Unreadable):
        told(header=header)


def test_a_file_is_read_as_it_is_needed() -> None:
    lines = iter([HEADER + "\n", row("a", "A") + "\n", row("b", "B") + "\n", "never read"])

    first = next(read(lines, terms(), SeededIds()))

    assert isinstance(first, Listing)
    assert list(lines) == ["never read"]

"""The rules of the catalog."""

from __future__ import annotations

from itertools import product as combinations
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from banyan.modules.catalog import model
from banyan.modules.catalog.contract import (
    AttributeKind,
    Category,
    InvalidAttribute,
    InvalidCategory,
    InvalidProduct,
    Option,
    Picture,
    Product,
    ProductPublished,
    ProductState,
    ProductText,
    Slug,
    StaleProduct,
    Variant,
)
from banyan.vocabulary import Locale, Sku
from tests.modules.catalog.examples import CLOTHES, DE, EN, MATERIAL, SHIRT, SHIRTS

WORDS = st.text(alphabet="abcdefgh", min_size=1, max_size=3)


@st.composite
def products(draw: st.DrawFn) -> Product:
    """Draw a product that sells some of the combinations of its options."""
    names = draw(st.lists(WORDS, unique=True, max_size=3))
    options = tuple(
        Option(name=name, values=tuple(draw(st.lists(WORDS, unique=True, min_size=1, max_size=3))))
        for name in names
    )
    picks = list(combinations(*(option.values for option in options)))
    chosen = draw(st.lists(st.sampled_from(picks), unique=True, min_size=1))
    variants = tuple(
        Variant(sku=Sku(f"sku-{number}"), options=dict(zip(names, pick, strict=True)))
        for number, pick in enumerate(chosen)
    )
    return replace(SHIRT, options=options, variants=variants)


@given(products())
def test_a_product_with_distinct_picks_of_its_options_is_fine(product: Product) -> None:
    assert model.tidy([product]) == (product,)


@given(products(), st.data())
def test_a_variant_picks_exactly_one_value_of_each_option(
    product: Product, data: st.DataObject
) -> None:
    number = data.draw(st.integers(0, len(product.variants) - 1))
    wrong = dict(product.variants[number].options)
    name = data.draw(st.sampled_from([*wrong, "unheard of"]))
    if name in wrong and data.draw(st.booleans()):
        del wrong[name]
    else:
        wrong[name] = "unheard of"
    variants = list(product.variants)
    variants[number] = replace(variants[number], options=wrong)

    with pytest.raises(InvalidProduct) as refused:
        model.tidy([replace(product, variants=tuple(variants))])

    assert refused.value.pointer == model.pointer("variants", number, "options", name)
    assert refused.value.product == product.id


@given(products())
def test_no_two_variants_pick_the_same(product: Product) -> None:
    twin = replace(product.variants[0], sku=Sku("another"))

    with pytest.raises(InvalidProduct) as refused:
        model.tidy([replace(product, variants=(*product.variants, twin))])

    assert refused.value.pointer == f"/variants/{len(product.variants)}/options"


def test_no_two_variants_have_the_same_sku() -> None:
    small, medium = SHIRT.variants

    with pytest.raises(InvalidProduct) as refused:
        model.tidy([replace(SHIRT, variants=(small, replace(medium, sku=small.sku)))])

    assert refused.value.pointer == "/variants/1/sku"


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"options": (Option(name="Size", values=("S", "M", "S")),)}, "/options/0/values"),
        ({"options": (Option(name="Size", values=()),), "variants": ()}, "/options/0/values"),
        ({"options": SHIRT.options * 2}, "/options"),
        ({"tags": ("new", "new")}, "/tags"),
        ({"categories": ("shirts", "shirts")}, "/categories"),
        ({"description": "&" * 10_000}, "/description"),
        (
            {"translations": {DE: ProductText(description="<p>" * 9_000)}},
            "/translations/de/description",
        ),
        ({"variants": SHIRT.variants[:1] * 2_001}, "/variants"),
    ],
)
def test_a_contradiction_is_told_by_its_place(wrong: dict[str, object], pointer: str) -> None:
    with pytest.raises(InvalidProduct) as refused:
        model.tidy([replace(SHIRT, **wrong)])

    assert refused.value.pointer == pointer


def test_a_product_says_its_words_in_other_languages() -> None:
    said = {"Size": "Größe", "S": "klein", "M": "mittel", "A shirt": "Ein Hemd", "linen": "Leinen"}
    product = replace(
        SHIRT, attributes={"fabric": "linen"}, translations={DE: ProductText(words=said)}
    )

    assert model.tidy([product]) == (product,)


@pytest.mark.parametrize(
    ("words", "pointer"),
    [
        ({"Sise": "Größe"}, "/translations/de/words/Sise"),
        ({"Shirt": "Hemd"}, "/translations/de/words/Shirt"),
        ({"S": ""}, "/translations/de/words/S"),
        ({"S": "M"}, "/translations/de/words"),
        ({"S": "eins", "M": "eins"}, "/translations/de/words"),
    ],
)
def test_a_word_is_the_products_own_and_says_one_thing(words: dict[str, str], pointer: str) -> None:
    with pytest.raises(InvalidProduct) as refused:
        model.tidy([replace(SHIRT, translations={DE: ProductText(words=words)})])

    assert refused.value.pointer == pointer


def test_a_dialect_says_nothing_that_its_language_says_of_something_else() -> None:
    german = ProductText(words={"S": "klein", "M": "mittel"})
    swiss = ProductText(words={"M": "klein"})

    with pytest.raises(InvalidProduct) as refused:
        model.tidy([replace(SHIRT, translations={Locale("de-CH"): swiss, DE: german})])

    assert refused.value.pointer == "/translations/de-CH/words"


def test_a_batch_is_bounded_and_names_nobody_twice() -> None:
    with pytest.raises(InvalidProduct, match="1000"):
        model.tidy([SHIRT] * 1001)
    with pytest.raises(InvalidProduct, match="twice"):
        model.tidy([SHIRT, SHIRT])


def test_a_save_without_a_change_keeps_the_version() -> None:
    before = replace(SHIRT, version=7, attributes={"length": 2.0})

    after = model.revise(before, replace(before, version=0, attributes={"length": 2}), expected=7)

    assert after is before


def test_each_change_is_one_version() -> None:
    first = model.revise(None, replace(SHIRT, version=40), expected=None)
    second = model.revise(first, replace(SHIRT, title="Other"), expected=1)

    assert (first.version, second.version) == (1, 2)


@pytest.mark.parametrize("expected", [0, 6, 8])
def test_a_change_of_an_outdated_version_is_refused(expected: int) -> None:
    with pytest.raises(StaleProduct) as refused:
        model.revise(replace(SHIRT, version=7), SHIRT, expected=expected)

    assert refused.value.version == 7


STATES: tuple[ProductState, ...] = ("draft", "published", "retired")


@given(st.sampled_from(STATES[:2]), st.sampled_from(STATES))
def test_a_state_goes_forward_only(before: ProductState, wanted: ProductState) -> None:
    after = model.revise(
        replace(SHIRT, version=1, state=before), replace(SHIRT, state=wanted), expected=None
    )

    assert after.state == max(before, wanted, key=STATES.index)


def test_what_is_retired_does_not_change() -> None:
    retired = replace(SHIRT, version=3, state="retired")

    with pytest.raises(InvalidProduct):
        model.revise(retired, replace(SHIRT, title="Other"), expected=None)
    with pytest.raises(InvalidProduct):
        model.advance(retired, "published", expected=None)
    assert model.revise(retired, SHIRT, expected=None) is retired
    assert model.advance(retired, "retired", expected=3) is retired


def test_what_shoppers_see_can_be_bought() -> None:
    empty = replace(SHIRT, options=(), variants=())
    seen = replace(SHIRT, version=1, state="published")

    with pytest.raises(InvalidProduct):
        model.revise(None, replace(empty, state="published"), expected=None)
    with pytest.raises(InvalidProduct):
        model.revise(seen, empty, expected=None)
    with pytest.raises(InvalidProduct):
        model.advance(replace(empty, version=1), "published", expected=None)


@pytest.mark.parametrize(
    ("kind", "value"), [("text", "wool"), ("number", 1.5), ("boolean", True), ("choice", "linen")]
)
def test_a_value_fits_its_attribute(kind: AttributeKind, value: object) -> None:
    assert not model.misfit(replace(MATERIAL, kind=kind), value)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("text", 1.0),
        ("number", "1"),
        ("number", True),
        ("number", float("nan")),
        ("number", float("inf")),
        ("boolean", 1.0),
        ("choice", "wool"),
        ("choice", True),
    ],
)
def test_a_value_of_another_kind_does_not_fit(kind: AttributeKind, value: object) -> None:
    assert model.misfit(replace(MATERIAL, kind=kind), value)


def test_what_a_product_refers_to_must_exist() -> None:
    product = replace(SHIRT, categories=("shirts",), attributes={"material": "linen"})

    model.check_references(product, {"material": MATERIAL}, {"shirts"})
    with pytest.raises(InvalidProduct) as no_category:
        model.check_references(product, {"material": MATERIAL}, {"clothes"})
    with pytest.raises(InvalidProduct) as no_attribute:
        model.check_references(product, {}, {"shirts"})

    assert no_category.value.pointer == "/categories/0"
    assert no_attribute.value.pointer == "/attributes/material"


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"title": {}}, "/title"),
        ({"kind": "text"}, "/choices"),
        ({"choices": ()}, "/choices"),
        ({"choices": ("cotton", "cotton")}, "/choices"),
        ({"words": {DE: {"silk": "Seide"}}}, "/words/de/silk"),
    ],
)
def test_an_attribute_agrees_with_itself(wrong: dict[str, object], pointer: str) -> None:
    with pytest.raises(InvalidAttribute) as refused:
        model.revise_attribute(None, replace(MATERIAL, **wrong), expected=None)

    assert refused.value.pointer == pointer


def test_an_attribute_is_narrower_when_something_may_not_fit_any_more() -> None:
    assert not model.is_narrower(None, MATERIAL)
    assert not model.is_narrower(MATERIAL, replace(MATERIAL, choices=("linen", "wool", "cotton")))
    assert model.is_narrower(MATERIAL, replace(MATERIAL, choices=("linen",)))
    assert model.is_narrower(MATERIAL, replace(MATERIAL, kind="text", choices=()))


@given(st.lists(st.integers(0, 30), max_size=30), st.randoms())
def test_a_tree_lists_parents_first_and_siblings_by_position(
    parents: list[int], dice: Random
) -> None:
    tree = [
        Category(
            slug=f"c{number}",
            title={EN: "C"},
            parent=f"c{parent % number}" if number and parent else None,
            position=dice.randint(-2, 2),
        )
        for number, parent in enumerate(parents)
    ]

    ordered = model.in_order(dice.sample(tree, len(tree)))

    place = {category.slug: number for number, category in enumerate(ordered)}
    assert sorted(place) == sorted(category.slug for category in tree)
    assert all(place[c.parent] < place[c.slug] for c in tree if c.parent)
    siblings = [c for c in ordered if c.parent is None]
    assert siblings == sorted(siblings, key=lambda c: (c.position, c.slug))


def test_no_category_is_below_itself() -> None:
    tree = {"clothes": CLOTHES, "shirts": SHIRTS}

    with pytest.raises(InvalidCategory) as circle:
        model.revise_category(tree, replace(CLOTHES, parent="shirts"), expected=None)
    with pytest.raises(InvalidCategory) as itself:
        model.revise_category(tree, replace(CLOTHES, parent="clothes"), expected=None)
    with pytest.raises(InvalidCategory) as nothing:
        model.revise_category(tree, replace(CLOTHES, parent="shoes"), expected=None)

    assert {no.value.pointer for no in (circle, itself, nothing)} == {"/parent"}


def test_a_pointer_escapes_what_it_must() -> None:
    assert model.pointer("options", 0, "a/b~c") == "/options/0/a~1b~0c"


def test_an_ordinary_product_fits_into_an_event() -> None:
    colors, sizes = [f"Color number {n}" for n in range(20)], [f"Size {n}" for n in range(10)]
    product = replace(
        SHIRT,
        description="<p>" + "A long description. " * 250 + "</p>",
        translations={DE: ProductText(title="Hemd", description="<p>" + "Sehr lang. " * 450)},
        options=(
            Option(name="Color", values=tuple(colors)),
            Option(name="Size", values=tuple(sizes)),
        ),
        variants=tuple(
            Variant(
                sku=Sku(f"SHIRT-{color}-{size}".replace(" ", "-")),
                options={"Color": color, "Size": size},
                barcode="4006381333931",
                weight_grams=250,
            )
            for color in colors
            for size in sizes
        ),
        pictures=tuple(
            Picture(url=f"https://cdn.shop.example/pictures/{n:032x}.jpg", alt="A shirt, worn")
            for n in range(20)
        ),
    )

    told = msgspec.json.encode(ProductPublished(product=product))

    assert len(product.variants) == 200
    assert len(told) <= 64 * 1024


@pytest.mark.parametrize("slug", ["lamp\n", "Lamp", "-lamp", "lamp--two", "", "lamp lamp", "lämp"])
def test_a_slug_is_lower_case_words_and_hyphens(slug: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(slug, Slug)


@pytest.mark.parametrize("sku", ["\n", " lamp", "lamp ", "la  mp", ""])
def test_a_sku_is_visible(sku: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"sku": sku}, Variant)


@pytest.mark.parametrize("sku", [" lamp", "lamp ", "lamp\n"])
def test_a_sku_has_no_blanks_around_it(sku: str) -> None:
    with pytest.raises(InvalidProduct) as refused:
        model.tidy([replace(SHIRT, options=(), variants=(Variant(sku=Sku(sku)),))])

    assert refused.value.pointer == "/variants/0/sku"


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "x.jpg", "/a b", ""])
def test_a_picture_is_on_the_web_or_in_the_shop(url: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"url": url}, Picture)

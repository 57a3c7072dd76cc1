"""The rules of the catalog: what fits together. No I/O, no clock, no chance."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Literal, TypeVar

import nh3
from msgspec.structs import replace

from banyan.kernel.event import Event
from banyan.modules.catalog.contract import (
    Attribute,
    Category,
    InvalidAttribute,
    InvalidCategory,
    InvalidProduct,
    Product,
    ProductPublished,
    ProductRetired,
    ProductState,
    ProductText,
    StaleAttribute,
    StaleCategory,
    StaleProduct,
    Variant,
)
from banyan.vocabulary import ProductId

Thing = TypeVar("Thing", bound=Hashable)

MOST_PRODUCTS = 1000
MOST_VARIANTS = 2000
LONGEST_DESCRIPTION = 30_000

HARMLESS_TAGS = {
    *("p", "br", "hr", "div", "span", "blockquote", "h2", "h3", "h4", "h5", "h6"),
    *("b", "strong", "i", "em", "u", "s", "small", "sub", "sup", "code", "a"),
    *("ul", "ol", "li", "dl", "dt", "dd"),
    *("table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td"),
}
HARMLESS_ATTRIBUTES = {"a": {"href", "title"}, "th": {"colspan"}, "td": {"colspan", "rowspan"}}
HARMLESS_ADDRESSES = {"http", "https", "mailto", "tel"}
HARMLESS = nh3.Cleaner(
    tags=HARMLESS_TAGS,
    attributes=HARMLESS_ATTRIBUTES,
    url_schemes=HARMLESS_ADDRESSES,
    link_rel="noopener nofollow",
)
PLAIN = nh3.Cleaner(tags=set())
CLEANINGS = 3

Claim = tuple[Literal["slug", "sku"], str, ProductId]
"""A slug or SKU, and the product that it is to belong to."""

ORDER_OF_STATES: tuple[ProductState, ...] = ("draft", "published", "retired")


def clean(html: str) -> str:
    """Keep the harmless tags of a description; what is clean stays as it is."""
    for _ in range(CLEANINGS):
        before, html = html, HARMLESS.clean(html)
        if html == before:
            return html
    # Reading tags that are nested against the rules moves them each time: they are not kept.
    return PLAIN.clean(html)


def tidy(products: Sequence[Product]) -> tuple[Product, ...]:
    """Clean the descriptions, and refuse products that contradict themselves or each other."""
    _refuse_too_many(len(products))
    if twice := _repeated(product.id for product in products):
        raise InvalidProduct(pointer="/id", reason="is given twice", product=twice)
    return tuple(_tidy(product) for product in products)


def batch(products: Sequence[ProductId]) -> tuple[ProductId, ...]:
    """Name each product once, and not too many."""
    _refuse_too_many(len(products))
    return tuple(dict.fromkeys(products))


def _refuse_too_many(count: int) -> None:
    if count > MOST_PRODUCTS:
        raise InvalidProduct(pointer="", reason=f"at most {MOST_PRODUCTS} products at once")


def _tidy(product: Product) -> Product:
    product = replace(
        product,
        description=clean(product.description),
        translations={
            locale: replace(text, description=clean(text.description))
            for locale, text in product.translations.items()
        },
    )
    for pointer, reason in _contradictions(product):
        raise InvalidProduct(pointer=pointer, reason=reason, product=product.id)
    return product


def _contradictions(product: Product) -> Iterator[tuple[str, str]]:
    """Find what is wrong with a product by itself, as pointers and reasons."""
    texts = {"": ProductText(description=product.description)}
    texts |= {pointer("translations", code): text for code, text in product.translations.items()}
    for at, text in texts.items():
        if len(text.description) > LONGEST_DESCRIPTION:
            yield f"{at}/description", f"has more than {LONGEST_DESCRIPTION} characters"
    for name in ("categories", "tags"):
        if twice := _repeated(getattr(product, name)):
            yield pointer(name), f"names {twice!r} twice"
    yield from _contradicting_options(product)
    yield from _contradicting_words(product)
    yield from _contradicting_variants(product)


def _contradicting_options(product: Product) -> Iterator[tuple[str, str]]:
    if twice := _repeated(option.name for option in product.options):
        yield "/options", f"names {twice!r} twice"
    for number, option in enumerate(product.options):
        if not option.values:
            yield pointer("options", number, "values"), "must not be empty"
        if twice := _repeated(option.values):
            yield pointer("options", number, "values"), f"names {twice!r} twice"


def _contradicting_words(product: Product) -> Iterator[tuple[str, str]]:
    """Want words to be the product's own, and options to stay apart in every language."""
    if not product.translations:
        return
    names = tuple(option.name for option in product.options)
    own = {*names, *(value for option in product.options for value in option.values)}
    own |= {picture.alt for picture in product.pictures}
    own |= {value for value in product.attributes.values() if isinstance(value, str)}
    for locale, text in product.translations.items():
        for word, said in text.words.items():
            if not said or word not in own:
                reason = "is no word of the product" if said else "must not be empty"
                yield pointer("translations", locale, "words", word), reason
        words = _words(product, locale)
        for together in (names, *(option.values for option in product.options)):
            if twice := _repeated(words.get(word, word) for word in together):
                yield pointer("translations", locale, "words"), f"say {twice!r} of two things"


def _words(product: Product, locale: str) -> dict[str, str]:
    """Collect the words of a language, those that it shares with the wider ones included."""
    wider = sorted(known for known in product.translations if f"{locale}-".startswith(f"{known}-"))
    return {
        word: said for known in wider for word, said in product.translations[known].words.items()
    }


def _contradicting_variants(product: Product) -> Iterator[tuple[str, str]]:
    if len(product.variants) > MOST_VARIANTS:
        yield "/variants", f"are more than {MOST_VARIANTS}"
    names = {option.name for option in product.options}
    skus: dict[str, int] = {}
    picks: dict[tuple[str, ...], int] = {}
    for number, variant in enumerate(product.variants):
        if variant.sku != variant.sku.strip():
            yield pointer("variants", number, "sku"), "has blanks around it"
        yield from _contradicting_picks(product, names, number, variant)
        first = skus.setdefault(variant.sku, number)
        if first != number:
            yield pointer("variants", number, "sku"), f"is that of variant {first}, too"
        first = picks.setdefault(_picks(product, variant), number)
        if first != number:
            yield pointer("variants", number, "options"), f"are those of variant {first}, too"


def _contradicting_picks(
    product: Product, names: Collection[str], number: int, variant: Variant
) -> Iterator[tuple[str, str]]:
    """Want one value of each option, and nothing else."""
    for option in product.options:
        if variant.options.get(option.name) not in option.values:
            missing = option.name not in variant.options
            reason = "is missing" if missing else f"is not one of {', '.join(option.values)}"
            yield pointer("variants", number, "options", option.name), reason
    for name in variant.options.keys() - names:
        yield pointer("variants", number, "options", name), "is no option of the product"


def _picks(product: Product, variant: Variant) -> tuple[str, ...]:
    return tuple(variant.options.get(option.name, "") for option in product.options)


def revise(before: Product | None, wanted: Product, *, expected: int | None) -> Product:
    """Decide what a product is after a save: the very same as before, or its next version."""
    version = before.version if before else 0
    if expected is not None and expected != version:
        raise StaleProduct(version=version)
    if before is None:
        return _next(replace(wanted, version=0))
    after = replace(wanted, state=_later(before.state, wanted.state), version=version)
    if after == before:
        return before
    if before.state == "retired":
        raise InvalidProduct(
            pointer="/state", reason="is retired, so nothing changes any more", product=before.id
        )
    return _next(after)


def advance(before: Product, state: ProductState, *, expected: int | None) -> Product:
    """Move a product on to a state; one that is there already stays as it is."""
    if expected is not None and expected != before.version:
        raise StaleProduct(version=before.version)
    if before.state == state:
        return before
    if before.state == "retired":
        raise InvalidProduct(pointer="/state", reason="is retired for good", product=before.id)
    return _next(replace(before, state=state))


def _next(product: Product) -> Product:
    if product.state == "published" and not product.variants:
        raise InvalidProduct(
            pointer="/variants", reason="are missing, so nothing can be bought", product=product.id
        )
    return replace(product, version=product.version + 1)


def _later(one: ProductState, other: ProductState) -> ProductState:
    return max(one, other, key=ORDER_OF_STATES.index)


def news(product: Product) -> tuple[Event, ...]:
    """Say what others must hear about a product that has changed."""
    match product.state:
        case "published":
            return (ProductPublished(product=product),)
        case "retired":
            skus = tuple(variant.sku for variant in product.variants)
            return (
                ProductRetired(
                    product=product.id, slug=product.slug, skus=skus, version=product.version
                ),
            )
        case _:
            return ()


def claims(product: Product) -> Iterator[Claim]:
    """List what no other product may have."""
    yield "slug", product.slug, product.id
    for variant in product.variants:
        yield "sku", variant.sku, product.id


def has(product: Product, slugs: Collection[str], skus: Collection[str]) -> bool:
    """Tell whether a product has one of these slugs or SKUs now."""
    return product.slug in slugs or any(variant.sku in skus for variant in product.variants)


def check_references(
    product: Product, attributes: Mapping[str, Attribute], categories: Collection[str]
) -> None:
    """Refuse categories and attributes that do not exist, and values that do not fit them."""
    for number, category in enumerate(product.categories):
        if category not in categories:
            raise InvalidProduct(
                pointer=pointer("categories", number),
                reason=f"there is no category {category!r}",
                product=product.id,
            )
    for code, value in product.attributes.items():
        reason = (
            misfit(attributes[code], value)
            if code in attributes
            else f"there is no attribute {code!r}"
        )
        if reason:
            raise InvalidProduct(
                pointer=pointer("attributes", code), reason=reason, product=product.id
            )


def misfit(attribute: Attribute, value: object) -> str:
    """Say why a value does not fit an attribute; nothing if it does."""
    match attribute.kind, value:
        case ("boolean", bool()) | ("text", str()):
            return ""
        case "number", int() | float() if not isinstance(value, bool) and math.isfinite(value):
            return ""
        case "choice", str() if value in attribute.choices:
            return ""
        case "choice", _:
            return f"{value!r} is not one of {', '.join(attribute.choices)}"
        case kind, _:
            return f"{value!r} is no {kind}"


def revise_attribute(
    before: Attribute | None, wanted: Attribute, *, expected: int | None
) -> Attribute:
    """Decide what an attribute is after a save: the very same as before, or its next version."""
    version = before.version if before else 0
    if expected is not None and expected != version:
        raise StaleAttribute(version=version)
    if not wanted.title:
        raise InvalidAttribute(pointer="/title", reason="needs a text in one language at least")
    if (wanted.kind == "choice") != bool(wanted.choices):
        raise InvalidAttribute(
            pointer="/choices", reason="belong to the kind choice, and only there"
        )
    if twice := _repeated(wanted.choices):
        raise InvalidAttribute(pointer="/choices", reason=f"name {twice!r} twice")
    for locale, words in wanted.words.items():
        for word in sorted(words.keys() - {*wanted.choices}):
            raise InvalidAttribute(
                pointer=pointer("words", locale, word), reason="is no choice of the attribute"
            )
    if before and replace(wanted, version=version) == before:
        return before
    return replace(wanted, version=version + 1)


def is_narrower(before: Attribute | None, after: Attribute) -> bool:
    """Tell whether what products say of an attribute may not fit it any more."""
    return before is not None and (
        before.kind != after.kind or not set(before.choices) <= set(after.choices)
    )


def check_use(attribute: Attribute, values: Iterable[object]) -> None:
    """Refuse a change of an attribute that does not fit what products say."""
    for value in values:
        if reason := misfit(attribute, value):
            raise InvalidAttribute(pointer="/kind", reason=f"a product says so already: {reason}")


def revise_category(
    tree: Mapping[str, Category], wanted: Category, *, expected: int | None
) -> Category:
    """Decide what a category is after a save: the very same as before, or its next version."""
    before = tree.get(wanted.slug)
    version = before.version if before else 0
    if expected is not None and expected != version:
        raise StaleCategory(version=version)
    if not wanted.title:
        raise InvalidCategory(pointer="/title", reason="needs a text in one language at least")
    above = wanted.parent
    while above is not None:
        if above == wanted.slug:
            raise InvalidCategory(pointer="/parent", reason="is below the category itself")
        if above not in tree:
            raise InvalidCategory(pointer="/parent", reason=f"there is no category {above!r}")
        above = tree[above].parent
    if before and replace(wanted, version=version) == before:
        return before
    return replace(wanted, version=version + 1)


def check_removal(tree: Mapping[str, Category], category: Category, *, used: bool) -> None:
    """Refuse to remove a category that something still hangs on."""
    if any(other.parent == category.slug for other in tree.values()):
        raise InvalidCategory(pointer="/slug", reason="has categories below it")
    if used:
        raise InvalidCategory(pointer="/slug", reason="has products in it")


def in_order(categories: Iterable[Category]) -> tuple[Category, ...]:
    """Put parents before their children, and siblings by position."""
    below: dict[str | None, list[Category]] = defaultdict(list)
    for category in sorted(categories, key=lambda c: (c.position, c.slug), reverse=True):
        below[category.parent].append(category)
    ordered: list[Category] = []
    waiting = below[None]
    while waiting:
        category = waiting.pop()
        ordered.append(category)
        waiting += below[category.slug]
    return tuple(ordered)


def pointer(*steps: str | int) -> str:
    """Spell a JSON pointer (RFC 6901)."""
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in steps)


def _repeated(things: Iterable[Thing]) -> Thing | None:
    things = tuple(things)
    if len({*things}) == len(things):
        return None
    return next(thing for thing, times in Counter(things).items() if times > 1)

"""The tree of categories, and the attributes that products may have."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, structs

from banyan.channels.backoffice.desk import LOCALE
from banyan.channels.backoffice.product_details import in_depth, tree
from banyan.channels.backoffice.product_parts import PRODUCTS
from banyan.channels.backoffice.records import Records
from banyan.channels.backoffice.sheet import Sheet
from banyan.kernel.contract import Value
from banyan.kernel.http import Answer, Request, get, needs
from banyan.modules.catalog.contract import (
    Attribute,
    AttributeKind,
    Catalog,
    Category,
    InvalidAttribute,
    InvalidCategory,
    Slug,
    StaleAttribute,
    StaleCategory,
    Title,
    UnknownAttribute,
    UnknownCategory,
    Word,
)
from banyan.modules.pricing.contract import Market, Pricing
from banyan.vocabulary import Locale

UNTITLED = {"title.en": "A title in one language is needed at least."}


class CategoryForm(Value, frozen=True, kw_only=True):
    """A category, with its title in each language."""

    slug: Slug
    title: dict[Locale, Title] = {}  # noqa: RUF012 - a value is never changed
    parent: Slug | None = None
    position: Annotated[int, Meta(ge=-1_000_000, le=1_000_000)] = 0


class Categories(Records):
    """The categories that shoppers browse."""

    path = f"{PRODUCTS}/categories"
    home = path
    template = "category.html"
    kind = CategoryForm
    named = "slug"
    guards = (*Records.guards, needs("catalog:write"))
    stale = StaleCategory
    refusals = (InvalidCategory, UnknownCategory)
    catalog: Catalog
    pricing: Pricing

    @get(media_type="text/html")
    async def browse(self, request: Request) -> Answer[bytes]:
        """Show the whole tree."""
        found = in_depth(await self.catalog.categories())
        return self.page(request, "categories.html", categories=found)

    async def blank(self) -> CategoryForm:
        """Begin a category."""
        return CategoryForm(slug="")

    async def known(self, name: str) -> tuple[Value, int]:
        """Find a category."""
        for one in await self.catalog.categories():
            if one.slug == name:
                told = CategoryForm(
                    slug=one.slug,
                    title=dict(one.title),
                    parent=one.parent,
                    position=one.position,
                )
                return told, one.version
        raise UnknownCategory(category=name)

    async def keep(self, value: Any, expected: int) -> None:
        """Save a category."""
        category = Category(**structs.asdict(value))
        await self.catalog.save_category(category=category, expected=expected)

    async def remove(self, name: str, expected: int) -> None:
        """Remove a category that has neither children nor products."""
        await self.catalog.remove_category(category=name, expected=expected)

    def check(self, value: Any) -> dict[str, str]:
        """Want a title."""
        return {} if value.title else UNTITLED

    async def around(self, request: Request, sheet: Sheet[Any], name: str) -> dict[str, Any]:  # noqa: ARG002
        """Tell where it may stand in the tree, and the languages of the shop."""
        return {
            "parents": [one for one in tree(await self.catalog.categories()) if one[0] != name],
            "locales": spoken(await self.pricing.markets(), sheet),
        }


class ChoiceRow(Value, frozen=True, kw_only=True):
    """One of the values of an attribute, and what it is called in other languages."""

    choice: Word
    words: dict[Locale, str] = {}  # noqa: RUF012 - a value is never changed


class AttributeForm(Value, frozen=True, kw_only=True):
    """An attribute, with its title in each language."""

    code: Slug
    title: dict[Locale, Title] = {}  # noqa: RUF012 - a value is never changed
    kind: AttributeKind = "text"
    unit: Annotated[str, Meta(max_length=20)] = ""
    choices: tuple[ChoiceRow, ...] = ()
    facet: bool = False


class Attributes(Records):
    """The attributes that products may have."""

    path = f"{PRODUCTS}/attributes"
    home = path
    template = "attribute.html"
    kind = AttributeForm
    guards = (*Records.guards, needs("catalog:write"))
    stale = StaleAttribute
    refusals = (InvalidAttribute, UnknownAttribute)
    catalog: Catalog
    pricing: Pricing

    @get(media_type="text/html")
    async def browse(self, request: Request) -> Answer[bytes]:
        """Show all attributes."""
        found = await self.catalog.attributes()
        return self.page(request, "attributes.html", attributes=found)

    async def blank(self) -> AttributeForm:
        """Begin an attribute."""
        return AttributeForm(code="")

    async def known(self, name: str) -> tuple[Value, int]:
        """Find an attribute."""
        for one in await self.catalog.attributes():
            if one.code == name:
                return _written(one), one.version
        raise UnknownAttribute(attribute=name)

    async def keep(self, value: Any, expected: int) -> None:
        """Save an attribute."""
        await self.catalog.save_attribute(attribute=_meant(value), expected=expected)

    async def remove(self, name: str, expected: int) -> None:
        """Remove an attribute that no product uses."""
        await self.catalog.remove_attribute(attribute=name, expected=expected)

    def check(self, value: Any) -> dict[str, str]:
        """Want a title."""
        return {} if value.title else UNTITLED

    async def around(self, request: Request, sheet: Sheet[Any], name: str) -> dict[str, Any]:  # noqa: ARG002
        """Tell the languages of the shop."""
        return {"locales": spoken(await self.pricing.markets(), sheet)}


def _written(one: Attribute) -> AttributeForm:
    return AttributeForm(
        code=one.code,
        title=dict(one.title),
        kind=one.kind,
        unit=one.unit,
        choices=tuple(
            ChoiceRow(
                choice=choice,
                words={
                    locale: words[choice] for locale, words in one.words.items() if choice in words
                },
            )
            for choice in one.choices
        ),
        facet=one.facet,
    )


def _meant(told: AttributeForm) -> Attribute:
    words: dict[Locale, dict[str, str]] = {}
    for row in told.choices:
        for locale, said in row.words.items():
            words.setdefault(locale, {})[row.choice] = said
    return Attribute(
        code=told.code,
        title=told.title,
        kind=told.kind,
        unit=told.unit,
        choices=tuple(row.choice for row in told.choices),
        words=words,
        facet=told.facet,
    )


def spoken(markets: tuple[Market, ...], sheet: Sheet[Any]) -> list[str]:
    """List the languages of all markets and of a form, English first if any of them speaks it."""
    said = [name for name in sheet.form.said if name.startswith("title.") or ".words." in name]
    found = dict.fromkeys(locale for market in markets for locale in market.locales)
    found |= dict.fromkeys(Locale(name.rpartition(".")[2]) for name in said)
    return sorted(found, key=lambda locale: locale != LOCALE) or [LOCALE]


routes = [Categories, Attributes]

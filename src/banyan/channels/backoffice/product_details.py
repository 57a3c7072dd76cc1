"""What is said of a product: its names, where it stands, and its attributes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from msgspec import Meta
from msgspec.structs import replace

from banyan.channels.backoffice.desk import done, titled
from banyan.channels.backoffice.product_parts import PRODUCT, PRODUCTS, ProductPart
from banyan.channels.backoffice.sheet import Sheet, Writing, once
from banyan.kernel import form
from banyan.kernel.contract import Value
from banyan.kernel.http import Answer, Request, get, needs, post
from banyan.kernel.idempotency import KeyReused
from banyan.modules.catalog.contract import (
    Attribute,
    Catalog,
    Category,
    Html,
    InvalidProduct,
    Product,
    Slug,
    StaleProduct,
    Taken,
    Title,
)
from banyan.modules.pricing.contract import Pricing
from banyan.vocabulary import ProductId


class Details(Value, frozen=True, kw_only=True):
    """A product without what has pages of its own; `tags` has one in each line."""

    title: Title
    slug: Slug
    description: Html = ""
    brand: Annotated[str, Meta(max_length=200)] = ""
    tax_class: Slug = "standard"
    categories: tuple[Slug, ...] = ()
    tags: Annotated[str, Meta(max_length=64_000)] = ""
    attributes: dict[str, str] = {}  # noqa: RUF012 - a value is never changed


class ProductDetailsPage(ProductPart):
    """The first page of a product."""

    path = PRODUCT
    template = "product_details.html"
    kind = Details

    def part(self, product: Product) -> Details:
        """Take the details out of a product."""
        return Details(
            title=product.title,
            slug=product.slug,
            description=product.description,
            brand=product.brand,
            tax_class=product.tax_class,
            categories=product.categories,
            tags="\n".join(product.tags),
            attributes={code: written(value) for code, value in product.attributes.items()},
        )

    async def merged(self, product: Product, part: Details) -> Product:
        """Put details back; what an attribute's text means, its kind tells."""
        return with_details(product, part, await self.catalog.attributes())

    async def around(self, product: Product, sheet: Sheet[Any]) -> dict[str, Any]:  # noqa: ARG002
        """Tell which categories, attributes and tax classes there are."""
        return await choices(self.catalog, self.pricing)


class NewProduct(Writing):
    """A product that is created, as a draft."""

    path = f"{PRODUCTS}/new"
    catalog: Catalog
    pricing: Pricing

    @get(media_type="text/html")
    async def ask(self, request: Request) -> Answer[bytes]:
        """Ask what the product is."""
        sheet = self.fresh(Details(title="", slug=""))
        return await self._show(request, sheet)

    @post(media_type="text/html", guards=[needs("catalog:write")])
    async def create(self, request: Request) -> Answer[bytes]:
        """Create the product, or show what is missing."""
        told = await form.received(request, Details)
        if told.value is None:
            return await self._show(request, self.flawed(told))
        blank = Product(id=ProductId(self.id_of(told)), slug="new", title="new")
        try:
            wanted = with_details(blank, told.value, await self.catalog.attributes())
            with once(told):
                await self.catalog.save(products=(wanted,), expected=0)
        except (InvalidProduct, StaleProduct, Taken, KeyReused) as no:
            return await self._show(request, self.refused(told, no))
        return done(f"{PRODUCTS}/{blank.id}/variants", "created")

    async def _show(self, request: Request, sheet: Sheet[Any]) -> Answer[bytes]:
        around = await choices(self.catalog, self.pricing)
        return self.page(request, "product_new.html", status=sheet.status, sheet=sheet, **around)


async def choices(catalog: Catalog, pricing: Pricing) -> dict[str, Any]:
    """Tell what a product may be filed under."""
    taxed = {rate.tax_class for rate in await pricing.tax_rates()}
    return {
        "attributes": [(one, words(one.choices)) for one in await catalog.attributes()],
        "categories": in_depth(await catalog.categories()),
        "tax_classes": words(sorted({"standard", *taxed} - {"shipping"})),
    }


def words(said: Iterable[str]) -> list[tuple[str, str]]:
    """List words as choices, each of which is called what it is."""
    return [(word, word) for word in said]


def in_depth(categories: tuple[Category, ...]) -> list[tuple[Category, int]]:
    """Tell how deep in the tree each category stands; parents come first."""
    depth: dict[str | None, int] = {None: -1}
    for one in categories:
        depth[one.slug] = depth[one.parent] + 1
    return [(one, depth[one.slug]) for one in categories]


def tree(categories: tuple[Category, ...]) -> list[tuple[str, str]]:
    """List categories as choices: slug and title, below their parents."""
    return [(one.slug, "– " * depth + titled(one.title)) for one, depth in in_depth(categories)]


def with_details(product: Product, details: Details, attributes: tuple[Attribute, ...]) -> Product:
    """Put details into a product."""
    kinds = {one.code: one for one in attributes}
    return replace(
        product,
        title=details.title,
        slug=details.slug,
        description=details.description,
        brand=details.brand,
        tax_class=details.tax_class,
        categories=details.categories,
        tags=lines(details.tags),
        attributes={code: meant(kinds, code, text) for code, text in details.attributes.items()},
    )


def meant(kinds: Mapping[str, Attribute], code: str, text: str) -> str | float | bool:
    """Read the text of an attribute as its kind wants it, or refuse it."""
    match kinds[code].kind if code in kinds else "text":
        case "number":
            try:
                return float(text)
            except ValueError:
                raise InvalidProduct(
                    pointer=f"/attributes/{code}", reason=f"“{text}” is no number"
                ) from None
        case "boolean":
            return text == "yes"
        case _:
            return text


def written(value: object) -> str:
    """Write the value of an attribute as its field has it."""
    match value:
        case bool():
            return "yes" if value else "no"
        case float():
            return repr(value).removesuffix(".0")
        case _:
            return str(value)


def lines(text: str) -> tuple[str, ...]:
    """Read what stands in each line."""
    return tuple(line.strip() for line in text.splitlines() if line.strip())


routes = [NewProduct, ProductDetailsPage]

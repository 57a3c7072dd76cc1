"""Catalog: what the shop has to offer."""

from __future__ import annotations

from typing import Annotated, Literal, Protocol

from msgspec import Meta

from banyan.kernel.contract import Problem, Value, command, contract, query, raises
from banyan.kernel.event import Event
from banyan.vocabulary import VISIBLE, Locale, Moment, ProductId, Sku, SkuText

# Python's `$` lets a line break pass at the end; `(?!\n)` does not, in any dialect.
Slug = Annotated[str, Meta(pattern="^[a-z0-9]+(-[a-z0-9]+)*(?!\\n)$", max_length=200)]
Title = Annotated[str, Meta(min_length=1, max_length=300)]
Html = Annotated[str, Meta(max_length=30_000, description="HTML; harmless tags are kept.")]
Word = Annotated[str, Meta(min_length=1, max_length=255)]
Language = Annotated[Locale, Meta(pattern="^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*(?!\\n)$")]
Titles = Annotated[dict[Language, Title], Meta(min_length=1, max_length=100)]
Saying = Annotated[str, Meta(min_length=1, max_length=2000)]
Words = Annotated[dict[Saying, Saying], Meta(max_length=25_000)]
AttributeKind = Literal["text", "number", "boolean", "choice"]
ProductState = Literal["draft", "published", "retired"]


class AttributeDetails(Value, frozen=True, kw_only=True):
    """What a merchant says of an attribute.

    `choices` are for the kind choice, and `words` say them in other languages.
    """

    title: Titles
    kind: AttributeKind = "text"
    unit: Annotated[str, Meta(max_length=20)] = ""
    choices: Annotated[tuple[Word, ...], Meta(max_length=1000)] = ()
    words: Annotated[dict[Language, Words], Meta(max_length=100)] = {}
    facet: bool = False


class Attribute(AttributeDetails, frozen=True, kw_only=True):
    """A typed property that products may have; a merchant adds one without a deploy."""

    code: Slug
    version: int = 0


class CategoryDetails(Value, frozen=True, kw_only=True):
    """What a merchant says of a category."""

    title: Titles
    parent: Slug | None = None
    position: int = 0


class Category(CategoryDetails, frozen=True, kw_only=True):
    """A place in the tree that shoppers browse."""

    slug: Slug
    version: int = 0


class Option(Value, frozen=True, kw_only=True):
    """What a shopper picks, with the values in their order: Size: S, M, L."""

    name: Word
    values: Annotated[tuple[Word, ...], Meta(min_length=1, max_length=2000)]


class Variant(Value, frozen=True, kw_only=True):
    """One thing that can be bought, with one value for each option of its product."""

    sku: SkuText
    options: dict[str, str] = {}
    barcode: Annotated[str, Meta(max_length=50)] = ""
    weight_grams: Annotated[int, Meta(ge=0, le=10**9)] = 0
    shippable: bool = True


class Picture(Value, frozen=True, kw_only=True):
    """A picture with the words that stand for it."""

    url: Annotated[str, Meta(pattern=f"^(https?://|/){VISIBLE}*$", max_length=2000)]
    alt: Annotated[str, Meta(max_length=500)] = ""


class ProductText(Value, frozen=True, kw_only=True):
    """A product in another language; what is missing falls back to the product's own words.

    `words` are those of its options, pictures and attributes: `{"Color": "Farbe", "Red": "Rot"}`.
    """

    title: Annotated[str, Meta(max_length=300)] = ""
    description: Html = ""
    words: Words = {}


class ProductDetails(Value, frozen=True, kw_only=True):
    """What a merchant says of a product; `description` is HTML, of which harmless tags are kept."""

    slug: Slug
    title: Title
    description: Html = ""
    brand: Annotated[str, Meta(max_length=200)] = ""
    tax_class: Slug = "standard"
    categories: Annotated[tuple[Slug, ...], Meta(max_length=50)] = ()
    tags: Annotated[tuple[Word, ...], Meta(max_length=250)] = ()
    attributes: dict[str, Annotated[str, Meta(max_length=2000)] | float | bool] = {}
    options: Annotated[tuple[Option, ...], Meta(max_length=10)] = ()
    variants: Annotated[tuple[Variant, ...], Meta(max_length=2000)] = ()
    pictures: Annotated[tuple[Picture, ...], Meta(max_length=250)] = ()
    translations: Annotated[dict[Language, ProductText], Meta(max_length=100)] = {}


class Product(ProductDetails, frozen=True, kw_only=True):
    """What the shop has to offer, in all its variants.

    `state` only goes forward: draft, published, retired. `version` counts changes and is what
    If-Match is about.
    """

    id: ProductId
    state: ProductState = "draft"
    version: int = 0


class Edited(Value, frozen=True, kw_only=True):
    """A product, and when it last changed."""

    product: Product
    at: Moment


class UnknownProduct(Problem, status=404):
    """There is no such product."""

    product: str


class UnknownCategory(Problem, status=404):
    """There is no such category."""

    category: str


class UnknownAttribute(Problem, status=404):
    """There is no such attribute."""

    attribute: str


class InvalidProduct(Problem, status=422):
    """The product contradicts itself or the catalog."""

    pointer: str
    reason: str
    product: ProductId | None = None


class InvalidCategory(Problem, status=422):
    """The category contradicts the tree."""

    pointer: str
    reason: str


class InvalidAttribute(Problem, status=422):
    """The attribute contradicts itself or what products already say."""

    pointer: str
    reason: str


class Taken(Problem, status=409):
    """Another product already has this slug or SKU."""

    what: Literal["slug", "sku"]
    value: str
    product: ProductId | None = None


class StaleProduct(Problem, status=412):
    """Somebody has changed the product meanwhile; read it again and repeat the change."""

    version: int


class StaleCategory(Problem, status=412):
    """Somebody has changed the category meanwhile; read it again and repeat the change."""

    version: int


class StaleAttribute(Problem, status=412):
    """Somebody has changed the attribute meanwhile; read it again and repeat the change."""

    version: int


class ProductPublished(Event):
    """A product can be seen by shoppers, or has changed while it could."""

    product: Product


class ProductRetired(Event):
    """A product can no longer be seen by shoppers."""

    product: ProductId
    slug: Slug
    skus: tuple[Sku, ...]
    version: int


class CategoriesChanged(Event):
    """The tree of categories is now this."""

    categories: tuple[Category, ...]
    version: int


class AttributesChanged(Event):
    """The attributes that products may have are now these."""

    attributes: tuple[Attribute, ...]
    version: int


@contract("catalog")
class Catalog(Protocol):
    """What channels and other modules may ask of the catalog."""

    @command
    @raises(InvalidProduct, Taken, StaleProduct)
    async def save(
        self, *, products: tuple[Product, ...], expected: int | None = None
    ) -> tuple[Product, ...]:
        """Create or replace up to 1,000 products, all or none; `expected` is the version of one.

        A product that would not change keeps its version and tells nothing, so that an import can
        be repeated. The state moves forward if the given one is further on, and never back; what is
        retired does not change any more. Slugs and SKUs stay with the product that had them first.
        Refusals name the product. Returns the products as they are now, in the order given.
        """
        ...

    @command
    @raises(UnknownProduct, InvalidProduct, StaleProduct)
    async def publish(self, *, product: ProductId, expected: int | None = None) -> Product:
        """Let shoppers see a product with all its variants. One that they see stays as it is."""
        ...

    @command
    @raises(UnknownProduct, StaleProduct)
    async def retire(self, *, product: ProductId, expected: int | None = None) -> Product:
        """Take a product out of the shop for good; its slug and SKUs stay taken."""
        ...

    @command
    @raises(UnknownProduct, InvalidProduct)
    async def publish_all(self, *, products: tuple[ProductId, ...]) -> tuple[Product, ...]:
        """Let shoppers see up to 1,000 products, all or none; refusals name the product."""
        ...

    @command
    @raises(UnknownProduct, InvalidProduct)
    async def retire_all(self, *, products: tuple[ProductId, ...]) -> tuple[Product, ...]:
        """Take up to 1,000 products out of the shop for good, all or none."""
        ...

    @query
    @raises(UnknownProduct)
    async def product(self, *, product: ProductId) -> Product:
        """Return a product in any state."""
        ...

    @query
    async def products(
        self,
        *,
        after: ProductId | None = None,
        limit: int = 24,
        state: ProductState | None = None,
        q: str = "",
    ) -> tuple[Product, ...]:
        """List up to 1,000 products by id, for the back office and for exports.

        `q` is a part of the title, or of a slug or SKU that the product has or had.
        """
        ...

    @query
    async def edited(
        self,
        *,
        q: str = "",
        state: ProductState | None = None,
        category: str | None = None,
        before: tuple[Moment, ProductId] | None = None,
        limit: int = 24,
    ) -> tuple[Edited, ...]:
        """List up to 1,000 products, those that changed last first.

        Every word of `q` is a part of the title, or of a slug or SKU that the product has or had.
        A category is that with all below it. `before` is where a page has ended.
        """
        ...

    @query
    async def find(
        self, *, slugs: tuple[str, ...] = (), skus: tuple[Sku, ...] = ()
    ) -> tuple[Product, ...]:
        """Return the products that have any of these slugs or SKUs, in any state."""
        ...

    @command
    @raises(InvalidCategory, StaleCategory)
    async def save_category(self, *, category: Category, expected: int | None = None) -> Category:
        """Create or replace a category; `expected` is its version, 0 if there is to be none yet."""
        ...

    @command
    @raises(UnknownCategory, InvalidCategory, StaleCategory)
    async def remove_category(self, *, category: str, expected: int | None = None) -> None:
        """Remove a category that has neither children nor products, other than retired ones."""
        ...

    @query
    async def categories(self) -> tuple[Category, ...]:
        """Return the whole tree, parents before children, by position."""
        ...

    @command
    @raises(InvalidAttribute, StaleAttribute)
    async def save_attribute(
        self, *, attribute: Attribute, expected: int | None = None
    ) -> Attribute:
        """Create or replace an attribute; what products say already must still fit it."""
        ...

    @command
    @raises(UnknownAttribute, InvalidAttribute, StaleAttribute)
    async def remove_attribute(self, *, attribute: str, expected: int | None = None) -> None:
        """Remove an attribute that no product uses, other than retired ones."""
        ...

    @query
    async def attributes(self) -> tuple[Attribute, ...]:
        """Return all attributes by code."""
        ...

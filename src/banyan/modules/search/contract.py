"""Search: the product document that lists and pages are read from."""

from __future__ import annotations

from typing import Annotated, Generic, Literal, Protocol, TypeVar
from uuid import UUID

from msgspec import Meta

from banyan.kernel.contract import Problem, Value, contract, query, raises, undertaking
from banyan.kernel.paging import BadCursor, Page
from banyan.vocabulary import Locale, MarketCode, Moment, Money, Sku, UnknownMarket

T = TypeVar("T")

Sort = Literal["relevance", "newest", "price", "-price", "title"]


class ProductCard(Value, frozen=True, kw_only=True):
    """A product as lists show it; `price` is that of its cheapest variant in the market."""

    slug: str
    title: str
    image: str
    image_alt: str
    price: Money | None
    compare_at: Money | None
    price_varies: bool
    available: bool
    brand: str = ""
    category: str = ""


class FacetValue(Value, frozen=True, kw_only=True):
    """A value to filter by, and how many products have it."""

    value: str
    title: str
    count: int


class Facet(Value, frozen=True, kw_only=True):
    """Something to filter by."""

    code: str
    title: str
    values: tuple[FacetValue, ...]


class Told(Page[T], Generic[T], frozen=True, kw_only=True):
    """A page in a market and in one of its languages; of neither as long as there is no market."""

    market: MarketCode = MarketCode("")
    locale: Locale = Locale("")
    tax_inclusive: bool = False


class Crumb(Value, frozen=True, kw_only=True):
    """A category on the way to what is shown."""

    slug: str
    title: str


class CategoryShown(Value, frozen=True, kw_only=True):
    """A category with how many products it has, its children's included, and how they look."""

    slug: str
    title: str
    parent: str | None
    count: int
    image: str = ""


class CategoryHead(Value, frozen=True, kw_only=True):
    """A category above the list of its products: what it is in, and what is in it."""

    slug: str
    title: str
    crumbs: tuple[Crumb, ...] = ()
    children: tuple[CategoryShown, ...] = ()


class Found(Told[ProductCard], frozen=True, kw_only=True):
    """A page of a list of products, with the facets of the whole list.

    What has no price in the market is not listed there. A facet counts what would be listed with
    each of its values, as if none of them were chosen. `total` is how long the whole list is;
    `uncounted` tells that it may be longer, because of those of a query or a filter only so many
    are looked at.
    """

    facets: tuple[Facet, ...] = ()
    category: CategoryHead | None = None
    total: int = 0
    uncounted: bool = False


class Shelf(Value, frozen=True, kw_only=True):
    """Some products to look at; without a category, the newest of all."""

    category: CategoryShown | None
    title: str
    cards: tuple[ProductCard, ...]


class VariantOffer(Value, frozen=True, kw_only=True):
    """A variant as the product page shows it."""

    sku: Sku
    options: dict[str, str]
    price: Money | None
    compare_at: Money | None
    available: bool
    left: int | None = None


class OptionShown(Value, frozen=True, kw_only=True):
    """What a shopper picks."""

    name: str
    values: tuple[str, ...]


class AttributeShown(Value, frozen=True, kw_only=True):
    """A property as the product page shows it."""

    code: str
    title: str
    value: str | float | bool
    unit: str = ""


class PictureShown(Value, frozen=True, kw_only=True):
    """A picture with the words that stand for it."""

    url: str
    alt: str = ""


class ProductPage(Value, frozen=True, kw_only=True):
    """Everything that a product page shows, in one read."""

    id: str
    slug: str
    title: str
    description: str
    brand: str
    price: Money | None
    available: bool
    market: MarketCode
    locale: Locale
    tax_inclusive: bool
    variants: tuple[VariantOffer, ...]
    options: tuple[OptionShown, ...]
    attributes: tuple[AttributeShown, ...]
    pictures: tuple[PictureShown, ...]
    categories: tuple[Crumb, ...]
    tags: tuple[str, ...] = ()
    version: str = ""


class Suggestion(Value, frozen=True, kw_only=True):
    """A product or category that a shopper who types may mean."""

    kind: Literal["product", "category"]
    slug: str
    title: str


class Entry(Value, frozen=True, kw_only=True):
    """Where the sitemap finds a product, and when that changed."""

    slug: str
    changed: Moment


class Rebuild(Value, frozen=True, kw_only=True):
    """All documents, made anew from what has been told; `corrected` had been wrong."""

    id: UUID
    state: Literal["running", "done"]
    corrected: int = 0


class NoSuchProduct(Problem, status=404):
    """There is no such product in the shop."""

    slug: str


class NoSuchCategory(Problem, status=404):
    """There is no such category in the shop."""

    category: str


class BadFilter(Problem, status=400):
    """A list can be filtered by prices only from one amount to another, such as 1000-2000."""

    value: str


@contract("search")
class Search(Protocol):
    """What channels and other modules may ask of search.

    Without a market the first is taken. `wishes` are languages, best first: the first of them that
    the market speaks is answered in, or else the market's first language (RFC 4647 lookup). What is
    not said in it, is said in the product's own words.
    """

    @query
    @raises(UnknownMarket, NoSuchCategory, BadFilter, BadCursor)
    async def find(
        self,
        *,
        q: Annotated[str, Meta(max_length=200)] = "",
        category: str | None = None,
        filters: dict[str, tuple[str, ...]] | None = None,
        sort: Sort | None = None,
        market: MarketCode | None = None,
        wishes: tuple[str, ...] = (),
        limit: int = 24,
        cursor: str | None = None,
    ) -> Found:
        """List products of a category (with its children) or of a query that may be misspelt.

        `filters` names facet codes, and the values of which one must hold; those of the facet
        `price` are ranges of minor units such as `1000-2000`, where either end may be missing and
        the upper one is excluded. Where there is a filter or a query, facets are counted among
        the first 10,000 products; where very many have all its words, the best are looked for
        among 500, first those that have them in their titles.
        """
        ...

    @query
    @raises(UnknownMarket, NoSuchProduct)
    async def product_page(
        self, *, slug: str, market: MarketCode | None = None, wishes: tuple[str, ...] = ()
    ) -> ProductPage:
        """Return everything that a product page shows."""
        ...

    @query
    @raises(UnknownMarket)
    async def shelves(
        self, *, market: MarketCode | None = None, wishes: tuple[str, ...] = (), limit: int = 8
    ) -> Told[Shelf]:
        """Return what a home page shows: the newest products, then those of each root category."""
        ...

    @query
    @raises(UnknownMarket, NoSuchProduct)
    async def related(
        self,
        *,
        slug: str,
        market: MarketCode | None = None,
        wishes: tuple[str, ...] = (),
        limit: int = 8,
    ) -> Told[ProductCard]:
        """Return products like this one: what can be bought first, then what shares most with it.

        They are of the same categories or brand; the more facets they share, the more alike.
        """
        ...

    @query
    async def sitemap(self, *, after: str = "", limit: int = 10_000) -> tuple[Entry, ...]:
        """List the slugs of up to 50,000 products, by slug, with the time they last changed."""
        ...

    @query
    async def sitemap_parts(self, *, limit: int = 10_000) -> tuple[str, ...]:
        """Tell after which slug each part of the sitemap begins; the first begins after none."""
        ...

    @query
    @raises(UnknownMarket)
    async def suggest(
        self,
        *,
        q: str,
        market: MarketCode | None = None,
        wishes: tuple[str, ...] = (),
        limit: int = 8,
    ) -> Told[Suggestion]:
        """Suggest products and categories for the beginning of a query."""
        ...

    @query
    @raises(UnknownMarket)
    async def categories(
        self, *, market: MarketCode | None = None, wishes: tuple[str, ...] = ()
    ) -> Told[CategoryShown]:
        """Return the tree that shoppers browse: parents before children, siblings by position."""
        ...

    @undertaking
    async def rebuild(self, *, rebuild: UUID) -> Rebuild:
        """Make all documents anew, or tell how far the rebuild of this id is.

        Shoppers see the documents that are there until all are made; then those that differ
        change places with the new ones at once.
        """
        ...

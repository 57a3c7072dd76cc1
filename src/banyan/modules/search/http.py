"""The HTTP face of search: what shoppers browse, and the rebuild of its documents."""

from __future__ import annotations

import hashlib
from typing import Annotated, TypeVar
from uuid import UUID

import msgspec
from msgspec import Meta

from banyan.kernel.conditional import etag
from banyan.kernel.contract import Value
from banyan.kernel.http import (
    Answer,
    Controller,
    Cursor,
    FromPath,
    FromQuery,
    Limit,
    QueryParameter,
    Visiting,
    get,
    needs,
    post,
    put,
)
from banyan.kernel.ids import Ids
from banyan.kernel.paging import Page, after, page
from banyan.kernel.paging import cursor as cursor_of
from banyan.modules.search.contract import (
    CategoryShown,
    Entry,
    Found,
    ProductCard,
    ProductPage,
    Rebuild,
    Search,
    Shelf,
    Sort,
    Suggestion,
    Told,
)
from banyan.vocabulary import MarketCode

T = TypeVar("T")

Query = Annotated[str, Meta(max_length=200)]
Slug = Annotated[str, Meta(max_length=200)]
Filter = Annotated[str, Meta(pattern="^[^:]+:.+$", max_length=200)]

PartLimit = Annotated[
    int, QueryParameter(ge=1, le=10_000, description="How many products a part tells at most.")
]

KEPT = "public, max-age=15, stale-while-revalidate=60"
"""Prices and stock may be a little old on a list: a cart tells and a checkout makes sure."""


class Part(Value, frozen=True, kw_only=True):
    """Where a part of the sitemap begins."""

    cursor: str


class Products(Controller):
    """What the shop has to offer."""

    path = "/api/store/products"
    tags = ("search",)
    search: Search

    @get()
    async def list_products(
        self,
        visit: Visiting,
        q: FromQuery[Query] = "",
        category: FromQuery[Slug | None] = None,
        chosen: Annotated[
            tuple[Filter, ...],
            QueryParameter(
                name="filter",
                max_items=50,
                description="What a facet is to be, `code:value`. Of several values of one facet "
                "any will do. Prices are ranges in minor units: `price:1000-2000`.",
            ),
        ] = (),
        sort: FromQuery[Sort | None] = None,
        limit: Limit = 24,
        cursor: Cursor = None,
    ) -> Answer[Found]:
        """List products of a category, or of a query that may be misspelt."""
        found = await self.search.find(
            q=q,
            category=category or None,
            filters=_filters(chosen),
            sort=sort,
            market=_market(visit.market),
            wishes=visit.wishes,
            limit=limit,
            cursor=cursor or None,
        )
        return _public(found, found.locale)

    @get("/{slug:str}/related")
    async def list_related(
        self, visit: Visiting, slug: FromPath[Slug], limit: Limit = 8
    ) -> Answer[Told[ProductCard]]:
        """List products that are like this one."""
        alike = await self.search.related(
            slug=slug, market=_market(visit.market), wishes=visit.wishes, limit=limit
        )
        return _public(alike, alike.locale)

    @get("/{slug:str}")
    async def show_product(self, visit: Visiting, slug: FromPath[Slug]) -> Answer[ProductPage]:
        """Show everything of a product."""
        page = await self.search.product_page(
            slug=slug, market=_market(visit.market), wishes=visit.wishes
        )
        return _public(page, page.locale)


class Browsing(Controller):
    """Ways to find what the shop has to offer."""

    path = "/api/store"
    tags = ("search",)
    search: Search

    @get("/shelves")
    async def list_shelves(self, visit: Visiting, limit: Limit = 8) -> Answer[Told[Shelf]]:
        """List what a home page shows: the newest products, then those of each root category."""
        shelves = await self.search.shelves(
            market=_market(visit.market), wishes=visit.wishes, limit=limit
        )
        return _public(shelves, shelves.locale)

    @get("/sitemap")
    async def list_sitemap(self, limit: PartLimit = 10_000, cursor: Cursor = None) -> Page[Entry]:
        """List every product by slug, with the time it last changed."""
        found = await self.search.sitemap(after=after(cursor, str) or "", limit=limit + 1)
        return page(found, limit=limit, place=lambda entry: entry.slug)

    @get("/sitemap/parts")
    async def list_sitemap_parts(self, limit: PartLimit = 10_000) -> Page[Part]:
        """List where the parts of the sitemap begin, each by its cursor."""
        parts = await self.search.sitemap_parts(limit=limit)
        return Page(items=tuple(Part(cursor=cursor_of(slug)) for slug in parts))

    @get("/categories")
    async def list_categories(self, visit: Visiting) -> Answer[Told[CategoryShown]]:
        """List the tree of categories: parents before children, siblings by position."""
        tree = await self.search.categories(market=_market(visit.market), wishes=visit.wishes)
        return _public(tree, tree.locale)

    @get("/suggestions")
    async def suggest(
        self, visit: Visiting, q: FromQuery[Query] = "", limit: Limit = 8
    ) -> Answer[Told[Suggestion]]:
        """Suggest products and categories to somebody who is typing."""
        suggested = await self.search.suggest(
            q=q, market=_market(visit.market), wishes=visit.wishes, limit=limit
        )
        return _public(suggested, suggested.locale)


class Rebuilds(Controller):
    """Makes all documents anew, for instance by the rules of a new release."""

    path = "/api/admin/search"
    tags = ("search (admin)",)
    guards = (needs("search:write"),)
    search: Search
    ids: Ids

    @post("/rebuild", status_code=202)
    async def rebuild(self) -> Rebuild:
        """Make all documents anew; shoppers see those that there are until all are made."""
        return await self.search.rebuild(rebuild=self.ids.new())

    @put("/rebuild/{rebuild:str}", status_code=202)
    async def follow_rebuild(self, rebuild: FromPath[UUID]) -> Rebuild:
        """Tell how far a rebuild is; one that is not known begins."""
        return await self.search.rebuild(rebuild=rebuild)


def _filters(chosen: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    filters: dict[str, tuple[str, ...]] = {}
    for code, _, value in (one.partition(":") for one in chosen):
        filters[code] = (*filters.get(code, ()), value)
    return filters


def _market(code: str | None) -> MarketCode | None:
    return MarketCode(code) if code else None


def _public(value: T, locale: str) -> Answer[T]:
    """Let anybody keep an answer for a while, and ask by its ETag whether it is still the same."""
    version = hashlib.blake2s(msgspec.json.encode(value), digest_size=12).hexdigest()
    headers = {"etag": etag(version), "cache-control": KEPT}
    return Answer(value, headers=headers | ({"content-language": locale} if locale else {}))


routes = [Products, Browsing, Rebuilds]

"""Product pages: a product, and reviews of it where there are any to be had."""

from __future__ import annotations

from typing import Protocol

from banyan.kernel.contract import Value, contract, query
from banyan.kernel.link import spare
from banyan.kernel.module import Module
from banyan.modules.catalog.contract import Catalog
from banyan.vocabulary import ProductId
from tests.journeys.reviews.module import Review, Reviews


class Page(Value, frozen=True, kw_only=True):
    """What a shopper sees of a product."""

    title: str
    reviews: tuple[Review, ...]


@contract("page")
class Pages(Protocol):
    """What channels may ask of pages."""

    @query
    async def page(self, *, product: ProductId) -> Page:
        """Show a product."""
        ...


class PagesService(Pages):
    """Pages that are made anew for everybody."""

    def __init__(self, catalog: Catalog, reviews: Reviews | None) -> None:
        self.catalog = catalog
        self.reviews = reviews

    async def page(self, *, product: ProductId) -> Page:
        shown = await self.catalog.product(product=product)
        return Page(title=shown.title, reviews=await self._reviews(product))

    async def _reviews(self, product: ProductId) -> tuple[Review, ...]:
        return await spare(self.reviews.of(product=product), otherwise=()) if self.reviews else ()


module = Module(name="page", offers={Pages: PagesService})

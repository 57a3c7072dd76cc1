"""The answers of search: what shoppers are shown, read from documents that events keep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar
from uuid import UUID

from banyan.kernel.clock import Clock
from banyan.kernel.database import Database, convert
from banyan.kernel.driver import Sagas
from banyan.kernel.language import lookup
from banyan.modules.search import model
from banyan.modules.search.contract import (
    CategoryShown,
    Entry,
    Found,
    NoSuchCategory,
    NoSuchProduct,
    ProductCard,
    ProductPage,
    Rebuild,
    Search,
    Shelf,
    Sort,
    Suggestion,
    Told,
)
from banyan.modules.search.sagas import MakeAnew
from banyan.modules.search.settings import SearchSettings
from banyan.modules.search.store import documents, facts, lists, pages, shelves, sitemaps, tallies
from banyan.vocabulary import MarketCode, UnknownMarket

T = TypeVar("T")


class SearchService(Search):
    """Documents, and the facts that they are made of, in the schema `search`."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        sagas: Sagas,
        make_anew: MakeAnew,
        settings: SearchSettings,
    ) -> None:
        self.db = db
        self.clock = clock
        self.sagas = sagas
        self.make_anew = make_anew
        self.settings = settings

    async def find(
        self,
        *,
        q: str = "",
        category: str | None = None,
        filters: dict[str, tuple[str, ...]] | None = None,
        sort: Sort | None = None,
        market: MarketCode | None = None,
        wishes: tuple[str, ...] = (),
        limit: int = 24,
        cursor: str | None = None,
    ) -> Found:
        first = model.ask(
            q, category, filters, sort=sort, market=market, wishes=wishes, limit=limit
        )
        asked = model.turn_to(first, cursor)
        listed = await lists.find(self.db, asked, counted=self.settings.counted)
        if listed.market is None and market is not None:
            raise UnknownMarket(market=market)
        if category is not None and listed.category is None:
            raise NoSuchCategory(category=category)
        return model.found(asked, listed)

    async def product_page(
        self, *, slug: str, market: MarketCode | None = None, wishes: tuple[str, ...] = ()
    ) -> ProductPage:
        few = self.settings.few
        row = await pages.product_page(self.db, market, lookup(wishes), slug, few=few)
        if market is not None and row["market"] != market:
            raise UnknownMarket(market=market)
        if row["id"] is None:
            raise NoSuchProduct(slug=slug)
        return model.stamped(convert(row, ProductPage))

    async def shelves(
        self, *, market: MarketCode | None = None, wishes: tuple[str, ...] = (), limit: int = 8
    ) -> Told[Shelf]:
        shown = await shelves.shelves(self.db, market, lookup(wishes), model.bounded(limit))
        return model.titled(_told(shown, market))

    async def related(
        self,
        *,
        slug: str,
        market: MarketCode | None = None,
        wishes: tuple[str, ...] = (),
        limit: int = 8,
    ) -> Told[ProductCard]:
        alike = await shelves.related(self.db, market, lookup(wishes), slug, model.bounded(limit))
        if alike is None:
            raise NoSuchProduct(slug=slug)
        return _told(alike, market)

    async def sitemap(self, *, after: str = "", limit: int = 10_000) -> tuple[Entry, ...]:
        return await sitemaps.entries(self.db, after, model.part(limit))

    async def sitemap_parts(self, *, limit: int = 10_000) -> tuple[str, ...]:
        return await sitemaps.parts(self.db, model.part(limit))

    async def suggest(
        self,
        *,
        q: str,
        market: MarketCode | None = None,
        wishes: tuple[str, ...] = (),
        limit: int = 8,
    ) -> Told[Suggestion]:
        suggested = await pages.suggestions(self.db, market, lookup(wishes), q, limit)
        return _told(suggested, market)

    async def categories(
        self, *, market: MarketCode | None = None, wishes: tuple[str, ...] = ()
    ) -> Told[CategoryShown]:
        return _told(await pages.categories(self.db, market, lookup(wishes)), market)

    async def rebuild(self, *, rebuild: UUID) -> Rebuild:
        async with self.db.begin() as tx:
            running = self.sagas.start(tx, self.make_anew, f"rebuild {rebuild}")
        corrected = await running.settled()
        if corrected is None:
            return Rebuild(id=rebuild, state="running")
        return Rebuild(id=rebuild, state="done", corrected=corrected)

    async def audit(self) -> Sequence[str]:
        """Find documents that are not what the facts say, and counts that are not theirs."""
        return [*(await documents.drifted(self.db)).values(), *await tallies.drifted(self.db)]

    async def mend(self) -> Sequence[str]:
        """Make such documents anew, and count anew."""
        async with self.db.begin() as tx:
            await facts.take_turns(tx)
            drifted = await documents.drifted(tx)
            await documents.refresh(tx, list(drifted))
            if miscounted := await tallies.drifted(tx):
                await tallies.count_anew(tx)
        return [
            *(f"{finding}: made anew" for finding in drifted.values()),
            *(f"{finding}: counted anew" for finding in miscounted),
        ]


def _told(page: Told[T], market: MarketCode | None) -> Told[T]:
    if market is not None and page.market != market:
        raise UnknownMarket(market=market)
    return page

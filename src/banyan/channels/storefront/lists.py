"""Lists of products: those of a category and of a query, and what is suggested to who types."""

from __future__ import annotations

from banyan.channels.storefront.desk import BROWSED, Place, Shop
from banyan.channels.storefront.narrowing import Narrowing
from banyan.kernel.http import Answer, FromPath, Request, get
from banyan.kernel.page import seen_elsewhere
from banyan.kernel.paging import BadCursor
from banyan.modules.search.contract import Search

ONE_SCREEN = 24


class Lists(Shop):
    """Lists of products."""

    search: Search

    @get("/categories/{slug:str}", media_type="text/html")
    async def browse(
        self, request: Request, market: FromPath[str], locale: FromPath[str], slug: FromPath[str]
    ) -> Answer[bytes]:
        """List the products of a category."""
        place = await self.storefront.place(market, locale)
        return await self._list(request, place, category=slug)

    @get("/search", media_type="text/html")
    async def seek(
        self, request: Request, market: FromPath[str], locale: FromPath[str]
    ) -> Answer[bytes]:
        """List the products of a query, or all."""
        place = await self.storefront.place(market, locale)
        return await self._list(request, place, category=None)

    @get("/suggestions", media_type="text/html")
    async def suggest(
        self, request: Request, market: FromPath[str], locale: FromPath[str]
    ) -> Answer[bytes]:
        """Suggest products and categories to somebody who is typing."""
        place = await self.storefront.place(market, locale)
        q = Narrowing.of(request.url.query).q
        told = await self.search.suggest(q=q, market=place.market.code, wishes=(place.locale,))
        return self.page(
            request, "suggestions.html", place, cache=BROWSED, q=q, suggestions=told.items
        )

    async def _list(self, request: Request, place: Place, *, category: str | None) -> Answer[bytes]:
        asked = Narrowing.of(request.url.query)
        path = request.url.path
        try:
            found = await self.search.find(
                q=asked.q,
                category=category,
                filters=asked.filters(place.market.currency),
                sort=asked.order,
                market=place.market.code,
                wishes=(place.locale,),
                limit=ONE_SCREEN,
                cursor=asked.cursor or None,
            )
        except BadCursor:
            # The list is another one than it was when this address was made.
            return seen_elsewhere(asked.page(path, ""))
        groups = asked.groups(found.facets)
        return self.page(
            request,
            "list.html",
            place,
            cache=BROWSED,
            q=asked.q,
            asked=asked,
            found=found,
            groups=groups,
            prices=asked.prices(place.market.currency),
            chips=asked.chips(path, groups),
            hidden=category is None or asked.narrowed or bool(asked.cursor),
        )


routes = [Lists]

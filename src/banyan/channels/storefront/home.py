"""The way in: to the right market and language, and the home page there."""

from __future__ import annotations

from banyan.channels.storefront.desk import ASSETS, BROWSED, PAGES, Shop, Storefront
from banyan.kernel.http import Answer, Controller, FromPath, Request, Visiting, get
from banyan.kernel.language import choose
from banyan.kernel.page import seen_elsewhere
from banyan.kernel.refusal import NotFound, NotReady
from banyan.modules.search.contract import Search

HERO_PICTURES = 4


class Entrance(Controller):
    """Leads visitors to where they are at home."""

    path = "/"
    include_in_schema = False
    exception_handlers = {Exception: PAGES.trouble}  # noqa: RUF012 - as the base class has it
    storefront: Storefront

    @get(media_type="text/html")
    async def enter(self, visit: Visiting) -> Answer[bytes]:
        """Lead to the first market that speaks a language of the visitor, or else to the first."""
        markets = await self.storefront.markets()
        if not markets:
            raise NotReady(waiting_for=("a market that is open",))
        wanted = [one for one in markets if one.code == visit.market] or markets
        spoken = ((one, choose(visit.wishes, tuple(one.locales))) for one in wanted)
        market, locale = next(
            ((one, found) for one, found in spoken if found), (wanted[0], wanted[0].locales[0])
        )
        answer = seen_elsewhere(f"/{market.code}/{locale}")
        answer.headers["cache-control"] = "no-store"
        return answer


class Home(Shop):
    """The home page."""

    search: Search

    @get(media_type="text/html")
    async def show(
        self, request: Request, market: FromPath[str], locale: FromPath[str]
    ) -> Answer[bytes]:
        """Show what is new and what there is."""
        place = await self.storefront.place(market, locale)
        shelves = await self.search.shelves(market=place.market.code, wishes=(place.locale,))
        return self.page(
            request,
            "home.html",
            place,
            cache=BROWSED,
            shelves=shelves.items,
            roots=[one for one in place.categories if not one.parent],
            shown=[one for one in place.categories if one.parent and one.image][:HERO_PICTURES],
        )


class Nowhere(Shop):
    """What else may be asked for in a market and language: nothing is there."""

    @get("/{rest:path}", media_type="text/html")
    async def miss(self, market: FromPath[str], locale: FromPath[str]) -> Answer[bytes]:
        """Say that there is no such page, or no such place."""
        await self.storefront.place(market, locale)
        raise NotFound


routes = [ASSETS.route(), Entrance, Home, Nowhere]

"""What all pages of the storefront share: where the visitor is, and what stands around a page."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Generic, TypeVar

from banyan.channels import look
from banyan.channels.storefront.settings import StorefrontSettings
from banyan.kernel.answer import Answer
from banyan.kernel.clock import Clock
from banyan.kernel.contract import Problem, Value
from banyan.kernel.http import Controller, Request
from banyan.kernel.language import LOCALE, MARKET, choose, visit_of
from banyan.kernel.page import AnyRequest
from banyan.kernel.shelf import Shelf
from banyan.kernel.words import ENGLISH
from banyan.modules.pricing.contract import Market, Pricing
from banyan.modules.search.contract import CategoryShown, Search
from banyan.vocabulary import Locale, MarketCode

K = TypeVar("K")
V = TypeVar("V")

PACKAGE = "banyan.channels.storefront"
FRESH_SECONDS = 15.0
BROWSED = "public, max-age=15, stale-while-revalidate=60"
"""Pages that are the same for everybody may be a little old: a cart tells the truth."""

ASSETS = look.assets(PACKAGE, "/assets")


class NoSuchPlace(Problem, status=404):
    """No market that is open speaks this language."""


class Alternate(Value, frozen=True, kw_only=True):
    """The same page somewhere else, and for whom it is: `de`, `en-US` or, for all, `x-default`."""

    language: str
    address: str


class Place(Value, frozen=True, kw_only=True):
    """Where a visitor is: a market and one of its languages, as their address says."""

    market: Market
    locale: Locale
    markets: tuple[Market, ...]
    categories: tuple[CategoryShown, ...]

    @property
    def home(self) -> str:
        """The beginning of every address here, such as `/eu/de`."""
        return f"/{self.market.code}/{self.locale}"

    @property
    def speech(self) -> str:
        """The language of the page itself: that of its goods, if the page speaks it."""
        return self.locale if choose((self.locale,), PAGES.languages) else ENGLISH

    def same_page(self, path: str, market: Market, locale: Locale) -> str:
        """Lead to where a path leads, in another place."""
        return f"/{market.code}/{locale}{path.removeprefix(self.home)}"

    def alternates(self, base: str, path: str) -> list[Alternate]:
        """List a page in all places."""
        return alternates(self.markets, base, path.removeprefix(self.home))


def alternates(markets: Iterable[Market], base: str, path: str) -> list[Alternate]:
    """List a page in all places, as search engines want it: each language means one address.

    The first market that speaks a language speaks it for the world, others for their countries.
    """
    found: dict[str, str] = {}
    for market in markets:
        for locale in market.locales:
            tags = [str(locale)]
            if locale in found and "-" not in locale:
                tags = [f"{locale}-{country}" for country in market.countries]
            for tag in tags:
                found.setdefault(tag, f"{base}/{market.code}/{locale}{path}")
    anybody = [("x-default", address) for address in found.values()][:1]
    told = (*found.items(), *anybody)
    return [Alternate(language=tag, address=address) for tag, address in told]


class Kept(Generic[K, V]):
    """Answers that are asked for again when they are older than a few seconds, or than `state`."""

    def __init__(self, ask: Callable[[K], Awaitable[V]], clock: Clock) -> None:
        self._ask = ask
        self._clock = clock
        self._known: dict[K, tuple[float, int, V]] = {}

    async def get(self, key: K, *, state: int = 0) -> V:
        """Return what was told lately, or ask."""
        now = self._clock.monotonic()
        asked, was, told = self._known.get(key, (now, None, None))
        if told is None or was != state or now - asked >= FRESH_SECONDS:
            told = await self._ask(key)
            self._known[key] = (now, state, told)
        return told


class Storefront:
    """The desk: knows the markets and the tree of categories, and asks for them now and then."""

    def __init__(
        self,
        settings: StorefrontSettings,
        pricing: Pricing,
        search: Search,
        clock: Clock,
        shelf: Shelf,
    ) -> None:
        self.settings = settings
        self._pricing = pricing
        self._search = search
        self._shelf = shelf
        self._markets = Kept(self._ask_markets, clock)
        self._trees = Kept(self._ask_tree, clock)

    async def place(self, market: str, locale: str) -> Place:
        """Find where an address leads, or raise `NoSuchPlace`."""
        markets = await self.markets()
        for one in markets:
            if one.code == market and locale in one.locales:
                spoken = Locale(locale)
                # A page that is shelved must not show an older tree than that of its search.
                state = self._shelf.changes["search"]
                tree = await self._trees.get((one.code, spoken), state=state)
                return Place(market=one, locale=spoken, markets=markets, categories=tree)
        raise NoSuchPlace

    async def markets(self) -> tuple[Market, ...]:
        """List the markets that are open, by position."""
        return await self._markets.get(None)

    def base(self, request: Request) -> str:
        """Tell search engines where the world finds the shop, such as `https://shop.example`."""
        return (self.settings.url or str(request.base_url)).rstrip("/")

    async def _ask_markets(self, _: None) -> tuple[Market, ...]:
        return tuple(one for one in await self._pricing.markets() if one.open)

    async def _ask_tree(self, place: tuple[MarketCode, Locale]) -> tuple[CategoryShown, ...]:
        market, locale = place
        return (await self._search.categories(market=market, wishes=(locale,))).items


def _around(request: AnyRequest) -> dict[str, Any]:
    """Tell the page of a problem where its reader is, as far as the address says."""
    market, locale = (str(request.path_params.get(name, "")) for name in ("market", "locale"))
    accepted = visit_of({}, {"accept-language": request.headers.get("accept-language", "")}).wishes
    language = choose((locale, *accepted), PAGES.languages) or ENGLISH
    is_place = re.fullmatch(MARKET, market) and re.fullmatch(LOCALE, locale)
    home = f"/{market}/{locale}" if is_place else ""
    return {"home": home, "locale": language, "speech": language}


PAGES = look.pages(PACKAGE, ASSETS, around=_around)


class Shop(Controller):
    """A page of the shop in some market and language."""

    path = "/{market:str}/{locale:str}"
    include_in_schema = False
    exception_handlers = {Exception: PAGES.trouble}  # noqa: RUF012 - as the base class has it
    storefront: Storefront

    def page(
        self, request: Request, name: str, place: Place, /, *, status: int = 200, **values: Any
    ) -> Answer[bytes]:
        """Show a page with what stands around it."""
        return PAGES.show(
            name,
            locale=place.locale,
            status=status,
            place=place,
            home=place.home,
            shop=self.storefront.settings,
            speech=place.speech,
            base=self.storefront.base(request),
            path=request.url.path,
            **({"query": request.url.query} | values),
        )

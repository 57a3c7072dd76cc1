"""What search engines ask for: robots.txt, and the sitemap with every page in all places."""

from __future__ import annotations

from urllib.parse import urlencode

from banyan.channels.storefront.desk import BROWSED, PACKAGE, Alternate, Storefront, alternates
from banyan.kernel.contract import Value
from banyan.kernel.http import Answer, Controller, FromQuery, Request, get
from banyan.kernel.template import Templates
from banyan.modules.search.contract import Search

XML = "application/xml"
TEXT = "text/plain"
PRODUCTS_IN_A_PART = 1_000
HIDDEN = ("/admin", "/api", "/*/cart", "/*/checkout", "/*/orders", "/*/search", "/*/suggestions")
"""What is nobody's business, or has no end."""

TEMPLATES = Templates(PACKAGE)


class Location(Value, frozen=True, kw_only=True):
    """A page in all its places, and the day on which it changed, if that is known."""

    addresses: tuple[str, ...]
    alternates: tuple[Alternate, ...]
    changed: str = ""


class Crawlers(Controller):
    """What search engines ask for."""

    path = "/"
    include_in_schema = False
    storefront: Storefront
    search: Search

    @get("/robots.txt", media_type=TEXT)
    async def robots(self, request: Request) -> Answer[bytes]:
        """Tell what is to be left alone, and where the sitemap is."""
        lines = ["User-agent: *", *(f"Disallow: {path}" for path in HIDDEN), ""]
        lines.append(f"Sitemap: {self.storefront.base(request)}/sitemap.xml")
        return _answer("\n".join(lines) + "\n", TEXT)

    @get("/sitemap.xml", media_type=XML)
    async def index(self, request: Request) -> Answer[bytes]:
        """List the parts of the sitemap."""
        base = self.storefront.base(request)
        parts = await self.search.sitemap_parts(limit=PRODUCTS_IN_A_PART)
        products = (f"{base}/sitemaps/products?{urlencode({'after': slug})}" for slug in parts)
        addresses = [f"{base}/sitemaps/categories", *products]
        return _answer(TEMPLATES.render("sitemap_index.xml", addresses=addresses), XML)

    @get("/sitemaps/categories", media_type=XML)
    async def categories(self, request: Request) -> Answer[bytes]:
        """List the home page and the categories, in all places."""
        slugs = {
            one.slug: None
            for market in await self.storefront.markets()
            for one in (await self.search.categories(market=market.code)).items
        }
        paths = ["", *(f"/categories/{slug}" for slug in slugs)]
        return await self._sitemap(request, [(path, "") for path in paths])

    @get("/sitemaps/products", media_type=XML)
    async def products(self, request: Request, after: FromQuery[str] = "") -> Answer[bytes]:
        """List some products, in all places."""
        entries = await self.search.sitemap(after=after, limit=PRODUCTS_IN_A_PART)
        told = [(f"/products/{one.slug}", f"{one.changed:%Y-%m-%d}") for one in entries]
        return await self._sitemap(request, told)

    async def _sitemap(self, request: Request, pages: list[tuple[str, str]]) -> Answer[bytes]:
        base = self.storefront.base(request)
        markets = await self.storefront.markets()
        homes = [f"/{market.code}/{locale}" for market in markets for locale in market.locales]
        locations = [
            Location(
                addresses=tuple(base + home + path for home in homes),
                alternates=tuple(alternates(markets, base, path)),
                changed=changed,
            )
            for path, changed in pages
        ]
        return _answer(TEMPLATES.render("sitemap.xml", locations=locations), XML)


def _answer(text: str, media_type: str) -> Answer[bytes]:
    return Answer(text.encode(), media_type=media_type, headers={"cache-control": BROWSED})


routes = [Crawlers]

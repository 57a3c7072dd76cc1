"""The HTTP face of pricing: markets for everybody; prices and taxes for the back office."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from banyan.kernel.contract import Value
from banyan.kernel.http import (
    Answer,
    Controller,
    Cursor,
    FromPath,
    FromQuery,
    IfMatch,
    JSONBody,
    Limit,
    delete,
    get,
    needs,
    obligatory_match,
    post,
    put,
    tagged,
)
from banyan.kernel.paging import Page, after, page
from banyan.modules.pricing.contract import (
    Code,
    Country,
    Currency,
    InvalidPrice,
    Market,
    MarketName,
    Price,
    PriceList,
    Pricing,
    TaxCountry,
    TaxRate,
    TaxRegion,
)
from banyan.vocabulary import Locale, Sku, SkuText

NOT_YET = 0
"""The version of what is to be created."""
ELSEWHERE = "The address names another."
ONE_RATE = "/{market:str}/{tax_class:str}/{country:str}/{region:str}"


class MarketShown(Value, frozen=True, kw_only=True):
    """A market, as shoppers choose it."""

    code: MarketName
    title: str
    currency: Currency
    countries: tuple[Country, ...]
    locales: tuple[Locale, ...]
    tax_inclusive: bool


class Batch(Value, frozen=True, kw_only=True):
    """Prices that are set together."""

    prices: Annotated[tuple[Price, ...], Meta(max_length=10_000)]


class Changed(Value, frozen=True, kw_only=True):
    """How many of the prices were new or different."""

    changed: int


class StoreMarkets(Controller):
    """Where one can shop."""

    path = "/api/store/markets"
    tags = ("store",)
    pricing: Pricing

    @get()
    async def browse(self) -> Page[MarketShown]:
        """List the markets; the first is the default."""
        markets = await self.pricing.markets()
        return Page(items=tuple(_shown(market) for market in markets if market.open))


class Markets(Controller):
    """Where prices, taxes and languages come together."""

    path = "/api/admin/markets"
    tags = ("pricing (admin)",)
    guards = (needs("pricing:read"),)
    pricing: Pricing

    @get()
    async def browse(self) -> Page[Market]:
        """List all markets by position, closed ones last."""
        return Page(items=await self.pricing.markets())

    @get("/{code:str}")
    async def show(self, code: FromPath[MarketName]) -> Answer[Market]:
        """Show a market."""
        found = await self.pricing.market(code=code)
        return tagged(found, found.version)

    @post(guards=[needs("pricing:write")])
    async def create(self, data: JSONBody[Market]) -> Answer[Market]:
        """Open a market; one that is closed is there already."""
        made = await self.pricing.save_market(market=data, expected=NOT_YET)
        return tagged(made, made.version)

    @put("/{code:str}", guards=[needs("pricing:write"), obligatory_match])
    async def change(
        self, code: FromPath[MarketName], expected: IfMatch, data: JSONBody[Market]
    ) -> Answer[Market]:
        """Change a market, or open it again; its currency stays once it has a price list."""
        if data.code != code:
            raise InvalidPrice(pointer="/code", reason=ELSEWHERE)
        await self.pricing.market(code=code)
        changed = await self.pricing.save_market(market=data, expected=expected)
        return tagged(changed, changed.version)

    @delete("/{code:str}", guards=[needs("pricing:write"), obligatory_match])
    async def close(self, code: FromPath[MarketName], expected: IfMatch) -> None:
        """Close a market; its orders, price lists and tax rates stay."""
        await self.pricing.close_market(code=code, expected=expected)


class PriceLists(Controller):
    """Sets of prices with a window in which they are valid."""

    path = "/api/admin/price-lists"
    tags = ("pricing (admin)",)
    guards = (needs("pricing:read"),)
    pricing: Pricing

    @get()
    async def browse(
        self,
        market: FromQuery[MarketName | None] = None,
        limit: Limit = 24,
        cursor: Cursor = None,
    ) -> Page[PriceList]:
        """List price lists by code, of one market or of all."""
        found = await self.pricing.price_lists(
            market=market, after=after(cursor, str), limit=limit + 1
        )
        return page(found, limit=limit, place=lambda one: one.code)

    @get("/{code:str}")
    async def show(self, code: FromPath[Code]) -> Answer[PriceList]:
        """Show a price list, without its prices."""
        found = await self.pricing.price_list(code=code)
        return tagged(found, found.version)

    @post(guards=[needs("pricing:write")])
    async def create(self, data: JSONBody[PriceList]) -> Answer[PriceList]:
        """Create a price list."""
        made = await self.pricing.save_price_list(price_list=data, expected=NOT_YET)
        return tagged(made, made.version)

    @put("/{code:str}", guards=[needs("pricing:write"), obligatory_match])
    async def change(
        self, code: FromPath[Code], expected: IfMatch, data: JSONBody[PriceList]
    ) -> Answer[PriceList]:
        """Change a price list; it stays in its market."""
        if data.code != code:
            raise InvalidPrice(pointer="/code", reason=ELSEWHERE)
        await self.pricing.price_list(code=code)
        changed = await self.pricing.save_price_list(price_list=data, expected=expected)
        return tagged(changed, changed.version)

    @delete("/{code:str}", guards=[needs("pricing:write"), obligatory_match])
    async def remove(self, code: FromPath[Code], expected: IfMatch) -> None:
        """Remove a price list with all its prices."""
        await self.pricing.remove_price_list(code=code, expected=expected)


class Prices(Controller):
    """What SKUs cost on price lists."""

    path = "/api/admin/prices"
    tags = ("pricing (admin)",)
    guards = (needs("pricing:read"),)
    pricing: Pricing

    @get()
    async def browse(
        self,
        price_list: FromQuery[Code | None] = None,
        sku: FromQuery[SkuText | None] = None,
        limit: Limit = 24,
        cursor: Cursor = None,
    ) -> Page[Price]:
        """List prices by SKU and list."""
        last_sku, last_list = after(cursor, tuple[Sku, str]) or (None, None)
        found = await self.pricing.prices(
            price_list=price_list,
            skus=(sku,) if sku else (),
            after=last_sku,
            after_list=last_list,
            limit=limit + 1,
        )
        return page(found, limit=limit, place=lambda one: (one.sku, one.price_list))

    @put(guards=[needs("pricing:write")])
    async def save(self, data: JSONBody[Batch]) -> Changed:
        """Set up to 10,000 prices, all or none; their products need not be there yet."""
        return Changed(changed=await self.pricing.set_prices(prices=data.prices))

    @delete(guards=[needs("pricing:write")])
    async def remove(self, price_list: FromQuery[Code], sku: FromQuery[SkuText]) -> None:
        """Remove the price of a SKU from a list."""
        await self.pricing.remove_prices(price_list=price_list, skus=(sku,))


class TaxRates(Controller):
    """Taxes on classes of goods, by destination; `*` stands for every country or region."""

    path = "/api/admin/tax-rates"
    tags = ("pricing (admin)",)
    guards = (needs("pricing:read"),)
    pricing: Pricing

    @get()
    async def browse(self, market: FromQuery[MarketName | None] = None) -> Page[TaxRate]:
        """List the tax rates, of one market or of all."""
        return Page(items=await self.pricing.tax_rates(market=market))

    @get(ONE_RATE)
    async def show(
        self,
        market: FromPath[MarketName],
        tax_class: FromPath[Code],
        country: FromPath[TaxCountry],
        region: FromPath[TaxRegion],
    ) -> Answer[TaxRate]:
        """Show a tax rate."""
        found = await self.pricing.tax_rate(
            market=market, tax_class=tax_class, country=country, region=region
        )
        return tagged(found, found.version)

    @post(guards=[needs("pricing:write")])
    async def create(self, data: JSONBody[TaxRate]) -> Answer[TaxRate]:
        """Set a tax rate where there is none for exactly this."""
        made = await self.pricing.set_tax_rate(rate=data, expected=NOT_YET)
        return tagged(made, made.version)

    @put(
        ONE_RATE,
        guards=[needs("pricing:write"), obligatory_match],
    )
    async def change(
        self,
        market: FromPath[MarketName],
        tax_class: FromPath[Code],
        country: FromPath[TaxCountry],
        region: FromPath[TaxRegion],
        expected: IfMatch,
        data: JSONBody[TaxRate],
    ) -> Answer[TaxRate]:
        """Change a tax rate."""
        told = (data.market, data.tax_class, data.country, data.region)
        if told != (market, tax_class, country, region):
            raise InvalidPrice(pointer="", reason=ELSEWHERE)
        await self.pricing.tax_rate(
            market=market, tax_class=tax_class, country=country, region=region
        )
        changed = await self.pricing.set_tax_rate(rate=data, expected=expected)
        return tagged(changed, changed.version)

    @delete(
        ONE_RATE,
        guards=[needs("pricing:write"), obligatory_match],
    )
    async def remove(
        self,
        market: FromPath[MarketName],
        tax_class: FromPath[Code],
        country: FromPath[TaxCountry],
        region: FromPath[TaxRegion],
        expected: IfMatch,
    ) -> None:
        """Remove a tax rate; what it applied to cannot be sold there until there is another."""
        await self.pricing.remove_tax_rate(
            market=market,
            tax_class=tax_class,
            country=country,
            region=region,
            expected=expected,
        )


def _shown(market: Market) -> MarketShown:
    return MarketShown(
        code=market.code,
        title=market.title,
        currency=market.currency,
        countries=market.countries,
        locales=market.locales,
        tax_inclusive=market.tax_inclusive,
    )


routes = [StoreMarkets, Markets, PriceLists, Prices, TaxRates]

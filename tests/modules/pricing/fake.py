"""Pricing in memory, for the tests of those who ask it: the same rules, no database."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from banyan.kernel.clock import Clock, FixedClock
from banyan.modules.pricing import model
from banyan.modules.pricing.contract import (
    InvalidPrice,
    Market,
    Offer,
    Price,
    PriceList,
    Pricing,
    Quote,
    StaleMarket,
    StalePriceList,
    StaleTaxRate,
    TaxRate,
    UnknownPriceList,
    UnknownTaxRate,
)
from banyan.vocabulary import Line, Locale, MarketCode, Money, Sku, UnknownMarket

EU = MarketCode("eu")
US = MarketCode("us")


class FakePricing(Pricing):
    """Markets, prices and tax rates in dictionaries; it tells no events."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or FixedClock()
        self.tax_classes: dict[Sku, str] = {}
        self._markets: dict[str, Market] = {}
        self._lists: dict[str, PriceList] = {}
        self._prices: dict[tuple[Sku, str], Price] = {}
        self._rates: dict[tuple[str, str, str, str], TaxRate] = {}

    @classmethod
    def shop(cls, clock: Clock | None = None, **prices: int) -> FakePricing:
        """Open a shop with the markets of the demo that sells SKUs at so many cents in each.

        `eu` is in EUR with 19 % included; `us` is in USD with 10.75 % on top.
        """
        made = cls(clock)
        for market, millionths in ((euro_market(), 190_000), (dollar_market(), 107_500)):
            base = PriceList(
                code=f"{market.code}-base", market=market.code, currency=market.currency, version=1
            )
            rate = TaxRate(
                market=market.code,
                tax_class="standard",
                millionths=millionths,
                name="tax",
                version=1,
            )
            made._markets[market.code] = replace(market, version=1)
            made._lists[base.code] = base
            made._rates[_key(rate)] = rate
            for sku, amount in prices.items():
                price = Price(price_list=base.code, sku=Sku(sku), amount=amount)
                made._prices[price.sku, base.code] = price
        return made

    async def quote(
        self,
        *,
        market: MarketCode,
        lines: tuple[Line, ...],
        shipping: Money | None = None,
        country: str = "",
        region: str = "",
    ) -> Quote:
        place = await self.market(code=market)
        if not place.open:
            raise UnknownMarket(market=market)
        offered = {offer.sku: offer for offer in self._offers(market)}
        terms = model.Terms(
            market=place,
            goods=tuple(
                model.Goods(
                    sku=line.sku,
                    amount=offered[line.sku].price.amount if line.sku in offered else None,
                    tax_class=self.tax_classes.get(line.sku, "standard"),
                )
                for line in lines
            ),
            rates=tuple(rate for rate in self._rates.values() if rate.market == market),
        )
        return model.quote(terms, lines=lines, shipping=shipping, country=country, region=region)

    async def offers(self, *, skus: tuple[Sku, ...]) -> tuple[Offer, ...]:
        found = [
            offer for market in self._markets for offer in self._offers(market) if offer.sku in skus
        ]
        return tuple(sorted(found, key=lambda offer: (offer.sku, offer.market)))

    async def markets(self) -> tuple[Market, ...]:
        markets = self._markets.values()
        return tuple(sorted(markets, key=lambda one: (not one.open, one.position, one.code)))

    async def market(self, *, code: MarketCode) -> Market:
        if code not in self._markets:
            raise UnknownMarket(market=code)
        return self._markets[code]

    async def save_market(self, *, market: Market, expected: int | None = None) -> Market:
        model.check_market(market)
        before = self._markets.get(market.code)
        model.check_expected(before, expected, StaleMarket)
        if before and before.currency != market.currency and self._lists_of(market.code):
            raise InvalidPrice(pointer="/currency", reason="There are price lists in the old one.")
        self._markets[market.code] = model.revised(before, market)
        return self._markets[market.code]

    async def close_market(self, *, code: MarketCode, expected: int | None = None) -> Market:
        before = await self.market(code=code)
        return await self.save_market(market=replace(before, open=False), expected=expected)

    async def price_list(self, *, code: str) -> PriceList:
        if code not in self._lists:
            raise UnknownPriceList(price_list=code)
        return self._lists[code]

    async def price_lists(
        self,
        *,
        market: MarketCode | None = None,
        after: str | None = None,
        limit: int | None = None,
    ) -> tuple[PriceList, ...]:
        found = self._lists_of(market) if market else self._lists.values()
        lists = sorted((one for one in found if one.code > (after or "")), key=lambda one: one.code)
        return tuple(lists[:limit])

    async def save_price_list(
        self, *, price_list: PriceList, expected: int | None = None
    ) -> PriceList:
        before = self._lists.get(price_list.code)
        model.check_expected(before, expected, StalePriceList)
        currency = (await self.market(code=price_list.market)).currency
        model.check_price_list(before, price_list, currency)
        self._lists[price_list.code] = model.revised(before, price_list)
        return self._lists[price_list.code]

    async def remove_price_list(self, *, code: str, expected: int | None = None) -> None:
        model.check_expected(await self.price_list(code=code), expected, StalePriceList)
        del self._lists[code]
        self._prices = {key: price for key, price in self._prices.items() if key[1] != code}

    async def set_prices(self, *, prices: tuple[Price, ...]) -> int:
        model.check_prices(prices)
        for code in sorted({price.price_list for price in prices}):
            await self.price_list(code=code)
        wanted = {(price.sku, price.price_list): price for price in prices}
        changed = sum(self._prices.get(key) != price for key, price in wanted.items())
        self._prices.update(wanted)
        return changed

    async def remove_prices(self, *, price_list: str, skus: tuple[Sku, ...]) -> int:
        await self.price_list(code=price_list)
        return sum(self._prices.pop((sku, price_list), None) is not None for sku in set(skus))

    async def prices(
        self,
        *,
        price_list: str | None = None,
        skus: tuple[Sku, ...] = (),
        after: Sku | None = None,
        after_list: str | None = None,
        limit: int = 100,
    ) -> tuple[Price, ...]:
        if price_list:
            await self.price_list(code=price_list)
        behind = (after, after_list or "~") if after is not None else ("", "")
        found = [
            price
            for key, price in sorted(self._prices.items())
            if key > behind
            and price_list in (None, price.price_list)
            and (not skus or price.sku in skus)
        ]
        return tuple(found[:limit])

    async def tax_rate(
        self, *, market: MarketCode, tax_class: str, country: str = "*", region: str = "*"
    ) -> TaxRate:
        key = (market, tax_class, country, region)
        if key not in self._rates:
            raise UnknownTaxRate(market=market, tax_class=tax_class, country=country, region=region)
        return self._rates[key]

    async def tax_rates(self, *, market: MarketCode | None = None) -> tuple[TaxRate, ...]:
        return tuple(
            rate for _, rate in sorted(self._rates.items()) if market in (None, rate.market)
        )

    async def set_tax_rate(self, *, rate: TaxRate, expected: int | None = None) -> TaxRate:
        model.check_tax_rate(rate)
        await self.market(code=rate.market)
        before = self._rates.get(_key(rate))
        model.check_expected(before, expected, StaleTaxRate)
        self._rates[_key(rate)] = model.revised(before, rate)
        return self._rates[_key(rate)]

    async def remove_tax_rate(
        self,
        *,
        market: MarketCode,
        tax_class: str,
        country: str = "*",
        region: str = "*",
        expected: int | None = None,
    ) -> None:
        key = (market, tax_class, country, region)
        model.check_expected(self._rates.get(key), expected, StaleTaxRate)
        self._rates.pop(key, None)

    def _lists_of(self, market: str) -> list[PriceList]:
        return [one for one in self._lists.values() if one.market == market]

    def _offers(self, market: str) -> list[Offer]:
        """Let the valid list of highest priority that has a price decide, of equals the first."""
        now = self.clock.now()
        valid = [one for one in self._lists_of(market) if _holds(one, now)]
        found: dict[Sku, Offer] = {}
        for deciding in sorted(valid, key=lambda one: (-one.priority, one.code)):
            for price in self._prices.values():
                if price.price_list == deciding.code and price.sku not in found:
                    found[price.sku] = _offer(price, deciding)
        return list(found.values())


def euro_market() -> Market:
    """Describe a market whose prices include the tax."""
    return Market(
        code=EU,
        title="Europe",
        currency="EUR",
        countries=("DE", "AT"),
        locales=(Locale("en"), Locale("de")),
        tax_inclusive=True,
    )


def dollar_market() -> Market:
    """Describe a market where the tax comes on top."""
    return Market(
        code=US,
        title="United States",
        currency="USD",
        countries=("US",),
        locales=(Locale("en"),),
        tax_inclusive=False,
        position=1,
    )


def _holds(price_list: PriceList, now: datetime) -> bool:
    begun = price_list.since is None or price_list.since <= now
    return begun and (price_list.until is None or now < price_list.until)


def _offer(price: Price, price_list: PriceList) -> Offer:
    was = price.compare_at
    return Offer(
        sku=price.sku,
        market=price_list.market,
        price=Money(amount=price.amount, currency=price_list.currency),
        compare_at=Money(amount=was, currency=price_list.currency)
        if was is not None and was > price.amount
        else None,
    )


def _key(rate: TaxRate) -> tuple[str, str, str, str]:
    return rate.market, rate.tax_class, rate.country, rate.region

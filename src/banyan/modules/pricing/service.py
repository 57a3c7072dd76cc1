"""The answers of pricing: load, decide, save, tell."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from msgspec import structs

from banyan.kernel.clock import Clock
from banyan.kernel.database import Database, ForeignKeyViolation
from banyan.kernel.transaction import Transaction
from banyan.modules.pricing import model, store
from banyan.modules.pricing.contract import (
    InvalidPrice,
    Market,
    MarketChanged,
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
from banyan.vocabulary import Line, MarketCode, Money, Sku, UnknownMarket


class PricingService(Pricing):
    """Markets, prices and tax rates, in the schema `pricing`."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self.db = db
        self.clock = clock

    async def quote(
        self,
        *,
        market: MarketCode,
        lines: tuple[Line, ...],
        shipping: Money | None = None,
        country: str = "",
        region: str = "",
    ) -> Quote:
        region = model.subdivision(region)
        skus = list({line.sku for line in lines})
        terms = await store.terms(
            self.db, market, skus, self.clock.now(), country=country, region=region
        )
        return model.quote(terms, lines=lines, shipping=shipping, country=country, region=region)

    async def offers(self, *, skus: tuple[Sku, ...]) -> tuple[Offer, ...]:
        return await store.offers(self.db, skus, self.clock.now())

    async def markets(self) -> tuple[Market, ...]:
        return await store.markets(self.db)

    async def market(self, *, code: MarketCode) -> Market:
        return await store.market(self.db, code)

    async def save_market(self, *, market: Market, expected: int | None = None) -> Market:
        model.check_market(market)
        async with self.db.begin() as tx:
            before = await store.lock_market(tx, market.code)
            return await self._write_market(tx, before, market, expected)

    async def close_market(self, *, code: MarketCode, expected: int | None = None) -> Market:
        async with self.db.begin() as tx:
            before = await self._lock_market(tx, code)
            closed = structs.replace(before, open=False)
            return await self._write_market(tx, before, closed, expected)

    async def price_list(self, *, code: str) -> PriceList:
        found = await store.find_price_list(self.db, code)
        if found is None:
            raise UnknownPriceList(price_list=code)
        return found

    async def price_lists(
        self,
        *,
        market: MarketCode | None = None,
        after: str | None = None,
        limit: int | None = None,
    ) -> tuple[PriceList, ...]:
        return await store.price_lists(self.db, market, after, limit)

    async def save_price_list(
        self, *, price_list: PriceList, expected: int | None = None
    ) -> PriceList:
        async with self._repricing(price_list=price_list.code) as tx:
            before = await store.find_price_list(tx, price_list.code)
            model.check_expected(before, expected, StalePriceList)
            market = await self._lock_market(tx, price_list.market)
            model.check_price_list(before, price_list, market.currency)
            after = model.revised(before, price_list)
            if after != before:
                await store.save_price_list(tx, after)
        return after

    async def remove_price_list(self, *, code: str, expected: int | None = None) -> None:
        async with self._repricing(price_list=code) as tx:
            before = await store.find_price_list(tx, code)
            if before is None:
                raise UnknownPriceList(price_list=code)
            model.check_expected(before, expected, StalePriceList)
            await store.remove_price_list(tx, code)

    async def set_prices(self, *, prices: tuple[Price, ...]) -> int:
        model.check_prices(prices)
        async with self._repricing([price.sku for price in prices]) as tx:
            await store.require_price_lists(tx, list({price.price_list for price in prices}))
            return await store.set_prices(tx, prices)

    async def remove_prices(self, *, price_list: str, skus: tuple[Sku, ...]) -> int:
        async with self._repricing(skus) as tx:
            await store.require_price_lists(tx, [price_list])
            return await store.remove_prices(tx, price_list, skus)

    async def prices(
        self,
        *,
        price_list: str | None = None,
        skus: tuple[Sku, ...] = (),
        after: Sku | None = None,
        after_list: str | None = None,
        limit: int = 100,
    ) -> tuple[Price, ...]:
        if skus:
            found = await store.prices_of(
                self.db, price_list, skus, after=after, after_list=after_list, limit=limit
            )
        else:
            found = await store.prices(
                self.db, price_list, after=after, after_list=after_list, limit=limit
            )
        if price_list and not found:
            await self.price_list(code=price_list)
        return found

    async def tax_rate(
        self, *, market: MarketCode, tax_class: str, country: str = "*", region: str = "*"
    ) -> TaxRate:
        found = await store.find_tax_rate(self.db, market, tax_class, country, region)
        if found is None:
            raise UnknownTaxRate(market=market, tax_class=tax_class, country=country, region=region)
        return found

    async def tax_rates(self, *, market: MarketCode | None = None) -> tuple[TaxRate, ...]:
        return await store.tax_rates(self.db, market)

    async def set_tax_rate(self, *, rate: TaxRate, expected: int | None = None) -> TaxRate:
        model.check_tax_rate(rate)
        async with self.db.begin() as tx:
            await self._lock_market(tx, rate.market)
            before = await store.find_tax_rate(
                tx, rate.market, rate.tax_class, rate.country, rate.region
            )
            model.check_expected(before, expected, StaleTaxRate)
            after = model.revised(before, rate)
            if after != before:
                await store.save_tax_rate(tx, after)
        return after

    async def remove_tax_rate(
        self,
        *,
        market: MarketCode,
        tax_class: str,
        country: str = "*",
        region: str = "*",
        expected: int | None = None,
    ) -> None:
        async with self.db.begin() as tx:
            await store.lock_market(tx, market)
            before = await store.find_tax_rate(tx, market, tax_class, country, region)
            model.check_expected(before, expected, StaleTaxRate)
            await store.remove_tax_rate(tx, market, tax_class, country, region)

    async def announce_windows(self) -> None:
        """Tell which prices have changed by the passing of time.

        Quotes are right without it: this is for those who keep what they were told.
        """
        async with self._repricing():
            pass

    @asynccontextmanager
    async def _repricing(
        self, skus: Sequence[Sku] = (), *, price_list: str | None = None
    ) -> AsyncIterator[Transaction]:
        """Change prices, and tell at the end which SKUs have another offer than was last told.

        One after the other: two who change the prices of a SKU at once would each tell an offer
        that does not know of the other's. What has been told is what was offered at the end of
        the last turn, so that windows that have opened or closed since are told here, too.
        """
        async with self.db.begin() as tx:
            turn = await store.take_turn(tx, self.clock.now())
            touched = await store.concerned(tx, turn, skus, price_list)
            before = await store.offers(tx, touched, turn.told_until)
            yield tx
            after = await store.offers(tx, touched, turn.now)
            tx.tell(*model.news(before, after, version=turn.version))

    async def _lock_market(self, tx: Transaction, code: MarketCode) -> Market:
        market = await store.lock_market(tx, code)
        if market is None:
            raise UnknownMarket(market=code)
        return market

    async def _write_market(
        self, tx: Transaction, before: Market | None, wanted: Market, expected: int | None
    ) -> Market:
        """Save a market; the database lets it change its currency only while it has no list."""
        model.check_expected(before, expected, StaleMarket)
        after = model.revised(before, wanted)
        if after == before:
            return before
        try:
            saved = await store.save_market(tx, after)
        except ForeignKeyViolation:
            raise InvalidPrice(
                pointer="/currency", reason="There are price lists in the old currency."
            ) from None
        if not saved:
            raise StaleMarket(version=after.version)
        tx.tell(MarketChanged(market=after))
        return after

"""A shop with two markets, where pricing is the service over a wire and the fake alike."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from banyan.kernel.clock import FixedClock
from banyan.kernel.link import wire
from banyan.kernel.testing import Server, bench
from banyan.modules.pricing.contract import (
    Price,
    PriceList,
    Pricing,
    TaxRate,
)
from banyan.modules.pricing.module import module
from banyan.vocabulary import Line, MarketCode, Sku
from tests.modules.pricing.fake import EU, US, FakePricing, dollar_market, euro_market

LAMP, PIN = Sku("lamp"), Sku("pin")
NOWHERE = MarketCode("nowhere")
BASE = PriceList(code="eu-base", market=EU, currency="EUR")
SALE = PriceList(code="eu-sale", market=EU, currency="EUR", priority=1)


@dataclass(frozen=True)
class Shop:
    """Pricing, and the clock that it looks at."""

    pricing: Pricing
    clock: FixedClock

    async def cost(self, sku: Sku = LAMP, market: MarketCode = EU) -> int:
        """Ask what one unit costs."""
        quote = await self.pricing.quote(market=market, lines=(Line(sku=sku, quantity=1),))
        return quote.lines[0].unit_price.amount


@pytest.fixture(params=["service", "fake"])
async def shop(
    request: pytest.FixtureRequest, server: Server, tmp_path: Path
) -> AsyncIterator[Shop]:
    """Open two markets with a list of prices each, without any price."""
    if request.param == "fake":
        clock = FixedClock()
        yield await opened(FakePricing(clock), clock)
        return
    async with bench(server, [module], folder=tmp_path, link=wire) as made:
        yield await opened(made.ask(Pricing), made.clock)


async def opened(pricing: Pricing, clock: FixedClock) -> Shop:
    for market in (euro_market(), dollar_market()):
        await pricing.save_market(market=market)
        await pricing.set_tax_rate(
            rate=TaxRate(market=market.code, tax_class="standard", millionths=190_000, name="VAT")
        )
    await pricing.save_price_list(price_list=BASE)
    await pricing.save_price_list(price_list=PriceList(code="us-base", market=US, currency="USD"))
    return Shop(pricing, clock)


def price(amount: int, *, on: str = "eu-base", sku: Sku = LAMP, was: int | None = None) -> Price:
    return Price(price_list=on, sku=sku, amount=amount, compare_at=was)

"""Markets, and the price lists in each of them."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any

from msgspec import Meta, structs

from banyan.channels.backoffice.records import Records
from banyan.channels.backoffice.sheet import Sheet
from banyan.channels.backoffice.taxes import TAXES
from banyan.kernel.contract import Value
from banyan.kernel.http import Request, needs
from banyan.modules.pricing.contract import (
    Code,
    Currency,
    InvalidPrice,
    Market,
    MarketName,
    PriceList,
    Pricing,
    Rank,
    Rounding,
    StaleMarket,
    StalePriceList,
    UnknownPriceList,
)
from banyan.vocabulary import MarketCode, UnknownMarket

ROUNDINGS = (
    ("line", "on each line"),
    ("unit", "on each unit"),
    ("order", "once on the whole order"),
)

LANGUAGE = "[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8}){0,4}"

LocalTime = Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?$")]
Spaced = Annotated[str, Meta(min_length=1, max_length=2000)]
"""Codes with spaces or line breaks between them."""


class MarketForm(Value, frozen=True, kw_only=True):
    """A market, as it is typed."""

    code: MarketName
    title: Annotated[str, Meta(min_length=1, max_length=200)]
    currency: Currency
    countries: Annotated[Spaced, Meta(pattern=r"^[A-Z]{2}(\s+[A-Z]{2})*$")]
    locales: Spaced
    tax_inclusive: bool = False
    rounding: Rounding = "line"
    position: Rank = 0
    open: bool = False


class Markets(Records):
    """Where prices, taxes and languages come together."""

    path = f"{TAXES}/markets"
    home = TAXES
    template = "market.html"
    kind = MarketForm
    guards = (*Records.guards, needs("pricing:write"))
    stale = StaleMarket
    refusals = (InvalidPrice, UnknownMarket)
    pricing: Pricing

    async def blank(self) -> MarketForm:
        """Begin a market."""
        return MarketForm(code=MarketCode(""), title="", currency="", countries="", locales="")

    async def known(self, name: str) -> tuple[Value, int]:
        """Find a market."""
        one = structs.asdict(await self.pricing.market(code=MarketCode(name)))
        version = one.pop("version")
        one |= {name: " ".join(one[name]) for name in ("countries", "locales")}
        return MarketForm(**one), version

    async def keep(self, value: Any, expected: int) -> None:
        """Save a market."""
        told = structs.asdict(value)
        told |= {name: tuple(told[name].split()) for name in ("countries", "locales")}
        await self.pricing.save_market(market=Market(**told), expected=expected)

    async def remove(self, name: str, expected: int) -> None:
        """Close a market, until somebody saves it as an open one."""
        await self.pricing.close_market(code=MarketCode(name), expected=expected)

    def check(self, value: Any) -> dict[str, str]:
        """Want languages as BCP 47 spells them."""
        wrong = [one for one in value.locales.split() if not re.fullmatch(LANGUAGE, one)]
        return {"locales": f"“{wrong[0]}” is no language tag such as en or de-AT."} if wrong else {}

    async def around(self, request: Request, sheet: Sheet[Any], name: str) -> dict[str, Any]:  # noqa: ARG002
        """Tell how taxes may be rounded."""
        return {"roundings": ROUNDINGS}


class PriceListForm(Value, frozen=True, kw_only=True):
    """A price list, as it is typed; moments are those of the shop's own clock."""

    code: Code
    market: MarketName
    title: Annotated[str, Meta(max_length=200)] = ""
    priority: Rank = 0
    since: LocalTime = ""
    until: LocalTime = ""


class PriceLists(Records):
    """Sets of prices, each in a market and for a time."""

    path = f"{TAXES}/price-lists"
    home = TAXES
    template = "price_list.html"
    kind = PriceListForm
    guards = (*Records.guards, needs("pricing:write"))
    stale = StalePriceList
    refusals = (InvalidPrice, UnknownMarket, UnknownPriceList)
    pricing: Pricing

    async def blank(self) -> PriceListForm:
        """Begin a price list in the first market."""
        markets = await self.pricing.markets()
        market = markets[0].code if markets else MarketCode("")
        return PriceListForm(code="", market=market)

    async def known(self, name: str) -> tuple[Value, int]:
        """Find a price list."""
        one = await self.pricing.price_list(code=name)
        told = PriceListForm(
            code=one.code,
            market=one.market,
            title=one.title,
            priority=one.priority,
            since=self._local(one.since),
            until=self._local(one.until),
        )
        return told, one.version

    async def keep(self, value: Any, expected: int) -> None:
        """Save a price list in the currency of its market."""
        market = await self.pricing.market(code=value.market)
        price_list = PriceList(
            code=value.code,
            market=value.market,
            currency=market.currency,
            title=value.title,
            priority=value.priority,
            since=self._moment(value.since),
            until=self._moment(value.until),
        )
        await self.pricing.save_price_list(price_list=price_list, expected=expected)

    async def remove(self, name: str, expected: int) -> None:
        """Remove a price list with all its prices."""
        await self.pricing.remove_price_list(code=name, expected=expected)

    def check(self, value: Any) -> dict[str, str]:
        """Want an end after the beginning."""
        backwards = value.since and value.until and value.since >= value.until
        return {"until": "It must end after it has begun."} if backwards else {}

    async def around(self, request: Request, sheet: Sheet[Any], name: str) -> dict[str, Any]:  # noqa: ARG002
        """Tell the markets, and whose clock counts."""
        markets = await self.pricing.markets()
        return {
            "markets": [(one.code, f"{one.title} ({one.currency})") for one in markets],
            "zone_name": self.backoffice.zone_name,
        }

    def _local(self, moment: datetime | None) -> str:
        if moment is None:
            return ""
        return (
            moment.astimezone(self.backoffice.zone).replace(tzinfo=None).isoformat("T", "minutes")
        )

    def _moment(self, told: str) -> datetime | None:
        return datetime.fromisoformat(told).replace(tzinfo=self.backoffice.zone) if told else None


routes = [Markets, PriceLists]

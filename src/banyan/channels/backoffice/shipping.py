"""How goods are sent and what that costs: methods with their tables of rates, and zones."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any

from msgspec import Meta

from banyan.channels.backoffice.categories import UNTITLED, spoken
from banyan.channels.backoffice.desk import HOME
from banyan.channels.backoffice.product_details import lines
from banyan.channels.backoffice.product_prices import Major, is_too_fine
from banyan.channels.backoffice.records import Records
from banyan.channels.backoffice.sheet import Sheet, label
from banyan.kernel import form
from banyan.kernel.contract import Value
from banyan.kernel.http import Answer, Request, get, needs
from banyan.modules.fulfillment.contract import (
    Condition,
    Fulfillment,
    InvalidMethod,
    MethodCode,
    Place,
    RateRow,
    ShippingMethod,
    StaleMethod,
    StaleZone,
    Trial,
    UnknownMethod,
    UnknownZone,
    Zone,
    ZoneCode,
    ZoneInUse,
)
from banyan.modules.pricing.contract import Market, Pricing
from banyan.vocabulary import Locale, MarketCode, Money

SHIPPING = f"{HOME}/shipping"

_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_SPAN = re.compile(rf"\[({_NUMBER})\.\.({_NUMBER})\)")
_LEAST = re.compile(rf">= ?({_NUMBER})")
_BELOW = re.compile(rf"< ?({_NUMBER})")

Bound = Annotated[str, Meta(pattern=f"^{_NUMBER}$", max_length=20)]
Text = Annotated[str, Meta(min_length=1, max_length=200)]


class Row(Value, frozen=True, kw_only=True):
    """A row of the table, as it is typed: from a bound on, and below another one.

    What a table says in another way is kept as it is, in `weight` and `total`.
    """

    zone: Annotated[str, Meta(max_length=64)] = ""
    weight_from: Bound = ""
    weight_below: Bound = ""
    weight: Condition = ""
    total_from: Bound = ""
    total_below: Bound = ""
    total: Condition = ""
    amount: Major


class MethodForm(Value, frozen=True, kw_only=True):
    """A shipping method, as it is typed."""

    code: MethodCode
    market: MarketCode
    title: dict[Locale, Text] = {}  # noqa: RUF012 - a value is never changed
    position: Annotated[int, Meta(ge=-1_000_000, le=1_000_000)] = 0
    active: bool = False
    rates: tuple[Row, ...] = ()


class Parcel(Value, frozen=True, kw_only=True):
    """What a table is tried with."""

    country: Annotated[str, Meta(pattern="^[A-Z]{2}$")]
    region: Annotated[str, Meta(max_length=10)] = ""
    weight_grams: Annotated[int, Meta(ge=0, le=10**9)] = 0
    total: Major = "0"


class Methods(Records):
    """The shipping methods, each with its table of rates."""

    path = SHIPPING
    home = SHIPPING
    template = "method.html"
    kind = MethodForm
    guards = (*Records.guards, needs("fulfillment:write"))
    reserved = Records.reserved | {"zones"}
    stale = StaleMethod
    refusals = (InvalidMethod, UnknownMethod)
    fulfillment: Fulfillment
    pricing: Pricing

    @get(media_type="text/html")
    async def browse(self, request: Request) -> Answer[bytes]:
        """Show the methods of each market, and the zones."""
        return self.page(
            request,
            "shipping.html",
            methods=await self.fulfillment.methods(),
            markets=await self.pricing.markets(),
            zones=await self.fulfillment.zones(),
        )

    async def blank(self) -> MethodForm:
        """Begin a method in the first market."""
        markets = await self.pricing.markets()
        market = markets[0].code if markets else MarketCode("")
        return MethodForm(code="", market=market, active=True)

    async def known(self, name: str) -> tuple[Value, int]:
        """Find a method; amounts are in the currency of its market."""
        method = await self.fulfillment.method(code=name)
        currency = _currency(await self.pricing.markets(), method.market)
        told = MethodForm(
            code=method.code,
            market=method.market,
            title=method.title,
            position=method.position,
            active=method.active,
            rates=tuple(_row(rate, currency) for rate in method.rates),
        )
        return told, method.version

    async def keep(self, value: Any, expected: int) -> None:
        """Save a method with its table."""
        currency = _currency(await self.pricing.markets(), value.market)
        for number, row in enumerate(value.rates):
            if is_too_fine(row.amount, currency):
                raise InvalidMethod(
                    pointer=f"/rates/{number}/amount",
                    reason=f"has too many decimals for {currency}",
                )
        method = ShippingMethod(
            code=value.code,
            market=value.market,
            title=value.title,
            position=value.position,
            active=value.active,
            rates=tuple(_rate(row, currency) for row in value.rates),
        )
        await self.fulfillment.save_method(method=method, expected=expected)

    async def remove(self, name: str, expected: int) -> None:  # noqa: ARG002
        """Offer a method no longer."""
        await self.fulfillment.retire_method(code=name)

    def check(self, value: Any) -> dict[str, str]:
        """Want a title, and bounds in their order."""
        wrong = {} if value.title else dict(UNTITLED)
        for number, row in enumerate(value.rates):
            for what in ("weight", "total"):
                least, below = getattr(row, f"{what}_from"), getattr(row, f"{what}_below")
                if least and below and Decimal(least) >= Decimal(below):
                    at = f"rates.{number}.{what}_below"
                    wrong[at] = f"{label(at)}: it must be more than {least}."
        return wrong

    async def around(self, request: Request, sheet: Sheet[Any], name: str) -> dict[str, Any]:
        """Tell markets, zones and languages, and which row decides for a parcel that is tried."""
        tried = form.read(request.url.query, Parcel)
        markets = await self.pricing.markets()
        currency = _currency(markets, sheet.text("market"))
        asked = bool(name) and "country" in tried.said
        return {
            "markets": [(one.code, one.title) for one in markets],
            "currency": currency,
            "zones": [(one.code, one.title) for one in await self.fulfillment.zones()],
            "locales": spoken(markets, sheet),
            "tried": tried,
            "asked": asked,
            "trial": await self._try(name, tried.value, currency) if asked else None,
        }

    async def _try(self, name: str, parcel: Parcel | None, currency: str) -> Trial | None:
        if parcel is None:
            return None
        return await self.fulfillment.try_method(
            code=name,
            country=parcel.country,
            region=parcel.region,
            total=Money.of(parcel.total, currency),
            weight_grams=parcel.weight_grams,
        )


class ZoneForm(Value, frozen=True, kw_only=True):
    """A zone; `places` has one in each line."""

    code: ZoneCode
    title: Text
    places: Annotated[str, Meta(max_length=10_000)] = ""


class Zones(Records):
    """Destinations that cost the same."""

    path = f"{SHIPPING}/zones"
    home = SHIPPING
    template = "zone.html"
    kind = ZoneForm
    guards = (*Records.guards, needs("fulfillment:write"))
    stale = StaleZone
    refusals = (UnknownZone, ZoneInUse)
    fulfillment: Fulfillment

    async def blank(self) -> ZoneForm:
        """Begin a zone."""
        return ZoneForm(code="", title="")

    async def known(self, name: str) -> tuple[Value, int]:
        """Find a zone."""
        zone = await self.fulfillment.zone(code=name)
        told = ZoneForm(code=zone.code, title=zone.title, places="\n".join(zone.places))
        return told, zone.version

    async def keep(self, value: Any, expected: int) -> None:
        """Save a zone."""
        zone = Zone(code=value.code, title=value.title, places=lines(value.places))
        await self.fulfillment.save_zone(zone=zone, expected=expected)

    async def remove(self, name: str, expected: int) -> None:  # noqa: ARG002
        """Remove a zone that no method refers to."""
        await self.fulfillment.remove_zone(code=name)

    def check(self, value: Any) -> dict[str, str]:
        """Want countries and regions as ISO 3166 spells them."""
        pattern = str(Place.__metadata__[0].pattern)  # type: ignore[attr-defined]
        wrong = [one for one in lines(value.places) if not re.fullmatch(pattern, one)]
        said = (
            f"“{wrong[0]}” is no place: write DE for a country, US-AK for a region."
            if wrong
            else ""
        )
        return {"places": said} if wrong else {}


def _currency(markets: tuple[Market, ...], code: str) -> str:
    return next((one.currency for one in markets if one.code == code), "EUR")


def _row(rate: RateRow, currency: str) -> Row:
    weight, total = spelled(rate.weight), spelled(rate.total)
    return Row(
        zone=rate.zone,
        weight_from=weight[0],
        weight_below=weight[1],
        weight=weight[2],
        total_from=total[0],
        total_below=total[1],
        total=total[2],
        amount=str(Money(amount=rate.amount, currency=currency).major()),
    )


def _rate(row: Row, currency: str) -> RateRow:
    return RateRow(
        zone=row.zone,
        weight=condition(row.weight_from, row.weight_below) or row.weight,
        total=condition(row.total_from, row.total_below) or row.total,
        amount=Money.of(row.amount, currency).amount,
    )


def spelled(told: str) -> tuple[str, str, str]:
    """Read a condition as two bounds; the third part is one that is none of these."""
    told = told.strip()
    if found := _SPAN.fullmatch(told):
        return found[1], found[2], ""
    if found := _LEAST.fullmatch(told):
        return found[1], "", ""
    if found := _BELOW.fullmatch(told):
        return "", found[1], ""
    return "", "", told


def condition(least: str, below: str) -> str:
    """Write two bounds as a condition."""
    if least and below:
        return f"[{least}..{below})"
    return f">= {least}" if least else f"< {below}" if below else ""


routes = [Methods, Zones]

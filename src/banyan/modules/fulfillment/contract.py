"""Fulfillment: how goods reach the shopper, and what that costs."""

from __future__ import annotations

from typing import Annotated, Any, Protocol

from msgspec import Meta

from banyan.kernel.contract import Problem, Value, command, contract, query, raises
from banyan.vocabulary import Locale, MarketCode, Money, Texts

MethodCode = Annotated[str, Meta(pattern="^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]
ZoneCode = MethodCode
Place = Annotated[
    str, Meta(pattern="^[A-Z]{2}(-[A-Z0-9]{1,3})?$", description="ISO 3166: `US` or `US-AK`.")
]
Condition = Annotated[str, Meta(max_length=200)]


class Zone(Value, frozen=True, kw_only=True):
    """Destinations that cost the same: countries, or regions of one such as `US-AK`."""

    code: ZoneCode
    title: Annotated[str, Meta(min_length=1, max_length=200)]
    places: Annotated[tuple[Place, ...], Meta(max_length=1000)]
    version: int = 0


class RateRow(Value, frozen=True, kw_only=True):
    """A row of the rate table, as a merchant edits it: conditions, and the price if they hold.

    `zone` is a zone's code or empty for anywhere. `weight` (grams) and `total` (major units) are
    ZEN conditions such as `< 2000`, `[2000..10000)` or `>= 50`; empty holds always. The first row
    that holds decides; without one the method is not offered. `amount` is in minor units.
    """

    zone: Annotated[str, Meta(max_length=64)] = ""
    weight: Condition = ""
    total: Condition = ""
    amount: Annotated[int, Meta(ge=0, le=10**9)] = 0


class ShippingMethod(Value, frozen=True, kw_only=True):
    """A way to send goods in one market, with its table of rates."""

    code: MethodCode
    market: Annotated[MarketCode, Meta(pattern="^[a-z0-9-]{1,32}$")]
    title: Annotated[Texts, Meta(min_length=1, max_length=100)]
    rates: Annotated[tuple[RateRow, ...], Meta(max_length=1000)]
    position: Annotated[int, Meta(ge=-1_000_000, le=1_000_000)] = 0
    active: bool = True
    version: int = 0


class Rate(Value, frozen=True, kw_only=True):
    """What a shipping method costs for one parcel; with or without tax as the market shows it."""

    code: str
    title: str
    price: Money


class Trial(Value, frozen=True, kw_only=True):
    """Which row of a rate table decides for a parcel, counted from 0; none, if no row holds."""

    zones: tuple[str, ...]
    row: int | None = None
    price: Money | None = None


class UnknownMethod(Problem, status=404):
    """There is no such shipping method."""

    method: str


class UnknownZone(Problem, status=404):
    """There is no such zone."""

    zone: str


class InvalidMethod(Problem, status=422):
    """The shipping method's table cannot be evaluated."""

    pointer: str
    reason: str


class ZoneInUse(Problem, status=409):
    """A shipping method still refers to this zone."""

    zone: str
    method: str


class StaleMethod(Problem, status=412):
    """Somebody has changed the shipping method meanwhile; read it again and repeat the change."""

    version: int


class StaleZone(Problem, status=412):
    """Somebody has changed the zone meanwhile; read it again and repeat the change."""

    version: int


@contract("fulfillment")
class Fulfillment(Protocol):
    """What channels and other modules may ask of fulfillment."""

    @query
    async def rates(
        self,
        *,
        market: MarketCode,
        country: str,
        total: Money,
        weight_grams: int = 0,
        region: str = "",
        locale: Locale | None = None,
    ) -> tuple[Rate, ...]:
        """Return what each method costs for a parcel to a destination, cheapest first.

        `region` is an ISO 3166-2 subdivision, `US-AK` or its second half. `total` is what the goods
        cost; the prices are in its currency.
        """
        ...

    @query
    async def methods(self, *, market: MarketCode | None = None) -> tuple[ShippingMethod, ...]:
        """Return the shipping methods, of one market or of all, by position."""
        ...

    @query
    @raises(UnknownMethod)
    async def method(self, *, code: str) -> ShippingMethod:
        """Return one shipping method."""
        ...

    @command
    @raises(InvalidMethod, StaleMethod)
    async def save_method(
        self, *, method: ShippingMethod, expected: int | None = None
    ) -> ShippingMethod:
        """Create or change a shipping method; its table is tried out before it is kept.

        `expected` is the version that is to be changed, 0 that of a method not yet there; None
        takes any. What would not change keeps its version. The same holds for zones.
        """
        ...

    @command
    @raises(UnknownMethod)
    async def retire_method(self, *, code: str) -> ShippingMethod:
        """Offer a shipping method no longer; orders that chose it keep it."""
        ...

    @query
    async def zones(self) -> tuple[Zone, ...]:
        """Return all zones by code."""
        ...

    @query
    @raises(UnknownZone)
    async def zone(self, *, code: str) -> Zone:
        """Return one zone."""
        ...

    @command
    @raises(StaleZone)
    async def save_zone(self, *, zone: Zone, expected: int | None = None) -> Zone:
        """Create or change a zone."""
        ...

    @command
    @raises(UnknownZone, ZoneInUse)
    async def remove_zone(self, *, code: str) -> None:
        """Remove a zone that no method refers to."""
        ...

    @query
    @raises(UnknownMethod)
    async def table(self, *, code: str) -> dict[str, Any]:
        """Return a method's rates as a ZEN decision table (JDM), for tools that edit those."""
        ...

    @query
    @raises(UnknownMethod)
    async def try_method(
        self, *, code: str, country: str, total: Money, weight_grams: int = 0, region: str = ""
    ) -> Trial:
        """Tell which row of a method's table decides for a parcel, active or not."""
        ...

"""The HTTP face of fulfillment: shipping methods and zones, for the back office only."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, structs

from banyan.kernel.contract import Value
from banyan.kernel.http import (
    Answer,
    Controller,
    FromPath,
    FromQuery,
    IfMatch,
    JSONBody,
    delete,
    get,
    needs,
    obligatory_match,
    post,
    put,
    tagged,
)
from banyan.kernel.paging import Page
from banyan.modules.fulfillment.contract import (
    Fulfillment,
    MethodCode,
    Place,
    RateRow,
    ShippingMethod,
    Trial,
    Zone,
    ZoneCode,
)
from banyan.vocabulary import MarketCode, Money, Texts

Market = Annotated[MarketCode, Meta(pattern="^[a-z0-9-]{1,32}$")]
NOT_YET = 0
"""The version of what is to be created."""


class MethodDetails(Value, frozen=True, kw_only=True):
    """What is said of a shipping method; the first row of its rates that holds decides."""

    market: Market
    title: Annotated[Texts, Meta(min_length=1, max_length=100)]
    rates: Annotated[tuple[RateRow, ...], Meta(max_length=1000)]
    position: Annotated[int, Meta(ge=-1_000_000, le=1_000_000)] = 0
    active: bool = True


class NewMethod(MethodDetails, frozen=True, kw_only=True):
    """A shipping method, and the code by which carts and orders name it."""

    code: MethodCode


class ZoneDetails(Value, frozen=True, kw_only=True):
    """What is said of a zone."""

    title: Annotated[str, Meta(min_length=1, max_length=200)]
    places: Annotated[tuple[Place, ...], Meta(max_length=1000)]


class NewZone(ZoneDetails, frozen=True, kw_only=True):
    """A zone, and the code by which rates name it."""

    code: ZoneCode


class Parcel(Value, frozen=True, kw_only=True):
    """Where a parcel goes, what it weighs, and what is in it costs."""

    country: Annotated[str, Meta(pattern="^[A-Z]{2}$")]
    total: Money
    region: Annotated[str, Meta(max_length=10)] = ""
    weight_grams: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 0


class ShippingMethods(Controller):
    """Ways to send goods, with their tables of rates."""

    path = "/api/admin/shipping-methods"
    tags = ("fulfillment (admin)",)
    guards = (needs("fulfillment:read"),)
    fulfillment: Fulfillment

    @get()
    async def browse(self, market: FromQuery[Market | None] = None) -> Page[ShippingMethod]:
        """List the shipping methods, of one market or of all, by position."""
        return Page(items=await self.fulfillment.methods(market=market))

    @get("/{code:str}")
    async def show(self, code: FromPath[MethodCode]) -> Answer[ShippingMethod]:
        """Show a shipping method."""
        found = await self.fulfillment.method(code=code)
        return tagged(found, found.version)

    @post(guards=[needs("fulfillment:write")])
    async def create(self, data: JSONBody[NewMethod]) -> Answer[ShippingMethod]:
        """Offer a new shipping method; its table is tried out first."""
        method = ShippingMethod(**structs.asdict(data))
        made = await self.fulfillment.save_method(method=method, expected=NOT_YET)
        return tagged(made, made.version)

    @put("/{code:str}", guards=[needs("fulfillment:write"), obligatory_match])
    async def change(
        self, code: FromPath[MethodCode], expected: IfMatch, data: JSONBody[MethodDetails]
    ) -> Answer[ShippingMethod]:
        """Change a shipping method; its table is tried out first."""
        await self.fulfillment.method(code=code)
        method = ShippingMethod(code=code, **structs.asdict(data))
        changed = await self.fulfillment.save_method(method=method, expected=expected)
        return tagged(changed, changed.version)

    @post(
        "/{code:str}/retirement",
        guards=[needs("fulfillment:write")],
        status_code=200,
    )
    async def retire(self, code: FromPath[MethodCode]) -> Answer[ShippingMethod]:
        """Offer a shipping method no longer; orders that chose it keep it."""
        retired = await self.fulfillment.retire_method(code=code)
        return tagged(retired, retired.version)

    @get("/{code:str}/table")
    async def table(self, code: FromPath[MethodCode]) -> dict[str, Any]:
        """Show the rates as a decision table (JDM), for tools that edit those."""
        return await self.fulfillment.table(code=code)

    @post("/{code:str}/try", status_code=200)
    async def try_out(self, code: FromPath[MethodCode], data: JSONBody[Parcel]) -> Trial:
        """Tell which row of the table decides for a parcel."""
        return await self.fulfillment.try_method(
            code=code,
            country=data.country,
            region=data.region,
            total=data.total,
            weight_grams=data.weight_grams,
        )


class Zones(Controller):
    """Destinations that cost the same."""

    path = "/api/admin/zones"
    tags = ("fulfillment (admin)",)
    guards = (needs("fulfillment:read"),)
    fulfillment: Fulfillment

    @get()
    async def browse(self) -> Page[Zone]:
        """List all zones by code."""
        return Page(items=await self.fulfillment.zones())

    @get("/{code:str}")
    async def show(self, code: FromPath[ZoneCode]) -> Answer[Zone]:
        """Show a zone."""
        found = await self.fulfillment.zone(code=code)
        return tagged(found, found.version)

    @post(guards=[needs("fulfillment:write")])
    async def create(self, data: JSONBody[NewZone]) -> Answer[Zone]:
        """Describe a new zone."""
        zone = Zone(**structs.asdict(data))
        made = await self.fulfillment.save_zone(zone=zone, expected=NOT_YET)
        return tagged(made, made.version)

    @put("/{code:str}", guards=[needs("fulfillment:write"), obligatory_match])
    async def change(
        self, code: FromPath[ZoneCode], expected: IfMatch, data: JSONBody[ZoneDetails]
    ) -> Answer[Zone]:
        """Change which places lie in a zone."""
        await self.fulfillment.zone(code=code)
        zone = Zone(code=code, **structs.asdict(data))
        changed = await self.fulfillment.save_zone(zone=zone, expected=expected)
        return tagged(changed, changed.version)

    @delete("/{code:str}", guards=[needs("fulfillment:write")])
    async def remove(self, code: FromPath[ZoneCode]) -> None:
        """Remove a zone that no method refers to."""
        await self.fulfillment.remove_zone(code=code)


routes = [ShippingMethods, Zones]

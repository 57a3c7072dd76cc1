"""Fulfillment in memory, for the tests of those who ask it: the same rules, no database."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from banyan.modules.fulfillment import model
from banyan.modules.fulfillment.contract import (
    Fulfillment,
    Rate,
    RateRow,
    ShippingMethod,
    StaleMethod,
    StaleZone,
    Trial,
    UnknownMethod,
    UnknownZone,
    Zone,
    ZoneInUse,
)
from banyan.modules.fulfillment.model import RateTable
from banyan.vocabulary import Locale, MarketCode, Money


class FakeFulfillment(Fulfillment):
    """Shipping methods and zones in dictionaries."""

    def __init__(self) -> None:
        self._methods: dict[str, ShippingMethod] = {}
        self._zones: dict[str, Zone] = {}

    @classmethod
    def shop(cls, *markets: str, **amounts: int) -> FakeFulfillment:
        """Open a shop that sends anything anywhere: `FakeFulfillment.shop("eu", standard=490)`."""
        made = cls()
        for market in markets:
            for code, amount in amounts.items():
                made._methods[f"{market}-{code}"] = ShippingMethod(
                    code=f"{market}-{code}",
                    market=MarketCode(market),
                    title={Locale("en"): code.title()},
                    rates=(RateRow(amount=amount),),
                    version=1,
                )
        return made

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
        methods = await self.methods(market=market)
        return model.offer(
            [RateTable(method) for method in methods if method.active],
            zones=self._zones_at(country, region),
            total=total,
            weight_grams=weight_grams,
            locale=locale,
        )

    async def methods(self, *, market: MarketCode | None = None) -> tuple[ShippingMethod, ...]:
        found = [one for one in self._methods.values() if market in (None, one.market)]
        return tuple(sorted(found, key=lambda one: (one.position, one.code)))

    async def method(self, *, code: str) -> ShippingMethod:
        if code not in self._methods:
            raise UnknownMethod(method=code)
        return self._methods[code]

    async def save_method(
        self, *, method: ShippingMethod, expected: int | None = None
    ) -> ShippingMethod:
        before = self._methods.get(method.code)
        model.check_expected(before, expected, StaleMethod)
        model.check_zones(method, self._zones)
        model.check_rates(method)
        self._methods[method.code] = model.revised(before, method)
        return self._methods[method.code]

    async def retire_method(self, *, code: str) -> ShippingMethod:
        before = await self.method(code=code)
        self._methods[code] = model.revised(before, replace(before, active=False))
        return self._methods[code]

    async def zones(self) -> tuple[Zone, ...]:
        return tuple(sorted(self._zones.values(), key=lambda zone: zone.code))

    async def zone(self, *, code: str) -> Zone:
        if code not in self._zones:
            raise UnknownZone(zone=code)
        return self._zones[code]

    async def save_zone(self, *, zone: Zone, expected: int | None = None) -> Zone:
        before = self._zones.get(zone.code)
        model.check_expected(before, expected, StaleZone)
        self._zones[zone.code] = model.revised(before, zone)
        return self._zones[zone.code]

    async def remove_zone(self, *, code: str) -> None:
        await self.zone(code=code)
        for method in self._methods.values():
            if code in model.zones_of(method):
                raise ZoneInUse(zone=code, method=method.code)
        del self._zones[code]

    async def table(self, *, code: str) -> dict[str, Any]:
        return RateTable(await self.method(code=code)).jdm()

    async def try_method(
        self, *, code: str, country: str, total: Money, weight_grams: int = 0, region: str = ""
    ) -> Trial:
        table = RateTable(await self.method(code=code))
        zones = self._zones_at(country, region)
        return table.decide(zones=zones, total=total, weight_grams=weight_grams)

    def _zones_at(self, country: str, region: str) -> tuple[str, ...]:
        places = set(model.places(country, region))
        return tuple(sorted(one.code for one in self._zones.values() if places & {*one.places}))

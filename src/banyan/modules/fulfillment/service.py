"""The answers of fulfillment: load, decide, save, tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from banyan.kernel.database import Database
from banyan.modules.fulfillment import model, store
from banyan.modules.fulfillment.contract import (
    Fulfillment,
    InvalidMethod,
    Rate,
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


class FulfillmentService(Fulfillment):
    """Shipping methods and zones, in the schema `fulfillment`."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._tables: dict[str, RateTable] = {}

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
        methods, zones = await store.offered(self.db, market, model.places(country, region))
        tables = [self._table(method) for method in methods]
        return model.offer(
            tables, zones=zones, total=total, weight_grams=weight_grams, locale=locale
        )

    async def methods(self, *, market: MarketCode | None = None) -> tuple[ShippingMethod, ...]:
        return await store.methods(self.db, market)

    async def method(self, *, code: str) -> ShippingMethod:
        found = await store.method(self.db, code)
        if found is None:
            raise UnknownMethod(method=code)
        return found

    async def save_method(
        self, *, method: ShippingMethod, expected: int | None = None
    ) -> ShippingMethod:
        async with self.db.begin() as tx:
            await store.claim_code(tx, "method", method.code)
            before = await store.method(tx, method.code)
            model.check_expected(before, expected, StaleMethod)
            after = model.revised(before, method)
            if after != before:
                zones = model.zones_of(after)
                model.check_zones(after, await store.hold_zones(tx, zones))
                model.check_rates(after)
                await store.save_method(tx, after)
                await store.refer(tx, after.code, zones)
        return after

    async def retire_method(self, *, code: str) -> ShippingMethod:
        async with self.db.begin() as tx:
            await store.claim_code(tx, "method", code)
            before = await store.method(tx, code)
            if before is None:
                raise UnknownMethod(method=code)
            after = model.revised(before, replace(before, active=False))
            if after != before:
                await store.save_method(tx, after)
        return after

    async def zones(self) -> tuple[Zone, ...]:
        return await store.zones(self.db)

    async def zone(self, *, code: str) -> Zone:
        found = await store.zone(self.db, code)
        if found is None:
            raise UnknownZone(zone=code)
        return found

    async def save_zone(self, *, zone: Zone, expected: int | None = None) -> Zone:
        async with self.db.begin() as tx:
            await store.claim_code(tx, "zone", zone.code)
            before = await store.zone(tx, zone.code)
            model.check_expected(before, expected, StaleZone)
            after = model.revised(before, zone)
            if after != before:
                await store.save_zone(tx, after)
        return after

    async def remove_zone(self, *, code: str) -> None:
        async with self.db.begin() as tx:
            if not await store.lock_zone(tx, code):
                raise UnknownZone(zone=code)
            if method := await store.method_referring_to(tx, code):
                raise ZoneInUse(zone=code, method=method)
            await store.remove_zone(tx, code)

    async def table(self, *, code: str) -> dict[str, Any]:
        return self._table(await self.method(code=code)).jdm()

    async def try_method(
        self, *, code: str, country: str, total: Money, weight_grams: int = 0, region: str = ""
    ) -> Trial:
        method = await self.method(code=code)
        zones = await store.zones_at(self.db, model.places(country, region))
        return self._table(method).decide(zones=zones, total=total, weight_grams=weight_grams)

    async def audit(self) -> Sequence[str]:
        """Find methods whose rates name a zone that could be removed, or cannot be evaluated."""
        findings = [
            f"{code}: not all zones that its rates name are noted"
            for code in await store.misreferred(self.db)
        ]
        for method in await store.methods(self.db, None):
            try:
                self._table(method)
            except InvalidMethod as broken:
                findings.append(f"{method.code}{broken.pointer}: {broken.reason}")
        return findings

    def _table(self, method: ShippingMethod) -> RateTable:
        """Compile a table once for each version of a method; the last one is kept."""
        kept = self._tables.get(method.code)
        if kept is None or kept.method.version != method.version:
            kept = self._tables[method.code] = RateTable(method)
        return kept

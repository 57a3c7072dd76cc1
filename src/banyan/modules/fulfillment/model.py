"""The rules of fulfillment. No I/O, no clock, no chance."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal
from typing import Any, TypeVar, cast

from msgspec.structs import replace

from banyan.kernel.decision import BrokenTable, DecisionTable, Fact
from banyan.kernel.language import negotiate
from banyan.modules.fulfillment.contract import (
    InvalidMethod,
    Rate,
    RateRow,
    ShippingMethod,
    StaleMethod,
    StaleZone,
    Trial,
    Zone,
)
from banyan.vocabulary import Locale, Money, Texts

Versioned = TypeVar("Versioned", ShippingMethod, Zone)

_BROKEN_CELL = re.compile(r"row (\d+), column (\w+)")
_NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)


class RateTable:
    """The rates of a method, compiled; each of its cells has been tried out."""

    def __init__(self, method: ShippingMethod) -> None:
        self.method = method
        try:
            self._table = DecisionTable.parse(_document(method.rates))
        except BrokenTable as broken:
            raise InvalidMethod(pointer=_pointer(broken), reason=broken.reason) from None

    def decide(self, *, zones: Sequence[str], total: Money, weight_grams: int) -> Trial:
        """Find the first row that holds for a parcel that goes to all of these zones at once."""
        parcel: dict[str, Fact] = {"weight": weight_grams, "total": total.major()}
        hits = [self._table.first({"zone": zone, **parcel}) for zone in zones or (None,)]
        row = min((cast(int, hit["row"]) for hit in hits if hit), default=None)
        if row is None:
            return Trial(zones=tuple(zones))
        price = Money(amount=self.method.rates[row].amount, currency=total.currency)
        return Trial(zones=tuple(zones), row=row, price=price)

    def jdm(self) -> dict[str, Any]:
        """Write the rates as a JSON Decision Model."""
        return self._table.jdm()


def offer(
    tables: Iterable[RateTable],
    *,
    zones: Sequence[str],
    total: Money,
    weight_grams: int,
    locale: Locale | None,
) -> tuple[Rate, ...]:
    """Price each method that takes the parcel, cheapest first; of equals the one listed first."""
    rates = [
        Rate(code=one.method.code, title=said(one.method.title, locale), price=trial.price)
        for one in tables
        if (trial := one.decide(zones=zones, total=total, weight_grams=weight_grams)).price
    ]
    return tuple(sorted(rates, key=lambda rate: rate.price.amount))


def places(country: str, region: str) -> tuple[str, ...]:
    """Spell a destination as zones do: the country, and the region in it if one is known."""
    country, region = country.upper(), region.upper().removeprefix(f"{country.upper()}-")
    return (country, f"{country}-{region}") if region else (country,)


def said(texts: Texts, locale: Locale | None) -> str:
    """Choose the text in a language, or else the English one, or else the first by language."""
    languages = tuple(sorted(texts))
    default = "en" if "en" in languages else languages[0]
    return texts[Locale(negotiate(locale or "", languages, default))]


def revised(before: Versioned | None, wanted: Versioned) -> Versioned:
    """Give what is wanted its version: a new one, unless nothing would change."""
    version = before.version if before else 0
    same = replace(wanted, version=version) == before
    return replace(wanted, version=version if same else version + 1)


def check_expected(
    before: Versioned | None, expected: int | None, stale: type[StaleMethod | StaleZone]
) -> None:
    """Refuse a change of something that is not, or not any more, what the caller has seen."""
    version = before.version if before else 0
    if expected not in (None, version):
        raise stale(version=version)


def zones_of(method: ShippingMethod) -> tuple[str, ...]:
    """List the zones that a method refers to, sorted as locks are taken."""
    return tuple(sorted({rate.zone for rate in method.rates if rate.zone}))


def check_zones(method: ShippingMethod, known: Collection[str]) -> None:
    """Refuse a row for a zone that nobody has described."""
    for number, rate in enumerate(method.rates):
        if rate.zone and rate.zone not in known:
            raise InvalidMethod(pointer=f"/rates/{number}/zone", reason="There is no such zone.")


def check_rates(method: ShippingMethod) -> None:
    """Refuse a table of which a cell cannot be evaluated."""
    RateTable(method)


def _document(rates: Sequence[RateRow]) -> dict[str, Any]:
    """Spell rates as a decision table whose rows answer with their own number."""
    rows = [
        {
            "zone": rate.zone,
            "weight": _condition(rate.weight),
            "total": _condition(rate.total),
            "amount": rate.amount,
            "row": number,
        }
        for number, rate in enumerate(rates)
    ]
    when = {"zone": "text", "weight": "number", "total": "number"}
    return {"when": when, "then": ["amount", "row"], "rows": rows}


def _condition(text: str) -> str | Decimal:
    """Take a bare number as one: in a column of numbers, a text is a condition."""
    text = text.strip()
    return Decimal(text) if _NUMBER.fullmatch(text) else text


def _pointer(broken: BrokenTable) -> str:
    """Point to the cell: ZEN counts rows from 1, JSON from 0."""
    cell = _BROKEN_CELL.fullmatch(broken.where)
    return f"/rates/{int(cell[1]) - 1}/{cell[2]}" if cell else "/rates"

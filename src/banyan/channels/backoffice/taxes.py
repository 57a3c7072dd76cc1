"""The taxes of each market: a table of rates by destination and class of goods."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from banyan.channels.backoffice.desk import HOME, done
from banyan.channels.backoffice.sheet import Sheet, Writing, began_with, once, seen_as, where
from banyan.kernel import form
from banyan.kernel.contract import Value
from banyan.kernel.form import Form
from banyan.kernel.http import Answer, FromPath, Request, get, needs, post
from banyan.kernel.idempotency import KeyReused
from banyan.modules.pricing.contract import (
    Code,
    InvalidPrice,
    Market,
    Pricing,
    StaleTaxRate,
    TaxCountry,
    TaxRate,
    TaxRegion,
)
from banyan.vocabulary import MarketCode

TAXES = f"{HOME}/taxes"
MILLIONTHS_IN_A_PERCENT = 10_000

Percent = Annotated[str, Meta(pattern=r"^([0-9]{1,2}(\.[0-9]{1,4})?|100(\.0{1,4})?)$")]
"""From 0 to 100, with up to four decimals: what millionths can say."""

HINTS: Mapping[str, str] = {
    "country": "A country is two capital letters such as DE; * is every country of the market.",
    "name": "A rate needs a name of at most 100 characters.",
    "percent": "A percentage is 0 to 100 with up to four decimals, such as 19 or 10.75.",
    "region": "A region is the second half of its ISO code, CA of US-CA; * is every region.",
    "tax_class": "A class is small letters, digits and hyphens, such as standard or books.",
}
OVERTAKEN = "somebody else has changed it meanwhile. Save again to put yours in its place."


class RateRow(Value, frozen=True, kw_only=True):
    """A rate, as it is typed."""

    percent: Percent
    name: Annotated[str, Meta(min_length=1, max_length=100)]
    country: TaxCountry = "*"
    region: TaxRegion = "*"
    tax_class: Code = "standard"
    version: int = 0

    @property
    def key(self) -> str:
        """Tell what the rate is for."""
        return f"{self.country} {self.region} {self.tax_class}"

    @property
    def millionths(self) -> int:
        """Tell the rate as it is kept: 19 % is 190,000."""
        return int(Decimal(self.percent) * MILLIONTHS_IN_A_PERCENT)


class Rates(Value, frozen=True, kw_only=True):
    """The rates of a market."""

    rates: tuple[RateRow, ...] = ()

    def by_key(self) -> dict[str, RateRow]:
        """Find each by what it is for."""
        return {row.key: row for row in self.rates}


class Taxes(Writing):
    """The tables of taxes."""

    path = TAXES
    pricing: Pricing
    notices: ClassVar[Mapping[str, str]] = {"saved": "The tax rates were saved."}

    @get(media_type="text/html")
    async def browse(self, request: Request) -> Answer[bytes]:
        """Show the markets, with their taxes and price lists."""
        return self.page(
            request,
            "taxes.html",
            markets=await self.pricing.markets(),
            rates=await self.pricing.tax_rates(),
            lists=await self.pricing.price_lists(),
        )

    @get("/rates/{market:str}", media_type="text/html")
    async def show(self, request: Request, market: FromPath[MarketCode]) -> Answer[bytes]:
        """Show the table of a market."""
        known = await self.pricing.market(code=market)
        return self._with(request, known, self.fresh(await self._there(market)))

    @post("/rates/{market:str}", media_type="text/html", guards=[needs("pricing:write")])
    async def save(self, request: Request, market: FromPath[MarketCode]) -> Answer[bytes]:
        """Save the rows that changed and remove those that are gone, or show what is wrong."""
        told = await form.received(request, Rates)
        known = await self.pricing.market(code=market)
        if wish := told.text("do"):
            return self._with(request, known, self.rearranged(told, wish))
        wrong = _twice(told.value) if told.value else _unread(told)
        if told.value is None or wrong:
            return self._with(request, known, replace(self.flawed(told), errors=wrong))
        seen = began_with(told, Rates) or Rates()
        if errors := await self._write(told, told.value, market, seen.by_key()):
            now = (await self._there(market)).rates
            ours = told.value.by_key().keys() | seen.by_key().keys()
            # What others have added is not ours to remove when this is saved once more.
            mine = Rates(rates=tuple(row for row in now if row.key in ours))
            sheet = replace(
                self.flawed(told), errors=errors, once=str(self.ids.new()), seen=seen_as(mine)
            )
            return self._with(request, known, sheet)
        return done(request.url.path, "saved")

    async def _there(self, market: MarketCode) -> Rates:
        return Rates(
            rates=tuple(_row(rate) for rate in await self.pricing.tax_rates(market=market))
        )

    async def _write(
        self, told: Form[Rates], wanted: Rates, market: MarketCode, seen: Mapping[str, RateRow]
    ) -> dict[str, str]:
        """Set and remove rates one by one: each stands for itself, and happens once."""
        errors: dict[str, str] = {}
        for number, row in enumerate(wanted.rates):
            before = seen.get(row.key)
            if before and (before.millionths, before.name) == (row.millionths, row.name):
                continue
            try:
                with once(told, f"set {row.key}"):
                    await self.pricing.set_tax_rate(
                        rate=_rate(market, row), expected=before.version if before else 0
                    )
            except (InvalidPrice, StaleTaxRate, KeyReused) as no:
                errors[f"rates.{number}.percent"] = f"Row {number + 1}: {_reason(no)}"
        for key in seen.keys() - wanted.by_key().keys():
            row = seen[key]
            try:
                with once(told, f"remove {key}"):
                    await self.pricing.remove_tax_rate(
                        market=market,
                        tax_class=row.tax_class,
                        country=row.country,
                        region=row.region,
                        expected=row.version,
                    )
            except (StaleTaxRate, KeyReused) as no:
                errors[""] = f"{row.name} ({key}) was not removed: {_reason(no)}"
        return errors

    def _with(self, request: Request, market: Market, sheet: Sheet[Any]) -> Answer[bytes]:
        return self.page(
            request,
            "tax_rates.html",
            status=sheet.status,
            sheet=sheet,
            market=market,
            hints=HINTS,
        )


def _row(rate: TaxRate) -> RateRow:
    percent = Decimal(rate.millionths) / MILLIONTHS_IN_A_PERCENT
    return RateRow(
        percent=f"{percent.normalize():f}",
        name=rate.name,
        country=rate.country,
        region=rate.region,
        tax_class=rate.tax_class,
        version=rate.version,
    )


def _rate(market: MarketCode, row: RateRow) -> TaxRate:
    return TaxRate(
        market=market,
        tax_class=row.tax_class,
        millionths=row.millionths,
        name=row.name,
        country=row.country,
        region=row.region,
    )


def _unread(told: Form[Rates]) -> dict[str, str]:
    """Say what is wrong with each cell that could not be read."""
    return {
        name: f"Row {int(name.split('.')[1]) + 1}: {HINTS[name.rpartition('.')[2]]}"
        for name in told.flaws
    }


def _twice(wanted: Rates) -> dict[str, str]:
    """Refuse two rates for the same goods and destination."""
    seen: dict[str, int] = {}
    wrong: dict[str, str] = {}
    for number, row in enumerate(wanted.rates):
        if (first := seen.setdefault(row.key, number)) != number:
            wrong[f"rates.{number}.country"] = (
                f"Row {number + 1}: row {first + 1} is for the same goods and place."
            )
    return wrong


def _reason(no: InvalidPrice | StaleTaxRate | KeyReused) -> str:
    return OVERTAKEN if isinstance(no, StaleTaxRate) else where(no)[1]


routes = [Taxes]

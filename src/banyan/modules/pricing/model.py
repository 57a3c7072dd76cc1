"""The rules of pricing: what is charged, and how it is rounded. All amounts are in minor units.

Rounding is half up, and happens in one place only: where a tax comes out of a rate. What is
rounded there is the market's choice.

- `unit`: the tax on each unit, times the quantity. 10 × 31.86 plus 20 %: 6.372 is 6.37, so 63.70.
- `line`: the tax on each line. 10 × 31.86 plus 20 %: 63.72.
- `order`: the tax on all that has the same rate together, shipping included, as EN 16931 (BR-CO-17)
  wants it on an invoice. Three lines of 0.33 plus 10 %: 0.099 is 0.10, where `line` would charge
  0.09. The lines share that 0.10 as 0.04, 0.03 and 0.03: see `prorate`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple, TypeVar

from babel.numbers import is_currency
from msgspec import structs

from banyan.kernel.contract import Value
from banyan.modules.pricing.contract import (
    InvalidPrice,
    Market,
    NoTaxRate,
    NotPriced,
    Offer,
    Price,
    PriceList,
    PricesChanged,
    Quote,
    QuotedLine,
    Rounding,
    StaleMarket,
    StalePriceList,
    StaleTaxRate,
    TaxRate,
)
from banyan.vocabulary import Line, Money, Sku

MILLION = 1_000_000
MOST_PRICES = 10_000
MOST_SKUS_TOLD = 200
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)

Versioned = TypeVar("Versioned", Market, PriceList, TaxRate)


class Goods(Value, frozen=True, kw_only=True):
    """What is known of a SKU in a market: its price there, if it has one, and its tax class."""

    sku: Sku
    amount: int | None
    tax_class: str


class Terms(Value, frozen=True, kw_only=True):
    """All that a quote is computed from."""

    market: Market
    goods: tuple[Goods, ...]
    rates: tuple[TaxRate, ...]


class Charge(NamedTuple):
    """Something that is paid for: so many units at an amount, and the rate of the tax on it."""

    unit: int
    quantity: int
    millionths: int

    @property
    def amount(self) -> int:
        """What all units cost together."""
        return self.unit * self.quantity


def quote(
    terms: Terms, *, lines: Sequence[Line], shipping: Money | None, country: str, region: str
) -> Quote:
    """Price the lines of a cart, with shipping and all taxes.

    Where prices include the tax, the total is the sum of what is shown, whatever the rates:
    2 × 19.99 at 19 % stay 39.98, of which 6.38 are tax. Elsewhere the tax comes on top.
    """
    market, zero = terms.market, Money.zero(terms.market.currency)
    where = (country or market.countries[0], subdivision(region))
    shipping = shipping or zero
    charges = _charges(terms, lines, *where)
    *taxes, shipping_tax = (
        Money(amount=tax, currency=market.currency)
        for tax in tax_each(
            [*charges, _carriage(terms, shipping.amount, *where)],
            inclusive=market.tax_inclusive,
            rounding=market.rounding,
        )
    )
    quoted = tuple(
        _quoted(market, line, charge, tax)
        for line, charge, tax in zip(lines, charges, taxes, strict=True)
    )
    subtotal = sum((line.subtotal for line in quoted), zero)
    tax = sum(taxes, shipping_tax)
    return Quote(
        market=market.code,
        currency=market.currency,
        tax_inclusive=market.tax_inclusive,
        lines=quoted,
        subtotal=subtotal,
        shipping=shipping,
        shipping_tax=shipping_tax,
        tax=tax,
        total=subtotal + shipping + (zero if market.tax_inclusive else tax),
    )


def tax_each(charges: Sequence[Charge], *, inclusive: bool, rounding: Rounding) -> tuple[int, ...]:
    """Compute the tax on each charge, rounded at the level that the market wants."""
    tax = tax_in if inclusive else tax_on
    match rounding:
        case "unit":
            return tuple(tax(one.unit, one.millionths) * one.quantity for one in charges)
        case "line":
            return tuple(tax(one.amount, one.millionths) for one in charges)
        case "order":
            taxes = [0] * len(charges)
            for rate in {one.millionths for one in charges}:
                places = [at for at, one in enumerate(charges) if one.millionths == rate]
                amounts = [charges[at].amount for at in places]
                for at, part in zip(places, prorate(tax(sum(amounts), rate), amounts), strict=True):
                    taxes[at] = part
            return tuple(taxes)


def tax_on(net: int, millionths: int) -> int:
    """Compute the tax that comes on top: 24.99 at 10.75 % bear 2.69 (2.686425)."""
    return half_up(net * millionths, MILLION)


def tax_in(gross: int, millionths: int) -> int:
    """Compute the tax that is contained: in 19.99 at 19 % there are 3.19 (3.1917…).

    What was made of a net amount gives back that amount: 16.80 + 3.19 = 19.99, and of it 3.19.
    """
    return half_up(gross * millionths, MILLION + millionths)


def half_up(numerator: int, denominator: int) -> int:
    """Divide, and round halves up: 2.675 is 2.68, as people do it, without ever being a float."""
    return (2 * numerator + denominator) // (2 * denominator)


def prorate(whole: int, weights: Sequence[int]) -> tuple[int, ...]:
    """Share out a whole by weight, so that the parts add up to it exactly (largest remainder).

    Everybody gets the share rounded down; what is left goes, one each, to those who lost most,
    of equals to the first: 10 for three equal weights is 4, 3 and 3.
    """
    if not (total := sum(weights)):
        assert not whole, "what is to be shared out needs somebody to have it"
        return (0,) * len(weights)
    parts = [whole * weight // total for weight in weights]
    by_loss = sorted(range(len(weights)), key=lambda at: -(whole * weights[at] % total))
    for at in by_loss[: whole - sum(parts)]:
        parts[at] += 1
    return tuple(parts)


def rate_for(terms: Terms, country: str, region: str, tax_class: str) -> TaxRate:
    """Find the most specific tax rate for a class of goods and a destination; none is not zero."""
    rate = _find_rate(terms, country, region, tax_class)
    if rate is None:
        raise NoTaxRate(
            market=terms.market.code, tax_class=tax_class, country=country, region=region
        )
    return rate


def subdivision(region: str) -> str:
    """Take the second half of an ISO 3166-2 code, however much of it was told: CA of US-CA."""
    return region.upper().rpartition("-")[2]


def _find_rate(terms: Terms, country: str, region: str, tax_class: str) -> TaxRate | None:
    """Look from the region outwards; the whole market ends at its borders."""
    rates = {
        (rate.country, rate.region): rate for rate in terms.rates if rate.tax_class == tax_class
    }
    places = [(country, region), (country, "*")]
    if country in terms.market.countries:
        places.append(("*", "*"))
    return next((rates[place] for place in places if place in rates), None)


def _charges(terms: Terms, lines: Sequence[Line], country: str, region: str) -> list[Charge]:
    """Charge each line; all that cannot be sold is named at once."""
    costs = {one.sku: one.amount for one in terms.goods if one.amount is not None}
    if missing := dict.fromkeys(line.sku for line in lines if line.sku not in costs):
        raise NotPriced(market=terms.market.code, skus=tuple(missing))
    classes = {one.sku: one.tax_class for one in terms.goods}
    return [
        Charge(
            unit=costs[line.sku],
            quantity=line.quantity,
            millionths=rate_for(terms, country, region, classes[line.sku]).millionths,
        )
        for line in lines
    ]


def _carriage(terms: Terms, amount: int, country: str, region: str) -> Charge:
    """Charge the shipping; where nothing is charged, no rate is needed."""
    if not amount:
        return Charge(0, 1, 0)
    own = _find_rate(terms, country, region, "shipping")
    rate = own or rate_for(terms, country, region, "standard")
    return Charge(amount, 1, rate.millionths)


def _quoted(market: Market, line: Line, charge: Charge, tax: Money) -> QuotedLine:
    subtotal = Money(amount=charge.amount, currency=market.currency)
    return QuotedLine(
        sku=line.sku,
        quantity=line.quantity,
        unit_price=Money(amount=charge.unit, currency=market.currency),
        subtotal=subtotal,
        tax=tax,
        total=subtotal if market.tax_inclusive else subtotal + tax,
        tax_millionths=charge.millionths,
    )


def revised(before: Versioned | None, wanted: Versioned) -> Versioned:
    """Give what is wanted its version: a new one, unless nothing would change."""
    version = before.version if before else 0
    same = structs.replace(wanted, version=version) == before
    return structs.replace(wanted, version=version if same else version + 1)


def check_expected(
    before: Versioned | None,
    expected: int | None,
    stale: type[StaleMarket | StalePriceList | StaleTaxRate],
) -> None:
    """Refuse a change of something that is not, or not any more, what the caller has seen."""
    version = before.version if before else 0
    if expected not in (None, version):
        raise stale(version=version)


def check_market(market: Market) -> None:
    """Refuse a market that contradicts itself."""
    if not is_currency(market.currency, "en"):
        raise InvalidPrice(pointer="/currency", reason="ISO 4217 knows no such currency.")
    for field, values in (("countries", market.countries), ("locales", market.locales)):
        if not values:
            raise InvalidPrice(pointer=f"/{field}", reason="A market has at least one.")
        if (at := _repeated(values)) is not None:
            raise InvalidPrice(pointer=f"/{field}/{at}", reason="This is said twice.")


def check_price_list(before: PriceList | None, wanted: PriceList, currency: str) -> None:
    """Refuse a price list that does not fit its market, whose currency is given, or has no time."""
    if before and before.market != wanted.market:
        raise InvalidPrice(pointer="/market", reason="A price list stays in its market.")
    if wanted.currency != currency:
        raise InvalidPrice(pointer="/currency", reason=f"Prices of this market are in {currency}.")
    for field, moment in (("since", wanted.since), ("until", wanted.until)):
        if moment and moment.tzinfo is None:
            raise InvalidPrice(pointer=f"/{field}", reason="A moment needs its offset from UTC.")
        if moment and not EARLIEST <= moment <= LATEST:
            raise InvalidPrice(pointer=f"/{field}", reason="No calendar reaches that far.")
    if wanted.since and wanted.until and wanted.since >= wanted.until:
        raise InvalidPrice(pointer="/until", reason="The window ends before it begins.")


def check_prices(prices: Sequence[Price]) -> None:
    """Refuse a batch that is too long or sets a price twice."""
    if len(prices) > MOST_PRICES:
        raise InvalidPrice(pointer="/prices", reason=f"At most {MOST_PRICES} prices at once.")
    if (at := _repeated([(price.price_list, price.sku) for price in prices])) is not None:
        raise InvalidPrice(pointer=f"/prices/{at}", reason="This price is set twice.")


def check_tax_rate(rate: TaxRate) -> None:
    """Refuse a region of nowhere."""
    if rate.country == "*" and rate.region != "*":
        raise InvalidPrice(pointer="/region", reason="A region needs its country.")


def news(
    before: Iterable[Offer], after: Iterable[Offer], *, version: int
) -> tuple[PricesChanged, ...]:
    """Tell which SKUs have another offer than before, so many at a time."""
    old, new = _by_sku(before), _by_sku(after)
    skus = sorted(sku for sku in old.keys() | new.keys() if old.get(sku) != new.get(sku))
    return tuple(
        PricesChanged(
            skus=tuple(told),
            offers=tuple(offer for sku in told for offer in new.get(sku, ())),
            version=version,
        )
        for told in (skus[at : at + MOST_SKUS_TOLD] for at in range(0, len(skus), MOST_SKUS_TOLD))
    )


def _by_sku(offers: Iterable[Offer]) -> dict[Sku, list[Offer]]:
    found: dict[Sku, list[Offer]] = {}
    for offer in offers:
        found.setdefault(offer.sku, []).append(offer)
    return found


def _repeated(values: Sequence[object]) -> int | None:
    """Find the first value that stands a second time."""
    seen: set[object] = set()
    for at, value in enumerate(values):
        if value in seen:
            return at
        seen.add(value)
    return None

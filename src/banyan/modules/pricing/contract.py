"""Pricing: what things cost, and the taxes on them."""

from __future__ import annotations

from typing import Annotated, Literal, Protocol

from msgspec import Meta

from banyan.kernel.contract import Problem, Value, command, contract, query, raises
from banyan.kernel.event import Event
from banyan.vocabulary import (
    CurrencyMismatch,
    Line,
    Locale,
    MarketCode,
    Moment,
    Money,
    Sku,
    SkuText,
    UnknownMarket,
)

Code = Annotated[str, Meta(pattern="^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$")]
Country = Annotated[str, Meta(pattern="^[A-Z]{2}$")]
TaxCountry = Annotated[str, Meta(pattern=r"^([A-Z]{2}|\*)$")]
TaxRegion = Annotated[str, Meta(pattern=r"^([A-Z0-9]{1,3}|\*)$")]
MarketName = Annotated[MarketCode, Meta(pattern="^[a-z0-9][a-z0-9-]{0,31}$")]
Language = Annotated[Locale, Meta(pattern="^[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8}){0,4}$")]
Amount = Annotated[int, Meta(ge=0, le=10**12, description="Minor units.")]
Rank = Annotated[int, Meta(ge=-1_000_000, le=1_000_000)]
Rounding = Literal["unit", "line", "order"]


class Market(Value, frozen=True, kw_only=True):
    """Where prices, taxes and languages come together.

    `rounding` says at which level a tax is rounded (half up): for each unit, each line, or once
    for each rate of the order. `locales` begins with the default. One that is not `open` is seen in
    the back office only. `version` counts the changes, here and in all that follows; what a caller
    says of it is not looked at.
    """

    code: MarketName
    title: Annotated[str, Meta(min_length=1, max_length=200)]
    currency: Currency
    countries: Annotated[tuple[Country, ...], Meta(min_length=1, max_length=300)]
    locales: Annotated[tuple[Language, ...], Meta(min_length=1, max_length=100)]
    tax_inclusive: bool
    rounding: Rounding = "line"
    position: Rank = 0
    open: bool = True
    version: int = 0


class PriceList(Value, frozen=True, kw_only=True):
    """A set of prices of one market, in its currency, valid in a window.

    The window is of moments, not of days: `since` is in it, `until` is not. A sale that includes
    all of December 31 in Berlin ends at `2027-01-01T00:00:00+01:00`. Of several valid lists the
    one with the highest priority that has a price decides, and of equals the first by code.
    """

    code: Code
    market: MarketName
    currency: Currency
    title: Annotated[str, Meta(max_length=200)] = ""
    priority: Rank = 0
    since: Moment | None = None
    until: Moment | None = None
    version: int = 0


class Price(Value, frozen=True, kw_only=True):
    """What one unit of a SKU costs on a price list; `compare_at` is what it cost before.

    A `compare_at` that is not higher is kept, but shown to nobody.
    """

    price_list: Code
    sku: SkuText
    amount: Amount
    compare_at: Amount | None = None


class Offer(Value, frozen=True, kw_only=True):
    """What one unit of a SKU costs in a market now, as it is shown there."""

    sku: Sku
    market: MarketCode
    price: Money
    compare_at: Money | None = None


class TaxRate(Value, frozen=True, kw_only=True):
    """A tax on a class of goods, in millionths: 19 % is 190,000 and 10.75 % is 107,500.

    The most specific rate decides: region before country before the whole market (`*`). A region
    is the second half of an ISO 3166-2 code: `CA` of `US-CA`.
    """

    market: MarketName
    tax_class: Code
    millionths: Annotated[int, Meta(ge=0, le=1_000_000)]
    name: Annotated[str, Meta(min_length=1, max_length=100)]
    country: TaxCountry = "*"
    region: TaxRegion = "*"
    version: int = 0


class QuotedLine(Value, frozen=True, kw_only=True):
    """A line with its price: `total` is what the shopper pays for it, tax included."""

    sku: Sku
    quantity: int
    unit_price: Money
    subtotal: Money
    tax: Money
    total: Money
    tax_millionths: int


class Quote(Value, frozen=True, kw_only=True):
    """What a cart costs: `total` = `subtotal` + `shipping` + `tax` − what of it is included.

    `subtotal` and `shipping` are as shown in the market, so with tax where prices include it;
    `tax` is always the whole tax, and `total` is what is charged.
    """

    market: MarketCode
    currency: Currency
    tax_inclusive: bool
    lines: tuple[QuotedLine, ...]
    subtotal: Money
    shipping: Money
    shipping_tax: Money
    tax: Money
    total: Money


class UnknownPriceList(Problem, status=404):
    """There is no such price list."""

    price_list: str


class InvalidPrice(Problem, status=422):
    """The price, price list, market or tax rate contradicts another."""

    pointer: str
    reason: str


class UnknownTaxRate(Problem, status=404):
    """There is no such tax rate."""

    market: MarketCode
    tax_class: str
    country: str
    region: str


class NotPriced(Problem, status=409):
    """Something has no price in this market, so it cannot be sold there."""

    market: MarketCode
    skus: tuple[Sku, ...]


class NoTaxRate(Problem, status=409):
    """No tax rate is known for this destination, and none is never taken for zero."""

    market: MarketCode
    tax_class: str
    country: str
    region: str = ""


class StaleMarket(Problem, status=412):
    """Somebody has changed the market meanwhile; read it again and repeat the change."""

    version: int


class StalePriceList(Problem, status=412):
    """Somebody has changed the price list meanwhile; read it again and repeat the change."""

    version: int


class StaleTaxRate(Problem, status=412):
    """Somebody has changed the tax rate meanwhile; read it again and repeat the change."""

    version: int


class MarketChanged(Event):
    """A market was opened or closed, or is now like this."""

    market: Market


class PricesChanged(Event):
    """These SKUs now cost this, in every market that has a price for them.

    `skus` names all that are concerned; one without an offer has no price any more. `version`
    grows with every change of the module's prices.
    """

    skus: tuple[Sku, ...]
    offers: tuple[Offer, ...]
    version: int


@contract("pricing")
class Pricing(Protocol):
    """What channels and other modules may ask of pricing."""

    @query
    @raises(UnknownMarket, NotPriced, NoTaxRate, CurrencyMismatch)
    async def quote(
        self,
        *,
        market: MarketCode,
        lines: tuple[Line, ...],
        shipping: Money | None = None,
        country: str = "",
        region: str = "",
    ) -> Quote:
        """Price all lines of a cart with tax for a destination, in one call.

        Without a country the market's first one is taken; a rate for the whole market holds in
        its countries only. Shipping is taxed by the class `shipping`, or by `standard` where that
        has no rate, and a SKU that the catalog has never published is taxed as `standard`.
        """
        ...

    @query
    async def offers(self, *, skus: tuple[Sku, ...]) -> tuple[Offer, ...]:
        """Return what SKUs cost now in every market."""
        ...

    @query
    async def markets(self) -> tuple[Market, ...]:
        """Return all markets by position, closed ones last; the first that is open is the default.

        A shop in which none is open shows its goods without prices and opens no carts.
        """
        ...

    @query
    @raises(UnknownMarket)
    async def market(self, *, code: MarketCode) -> Market:
        """Return one market, closed or not."""
        ...

    @command
    @raises(InvalidPrice, StaleMarket)
    async def save_market(self, *, market: Market, expected: int | None = None) -> Market:
        """Open or change a market; its currency cannot change once it has a price list.

        `expected` is the version that is to be changed, 0 that of a market not yet there; None
        takes any. What would not change keeps its version and tells nothing. The same holds for
        price lists and tax rates.
        """
        ...

    @command
    @raises(UnknownMarket, StaleMarket)
    async def close_market(self, *, code: MarketCode, expected: int | None = None) -> Market:
        """Close a market, until somebody saves it as an open one.

        Shoppers are told that there is no such market: nothing is shown or quoted there, no cart
        opened, and a cart that is there cannot be ordered. A checkout that has its quote goes on,
        and orders stand. Price lists, tax rates and shipping methods stay as they are: the books
        need them, and so does a market that is opened again.
        """
        ...

    @command
    @raises(UnknownMarket, InvalidPrice, StalePriceList)
    async def save_price_list(
        self, *, price_list: PriceList, expected: int | None = None
    ) -> PriceList:
        """Create or change a price list; it stays in its market."""
        ...

    @query
    @raises(UnknownPriceList)
    async def price_list(self, *, code: str) -> PriceList:
        """Return one price list."""
        ...

    @query
    async def price_lists(
        self,
        *,
        market: MarketCode | None = None,
        after: str | None = None,
        limit: int | None = None,
    ) -> tuple[PriceList, ...]:
        """Return the price lists by code, of one market or of all."""
        ...

    @command
    @raises(UnknownPriceList, StalePriceList)
    async def remove_price_list(self, *, code: str, expected: int | None = None) -> None:
        """Remove a price list with all its prices."""
        ...

    @command
    @raises(UnknownPriceList, InvalidPrice)
    async def set_prices(self, *, prices: tuple[Price, ...]) -> int:
        """Set up to 10,000 prices, all or none; return how many of them have changed.

        The products need not be there yet. A batch has no version to expect: each price in it is a
        whole one, nothing of an older one is left, and of two who set it the later one wins.
        """
        ...

    @command
    @raises(UnknownPriceList)
    async def remove_prices(self, *, price_list: str, skus: tuple[Sku, ...]) -> int:
        """Remove prices; return how many there were."""
        ...

    @query
    @raises(UnknownPriceList)
    async def prices(
        self,
        *,
        price_list: str | None = None,
        skus: tuple[Sku, ...] = (),
        after: Sku | None = None,
        after_list: str | None = None,
        limit: int = 100,
    ) -> tuple[Price, ...]:
        """List prices by SKU and list, from behind all of a SKU's or one of them."""
        ...

    @command
    @raises(UnknownMarket, InvalidPrice, StaleTaxRate)
    async def set_tax_rate(self, *, rate: TaxRate, expected: int | None = None) -> TaxRate:
        """Set a tax rate for a class of goods and a destination."""
        ...

    @command
    @raises(StaleTaxRate)
    async def remove_tax_rate(
        self,
        *,
        market: MarketCode,
        tax_class: str,
        country: str = "*",
        region: str = "*",
        expected: int | None = None,
    ) -> None:
        """Remove a tax rate; what it applied to cannot be sold there until there is another."""
        ...

    @query
    @raises(UnknownTaxRate)
    async def tax_rate(
        self, *, market: MarketCode, tax_class: str, country: str = "*", region: str = "*"
    ) -> TaxRate:
        """Return the tax rate for exactly this class and destination."""
        ...

    @query
    async def tax_rates(self, *, market: MarketCode | None = None) -> tuple[TaxRate, ...]:
        """Return the tax rates, of one market or of all."""
        ...

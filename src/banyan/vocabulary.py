"""Words that more than one module uses."""

from __future__ import annotations

from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, NewType
from uuid import UUID

from babel.numbers import get_currency_precision
from msgspec import Meta

from banyan.kernel.contract import Problem, Value

ProductId = NewType("ProductId", UUID)
CartId = NewType("CartId", UUID)
OrderId = NewType("OrderId", UUID)
PaymentId = NewType("PaymentId", UUID)

Sku = NewType("Sku", str)
"""A stock keeping unit: names one variant of one product, in every module."""

VISIBLE = r"[^\x00-\x20\x7f-\xa0]"
"""A character that is neither a space nor unprintable, alike in every dialect of patterns."""

SkuText = Annotated[Sku, Meta(pattern=f"^{VISIBLE}+( {VISIBLE}+)*$", max_length=100)]
"""A SKU as it is told by somebody: visible, with single spaces between its words."""

MarketCode = NewType("MarketCode", str)
"""A lower-case code such as `eu`: where prices, taxes, languages and stock rules come together."""

Locale = NewType("Locale", str)
"""A BCP 47 language tag such as `en` or `de-AT`."""

Email = Annotated[
    str,
    Meta(
        pattern=r"^[^@\x00-\x20\x7f-\xa0]+@[^@\x00-\x20\x7f-\xa0]+\.[^@\x00-\x20\x7f-\xa0]+$",
        max_length=254,
    ),
]
Moment = Annotated[datetime, Meta(tz=True)]
"""A point in time, told with its offset (RFC 3339)."""

Quantity = Annotated[int, Meta(ge=1, le=10_000, description="Units, from 1 to 10,000.")]
Texts = dict[Locale, str]
"""The same text in several languages."""


class CurrencyMismatch(Problem, status=422):
    """Amounts of different currencies cannot be added up."""

    currency: str
    other: str


class Money(Value, frozen=True, kw_only=True):
    """An amount in minor units (ISO 4217): 1999 EUR is 19.99 €, 1999 JPY is 1,999 ¥."""

    amount: int
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")]

    def __add__(self, other: Money) -> Money:
        if other.currency != self.currency:
            raise CurrencyMismatch(currency=self.currency, other=other.currency)
        return Money(amount=self.amount + other.amount, currency=self.currency)

    def __sub__(self, other: Money) -> Money:
        return self + -other

    def __neg__(self) -> Money:
        return Money(amount=-self.amount, currency=self.currency)

    def __mul__(self, quantity: int) -> Money:
        return Money(amount=self.amount * quantity, currency=self.currency)

    @classmethod
    def zero(cls, currency: str) -> Money:
        """Nothing, in a currency."""
        return cls(amount=0, currency=currency)

    @classmethod
    def of(cls, major: Decimal | str, currency: str) -> Money:
        """Read an amount in major units: `Money.of("19.99", "EUR")`; halves round up."""
        minor = Decimal(major).scaleb(exponent(currency))
        return cls(amount=int(minor.quantize(Decimal(1), ROUND_HALF_UP)), currency=currency)

    def major(self) -> Decimal:
        """Return the amount in major units: 19.99 for 1999 EUR."""
        return Decimal(self.amount).scaleb(-exponent(self.currency))


def exponent(currency: str) -> int:
    """Return how many decimals a currency has (ISO 4217, by CLDR): EUR 2, JPY 0, BHD 3."""
    return get_currency_precision(currency)


class Address(Value, frozen=True, kw_only=True):
    """Where somebody lives or receives parcels."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    street: Annotated[str, Meta(min_length=1, max_length=200)]
    city: Annotated[str, Meta(min_length=1, max_length=100)]
    country: Annotated[str, Meta(pattern="^[A-Z]{2}$", description="ISO 3166-1 alpha-2.")]
    postal_code: Annotated[str, Meta(max_length=20)] = ""
    region: Annotated[str, Meta(max_length=10, description="ISO 3166-2 subdivision.")] = ""
    street2: Annotated[str, Meta(max_length=200)] = ""
    company: Annotated[str, Meta(max_length=200)] = ""
    phone: Annotated[str, Meta(max_length=30)] = ""


class Line(Value, frozen=True, kw_only=True):
    """So many units of a SKU."""

    sku: Sku
    quantity: Quantity


class UnknownMarket(Problem, status=404):
    """There is no such market."""

    market: MarketCode

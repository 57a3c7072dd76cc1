"""Ordering: carts, and the orders they become."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal, Protocol
from uuid import UUID

from msgspec import Meta

from banyan.kernel.contract import Problem, Value, command, contract, query, raises, undertaking
from banyan.kernel.event import Event
from banyan.vocabulary import (
    Address,
    CartId,
    Line,
    Locale,
    MarketCode,
    Moment,
    Money,
    OrderId,
    PaymentId,
    Quantity,
    Sku,
    UnknownMarket,
)

OrderState = Literal["pending", "confirmed", "canceled"]


class Totals(Value, frozen=True, kw_only=True):
    """What a cart or order costs; `estimated` as long as method or destination are not known."""

    subtotal: Money
    shipping: Money
    tax: Money
    total: Money
    tax_inclusive: bool
    estimated: bool = False


class CartLine(Value, frozen=True, kw_only=True):
    """So many units of a SKU in a cart, at the price that the shopper was told."""

    id: UUID
    sku: Sku
    quantity: int
    product: str
    title: str
    unit_price: Money
    total: Money
    image: str = ""
    options: dict[str, str] = {}


class Cart(Value, frozen=True, kw_only=True):
    """What a shopper means to buy. While it is being ordered, and afterwards, it is closed."""

    id: CartId
    market: MarketCode
    locale: Locale
    currency: str
    lines: tuple[CartLine, ...]
    totals: Totals
    email: str | None = None
    shipping_address: Address | None = None
    billing_address: Address | None = None
    shipping_method: str | None = None
    order: OrderId | None = None
    version: int = 0


class OrderLine(CartLine, frozen=True, kw_only=True):
    """A line of an order as it was bought; `total` is with tax."""

    subtotal: Money
    tax: Money
    tax_millionths: int
    product: str = ""


class Action(Value, frozen=True, kw_only=True):
    """What the shopper has to do so that the order can go on."""

    kind: Literal["redirect"]
    url: str


class Order(Value, frozen=True, kw_only=True):
    """A purchase. `pending`, it goes on by itself or by its `action`; `number` leaves no gaps."""

    id: OrderId
    state: OrderState
    cart: CartId
    market: MarketCode
    locale: Locale
    currency: str
    email: str
    shipping_address: Address
    billing_address: Address
    shipping_method: str
    lines: tuple[OrderLine, ...]
    totals: Totals
    placed_at: Moment
    number: str | None = None
    payment: PaymentId | None = None
    action: Action | None = None
    confirmed_at: Moment | None = None
    canceled_at: Moment | None = None
    cancel_reason: str | None = None
    version: int = 0


class ShippingChoice(Value, frozen=True, kw_only=True):
    """A way to get the goods, with its price as shown in the market."""

    code: str
    title: str
    price: Money


class PaymentChoice(Value, frozen=True, kw_only=True):
    """How the shopper pays: a provider, and the token that it gave for the card."""

    method: Annotated[str, Meta(pattern="^[a-z0-9_-]{1,64}$")]
    token: Annotated[str, Meta(min_length=1, max_length=255)]
    return_url: Annotated[str, Meta(pattern="^(https?://[!-~]+)?$", max_length=2000)] = ""


class Day(Value, frozen=True, kw_only=True):
    """What was ordered on a day, and what of it stands brings in."""

    day: date
    orders: int
    revenue: tuple[Money, ...]


class Figures(Value, frozen=True, kw_only=True):
    """How business goes; money is that of confirmed orders, with tax and shipping, by currency.

    Orders that never stood have `failed`; carts are counted in each stage that they have reached.
    """

    orders: dict[Literal["placed", "pending", "confirmed", "canceled", "failed"], int]
    revenue: tuple[Money, ...]
    average: tuple[Money, ...]
    carts: dict[Literal["opened", "filled", "addressed", "ordered"], int]
    days: tuple[Day, ...]


class UnknownTimeZone(Problem, status=422):
    """There is no such time zone."""


class UnknownCart(Problem, status=404):
    """There is no such cart."""

    cart: CartId


class UnknownLine(Problem, status=404):
    """There is no such line in the cart."""

    cart: CartId
    line: UUID


class UnknownOrder(Problem, status=404):
    """There is no such order."""

    order: OrderId


class UnknownSku(Problem, status=404):
    """There is nothing to buy under this SKU."""

    sku: Sku


class NotForSale(Problem, status=409):
    """This SKU has no price in the market of the cart."""

    sku: Sku
    market: MarketCode


class MarketClosed(Problem, status=409):
    """The shop no longer sells in the market of the cart."""

    market: MarketCode


class UnknownCoupon(Problem, status=422):
    """There is no such coupon."""

    coupon: str


class UnknownShippingMethod(Problem, status=422):
    """This shipping method cannot be had for this cart and address."""

    shipping_method: str


class UnknownPaymentMethod(Problem, status=422):
    """There is no such way to pay."""

    method: str


class UnknownPaymentToken(Problem, status=422):
    """The provider gave no such token; the number of a card is never taken for one."""

    pointer: str = "/payment/token"


class TooMany(Problem, status=422):
    """More units of one SKU, or more lines, than a cart may hold."""

    limit: int


class CartClosed(Problem, status=409):
    """The cart is being ordered, or has been; it cannot change any more."""

    cart: CartId
    order: OrderId


class StaleCart(Problem, status=412):
    """Somebody has changed the cart meanwhile; read it again and repeat the change."""

    version: int


class EmptyCart(Problem, status=409):
    """There is nothing in the cart to buy."""

    cart: CartId


class CartIncomplete(Problem, status=422):
    """Something is missing before the cart can be ordered."""

    missing: tuple[str, ...]


class PriceChanged(Problem, status=409):
    """Prices have changed since the shopper was told; the cart now shows the new ones."""

    cart: CartId
    told: Money
    now: Money


class NotInStock(Problem, status=409):
    """There is less in stock than the cart asks for."""

    sku: Sku
    asked: int
    available: int


class NoTaxKnown(Problem, status=409):
    """The shop does not know the taxes of this destination, so it cannot sell there."""

    country: str
    tax_class: str


class TookTooLong(Problem, status=409):
    """The goods were held for a while, but the payment took longer; please order again."""

    order: OrderId


class PaymentRefused(Problem, status=402):
    """The payment was refused; another means of payment may work."""

    reason: str


class NotCancelable(Problem, status=409):
    """An order in this state cannot be canceled."""

    order: OrderId
    state: str


class OrderConfirmed(Event):
    """Stock is held and money is set aside: the order stands."""

    order: Order


class OrderCanceled(Event):
    """An order that stood does so no longer; its stock and money are free again."""

    order: OrderId
    number: str | None
    lines: tuple[Line, ...]


UNPRICED = (NotForSale, MarketClosed, NoTaxKnown)
UNPAID = (PaymentRefused, TookTooLong, UnknownPaymentMethod, UnknownPaymentToken)


@contract("ordering")
class Ordering(Protocol):
    """What channels and other modules may ask of ordering."""

    @command
    @raises(UnknownMarket)
    async def create_cart(
        self, *, cart: CartId, market: MarketCode | None = None, wishes: tuple[str, ...] = ()
    ) -> Cart:
        """Open a cart in a market, or the first open one, in the first wish that it speaks."""

    @query
    @raises(UnknownCart)
    async def cart(self, *, cart: CartId) -> Cart:
        """Return a cart with what the shopper was told."""

    @command
    @raises(UnknownCart, CartClosed, UnknownSku, NotForSale, TooMany, StaleCart)
    async def add_line(
        self, *, cart: CartId, sku: Sku, quantity: Quantity = 1, expected: int | None = None
    ) -> Cart:
        """Put so many units of a SKU into a cart, on top of those already there."""

    @command
    @raises(UnknownCart, UnknownLine, CartClosed, TooMany, StaleCart)
    async def set_quantity(
        self, *, cart: CartId, line: UUID, quantity: Quantity, expected: int | None = None
    ) -> Cart:
        """Change how many units of a line are wanted."""

    @command
    @raises(UnknownCart, UnknownLine, CartClosed, StaleCart)
    async def remove_line(self, *, cart: CartId, line: UUID, expected: int | None = None) -> Cart:
        """Take a line out of a cart."""

    @undertaking
    @raises(UnknownCart, CartClosed, UnknownShippingMethod, UnknownCoupon, *UNPRICED, StaleCart)
    async def amend(
        self,
        *,
        cart: CartId,
        email: str | None = None,
        shipping_address: Address | None = None,
        billing_address: Address | None = None,
        shipping_method: str | None = None,
        coupons: tuple[str, ...] = (),
        expected: int | None = None,
    ) -> Cart:
        """Fill in what an order needs. The rest stays; a shipping method that fits no more goes."""

    @query
    @raises(UnknownCart)
    async def shipping_methods(self, *, cart: CartId) -> tuple[ShippingChoice, ...]:
        """Return the ways in which this cart can reach its address, cheapest first."""

    @undertaking
    @raises(UnknownCart, EmptyCart, CartIncomplete, PriceChanged, NotInStock, *UNPRICED, *UNPAID)
    async def check_out(self, *, cart: CartId, payment: PaymentChoice) -> Order:
        """Price a cart again, hold the stock, set the money aside, confirm: one order at most."""

    @query
    @raises(UnknownOrder)
    async def order(self, *, order: OrderId) -> Order:
        """Return an order."""

    @query
    async def orders(
        self,
        *,
        state: OrderState | None = None,
        number: str | None = None,
        email: str | None = None,
        market: MarketCode | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
        before: OrderId | None = None,
        limit: int = 24,
    ) -> tuple[Order, ...]:
        """List orders, newest first; `number` is how a number begins, `until` is excluded."""

    @query
    @raises(UnknownTimeZone)
    async def figures(
        self, *, since: Moment, until: Moment, zone: str, market: MarketCode | None = None
    ) -> Figures:
        """Count the orders placed and carts opened before `until`, by days of an IANA time zone."""

    @undertaking
    @raises(UnknownOrder, NotCancelable)
    async def cancel(self, *, order: OrderId, reason: str = "") -> Order:
        """Cancel a confirmed order: void or refund what was paid, and give the stock back."""

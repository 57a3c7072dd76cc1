"""The HTTP face of ordering: carts and orders of the shop, and orders of the back office."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, TypeVar
from uuid import UUID

from msgspec import Meta
from msgspec.structs import replace

from banyan.kernel.contract import Value
from banyan.kernel.http import (
    Answer,
    Controller,
    Cursor,
    FromPath,
    FromQuery,
    IfMatch,
    JSONBody,
    Limit,
    QueryParameter,
    Visiting,
    delete,
    get,
    needs,
    obligatory_key,
    patch,
    post,
    tagged,
)
from banyan.kernel.ids import Ids
from banyan.kernel.paging import Page, after, page
from banyan.modules.ordering.contract import (
    Cart,
    Figures,
    Order,
    Ordering,
    OrderState,
    PaymentChoice,
    ShippingChoice,
)
from banyan.vocabulary import Address, CartId, Email, MarketCode, OrderId, Quantity, SkuText

_WHEN = QueryParameter(format="date-time", description="Without an offset it is in UTC.")
When = Annotated[datetime, _WHEN]
Whenever = Annotated[datetime | None, _WHEN]
Shown = TypeVar("Shown", Cart, Order)


class NewCart(Value, frozen=True, kw_only=True):
    """Where the shopper is; else the visitor's market and language, else the first."""

    market: Annotated[MarketCode, Meta(pattern="^[a-z0-9][a-z0-9-]{0,31}$")] | None = None


class NewLine(Value, frozen=True, kw_only=True):
    """What the shopper puts into the cart."""

    sku: SkuText
    quantity: Quantity = 1


class NewQuantity(Value, frozen=True, kw_only=True):
    """How many units the shopper wants now."""

    quantity: Quantity


class CartDetails(Value, frozen=True, kw_only=True):
    """What an order needs; what is left out stays as it is."""

    email: Email | None = None
    shipping_address: Address | None = None
    billing_address: Address | None = None
    shipping_method: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    coupons: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=64)], ...], Meta(max_length=20)
    ] = ()


class Checkout(Value, frozen=True, kw_only=True):
    """How the shopper pays."""

    payment: PaymentChoice


class Ordered(Value, frozen=True, kw_only=True):
    """The order that a cart has become."""

    order: Order


class ShippingChoices(Value, frozen=True, kw_only=True):
    """The ways in which a cart can reach its address, cheapest first."""

    items: tuple[ShippingChoice, ...]


class Cancellation(Value, frozen=True, kw_only=True):
    """Why an order is canceled."""

    reason: Annotated[str, Meta(max_length=500)] = ""


class Carts(Controller):
    """Carts, each known by its unguessable id."""

    path = "/api/store/carts"
    tags = ("carts",)
    ordering: Ordering
    ids: Ids

    @post()
    async def create(self, visit: Visiting, data: JSONBody[NewCart | None] = None) -> Answer[Cart]:
        """Open a cart."""
        market = (data and data.market) or (visit.market and MarketCode(visit.market))
        cart = await self.ordering.create_cart(
            cart=CartId(self.ids.new()), market=market or None, wishes=visit.wishes
        )
        return _shown(cart)

    @get("/{cart:str}")
    async def show(self, cart: FromPath[CartId]) -> Answer[Cart]:
        """Show a cart."""
        found = await self.ordering.cart(cart=cart)
        return _shown(found)

    @patch("/{cart:str}")
    async def change(
        self, cart: FromPath[CartId], expected: IfMatch, data: JSONBody[CartDetails]
    ) -> Answer[Cart]:
        """Fill in e-mail, addresses and shipping method."""
        changed = await self.ordering.amend(
            cart=cart,
            email=data.email,
            shipping_address=data.shipping_address,
            billing_address=data.billing_address,
            shipping_method=data.shipping_method,
            coupons=data.coupons,
            expected=expected,
        )
        return _shown(changed)

    @post("/{cart:str}/lines")
    async def add_line(
        self, cart: FromPath[CartId], expected: IfMatch, data: JSONBody[NewLine]
    ) -> Answer[Cart]:
        """Put something into a cart."""
        changed = await self.ordering.add_line(
            cart=cart, sku=data.sku, quantity=data.quantity, expected=expected
        )
        return _shown(changed)

    @patch("/{cart:str}/lines/{line:str}")
    async def change_line(
        self,
        cart: FromPath[CartId],
        line: FromPath[UUID],
        expected: IfMatch,
        data: JSONBody[NewQuantity],
    ) -> Answer[Cart]:
        """Change how many units of a line are wanted."""
        changed = await self.ordering.set_quantity(
            cart=cart, line=line, quantity=data.quantity, expected=expected
        )
        return _shown(changed)

    @delete("/{cart:str}/lines/{line:str}", status_code=200)
    async def remove_line(
        self, cart: FromPath[CartId], line: FromPath[UUID], expected: IfMatch
    ) -> Answer[Cart]:
        """Take a line out of a cart."""
        changed = await self.ordering.remove_line(cart=cart, line=line, expected=expected)
        return _shown(changed)

    @get("/{cart:str}/shipping-methods")
    async def shipping_methods(self, cart: FromPath[CartId]) -> ShippingChoices:
        """List the ways in which a cart can reach its address."""
        return ShippingChoices(items=await self.ordering.shipping_methods(cart=cart))

    @post("/{cart:str}/checkout", guards=[obligatory_key])
    async def check_out(self, cart: FromPath[CartId], data: JSONBody[Checkout]) -> Answer[Ordered]:
        """Order what is in a cart."""
        order = await self.ordering.check_out(cart=cart, payment=data.payment)
        return tagged(Ordered(order=_for_shopper(order)), order.version, locale=order.locale)


class Orders(Controller):
    """Orders, each known to its shopper by its unguessable id."""

    path = "/api/store/orders"
    tags = ("orders",)
    ordering: Ordering

    @get("/{order:str}")
    async def show(self, order: FromPath[OrderId]) -> Answer[Order]:
        """Show an order."""
        found = await self.ordering.order(order=order)
        return _shown(_for_shopper(found))


class OrdersAdmin(Controller):
    """Orders, as the people who run the shop see them."""

    path = "/api/admin/orders"
    tags = ("orders (admin)",)
    guards = (needs("ordering:read"),)
    ordering: Ordering

    @get()
    async def browse(
        self,
        in_state: Annotated[OrderState | None, QueryParameter(name="state")] = None,
        number: FromQuery[str | None] = None,
        email: FromQuery[str | None] = None,
        of_market: Annotated[MarketCode | None, QueryParameter(name="market")] = None,
        since: Whenever = None,
        until: Whenever = None,
        limit: Limit = 24,
        cursor: Cursor = None,
    ) -> Page[Order]:
        """List orders, newest first; `number` is how a number begins."""
        found = await self.ordering.orders(
            state=in_state,
            number=number,
            email=email,
            market=of_market,
            since=since and _in_utc(since),
            until=until and _in_utc(until),
            before=after(cursor, OrderId),
            limit=limit + 1,
        )
        return page(found, limit=limit, place=lambda order: order.id)

    @get("/figures")
    async def figures(
        self,
        since: When,
        until: When,
        zone: FromQuery[str] = "UTC",
        of_market: Annotated[MarketCode | None, QueryParameter(name="market")] = None,
    ) -> Figures:
        """Tell how business goes: orders, revenue, and how far carts have come."""
        return await self.ordering.figures(
            since=_in_utc(since), until=_in_utc(until), zone=zone, market=of_market
        )

    @get("/{order:str}")
    async def show(self, order: FromPath[OrderId]) -> Answer[Order]:
        """Show an order."""
        found = await self.ordering.order(order=order)
        return _shown(found)

    @post(
        "/{order:str}/cancellation",
        guards=[needs("ordering:write"), obligatory_key],
        status_code=200,
    )
    async def cancel(
        self, order: FromPath[OrderId], data: JSONBody[Cancellation | None] = None
    ) -> Answer[Order]:
        """Cancel an order: its money and its stock are given back."""
        reason = data.reason if data else ""
        canceled = await self.ordering.cancel(order=order, reason=reason)
        return _shown(canceled)


def _in_utc(moment: datetime) -> datetime:
    """Take a time that does not say where it is for one in UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _for_shopper(order: Order) -> Order:
    """Leave out why the shop canceled an order: that is said among those who run it."""
    return replace(order, cancel_reason=None)


def _shown(thing: Shown) -> Answer[Shown]:
    return tagged(thing, thing.version, locale=thing.locale)


routes = [Carts, Orders, OrdersAdmin]

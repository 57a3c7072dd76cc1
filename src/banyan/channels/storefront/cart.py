"""The cart: kept in a cookie of its market, shown as a page and in a drawer."""

from __future__ import annotations

from uuid import UUID

from banyan.channels.storefront.desk import Place, Shop
from banyan.kernel.contract import Value
from banyan.kernel.form import received
from banyan.kernel.http import Answer, FromPath, FromQuery, Request, get, post
from banyan.kernel.ids import Ids
from banyan.kernel.page import seen_elsewhere
from banyan.modules.inventory.contract import Availability, Inventory
from banyan.modules.ordering.contract import (
    Cart,
    CartClosed,
    CartLine,
    NotForSale,
    Ordering,
    TooMany,
    UnknownCart,
    UnknownLine,
    UnknownSku,
)
from banyan.modules.pricing.contract import Offer, Pricing
from banyan.vocabulary import CartId, Money, Quantity, Sku, SkuText

COOKIE = "banyan-cart"
COUNT_COOKIE = "banyan-cart-count"
"""Readable by scripts, so that pages which are the same for everybody can show it."""

_KEPT_SECONDS = 30 * 24 * 3600
_MOST_UNITS = 10_000


class Wanted(Value, frozen=True, kw_only=True):
    """What a shopper puts into the cart."""

    sku: SkuText
    quantity: Quantity = 1


class Units(Value, frozen=True, kw_only=True):
    """How many units a shopper typed, and the step up or down that was pressed beside it."""

    quantity: int
    step: int = 0


class Entry(Value, frozen=True, kw_only=True):
    """A line of the cart, and what has become of it since it was put there.

    `now` is today's price, if there still is one; `left` is how many there are, if too few.
    """

    line: CartLine
    now: Money | None
    left: int | None

    @property
    def stops(self) -> bool:
        """Whether nothing can be ordered before the shopper has done something about it."""
        return self.now is None or self.left is not None


class WithCart(Shop):
    """A page that knows the cart of its visitor."""

    ordering: Ordering

    async def cart(self, request: Request, place: Place) -> Cart | None:
        """Find the cart that the visitor has in this market; it may be closed."""
        try:
            known = CartId(UUID(request.cookies.get(COOKIE, "")))
            found = await self.ordering.cart(cart=known)
        except (ValueError, UnknownCart):
            return None
        return found if found.market == place.market.code else None


class CartPage(WithCart):
    """The cart, and what is done to it."""

    path = f"{Shop.path}/cart"
    pricing: Pricing
    inventory: Inventory
    ids: Ids

    @get(media_type="text/html")
    async def show(
        self,
        request: Request,
        market: FromPath[str],
        locale: FromPath[str],
        notice: FromQuery[str] = "",
        line: FromQuery[str] = "",
    ) -> Answer[bytes]:
        """Show what is in the cart, what it costs, and what has changed meanwhile."""
        place = await self.storefront.place(market, locale)
        cart = await self.cart(request, place)
        answer = self.page(
            request,
            "cart.html",
            place,
            cart=cart,
            entries=await self._entries(cart) if cart and not cart.order else (),
            notice=notice,
            told=line,
        )
        return remember(answer, request, place, cart)

    @post("/lines", media_type="text/html")
    async def add(
        self, request: Request, market: FromPath[str], locale: FromPath[str]
    ) -> Answer[bytes]:
        """Put something into the cart; one that is closed or nowhere is replaced by a new one."""
        place = await self.storefront.place(market, locale)
        wanted = (await received(request, Wanted)).value
        cart = await self.cart(request, place)
        if wanted is None:
            return self._shown(request, place, cart, "quantity")
        try:
            if cart is None or cart.order:
                cart = await self._opened(place)
            try:
                cart = await self._added(cart, wanted)
            except CartClosed:
                cart = await self._added(await self._opened(place), wanted)
        except (UnknownSku, NotForSale):
            return self._shown(request, place, cart, "gone")
        except TooMany:
            return self._shown(request, place, cart, "too-many")
        line = next(one.id for one in cart.lines if one.sku == wanted.sku)
        return self._shown(request, place, cart, "added", line)

    @post("/lines/{line:uuid}", media_type="text/html")
    async def change(
        self, request: Request, market: FromPath[str], locale: FromPath[str], line: FromPath[UUID]
    ) -> Answer[bytes]:
        """Change how many units are wanted: as typed, or one more or less than that."""
        place = await self.storefront.place(market, locale)
        cart = await self.cart(request, place)
        units = (await received(request, Units)).value
        wanted = units.quantity + units.step if units else 0
        if cart is None or not 1 <= wanted <= _MOST_UNITS:
            return self._shown(request, place, cart, "quantity", line)
        try:
            cart = await self.ordering.set_quantity(cart=cart.id, line=line, quantity=wanted)
        except (CartClosed, UnknownLine):
            return self._shown(request, place, cart, "")
        return self._shown(request, place, cart, "changed", line)

    @post("/lines/{line:uuid}/removal", media_type="text/html")
    async def remove(
        self, request: Request, market: FromPath[str], locale: FromPath[str], line: FromPath[UUID]
    ) -> Answer[bytes]:
        """Take something out of the cart."""
        place = await self.storefront.place(market, locale)
        cart = await self.cart(request, place)
        if cart is None:
            return self._shown(request, place, cart, "")
        try:
            cart = await self.ordering.remove_line(cart=cart.id, line=line)
        except (CartClosed, UnknownLine):
            return self._shown(request, place, cart, "")
        return self._shown(request, place, cart, "removed")

    async def _opened(self, place: Place) -> Cart:
        return await self.ordering.create_cart(
            cart=CartId(self.ids.new()), market=place.market.code, wishes=(place.locale,)
        )

    async def _added(self, cart: Cart, wanted: Wanted) -> Cart:
        return await self.ordering.add_line(cart=cart.id, sku=wanted.sku, quantity=wanted.quantity)

    async def _entries(self, cart: Cart) -> tuple[Entry, ...]:
        """Look at the lines as they could be bought now."""
        skus = tuple(line.sku for line in cart.lines)
        if not skus:
            return ()
        offers = {
            one.sku: one
            for one in await self.pricing.offers(skus=skus)
            if one.market == cart.market
        }
        stock = {one.sku: one for one in await self.inventory.availability(skus=skus)}
        return tuple(_entry(line, offers, stock) for line in cart.lines)

    def _shown(
        self, request: Request, place: Place, cart: Cart | None, notice: str, line: UUID | str = ""
    ) -> Answer[bytes]:
        """Lead to the cart, which says what has happened to it."""
        told = f"?notice={notice}&line={line}" if notice else ""
        return remember(seen_elsewhere(f"{place.home}/cart{told}"), request, place, cart)


def remember(
    answer: Answer[bytes], request: Request, place: Place, cart: Cart | None
) -> Answer[bytes]:
    """Let the browser keep the cart for a month, or drop the one that it has.

    A cart belongs to a market, and so do the cookies, by their path. While its order is pending the
    cart is kept, but counts for nothing: it can be ordered again if that comes to nothing.
    """
    units = 0 if cart is None or cart.order else sum(line.quantity for line in cart.lines)
    for name, said in ((COOKIE, str(cart.id) if cart else ""), (COUNT_COOKIE, str(units))):
        answer.set_cookie(
            key=name,
            value=said,
            max_age=_KEPT_SECONDS if cart else 0,
            path=f"/{place.market.code}",
            httponly=name == COOKIE,
            secure=request.url.scheme == "https",
            samesite="lax",
        )
    return answer


def _entry(line: CartLine, offers: dict[Sku, Offer], stock: dict[Sku, Availability]) -> Entry:
    offer, there = offers.get(line.sku), stock.get(line.sku)
    enough = there and (there.backorder or there.available >= line.quantity)
    left = None if enough else max(0, there.available if there else 0)
    return Entry(line=line, now=offer.price if offer else None, left=left)


routes = [CartPage]

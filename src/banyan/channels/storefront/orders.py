"""The page of an order: how it stands and what happens next, for whoever knows its address."""

from __future__ import annotations

from banyan import postal
from banyan.channels.storefront.cart import COOKIE, WithCart, remember
from banyan.kernel.http import Answer, FromPath, FromQuery, Request, get
from banyan.kernel.link import Unavailable, spare
from banyan.modules.fulfillment.contract import Fulfillment, UnknownMethod
from banyan.modules.ordering.contract import UnknownOrder
from banyan.modules.payments.contract import Payments
from banyan.vocabulary import Locale, OrderId

MOST_LOOKS = 20
"""How often a page looks by itself whether an order that is pending has been decided."""


class OrderPage(WithCart):
    """What became of a cart."""

    path = f"{WithCart.path}/orders"
    payments: Payments
    fulfillment: Fulfillment

    @get("/{order:uuid}", media_type="text/html")
    async def show(
        self,
        request: Request,
        market: FromPath[str],
        locale: FromPath[str],
        order: FromPath[OrderId],
        back: FromQuery[str] = "",
        look: FromQuery[int] = 0,
    ) -> Answer[bytes]:
        """Show an order; `back` from the bank, its page looks again until it is decided."""
        place = await self.storefront.place(market, locale)
        found = await self.ordering.order(order=order)
        if found.market != place.market.code:
            raise UnknownOrder(order=order)
        payments = await spare(self.payments.payments(orders=(order,)), otherwise=())
        cart = await self.cart(request, place)
        answer = self.page(
            request,
            "order.html",
            place,
            order=found,
            payment=payments[0] if payments else None,
            method=await self._title(found.shipping_method, place.locale),
            shipping=postal.written(found.shipping_address, place.locale),
            billing=postal.written(found.billing_address, place.locale),
            reopened=bool(cart and cart.id == found.cart and not cart.order),
            back=back,
            look=look + 1 if look < MOST_LOOKS else 0,
        )
        # The address of this page is its key: nobody else is told of it.
        answer.headers |= {"referrer-policy": "same-origin", "x-robots-tag": "noindex"}
        if found.state == "confirmed" and request.cookies.get(COOKIE) == str(found.cart):
            return remember(answer, request, place, None)
        return answer

    async def _title(self, method: str, locale: Locale) -> str:
        """Name a way of shipping, or tell its code if nobody knows more."""
        try:
            titles = (await self.fulfillment.method(code=method)).title
        except (UnknownMethod, Unavailable):
            return method
        return titles.get(locale) or next(iter(titles.values()))


routes = [OrderPage]

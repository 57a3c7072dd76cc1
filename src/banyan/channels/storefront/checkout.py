"""The checkout: one page that is completed from top to bottom, and what it does when refused."""

from __future__ import annotations

from urllib.parse import urlsplit

from msgspec.structs import replace

from banyan.channels.storefront import sheet
from banyan.channels.storefront.cart import WithCart, remember
from banyan.channels.storefront.desk import Place
from banyan.channels.storefront.sheet import Asked, Sheet
from banyan.kernel.contract import Problem
from banyan.kernel.form import Form, received
from banyan.kernel.http import Answer, FromPath, FromQuery, Request, get, post
from banyan.kernel.idempotency import Idempotency
from banyan.kernel.link import calling
from banyan.kernel.page import seen_elsewhere
from banyan.modules.ordering.contract import (
    Cart,
    Order,
    PaymentChoice,
    PaymentRefused,
    PriceChanged,
    TookTooLong,
    UnknownPaymentToken,
    UnknownShippingMethod,
)
from banyan.modules.payments.contract import PaymentMethod, Payments
from banyan.vocabulary import Money

SPENT = (PaymentRefused, TookTooLong, UnknownPaymentToken)
"""After these a card has to be given anew, for its token pays once."""


class Checkout(WithCart):
    """From a cart to an order."""

    path = f"{WithCart.path}/checkout"
    payments: Payments

    @get(media_type="text/html")
    async def show(
        self,
        request: Request,
        market: FromPath[str],
        locale: FromPath[str],
        notice: FromQuery[str] = "",
    ) -> Answer[bytes]:
        """Ask for what is not known yet, and show what is."""
        place = await self.storefront.place(market, locale)
        cart = await self.cart(request, place)
        if cart is None or cart.order or not cart.lines:
            return _elsewhere(place, cart)
        return await self._page(request, place, cart, sheet.filled(place, cart), notice=notice)

    @post(media_type="text/html")
    async def receive(
        self, request: Request, market: FromPath[str], locale: FromPath[str]
    ) -> Answer[bytes]:
        """Take in what was typed: keep it, or order. What is refused is explained on the page."""
        place = await self.storefront.place(market, locale)
        cart = await self.cart(request, place)
        if cart is None or cart.order or not cart.lines:
            return _elsewhere(place, cart)
        form = await received(request, Asked)
        typed = sheet.read(place, form)
        try:
            return await self._answered(request, place, cart, typed, form)
        except Problem as no:
            return await self._refused(request, place, typed, form, no)

    @get("/return", media_type="text/html")
    async def come_back(
        self, request: Request, market: FromPath[str], locale: FromPath[str]
    ) -> Answer[bytes]:
        """Lead a shopper who was at the bank to the order, or to the cart if that was refused."""
        place = await self.storefront.place(market, locale)
        cart = await self.cart(request, place)
        if cart and cart.order:
            return seen_elsewhere(f"{place.home}/orders/{cart.order}?back=yes")
        if cart and cart.lines:
            return seen_elsewhere(f"{place.home}/checkout?notice=unconfirmed")
        return _elsewhere(place, cart)

    async def _answered(
        self, request: Request, place: Place, cart: Cart, typed: Sheet, form: Form[Asked]
    ) -> Answer[bytes]:
        """Do what was asked for by the button that was pressed."""
        match form.text("intent"):
            case "country":
                return await self._page(request, place, cart, typed.unjudged(), form=form)
            case "delivery":
                way = form.text("delivery")
                cart = await self.ordering.amend(cart=cart.id, shipping_method=way)
                return await self._page(request, place, cart, typed.unjudged(), form=form)
            case _ if typed.flawed or form.value is None:
                return await self._page(request, place, cart, typed, form=form, status=422)
            case "order":
                order = await self._ordered(request, place, cart, typed, form, form.value)
                return await self._led_on(request, place, cart, order)
            case _:
                cart = await self._kept(cart, typed, form.value.delivery)
                if _token(form):
                    # The card that was typed would be lost on the way to another page.
                    return await self._page(request, place, cart, typed, form=form)
                return seen_elsewhere(f"{place.home}/checkout#delivery")

    async def _ordered(
        self,
        request: Request,
        place: Place,
        cart: Cart,
        typed: Sheet,
        form: Form[Asked],
        asked: Asked,
    ) -> Order:
        """Order for what the button said, or refuse. The same press again has the same answer."""
        cart = await self._kept(cart, typed, asked.delivery)
        if not cart.shipping_method:
            raise UnknownShippingMethod(shipping_method=asked.delivery)
        if cart.totals.total.amount != asked.total:
            told = Money(amount=asked.total, currency=cart.currency)
            raise PriceChanged(cart=cart.id, told=told, now=cart.totals.total)
        token = _token(form)
        if not token:
            raise UnknownPaymentToken
        key = Idempotency(
            key=f"{cart.id} {asked.version} {token}",
            fingerprint=f"{asked.payment} {asked.total}",
            scope=place.home,
        )
        back = f"{_origin(str(request.url))}{place.home}/checkout/return"
        payment = PaymentChoice(method=asked.payment, token=token, return_url=back)
        with calling(idempotency=key):
            return await self.ordering.check_out(cart=cart.id, payment=payment)

    async def _kept(self, cart: Cart, typed: Sheet, delivery: str) -> Cart:
        """Keep what was typed, with the cheapest way of shipping as long as none is chosen."""
        shipping, wanted = typed.shipping.address, delivery or cart.shipping_method
        known = (cart.email, cart.shipping_address, cart.billing_address, cart.shipping_method)
        if known == (typed.email, shipping, typed.bill_to, wanted):
            return cart
        cart = await self.ordering.amend(
            cart=cart.id,
            email=typed.email,
            shipping_address=shipping,
            billing_address=typed.bill_to,
        )
        if wanted and wanted == cart.shipping_method:
            return cart
        # A way that does not lead to the new address gives place to another.
        codes = [one.code for one in await self.ordering.shipping_methods(cart=cart.id)]
        way = next((code for code in (wanted, *codes) if code in codes), None)
        return await self.ordering.amend(cart=cart.id, shipping_method=way) if way else cart

    async def _led_on(
        self, request: Request, place: Place, cart: Cart, order: Order
    ) -> Answer[bytes]:
        """Lead to the bank if it wants to see the shopper, and else to the order.

        Browsers let a form lead only where its page said (CSP `form-action`): to banks with a
        field there. To any other leads the page of the order.
        """
        there = f"{place.home}/orders/{order.id}"
        if order.action:
            methods = await self._methods(request, place)
            if _origin(order.action.url) in _banks(methods):
                there = order.action.url
        left = None if order.state == "confirmed" else replace(cart, order=order.id)
        return remember(seen_elsewhere(there), request, place, left)

    async def _refused(
        self, request: Request, place: Place, typed: Sheet, form: Form[Asked], no: Problem
    ) -> Answer[bytes]:
        """Explain a refusal on the page, where all that was typed still stands.

        What looks like a failure may still become an order: the order's own page tells which.
        """
        cart = await self.cart(request, place)
        if cart is None or cart.order or not cart.lines:
            return _elsewhere(place, cart)
        return await self._page(
            request, place, cart, typed, form=form, status=no.status, problem=no
        )

    async def _page(
        self,
        request: Request,
        place: Place,
        cart: Cart,
        typed: Sheet,
        *,
        form: Form[Asked] | None = None,
        status: int = 200,
        problem: Problem | None = None,
        notice: str = "",
    ) -> Answer[bytes]:
        """Show the sheet, the ways to ship as soon as they are known, and then those to pay."""
        ways = await self.ordering.shipping_methods(cart=cart.id)
        methods: tuple[PaymentMethod, ...] = ()
        if cart.email and any(way.code == cart.shipping_method for way in ways):
            token = _token(form) if form and not isinstance(problem, SPENT) else ""
            methods = await self._methods(request, place, token=token)
        said, codes = form.text("payment") if form else "", [one.code for one in methods]
        banks = _banks(methods)
        answer = self.page(
            request,
            "checkout.html",
            place,
            status=status,
            cart=cart,
            sheet=typed,
            ways=ways,
            methods=methods,
            chosen=next((code for code in (said, *codes) if code in codes), ""),
            problem=problem,
            code=problem.code if problem else "",
            notice=notice,
            frames=banks,
            leads=banks,
        )
        return remember(answer, request, place, cart)

    async def _methods(
        self, request: Request, place: Place, *, token: str = ""
    ) -> tuple[PaymentMethod, ...]:
        """List the ways to pay, for a page at the origin that was asked: there its cookies are."""
        return await self.payments.methods(
            origin=_origin(str(request.url)), wishes=(place.locale,), token=token
        )


def _banks(methods: tuple[PaymentMethod, ...]) -> list[str]:
    """List the origins of those who have a field on the page."""
    return sorted({one.field.origin for one in methods if one.field})


def _origin(url: str) -> str:
    there = urlsplit(url)
    return f"{there.scheme}://{there.netloc}"


def _token(form: Form[Asked]) -> str:
    """Find what stands for the card: each way to pay has a field of its own."""
    return form.text(f"token-{form.text('payment')}")


def _elsewhere(place: Place, cart: Cart | None) -> Answer[bytes]:
    """Lead to the order that a cart has become, or to the cart, which says why it is empty."""
    there = f"orders/{cart.order}" if cart and cart.order else "cart"
    return seen_elsewhere(f"{place.home}/{there}")


routes = [Checkout]

"""The answers of ordering: load, decide, save, tell."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from uuid import UUID

from msgspec.structs import replace

from banyan.kernel.clock import Clock, time_zones
from banyan.kernel.database import Database
from banyan.kernel.driver import Running, Sagas
from banyan.kernel.ids import Ids
from banyan.kernel.security import looks_like_card_number, without_card_numbers
from banyan.kernel.transaction import Overtaken
from banyan.modules.fulfillment.contract import Fulfillment, Rate
from banyan.modules.inventory.contract import Inventory
from banyan.modules.ordering import model
from banyan.modules.ordering.contract import (
    Cart,
    Figures,
    MarketClosed,
    NoTaxKnown,
    NotCancelable,
    NotForSale,
    Order,
    Ordering,
    OrderState,
    PaymentChoice,
    PriceChanged,
    ShippingChoice,
    StaleCart,
    UnknownCoupon,
    UnknownPaymentToken,
    UnknownShippingMethod,
    UnknownTimeZone,
)
from banyan.modules.ordering.sagas import PAYMENT_NEWS, CancelOrder, CheckOut
from banyan.modules.ordering.settings import OrderingSettings
from banyan.modules.ordering.store import carts, figures, orders
from banyan.modules.ordering.store.orders import Sought
from banyan.modules.payments.contract import Payments
from banyan.modules.pricing.contract import NoTaxRate, NotPriced, Pricing, Quote
from banyan.vocabulary import (
    Address,
    CartId,
    MarketCode,
    OrderId,
    PaymentId,
    Quantity,
    Sku,
    UnknownMarket,
)

DROPPED_AT_ONCE = 1000
AUDITED_AT_ONCE = 200


class OrderingService(Ordering):
    """Carts and orders, in the schema `ordering`."""

    def __init__(
        self,
        db: Database,
        sagas: Sagas,
        clock: Clock,
        ids: Ids,
        settings: OrderingSettings,
        pricing: Pricing,
        fulfillment: Fulfillment,
        inventory: Inventory,
        payments: Payments,
        checkout: CheckOut,
        canceling: CancelOrder,
    ) -> None:
        self.db = db
        self.sagas = sagas
        self.clock = clock
        self.ids = ids
        self.settings = settings
        self.pricing = pricing
        self.fulfillment = fulfillment
        self.inventory = inventory
        self.payments = payments
        self.checkout = checkout
        self.canceling = canceling

    async def create_cart(
        self, *, cart: CartId, market: MarketCode | None = None, wishes: tuple[str, ...] = ()
    ) -> Cart:
        terms = await carts.terms(self.db, market)
        if terms is None:
            raise UnknownMarket(market=market or MarketCode("*"))
        opened = model.open_cart(cart, terms, wishes)
        if not await carts.add_cart(self.db, opened, self.clock.now()):
            return await carts.cart(self.db, cart)
        return opened

    async def cart(self, *, cart: CartId) -> Cart:
        return await carts.cart(self.db, cart)

    async def add_line(
        self, *, cart: CartId, sku: Sku, quantity: Quantity = 1, expected: int | None = None
    ) -> Cart:
        while True:  # Whoever was overtaken looks again.
            before, good = await carts.cart_with_good(self.db, cart, sku)
            model.refuse_closed(before, expected)
            after = model.add_line(before, sku, good, quantity, self.ids.new())
            if saved := await carts.save_cart(self.db, after, self.clock.now()):
                return saved

    async def set_quantity(
        self, *, cart: CartId, line: UUID, quantity: Quantity, expected: int | None = None
    ) -> Cart:
        return await self._changed(
            cart, lambda before: model.set_quantity(before, line, quantity), expected
        )

    async def remove_line(self, *, cart: CartId, line: UUID, expected: int | None = None) -> Cart:
        return await self._changed(cart, lambda before: model.remove_line(before, line), expected)

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
        if coupons:
            raise UnknownCoupon(coupon=coupons[0])
        before, weight = await carts.cart_with_weight(self.db, cart)
        model.refuse_closed(before, expected)
        wanted = await self._priced(
            model.amend(
                before,
                email=email,
                shipping_address=shipping_address,
                billing_address=billing_address,
                shipping_method=shipping_method,
            ),
            weight,
            method_asked=shipping_method is not None,
        )
        if saved := await carts.save_cart(self.db, wanted, self.clock.now()):
            return saved
        now = await carts.cart(self.db, cart)
        model.refuse_closed(now)
        raise StaleCart(version=now.version)

    async def shipping_methods(self, *, cart: CartId) -> tuple[ShippingChoice, ...]:
        rates = await self._rates(*await carts.cart_with_weight(self.db, cart))
        return tuple(
            ShippingChoice(code=rate.code, title=rate.title, price=rate.price) for rate in rates
        )

    async def check_out(self, *, cart: CartId, payment: PaymentChoice) -> Order:
        if looks_like_card_number(payment.token):
            # Before anything is written: not even the journal may hold one (PCI DSS 3).
            raise UnknownPaymentToken
        order: OrderId | None = None
        while order is None:  # Whoever was overtaken looks again.
            found, weight = await carts.cart_with_weight(self.db, cart)
            with suppress(Overtaken):
                order = found.order or await self._placed(found, weight, payment)
        await self.sagas.running(self.checkout, order).settled()
        return await orders.order(self.db, order)

    async def order(self, *, order: OrderId) -> Order:
        return await orders.order(self.db, order)

    async def orders(
        self,
        *,
        state: OrderState | None = None,
        number: str | None = None,
        email: str | None = None,
        market: MarketCode | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        before: OrderId | None = None,
        limit: int = 24,
    ) -> tuple[Order, ...]:
        sought = Sought(
            state=state,
            number=number,
            email=email,
            market=market,
            since=since,
            until=until,
            before=before,
        )
        return await orders.orders(self.db, sought, limit)

    async def figures(
        self, *, since: datetime, until: datetime, zone: str, market: MarketCode | None = None
    ) -> Figures:
        _refuse_unknown_zone(zone)
        return await figures.figures(self.db, since, until, zone, market)

    async def cancel(self, *, order: OrderId, reason: str = "") -> Order:
        name, reason = f"cancel {order}", without_card_numbers(reason)
        async with self.db.begin() as tx:
            found = await orders.lock_order(tx, order)
            if found.state == "pending":
                raise NotCancelable(order=order, state=found.state)
            running: Running[None] = self.sagas.running(self.canceling, name)
            if found.state == "confirmed":
                running = self.sagas.start(tx, self.canceling, name, order=order, reason=reason)
        await running.settled()
        return await orders.order(self.db, order)

    async def bring_payment_news(self, order: OrderId) -> None:
        """Wake a checkout that waits for the shopper's bank."""
        async with self.db.begin() as tx:
            await self.sagas.signal(tx, order, PAYMENT_NEWS, value=True)

    async def drop_abandoned_carts(self) -> None:
        """Forget carts, and the addresses in them, that nobody came back to."""
        before = self.clock.now() - timedelta(days=self.settings.keep_carts_days)
        async with self.db.begin() as tx:
            await carts.drop_abandoned(tx, before, DROPPED_AT_ONCE)

    async def audit_payments(self) -> Sequence[str]:
        """Find orders without their payment, and payments without their order."""
        found: list[str] = []
        async for stood in self._pages("confirmed"):
            paid = await self.payments.payments(orders=tuple(order.id for order in stood))
            found += model.unpaid(stood, paid)
        before: PaymentId | None = None
        while payments := await self.payments.payments(before=before, limit=AUDITED_AT_ONCE):
            states = await orders.states(self.db, [payment.order for payment in payments])
            found += model.unordered(payments, states)
            before = payments[-1].id
        return found

    async def audit_stock(self) -> Sequence[str]:
        """Find orders for which not all is kept that was bought."""
        found: list[str] = []
        async for stood in self._pages("confirmed"):
            kept = await self.inventory.reservations(ids=tuple(order.id for order in stood))
            found += model.unkept(stood, kept)
        return found

    async def _pages(self, state: OrderState) -> AsyncIterator[tuple[Order, ...]]:
        sought = Sought(state=state)
        while found := await orders.orders(self.db, sought, AUDITED_AT_ONCE):
            yield found
            sought = replace(sought, before=found[-1].id)

    async def _changed(
        self, cart: CartId, change: Callable[[Cart], Cart], expected: int | None
    ) -> Cart:
        """Change a cart as it is; whoever was overtaken looks again."""
        while True:
            before = await carts.cart(self.db, cart)
            model.refuse_closed(before, expected)
            if saved := await carts.save_cart(self.db, change(before), self.clock.now()):
                return saved

    async def _placed(self, cart: Cart, weight: int, payment: PaymentChoice) -> OrderId:
        """Make an order of a cart that costs what the shopper was told, and set out to get it.

        Raises `Overtaken` if somebody else has changed or ordered the cart meanwhile.
        """
        model.refuse_incomplete(cart)
        quote = await self._quote(cart, await self._rate(cart, weight))
        if quote.total != cart.totals.total:
            repriced = model.reprice(cart, quote)
            if not await carts.save_cart(self.db, repriced, self.clock.now()):
                raise Overtaken
            raise PriceChanged(cart=cart.id, told=cart.totals.total, now=quote.total)
        order = OrderId(self.ids.new())
        placed = model.place(cart, quote, order, self.clock.now(), self.ids.new)
        async with self.db.begin() as tx:
            carts.close_cart(tx, cart, order)
            orders.add_order(tx, placed)
            purchase = model.purchase(placed, payment)
            self.sagas.start(tx, self.checkout, order, purchase=purchase)
        return order

    async def _priced(self, cart: Cart, weight: int, *, method_asked: bool) -> Cart:
        """Ask what the cart costs where it goes to, as soon as that is known.

        A way of shipping that was chosen before, and can be had no longer, is dropped.
        """
        if not cart.lines or not cart.shipping_address:
            return cart
        rate = None
        try:
            rate = await self._rate(cart, weight)
        except UnknownShippingMethod:
            if method_asked:
                raise
            cart = replace(cart, shipping_method=None)
        return model.reprice(cart, await self._quote(cart, rate), final=rate is not None)

    async def _quote(self, cart: Cart, rate: Rate | None) -> Quote:
        """Ask what the cart costs where it goes to."""
        address = cart.shipping_address
        assert address, "who asks has looked"
        try:
            return await self.pricing.quote(
                market=cart.market,
                lines=model.lines_of(cart.lines),
                shipping=rate.price if rate else None,
                country=address.country,
                region=address.region,
            )
        except UnknownMarket as no:
            raise MarketClosed(market=no.market) from no
        except NotPriced as no:
            raise NotForSale(sku=no.skus[0], market=no.market) from no
        except NoTaxRate as no:
            raise NoTaxKnown(country=no.country, tax_class=no.tax_class) from no

    async def _rate(self, cart: Cart, weight: int) -> Rate | None:
        """Find what the chosen way of shipping costs; None if there is none yet."""
        if not cart.shipping_method:
            return None
        return model.choose_rate(await self._rates(cart, weight), cart.shipping_method)

    async def _rates(self, cart: Cart, weight: int) -> tuple[Rate, ...]:
        address = cart.shipping_address
        if address is None:
            return ()
        return await self.fulfillment.rates(
            market=cart.market,
            country=address.country,
            region=address.region,
            total=cart.totals.subtotal,
            weight_grams=weight,
            locale=cart.locale,
        )


def _refuse_unknown_zone(zone: str) -> None:
    if zone not in time_zones():
        raise UnknownTimeZone

"""The rules of ordering. No I/O, no clock, no chance."""

from __future__ import annotations

from collections import ChainMap, Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from msgspec.structs import replace

from banyan.kernel.contract import Value
from banyan.kernel.language import choose, lookup
from banyan.modules.fulfillment.contract import Rate
from banyan.modules.inventory.contract import Reservation
from banyan.modules.ordering.contract import (
    Cart,
    CartClosed,
    CartIncomplete,
    CartLine,
    EmptyCart,
    NotForSale,
    Order,
    OrderLine,
    OrderState,
    PaymentChoice,
    StaleCart,
    TooMany,
    Totals,
    UnknownLine,
    UnknownShippingMethod,
    UnknownSku,
)
from banyan.modules.payments.contract import Payment
from banyan.modules.pricing.contract import Quote
from banyan.vocabulary import (
    Address,
    CartId,
    Line,
    Locale,
    MarketCode,
    Money,
    OrderId,
    Sku,
)

MOST_LINES = 200
MOST_UNITS = 10_000


class Terms(Value, frozen=True, kw_only=True):
    """What ordering knows of a market."""

    code: MarketCode
    currency: str
    tax_inclusive: bool
    locales: tuple[Locale, ...]


class Good(Value, frozen=True, kw_only=True):
    """What ordering knows of a SKU: `words` say its options elsewhere, and '' says its title."""

    sku: Sku
    slug: str
    title: str
    words: dict[Locale, dict[str, str]]
    image: str
    options: dict[str, str]
    for_sale: bool
    amount: int | None


class Purchase(Value, frozen=True, kw_only=True):
    """What a checkout needs to know of an order: no name, no street."""

    order: OrderId
    lines: tuple[Line, ...]
    amount: Money
    provider: str
    token: str
    return_url: str


def open_cart(cart: CartId, terms: Terms, wishes: tuple[str, ...]) -> Cart:
    """Begin an empty cart in a market, in the language that is wished for most there."""
    return Cart(
        id=cart,
        market=terms.code,
        locale=Locale(choose(wishes, terms.locales) or terms.locales[0]),
        currency=terms.currency,
        lines=(),
        totals=_totals((), None, terms.currency, tax_inclusive=terms.tax_inclusive),
        version=1,
    )


def refuse_closed(cart: Cart, expected: int | None = None) -> None:
    """Refuse to change a cart that is being ordered, or that somebody has changed meanwhile."""
    if cart.order:
        raise CartClosed(cart=cart.id, order=cart.order)
    if expected is not None and cart.version != expected:
        raise StaleCart(version=cart.version)


def add_line(cart: Cart, sku: Sku, good: Good | None, quantity: int, line: UUID) -> Cart:
    """Put units of a SKU on top of those already there, all at the price that holds now."""
    if good is None or not good.for_sale:
        raise UnknownSku(sku=sku)
    if good.amount is None:
        raise NotForSale(sku=sku, market=cart.market)
    there = next((one for one in cart.lines if one.sku == sku), None)
    wanted = quantity + (there.quantity if there else 0)
    price = Money(amount=good.amount, currency=cart.currency)
    said = spoken(good, cart.locale)
    made = CartLine(
        id=there.id if there else line,
        sku=sku,
        quantity=wanted,
        product=good.slug,
        title=said.get("", good.title),
        unit_price=price,
        total=price * wanted,
        image=good.image,
        options={said.get(n, n): said.get(v, v) for n, v in good.options.items()},
    )
    if there:
        return _with_lines(cart, tuple(made if one is there else one for one in cart.lines))
    return _with_lines(cart, (*cart.lines, made))


def spoken(good: Good, locale: Locale) -> Mapping[str, str]:
    """Collect the words of a language; a dialect says only what differs (RFC 4647 lookup)."""
    known = {wide.lower(): words for wide, words in good.words.items()}
    return ChainMap(*(known.get(wide, {}) for wide in lookup((locale,))))


def set_quantity(cart: Cart, line: UUID, quantity: int) -> Cart:
    """Change how many units are wanted."""
    _refuse_unknown(cart, line)
    return _with_lines(
        cart,
        tuple(
            replace(one, quantity=quantity, total=one.unit_price * quantity)
            if one.id == line
            else one
            for one in cart.lines
        ),
    )


def remove_line(cart: Cart, line: UUID) -> Cart:
    """Take a line out."""
    _refuse_unknown(cart, line)
    return _with_lines(cart, tuple(one for one in cart.lines if one.id != line))


def amend(
    cart: Cart,
    *,
    email: str | None,
    shipping_address: Address | None,
    billing_address: Address | None,
    shipping_method: str | None,
) -> Cart:
    """Fill in what is given, and leave the rest."""
    return replace(
        cart,
        email=email or cart.email,
        shipping_address=shipping_address or cart.shipping_address,
        billing_address=billing_address or cart.billing_address,
        shipping_method=shipping_method or cart.shipping_method,
    )


def choose_rate(rates: tuple[Rate, ...], method: str) -> Rate:
    """Find the rate of a shipping method among those that can be had."""
    for rate in rates:
        if rate.code == method:
            return rate
    raise UnknownShippingMethod(shipping_method=method)


def reprice(cart: Cart, quote: Quote, *, final: bool = True) -> Cart:
    """Tell the shopper what a quote says; without a shipping method it is not final."""
    prices = {line.sku: line.unit_price for line in quote.lines}
    return replace(
        cart,
        lines=tuple(
            replace(line, unit_price=prices[line.sku], total=prices[line.sku] * line.quantity)
            for line in cart.lines
        ),
        totals=totals_of(quote, estimated=not final),
    )


def totals_of(quote: Quote, *, estimated: bool = False) -> Totals:
    """Take the totals out of a quote."""
    return Totals(
        subtotal=quote.subtotal,
        shipping=quote.shipping,
        tax=quote.tax,
        total=quote.total,
        tax_inclusive=quote.tax_inclusive,
        estimated=estimated,
    )


def refuse_incomplete(cart: Cart) -> None:
    """Refuse to order what is not ready for it; what is missing is named."""
    if not cart.lines:
        raise EmptyCart(cart=cart.id)
    wanted = ("email", "shipping_address", "shipping_method")
    missing = tuple(name for name in wanted if not getattr(cart, name))
    if missing:
        raise CartIncomplete(missing=missing)


def place(
    cart: Cart, quote: Quote, order: OrderId, now: datetime, line_id: Callable[[], UUID]
) -> Order:
    """Make an order of a cart that is ready, at the prices and taxes of a quote."""
    assert cart.email
    assert cart.shipping_address
    assert cart.shipping_method
    quoted = {line.sku: line for line in quote.lines}
    return Order(
        id=order,
        state="pending",
        cart=cart.id,
        market=cart.market,
        locale=cart.locale,
        currency=cart.currency,
        email=cart.email,
        shipping_address=cart.shipping_address,
        billing_address=cart.billing_address or cart.shipping_address,
        shipping_method=cart.shipping_method,
        lines=tuple(
            OrderLine(
                id=line_id(),
                sku=line.sku,
                quantity=line.quantity,
                title=line.title,
                unit_price=quoted[line.sku].unit_price,
                subtotal=quoted[line.sku].subtotal,
                tax=quoted[line.sku].tax,
                total=quoted[line.sku].total,
                tax_millionths=quoted[line.sku].tax_millionths,
                product=line.product,
                image=line.image,
                options=line.options,
            )
            for line in cart.lines
        ),
        totals=totals_of(quote),
        placed_at=now,
        version=1,
    )


def lines_of(parts: tuple[CartLine, ...] | tuple[OrderLine, ...]) -> tuple[Line, ...]:
    """Say of a cart or order only what and how many."""
    return tuple(Line(sku=part.sku, quantity=part.quantity) for part in parts)


def purchase(order: Order, payment: PaymentChoice) -> Purchase:
    """Take from an order what its checkout needs."""
    return Purchase(
        order=order.id,
        lines=lines_of(order.lines),
        amount=order.totals.total,
        provider=payment.method,
        token=payment.token,
        return_url=payment.return_url,
    )


def cancel(order: Order, reason: str, now: datetime) -> Order:
    """Let the order stand no longer."""
    return replace(order, state="canceled", action=None, canceled_at=now, cancel_reason=reason)


def unpaid(orders: Sequence[Order], payments: Sequence[Payment]) -> list[str]:
    """Find orders whose money is not set aside."""
    paid = {one.order: one.amount for one in payments if one.state == "authorized"}
    return [
        f"order {order.number} ({order.id}) of {order.totals.total.amount} {order.currency} "
        "is confirmed without its payment"
        for order in orders
        if order.totals.total.amount and paid.get(order.id) != order.totals.total
    ]


def unordered(payments: Sequence[Payment], states: Mapping[OrderId, OrderState]) -> list[str]:
    """Find money that is set aside or taken, and not given back, where no order stands."""
    return [
        f"payment {one.id} holds money for an order that is {states.get(one.order, 'unknown')}"
        for one in payments
        if one.state in ("authorized", "released")
        and one.amount != one.voided + one.refunded
        and states.get(one.order, "unknown") not in ("confirmed", "pending")
    ]


def unkept(orders: Sequence[Order], reservations: Sequence[Reservation]) -> list[str]:
    """Find orders whose goods are not kept for them in full."""
    kept = {
        one.id: _counted((held.sku, held.quantity) for held in one.held)
        for one in reservations
        if one.state in ("allocated", "shipped")
    }
    return [
        f"order {order.number} ({order.id}) is confirmed, but its goods are not kept"
        for order in orders
        if kept.get(order.id) != _counted((line.sku, line.quantity) for line in order.lines)
    ]


def _counted(parts: Iterable[tuple[Sku, int]]) -> Counter[Sku]:
    total: Counter[Sku] = Counter()
    for sku, quantity in parts:
        total[sku] += quantity
    return total


def _with_lines(cart: Cart, lines: tuple[CartLine, ...]) -> Cart:
    """Change the lines; tax and shipping are an estimate until they are quoted again."""
    if len(lines) > MOST_LINES:
        raise TooMany(limit=MOST_LINES)
    if any(line.quantity > MOST_UNITS for line in lines):
        raise TooMany(limit=MOST_UNITS)
    shipping = cart.totals.shipping if cart.shipping_method else None
    totals = _totals(lines, shipping, cart.currency, tax_inclusive=cart.totals.tax_inclusive)
    return replace(cart, lines=lines, totals=totals)


def _totals(
    lines: tuple[CartLine, ...], shipping: Money | None, currency: str, *, tax_inclusive: bool
) -> Totals:
    nothing = Money.zero(currency)
    subtotal = sum((line.total for line in lines), nothing)
    return Totals(
        subtotal=subtotal,
        shipping=shipping or nothing,
        tax=nothing,
        total=subtotal + (shipping or nothing),
        tax_inclusive=tax_inclusive,
        estimated=True,
    )


def _refuse_unknown(cart: Cart, line: UUID) -> None:
    if all(one.id != line for one in cart.lines):
        raise UnknownLine(cart=cart.id, line=line)

"""What the storefront decides by itself: all that it asks is in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest
from msgspec.structs import replace

from banyan.channels import look
from banyan.channels.storefront.channel import channel
from banyan.channels.storefront.desk import Storefront
from banyan.channels.storefront.narrowing import Narrowing
from banyan.channels.storefront.settings import StorefrontSettings
from banyan.kernel.clock import FixedClock
from banyan.kernel.http import build
from banyan.kernel.ids import Ids
from banyan.kernel.security import Caller, Gate
from banyan.kernel.shelf import Shelf
from banyan.modules.ordering.contract import (
    Action,
    Cart,
    CartLine,
    Order,
    PaymentChoice,
    ShippingChoice,
    Totals,
)
from banyan.modules.payments.contract import HostedField, PaymentMethod
from banyan.modules.search.contract import CategoryShown, Told
from banyan.vocabulary import Address, CartId, Locale, MarketCode, Money, OrderId, Sku
from tests.channels.shopping import ADA
from tests.modules.fulfillment.fake import FakeFulfillment
from tests.modules.pricing.fake import FakePricing

HERE, BANK, ELSEWHERE = "http://shop.test", "https://bank.test", "https://challenge.test"
CHECKOUT = "/eu/en/checkout"
PRICE = Money(amount=1000, currency="EUR")
HOME = Address(
    **{
        name: ADA[f"shipping-{name}"]
        for name in ("name", "street", "postal_code", "city", "country")
    }
)
TOTALS = Totals(
    subtotal=PRICE,
    shipping=Money.zero("EUR"),
    tax=Money.zero("EUR"),
    total=PRICE,
    tax_inclusive=True,
)
CART = Cart(
    id=CartId(UUID(int=7)),
    market=MarketCode("eu"),
    locale=Locale("en"),
    currency="EUR",
    lines=(
        CartLine(
            id=UUID(int=1),
            sku=Sku("lamp"),
            quantity=3,
            title="Lamp",
            product="lamp",
            unit_price=PRICE,
            total=PRICE,
        ),
    ),
    totals=TOTALS,
    email=ADA["email"],
    shipping_address=HOME,
    billing_address=HOME,
    shipping_method="eu-post",
    version=1,
)
ORDER = Order(
    id=OrderId(UUID(int=9)),
    state="pending",
    cart=CART.id,
    market=CART.market,
    locale=CART.locale,
    currency="EUR",
    email=ADA["email"],
    shipping_address=HOME,
    billing_address=HOME,
    shipping_method="eu-post",
    lines=(),
    totals=TOTALS,
    placed_at=datetime(2026, 1, 1, tzinfo=UTC),
)


class OneCart:
    """Ordering that knows one cart, and the order that it becomes."""

    def __init__(self) -> None:
        self.order_made = ORDER
        self.paid: list[PaymentChoice] = []

    async def cart(self, *, cart: CartId) -> Cart:
        return CART

    async def shipping_methods(self, *, cart: CartId) -> tuple[ShippingChoice, ...]:
        return (ShippingChoice(code="eu-post", title="Post", price=Money.zero("EUR")),)

    async def check_out(self, *, cart: CartId, payment: PaymentChoice) -> Order:
        self.paid.append(payment)
        return self.order_made


class TwoWays:
    """Payments that offer two ways to pay, with a field of each at the bank."""

    def __init__(self) -> None:
        self.shown_at: set[str] = set()

    async def methods(
        self, *, origin: str, wishes: tuple[str, ...] = (), token: str = ""
    ) -> tuple[PaymentMethod, ...]:
        self.shown_at.add(origin)
        return tuple(
            PaymentMethod(
                code=code,
                title=code,
                field=HostedField(url=f"{BANK}/{code}", origin=BANK, token=f"tok_{code}"),
            )
            for code in ("one", "two")
        )


class OneTree:
    """Search that knows a tree of categories, which may change."""

    def __init__(self) -> None:
        self.title = "Lamps"
        self.asked = 0

    async def categories(
        self, *, market: MarketCode | None = None, wishes: tuple[str, ...] = ()
    ) -> Told[CategoryShown]:
        self.asked += 1
        return Told(items=(CategoryShown(slug="lamps", title=self.title, parent=None, count=1),))


class Nobody(Gate):
    """Knows nobody."""

    async def caller(self, token: str) -> Caller | None:
        return None


async def ready() -> dict[str, bool]:
    return {}


@pytest.fixture
def ordering() -> OneCart:
    return OneCart()


@pytest.fixture
def payments() -> TwoWays:
    return TwoWays()


@pytest.fixture
async def client(ordering: OneCart, payments: TwoWays) -> AsyncIterator[httpx.AsyncClient]:
    """Come to a shop that the world finds at another address."""
    clock, pricing, search = FixedClock(), FakePricing.shop(), OneTree()
    told = StorefrontSettings(url="https://shop.example")
    asked: Any = search
    known: dict[str, Any] = {
        "storefront": Storefront(told, pricing, asked, clock, Shelf(clock, {})),
        "ordering": ordering,
        "payments": payments,
        "pricing": pricing,
        "search": search,
        "inventory": object(),
        "fulfillment": FakeFulfillment.shop("eu"),
        "ids": Ids(clock),
    }
    app: Any = build(channel.routes, dependencies=known, gate=Nobody(), ready=ready)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url=HERE,
        headers={"accept": "text/html"},
        cookies={"banyan-cart": str(CART.id)},
    ) as client:
        yield client


def pressed(**more: str) -> dict[str, str]:
    said = {"intent": "order", "delivery": "eu-post", "payment": "two", "token-two": "tok_two"}
    return {**ADA, **said, "total": "1000", "version": "1", **more}


async def test_who_pays_comes_back_to_where_the_cart_is(
    client: httpx.AsyncClient, ordering: OneCart, payments: TwoWays
) -> None:
    page = await client.get(CHECKOUT)
    await client.post(CHECKOUT, data=pressed())

    assert page.status_code == 200
    assert payments.shown_at == {HERE}
    assert [one.return_url for one in ordering.paid] == [f"{HERE}{CHECKOUT}/return"]


@pytest.mark.parametrize(
    ("challenge", "there"),
    [(f"{BANK}/challenge", f"{BANK}/challenge"), (f"{ELSEWHERE}/1", f"/eu/en/orders/{ORDER.id}")],
)
async def test_a_form_leads_only_where_its_page_said(
    client: httpx.AsyncClient, ordering: OneCart, challenge: str, there: str
) -> None:
    ordering.order_made = replace(ORDER, action=Action(kind="redirect", url=challenge))

    answer = await client.post(CHECKOUT, data=pressed())

    assert answer.headers["location"] == there


@pytest.mark.parametrize("action", [None, Action(kind="redirect", url=f"{BANK}/challenge")])
async def test_a_cart_counts_for_nothing_while_its_order_is_pending(
    client: httpx.AsyncClient, ordering: OneCart, action: Action | None
) -> None:
    ordering.order_made = replace(ORDER, action=action)

    answer = await client.post(CHECKOUT, data=pressed())

    kept = " ".join(answer.headers.get_list("set-cookie"))
    assert "banyan-cart-count=0;" in kept
    assert f"banyan-cart={CART.id};" in kept


async def test_the_way_to_pay_stays_chosen(client: httpx.AsyncClient) -> None:
    first = await client.get(CHECKOUT)
    again = await client.post(CHECKOUT, data=pressed(total="1"))

    assert chosen(first) == "one"
    assert chosen(again) == "two"
    assert again.text.count("data-method=") == len(("one", "two"))


def chosen(page: httpx.Response) -> str:
    before = page.text.split('name="payment"')[1:]
    return next(one.split('"')[1] for one in before if "checked" in one.partition(">")[0])


@pytest.mark.parametrize("place", ["%5Cevil.com/x", "eu/%5Cevil.com", "eu/en%22onclick"])
async def test_the_page_of_a_problem_leads_nowhere_else(
    client: httpx.AsyncClient, place: str
) -> None:
    page = await client.get(f"/{place}/orders/{ORDER.id}?look=abc")

    assert page.status_code == 400
    assert "evil" not in page.text
    assert "onclick" not in page.text
    assert 'class="button" href="/"' in page.text


async def test_a_page_has_the_tree_that_was_true_when_it_was_begun() -> None:
    clock, search = FixedClock(), OneTree()
    shelf = Shelf(clock, {})
    asked: Any = search
    storefront = Storefront(StorefrontSettings(), FakePricing.shop(), asked, clock, shelf)

    before = await storefront.place("eu", "en")
    search.title = "Lights"
    kept = await storefront.place("eu", "en")
    shelf.changed("search")
    after = await storefront.place("eu", "en")

    assert kept == before
    assert [one.title for one in after.categories] == ["Lights"]
    assert search.asked == len((before, after))


def test_so_many_filters_are_none() -> None:
    many = "&".join(f"filter=color:{number}" for number in range(51))

    assert Narrowing.of(f"q=lamp&{many}") == Narrowing(q="lamp")
    assert Narrowing.of(f"q=lamp&filter=color:{'x' * 200}") == Narrowing(q="lamp")
    assert len(Narrowing.of(many.rpartition("&")[0]).filter) == 50


@pytest.mark.parametrize(
    ("locale", "written"), [("de-XX", "10,00\xa0€"), ("de-CH", "EUR\xa010.00"), ("xx", "€10.00")]
)
def test_money_is_written_in_every_language(locale: str, written: str) -> None:
    assert look.money(PRICE, locale) == written

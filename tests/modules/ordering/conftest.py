"""A shop that sells lamps, with everything around ordering in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest

from banyan.kernel.link import Link
from banyan.kernel.testing import Bench, Server, bench
from banyan.modules.catalog.contract import Product, ProductPublished, Variant
from banyan.modules.fulfillment.contract import Fulfillment
from banyan.modules.inventory.contract import Inventory
from banyan.modules.ordering.contract import Cart, Order, Ordering, PaymentChoice
from banyan.modules.ordering.module import module
from banyan.modules.ordering.service import OrderingService
from banyan.modules.payments.contract import Payments
from banyan.modules.pricing.contract import MarketChanged, Price, PricesChanged, Pricing
from banyan.vocabulary import Address, CartId, MarketCode, OrderId, ProductId, Sku
from tests.modules.fulfillment.fake import FakeFulfillment
from tests.modules.ordering.neighbors import FakeInventory, FakePayments
from tests.modules.pricing.fake import FakePricing

LAMP, SHADE = Sku("lamp"), Sku("shade")
CART = CartId(UUID(int=7))
HOME = Address(
    name="Ada", street="Canal 1", city="Berlin", country="DE", postal_code="10115", region=""
)


@dataclass
class Shop:
    """Ordering on a real database, and its neighbors within reach."""

    bench: Bench
    ordering: Ordering
    service: OrderingService
    pricing: FakePricing
    inventory: FakeInventory
    payments: FakePayments

    async def set_price(self, amount: int, sku: Sku = LAMP) -> None:
        """Change what something costs, and let ordering hear of it later."""
        await self.pricing.set_prices(prices=(Price(price_list="eu-base", sku=sku, amount=amount),))

    async def hear_prices(self, version: int = 1) -> None:
        offers = await self.pricing.offers(skus=(LAMP, SHADE))
        await self.bench.hear(PricesChanged(skus=(LAMP, SHADE), offers=offers, version=version))

    async def filled(self, quantity: int = 1, cart: CartId = CART, method: str = "eu-post") -> Cart:
        """Fill a cart and say where it goes to."""
        await self.ordering.create_cart(cart=cart, market=MarketCode("eu"))
        await self.ordering.add_line(cart=cart, sku=LAMP, quantity=quantity)
        return await self.ordering.amend(
            cart=cart, email="ada@example.com", shipping_address=HOME, shipping_method=method
        )

    async def check_out(self, token: str = "tok_ok", cart: CartId = CART) -> Order:
        return await self.ordering.check_out(
            cart=cart, payment=PaymentChoice(method="sandbox", token=token)
        )

    async def canceled(self) -> list[OrderId]:
        return [one.id for one in await self.ordering.orders(state="canceled")]


@pytest.fixture
async def shop(server: Server, link: Link, tmp_path: Path) -> AsyncIterator[Shop]:
    pricing = FakePricing.shop(lamp=4999, shade=1500)
    inventory, payments = FakeInventory(lamp=5, shade=9), FakePayments()
    fakes = {
        Pricing: pricing,
        Inventory: inventory,
        Payments: payments,
        Fulfillment: FakeFulfillment.shop("eu", "us", post=490, pickup=0),
    }
    async with bench(server, [module], folder=tmp_path, fakes=fakes, link=link) as made:
        shop = Shop(
            bench=made,
            ordering=made.ask(Ordering),
            service=made.app.rooms["ordering"].service(OrderingService),
            pricing=pricing,
            inventory=inventory,
            payments=payments,
        )
        await made.hear(*(MarketChanged(market=one) for one in await pricing.markets()))
        await made.hear(*(ProductPublished(product=product(sku)) for sku in (LAMP, SHADE)))
        await shop.hear_prices()
        yield shop


def product(sku: Sku, version: int = 1, title: str = "") -> Product:
    return Product(
        id=ProductId(UUID(int=sum(map(ord, sku)))),
        slug=sku,
        title=title or sku.title(),
        state="published",
        variants=(Variant(sku=sku, weight_grams=900),),
        version=version,
    )

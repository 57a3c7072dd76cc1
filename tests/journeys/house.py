"""The whole shop with a small range of goods, opposite the real sandbox bank."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

from banyan.kernel.app import App, House, discover
from banyan.kernel.clock import Clock, SystemClock
from banyan.kernel.ids import derived
from banyan.kernel.link import Link, direct
from banyan.kernel.nats import Broker
from banyan.kernel.testing import Server
from banyan.modules.catalog.contract import Catalog, Product, Variant
from banyan.modules.fulfillment.contract import Fulfillment, RateRow, ShippingMethod
from banyan.modules.inventory.contract import Held, Inventory, Warehouse
from banyan.modules.ordering.contract import Cart, Ordering
from banyan.modules.pricing.contract import Market, Price, PriceList, Pricing, TaxRate
from banyan.vocabulary import Address, CartId, Locale, MarketCode, ProductId, Sku
from tests.journeys.apart import Shop
from tests.plugins.sandbox_process import SandboxProcess

EU = MarketCode("eu")
LAMP, SHADE = Sku("LAMP"), Sku("SHADE")
ADA = Address(
    name="Ada Lovelace", street="Lindenstraße 12", city="Berlin", country="DE", postal_code="10969"
)
IN_STOCK = 50
ROUNDS = 2000


def house() -> House:
    """Take every module, and of the plugins those without which nobody can buy."""
    found = discover()
    vital = [plugin for plugin in found.plugins if plugin.name in ("sandbox", "mail")]
    return House(modules=found.modules, plugins=vital)


@asynccontextmanager
async def opened(
    server: Server,
    database: str | Mapping[str, str],
    bank: SandboxProcess,
    folder: Path,
    *,
    clock: Clock | None = None,
    link: Link = direct,
    instance: str = "one",
    at_work: bool = False,
) -> AsyncIterator[App]:
    """Open the whole shop on a database, as a process of its own would."""
    app = made(server, database, bank, folder, clock=clock, link=link, instance=instance)
    try:
        await (app.start() if at_work else app.open())
        yield app
    finally:
        await app.close()


def made(
    server: Server,
    database: str | Mapping[str, str],
    bank: SandboxProcess,
    folder: Path,
    *,
    clock: Clock | None = None,
    link: Link = direct,
    hosts: Collection[str] | None = None,
    broker: Broker | None = None,
    instance: str = "one",
) -> App:
    """Make a process of the shop on a database, or one for each module, opposite a bank."""

    def dsn(module: str) -> str:
        name = database if isinstance(database, str) else database[module]
        return server.address(name, module=module)

    return App(
        house(),
        dsn=dsn,
        folder=folder,
        environment={
            "BANYAN_SANDBOX_URL": bank.url,
            "BANYAN_SANDBOX_WEBHOOK_SECRET_FILE": str(bank.secret_file),
        },
        clock=clock or SystemClock(),
        link=link,
        hosts=hosts,
        broker=broker,
        instance=instance,
    )


async def furnish(app: Shop, stock: int = IN_STOCK) -> None:
    """Open a market and put a lamp and a shade on its shelves."""
    pricing, catalog = app.ask(Pricing), app.ask(Catalog)
    inventory, fulfillment = app.ask(Inventory), app.ask(Fulfillment)
    await pricing.save_market(
        market=Market(
            code=EU,
            title="Europe",
            currency="EUR",
            countries=("DE", "AT"),
            locales=(Locale("en"), Locale("de")),
            tax_inclusive=True,
        )
    )
    await pricing.save_price_list(price_list=PriceList(code="eu", market=EU, currency="EUR"))
    await pricing.set_tax_rate(
        rate=TaxRate(market=EU, tax_class="standard", millionths=190_000, name="VAT")
    )
    await inventory.save_warehouse(warehouse=Warehouse(code="berlin", title="Berlin", country="DE"))
    await fulfillment.save_method(
        method=ShippingMethod(
            code="post",
            market=EU,
            title={Locale("en"): "Post"},
            rates=(RateRow(amount=490),),
        )
    )
    for sku, amount in ((LAMP, 4999), (SHADE, 1500)):
        product = ProductId(derived("journey", sku))
        made = Product(
            id=product,
            slug=sku.lower(),
            title=sku.title(),
            state="published",
            variants=(Variant(sku=sku, weight_grams=900),),
        )
        await catalog.save(products=(made,))
        await pricing.set_prices(prices=(Price(price_list="eu", sku=sku, amount=amount),))
        await inventory.count(levels=(Held(sku=sku, warehouse="berlin", quantity=stock),))
    await settle(app)


async def settle(app: Shop) -> None:
    """Let everything happen that is due now."""
    for _ in range(ROUNDS):
        done = 0
        for room in app.rooms.values():
            done += await room.worker.step()
            done += await room.listener.take(seconds=0.05) if room.listener else 0
            for task in list(room.worker.sagas.tasks.values()):
                await task
                done += 1
        if not done:
            return
    raise AssertionError("the house does not come to rest")


async def filled(app: Shop, cart: CartId, sku: Sku = LAMP, quantity: int = 1) -> Cart:
    """Fill a cart so that it can be ordered."""
    ordering = app.ask(Ordering)
    await ordering.create_cart(cart=cart, market=EU)
    await ordering.add_line(cart=cart, sku=sku, quantity=quantity)
    return await ordering.amend(
        cart=cart, email="ada@example.com", shipping_address=ADA, shipping_method="post"
    )


def some_cart(number: int) -> CartId:
    return CartId(UUID(int=0xC0FFEE0000 + number))

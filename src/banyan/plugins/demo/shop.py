"""Opens the demo shop: through the modules' own operations, once, and in a shop that is empty.

The products come last, all or none. So a shop with products has been seeded or is somebody's own,
and one without may be left over from a seeding that was interrupted: it is gone through again, and
what is there already stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from banyan.kernel.contract import Value
from banyan.kernel.module import Ask
from banyan.modules.catalog.contract import Attribute, Catalog, Category
from banyan.modules.fulfillment.contract import Fulfillment, ShippingMethod, Zone
from banyan.modules.inventory.contract import Inventory, Warehouse
from banyan.modules.pricing.contract import Market, PriceList, Pricing, TaxRate
from banyan.plugins.demo import articles
from banyan.plugins.demo.articles import DATA

BATCH = 500

T = TypeVar("T")


class Setup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the shop is run by, apart from what it sells."""

    markets: tuple[Market, ...]
    price_lists: tuple[PriceList, ...]
    tax_rates: tuple[TaxRate, ...]
    warehouses: tuple[Warehouse, ...]
    zones: tuple[Zone, ...]
    methods: tuple[ShippingMethod, ...]
    categories: tuple[Category, ...]
    attributes: tuple[Attribute, ...]


async def seed(ask: Ask, say: Callable[[str], None]) -> None:
    """Open the demo shop, unless there is a shop already."""
    setup = msgspec.toml.decode((DATA / "shop.toml").read_bytes(), type=Setup)
    if not await _is_vacant(ask, setup):
        say("this shop has data already; it is left as it is")
        return
    await _open_markets(ask(Pricing), setup, say)
    await _open_shipping(ask(Fulfillment), setup, say)
    await _fill_warehouses(ask(Inventory), setup, say)
    await _publish(ask(Catalog), setup, say)
    say("the demo shop is open")


async def _is_vacant(ask: Ask, setup: Setup) -> bool:
    """Tell whether there is nothing but what an interrupted seeding may have left."""
    catalog, pricing, fulfillment = ask(Catalog), ask(Pricing), ask(Fulfillment)
    if await catalog.products(limit=1):
        return False
    there: list[Value] = [
        *await pricing.markets(),
        *await pricing.price_lists(),
        *await pricing.tax_rates(),
        *await ask(Inventory).warehouses(),
        *await fulfillment.zones(),
        *await fulfillment.methods(),
        *await catalog.categories(),
        *await catalog.attributes(),
    ]
    ours = [one for field in setup.__struct_fields__ for one in getattr(setup, field)]
    return all(_unversioned(one) in ours for one in there)


def _unversioned(one: Value) -> Value:
    return replace(one, version=0) if hasattr(one, "version") else one


async def _open_markets(pricing: Pricing, setup: Setup, say: Callable[[str], None]) -> None:
    say(f"seeding {len(setup.markets)} markets with {len(setup.tax_rates)} tax rates")
    for market in setup.markets:
        await pricing.save_market(market=market)
    for rate in setup.tax_rates:
        await pricing.set_tax_rate(rate=rate)
    for price_list in setup.price_lists:
        await pricing.save_price_list(price_list=price_list)
    prices = articles.prices({one.code: one.currency for one in setup.price_lists})
    say(f"seeding {len(prices)} prices")
    for batch in _batches(prices):
        await pricing.set_prices(prices=batch)


async def _open_shipping(
    fulfillment: Fulfillment, setup: Setup, say: Callable[[str], None]
) -> None:
    say(f"seeding {len(setup.methods)} shipping methods")
    for zone in setup.zones:
        await fulfillment.save_zone(zone=zone)
    for method in setup.methods:
        await fulfillment.save_method(method=method)


async def _fill_warehouses(inventory: Inventory, setup: Setup, say: Callable[[str], None]) -> None:
    codes = [warehouse.code for warehouse in setup.warehouses]
    deliveries = articles.deliveries(codes)
    say(f"seeding stock of {len({one.sku for one in deliveries})} SKUs in {' and '.join(codes)}")
    known = await inventory.warehouses()
    for warehouse in setup.warehouses:
        # One that is saved again tells of all its stock as if it had changed.
        if warehouse not in known:
            await inventory.save_warehouse(warehouse=warehouse)
    for batch in _batches(deliveries):
        await inventory.move(movements=batch)
    for sku in articles.backordered():
        await inventory.set_level(sku=sku, warehouse=codes[0], backorder=True)


async def _publish(catalog: Catalog, setup: Setup, say: Callable[[str], None]) -> None:
    products = articles.products()
    say(f"seeding {len(products)} products in {len(articles.shelves())} categories")
    for attribute in setup.attributes:
        await catalog.save_attribute(attribute=attribute)
    for category in setup.categories:
        await catalog.save_category(category=category)
    await catalog.save(products=products)


def _batches(things: Sequence[T]) -> Iterator[tuple[T, ...]]:
    for start in range(0, len(things), BATCH):
        yield tuple(things[start : start + BATCH])

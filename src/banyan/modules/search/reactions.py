"""What search does when it hears of products, prices and stock: note the fact, make anew.

What many events tell that are heard together is noted at once, and what it concerns is made once.
"""

from __future__ import annotations

from collections.abc import Sequence

from banyan.modules.catalog.contract import (
    AttributesChanged,
    CategoriesChanged,
    ProductPublished,
    ProductRetired,
)
from banyan.modules.inventory.contract import StockChanged
from banyan.modules.pricing.contract import MarketChanged, PricesChanged
from banyan.modules.search import model
from banyan.modules.search.service import SearchService
from banyan.modules.search.store import documents, facts


async def products_published(service: SearchService, events: Sequence[ProductPublished]) -> None:
    """Show products, or show them as they are now."""
    products = [event.product for event in events]
    async with service.db.begin() as tx:
        await facts.take_turns(tx)
        concerned = await facts.keep_products(tx, products, service.clock.now())
        tx.at_last(documents.refresh, concerned)


async def product_retired(service: SearchService, event: ProductRetired) -> None:
    """Show a product no more, whatever late news says of it."""
    async with service.db.begin() as tx:
        await facts.take_turns(tx)
        concerned = await facts.forget_product(tx, event.product, event.version)
        tx.at_last(documents.refresh, concerned)


async def categories_changed(service: SearchService, event: CategoriesChanged) -> None:
    """Follow the tree: what is in a branch that has moved is found in its new place."""
    async with service.db.begin() as tx:
        await facts.take_turns(tx)
        if await facts.keep_version(tx, "categories", event.version):
            paths = model.paths(event.categories)
            tree = model.in_order(event.categories, paths)
            concerned = await facts.keep_categories(tx, tree, paths)
            tx.at_last(documents.refresh, concerned)


async def attributes_changed(service: SearchService, event: AttributesChanged) -> None:
    """Let lists be narrowed by other attributes."""
    async with service.db.begin() as tx:
        await facts.take_turns(tx)
        if await facts.keep_version(tx, "attributes", event.version):
            concerned = await facts.keep_attributes(tx, event.attributes)
            tx.at_last(documents.refresh, concerned)


async def market_changed(service: SearchService, event: MarketChanged) -> None:
    """Note a market; a language that the shop did not speak before is read by its dictionary."""
    async with service.db.begin() as tx:
        await facts.take_turns(tx)
        if await facts.keep_market(tx, event.market):
            tx.at_last(documents.refresh, await documents.in_other_languages(tx))


async def prices_changed(service: SearchService, events: Sequence[PricesChanged]) -> None:
    """Show what SKUs cost now."""
    async with service.db.begin() as tx:
        await facts.take_turns(tx)
        concerned = await facts.keep_offers(tx, events)
        tx.at_last(documents.refresh_listings, concerned)


async def stock_changed(service: SearchService, events: Sequence[StockChanged]) -> None:
    """Show what can be bought now."""
    levels = [level for event in events for level in event.levels]
    async with service.db.begin() as tx:
        await facts.take_turns(tx)
        concerned = await facts.keep_stock(tx, levels, few=service.settings.few)
        tx.at_last(documents.refresh_listings, concerned)

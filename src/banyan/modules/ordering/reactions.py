"""What ordering does when it hears of goods, prices, markets and payments."""

from __future__ import annotations

from collections.abc import Sequence

from banyan.modules.catalog.contract import ProductPublished, ProductRetired
from banyan.modules.ordering.service import OrderingService
from banyan.modules.ordering.store import goods
from banyan.modules.payments.contract import PaymentAuthorized, PaymentFailed
from banyan.modules.pricing.contract import MarketChanged, PricesChanged


async def products_published(service: OrderingService, events: Sequence[ProductPublished]) -> None:
    """Note what can be bought, and sell no more of variants that are gone."""
    products = [event.product for event in events]
    async with service.db.begin() as tx:
        await goods.save_goods(tx, products)
        await goods.retire_others(tx, products)


async def product_retired(service: OrderingService, event: ProductRetired) -> None:
    """Sell no more of a product, whatever late news says of it."""
    async with service.db.begin() as tx:
        await goods.retire_goods(tx, event.product, event.version)
        await goods.bury_goods(tx, event.product, event.slug, event.skus, event.version)


async def prices_changed(service: OrderingService, event: PricesChanged) -> None:
    """Note what goods cost now."""
    async with service.db.begin() as tx:
        await goods.save_offers(tx, event.skus, event.offers, event.version)


async def market_changed(service: OrderingService, event: MarketChanged) -> None:
    """Note where the shop sells, and in which currency."""
    async with service.db.begin() as tx:
        await goods.save_terms(tx, event.market)


async def payment_authorized(service: OrderingService, event: PaymentAuthorized) -> None:
    """Let a checkout that waits for the shopper's bank go on."""
    if event.challenged:
        await service.bring_payment_news(event.order)


async def payment_failed(service: OrderingService, event: PaymentFailed) -> None:
    """Let a checkout that waits for the shopper's bank step back."""
    if event.challenged:
        await service.bring_payment_news(event.order)

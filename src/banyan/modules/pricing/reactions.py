"""What pricing learns from others."""

from __future__ import annotations

from collections.abc import Sequence

from banyan.modules.catalog.contract import ProductPublished
from banyan.modules.pricing import store
from banyan.modules.pricing.service import PricingService


async def products_published(service: PricingService, events: Sequence[ProductPublished]) -> None:
    """Keep the class by which the SKUs of products are taxed.

    A product that is retired keeps it: an order that is under way is still taxed as it should be.
    """
    async with service.db.begin() as tx:
        await store.learn_products(tx, [event.product for event in events])

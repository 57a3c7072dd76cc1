"""What pricing learns from others."""

from __future__ import annotations

from banyan.modules.catalog.contract import ProductPublished
from banyan.modules.pricing import store
from banyan.modules.pricing.service import PricingService


async def product_published(service: PricingService, event: ProductPublished) -> None:
    """Keep the class by which a product's SKUs are taxed.

    A product that is retired keeps it: an order that is under way is still taxed as it should be.
    """
    product = event.product
    skus = [variant.sku for variant in product.variants]
    async with service.db.begin() as tx:
        await store.learn_product(tx, product.id, product.version, product.tax_class, skus)

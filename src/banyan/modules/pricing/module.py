"""Pricing, as the application sees it."""

from __future__ import annotations

from banyan.kernel.driver import every
from banyan.kernel.event import on_many
from banyan.kernel.module import Module
from banyan.modules.catalog.contract import ProductPublished
from banyan.modules.pricing import http, reactions
from banyan.modules.pricing.contract import Pricing
from banyan.modules.pricing.service import PricingService

module = Module(
    name="pricing",
    offers={Pricing: PricingService},
    routes=http.routes,
    reactions=[on_many(ProductPublished, reactions.products_published)],
    jobs=[every(60, PricingService.announce_windows)],
)

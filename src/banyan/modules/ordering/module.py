"""Ordering, as the application sees it."""

from __future__ import annotations

from banyan.kernel.driver import every
from banyan.kernel.event import on, on_many
from banyan.kernel.module import Module, check
from banyan.modules.catalog.contract import ProductPublished, ProductRetired
from banyan.modules.ordering import http, reactions
from banyan.modules.ordering.contract import Ordering
from banyan.modules.ordering.sagas import CancelOrder, CheckOut
from banyan.modules.ordering.service import OrderingService
from banyan.modules.payments.contract import PaymentAuthorized, PaymentFailed
from banyan.modules.pricing.contract import MarketChanged, PricesChanged

module = Module(
    name="ordering",
    offers={Ordering: OrderingService},
    routes=http.routes,
    sagas=[CheckOut, CancelOrder],
    reactions=[
        on_many(ProductPublished, reactions.products_published),
        on(ProductRetired, reactions.product_retired),
        on(PricesChanged, reactions.prices_changed),
        on(MarketChanged, reactions.market_changed),
        on(PaymentAuthorized, reactions.payment_authorized),
        on(PaymentFailed, reactions.payment_failed),
    ],
    checks=[
        check("no order without its payment, nor the other way", OrderingService.audit_payments),
        check("what was ordered is kept", OrderingService.audit_stock),
    ],
    jobs=[every(3600, OrderingService.drop_abandoned_carts)],
)

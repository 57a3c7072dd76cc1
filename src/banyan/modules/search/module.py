"""Search, as the application sees it."""

from __future__ import annotations

from banyan.kernel.event import on, on_many
from banyan.kernel.module import Module, check
from banyan.modules.catalog.contract import (
    AttributesChanged,
    CategoriesChanged,
    ProductPublished,
    ProductRetired,
)
from banyan.modules.inventory.contract import StockChanged
from banyan.modules.pricing.contract import MarketChanged, PricesChanged
from banyan.modules.search import http, reactions
from banyan.modules.search.contract import Search
from banyan.modules.search.sagas import MakeAnew
from banyan.modules.search.service import SearchService

module = Module(
    name="search",
    offers={Search: SearchService},
    routes=http.routes,
    reactions=[
        on_many(ProductPublished, reactions.products_published),
        on(ProductRetired, reactions.product_retired),
        on(CategoriesChanged, reactions.categories_changed),
        on(AttributesChanged, reactions.attributes_changed),
        on(MarketChanged, reactions.market_changed),
        on_many(PricesChanged, reactions.prices_changed),
        on_many(StockChanged, reactions.stock_changed),
    ],
    sagas=[MakeAnew],
    checks=[
        check(
            "documents = what the facts say",
            SearchService.audit,
            repair=SearchService.mend,
        )
    ],
)

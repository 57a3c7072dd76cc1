"""The back office, as the application sees it."""

from banyan.channels.backoffice import (
    categories,
    dashboard,
    door,
    events,
    markets,
    order,
    orders,
    product_details,
    product_languages,
    product_parts,
    product_pictures,
    product_prices,
    product_stock,
    product_variants,
    products,
    shipping,
    stock,
    stock_moves,
    taxes,
    topology,
)
from banyan.channels.backoffice.desk import Backoffice
from banyan.kernel.module import Channel

channel = Channel(
    name="backoffice",
    desk=Backoffice,
    routes=[
        *door.routes,
        *dashboard.routes,
        *orders.routes,
        *order.routes,
        *events.routes,
        *topology.routes,
        *products.routes,
        *product_details.routes,
        *product_parts.routes,
        *product_variants.routes,
        *product_pictures.routes,
        *product_languages.routes,
        *product_prices.routes,
        *product_stock.routes,
        *categories.routes,
        *stock.routes,
        *stock_moves.routes,
        *shipping.routes,
        *taxes.routes,
        *markets.routes,
    ],
)

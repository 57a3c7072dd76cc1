"""The storefront, as the application sees it."""

from banyan.channels.storefront import cart, checkout, crawlers, home, lists, orders, product
from banyan.channels.storefront.desk import PAGES, Storefront
from banyan.kernel.module import Channel

channel = Channel(
    name="storefront",
    desk=Storefront,
    routes=[
        *home.routes,
        *lists.routes,
        *product.routes,
        *cart.routes,
        *checkout.routes,
        *orders.routes,
        *crawlers.routes,
    ],
    lost=PAGES.trouble,
)

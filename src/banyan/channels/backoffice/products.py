"""The products of the shop: a list to search, and what is done to several of them at once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar
from urllib.parse import urlencode

from msgspec import Meta

from banyan.channels.backoffice.desk import LOCALE, done
from banyan.channels.backoffice.product_details import in_depth
from banyan.channels.backoffice.product_parts import PRODUCTS
from banyan.channels.backoffice.sheet import Writing, once, where
from banyan.channels.look import money
from banyan.kernel import form
from banyan.kernel.contract import Value
from banyan.kernel.http import Answer, Cursor, FromQuery, QueryParameter, Request, get, needs, post
from banyan.kernel.idempotency import KeyReused
from banyan.kernel.paging import Page, after, page
from banyan.modules.catalog.contract import (
    Catalog,
    Edited,
    InvalidProduct,
    ProductState,
    UnknownProduct,
)
from banyan.modules.inventory.contract import Inventory
from banyan.modules.pricing.contract import Offer, Pricing
from banyan.vocabulary import ProductId, Sku

LIMIT = 24

STATES: Mapping[str, ProductState] = {
    "draft": "draft",
    "published": "published",
    "retired": "retired",
}


class Filters(Value, frozen=True, kw_only=True):
    """Which products are listed, and from where on."""

    q: Annotated[str, Meta(max_length=200)] = ""
    state: Annotated[str, Meta(max_length=20)] = ""
    category: Annotated[str, Meta(max_length=200)] = ""
    cursor: Annotated[str, Meta(max_length=1024)] = ""

    def address(self, **more: str) -> str:
        """Tell where the list is found that is filtered like this."""
        said = {"q": self.q, "state": self.state, "category": self.category, **more}
        told = urlencode({name: one for name, one in said.items() if one})
        return f"{PRODUCTS}?{told}" if told else PRODUCTS


class Chosen(Filters, frozen=True, kw_only=True):
    """The products of a list that were ticked."""

    product: Annotated[tuple[ProductId, ...], Meta(max_length=1000)] = ()


class Glance(Value, frozen=True, kw_only=True):
    """A product as the list shows it; `left` is what can be sold of all its variants."""

    edited: Edited
    price: str
    left: int
    backorder: bool


class Products(Writing):
    """The list of products."""

    path = PRODUCTS
    catalog: Catalog
    pricing: Pricing
    inventory: Inventory
    notices: ClassVar[Mapping[str, str]] = {
        "nothing": "No product was ticked, so nothing was done.",
        "published": "The products were published.",
        "retired": "The products were retired.",
    }

    @get(media_type="text/html")
    async def browse(
        self,
        request: Request,
        cursor: Cursor = None,
        q: FromQuery[Annotated[str, Meta(max_length=200)]] = "",
        category: FromQuery[Annotated[str, Meta(max_length=200)]] = "",
        in_state: Annotated[str, QueryParameter(name="state", max_length=20)] = "",
    ) -> Answer[bytes]:
        """List products, those that changed last first."""
        filters = Filters(q=q.strip(), state=in_state, category=category, cursor=cursor or "")
        told = await self._list(filters)
        return self.page(
            request,
            "products.html",
            glances=await self._glances(told.items),
            filters=filters,
            next=filters.address(cursor=told.next) if told.next else "",
            first=filters.address() if cursor else "",
            categories=in_depth(await self.catalog.categories()),
            once=str(self.ids.new()),
        )

    @post("/publish", media_type="text/html", guards=[needs("catalog:write")])
    async def publish(self, request: Request) -> Answer[bytes]:
        """Let shoppers see the products that were ticked."""
        told = await form.received(request, Chosen)
        chosen = told.value or Chosen()
        if not chosen.product:
            return _nothing()
        try:
            with once(told):
                await self.catalog.publish_all(products=chosen.product)
        except (InvalidProduct, UnknownProduct, KeyReused) as no:
            return await self._ask(request, "publish", chosen, no)
        return done(PRODUCTS, "published")

    @post("/retire", media_type="text/html", guards=[needs("catalog:write")])
    async def ask(self, request: Request) -> Answer[bytes]:
        """Ask once whether the products that were ticked shall go for good."""
        told = await form.received(request, Chosen)
        chosen = told.value or Chosen()
        return await self._ask(request, "retire", chosen) if chosen.product else _nothing()

    @post("/retire/sure", media_type="text/html", guards=[needs("catalog:write")])
    async def retire(self, request: Request) -> Answer[bytes]:
        """Take products out of the shop for good."""
        told = await form.received(request, Chosen)
        chosen = told.value or Chosen()
        if not chosen.product:
            return _nothing()
        try:
            with once(told):
                await self.catalog.retire_all(products=chosen.product)
        except (InvalidProduct, UnknownProduct, KeyReused) as no:
            return await self._ask(request, "retire", chosen, no)
        return done(PRODUCTS, "retired")

    async def _ask(
        self, request: Request, what: str, chosen: Chosen, no: Any = None
    ) -> Answer[bytes]:
        """Show what was chosen; the list that it was chosen from is asked for once more."""
        titles = {
            one.product.id: one.product.title
            for one in (await self._list(chosen)).items
            if one.product.id in chosen.product
        }
        about = getattr(no, "product", None)
        at = titles.get(about, "") if about else ""
        return self.page(
            request,
            "products_sure.html",
            status=no.status if no else 200,
            what=what,
            chosen=chosen,
            titles=titles,
            reason=f"{at}: {where(no)[1]}".removeprefix(": ") if no else "",
            back=chosen.address(cursor=chosen.cursor),
            once=str(self.ids.new()),
        )

    async def _list(self, filters: Filters) -> Page[Edited]:
        found = await self.catalog.edited(
            q=filters.q,
            state=STATES.get(filters.state),
            category=filters.category or None,
            before=after(filters.cursor or None, tuple[datetime, ProductId]),
            limit=LIMIT + 1,
        )
        return page(found, limit=LIMIT, place=lambda one: (one.at, one.product.id))

    async def _glances(self, found: tuple[Edited, ...]) -> list[Glance]:
        """Ask for prices and stock of all variants at once."""
        skus = tuple(variant.sku for one in found for variant in one.product.variants)
        stock = {one.sku: one for one in await self.inventory.availability(skus=skus)}
        market = next((one.code for one in await self.pricing.markets() if one.open), None)
        offers = {
            offer.sku: offer
            for offer in await self.pricing.offers(skus=skus)
            if offer.market == market
        }
        return [
            Glance(
                edited=one,
                price=price_range(offers, tuple(v.sku for v in one.product.variants)),
                left=sum(stock[v.sku].available for v in one.product.variants if v.sku in stock),
                backorder=any(
                    stock[v.sku].backorder for v in one.product.variants if v.sku in stock
                ),
            )
            for one in found
        ]


def price_range(offers: Mapping[Sku, Offer], skus: tuple[Sku, ...]) -> str:
    """Write what some SKUs cost: €9.90, or €9.90 – €19.90."""
    prices = sorted(
        (offers[sku].price for sku in skus if sku in offers), key=lambda price: price.amount
    )
    if not prices:
        return ""
    least, most = money(prices[0], LOCALE), money(prices[-1], LOCALE)
    return least if least == most else f"{least} – {most}"


def _nothing() -> Answer[bytes]:
    return done(PRODUCTS, "nothing")


routes = [Products]

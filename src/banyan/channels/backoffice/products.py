"""The products of the shop: a list to search, and what is done to several of them at once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta

from banyan.channels.backoffice.desk import LOCALE, address, done
from banyan.channels.backoffice.product_details import tree
from banyan.channels.backoffice.product_parts import PRODUCTS
from banyan.channels.backoffice.sheet import Writing, once, where
from banyan.channels.look import money
from banyan.kernel import form
from banyan.kernel.contract import Value
from banyan.kernel.http import Answer, Request, get, needs, post
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


class Filters(Value, frozen=True, kw_only=True):
    """Which products are listed, and from where on."""

    q: Annotated[str, Meta(max_length=200)] = ""
    state: ProductState | None = None
    category: Annotated[str, Meta(max_length=200)] = ""
    cursor: Annotated[str, Meta(max_length=1024)] = ""


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
        "publish": "The products were published.",
        "retire": "The products were retired.",
    }

    @get(media_type="text/html")
    async def browse(self, request: Request) -> Answer[bytes]:
        """List products, those that changed last first."""
        sought = form.read(request.url.query, Filters).value or Filters()
        listed = await self._list(sought)
        return self.page(
            request,
            "products.html",
            glances=await self._glances(listed.items),
            sought=sought,
            next=_address(sought, listed.next) if listed.next else "",
            first=_address(sought) if sought.cursor else "",
            categories=tree(await self.catalog.categories()),
            once=str(self.ids.new()),
        )

    @post("/publish", media_type="text/html", guards=[needs("catalog:write")])
    async def publish(self, request: Request) -> Answer[bytes]:
        """Let shoppers see the products that were ticked."""
        return await self._all(request, "publish")

    @post("/retire", media_type="text/html", guards=[needs("catalog:write")])
    async def ask(self, request: Request) -> Answer[bytes]:
        """Ask once whether the products that were ticked shall go for good."""
        chosen = (await form.received(request, Chosen)).value or Chosen()
        if not chosen.product:
            return done(PRODUCTS, "nothing")
        return await self._ask(request, "retire", chosen)

    @post("/retire/sure", media_type="text/html", guards=[needs("catalog:write")])
    async def retire(self, request: Request) -> Answer[bytes]:
        """Take products out of the shop for good."""
        return await self._all(request, "retire")

    async def _all(self, request: Request, what: Literal["publish", "retire"]) -> Answer[bytes]:
        """Do something to all products that were ticked, or to none."""
        told = await form.received(request, Chosen)
        chosen = told.value or Chosen()
        if not chosen.product:
            return done(PRODUCTS, "nothing")
        go = self.catalog.publish_all if what == "publish" else self.catalog.retire_all
        try:
            with once(told):
                await go(products=chosen.product)
        except (InvalidProduct, UnknownProduct, KeyReused) as no:
            return await self._ask(request, what, chosen, no)
        return done(PRODUCTS, what)

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
            back=_address(chosen, chosen.cursor),
            once=str(self.ids.new()),
        )

    async def _list(self, filters: Filters) -> Page[Edited]:
        found = await self.catalog.edited(
            q=filters.q,
            state=filters.state,
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


def _address(sought: Filters, cursor: str = "") -> str:
    """Tell where the list is found that is filtered like this."""
    return address(
        PRODUCTS, q=sought.q, state=sought.state, category=sought.category, cursor=cursor
    )


routes = [Products]

"""The page of a product: what it is, in which variants it comes, and what is like it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import quote

from banyan.channels.storefront.desk import BROWSED, Shop
from banyan.channels.storefront.linked import product_data
from banyan.kernel.contract import Value
from banyan.kernel.http import Answer, FromPath, Request, get
from banyan.modules.search.contract import PictureShown, ProductPage, Search, VariantOffer

MOST_PICTURES = 8
ALIKE = 4


class Pick(Value, frozen=True, kw_only=True):
    """A value that an option may take: `possible` together with what was picked before it."""

    value: str
    chosen: bool
    possible: bool
    available: bool


class Picker(Value, frozen=True, kw_only=True):
    """An option with its values."""

    name: str
    field: str
    picks: tuple[Pick, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """The values that cannot be had together with what was picked before."""
        return tuple(pick.value for pick in self.picks if not pick.possible)


class Products(Shop):
    """Pages of products."""

    search: Search

    @get("/products/{slug:str}", media_type="text/html")
    async def show(
        self, request: Request, market: FromPath[str], locale: FromPath[str], slug: FromPath[str]
    ) -> Answer[bytes]:
        """Show a product, in the variant that was picked or else the first that can be bought."""
        place = await self.storefront.place(market, locale)
        code, wishes = place.market.code, (place.locale,)
        product = await self.search.product_page(slug=slug, market=code, wishes=wishes)
        alike = await self.search.related(slug=slug, market=code, wishes=wishes, limit=ALIKE)
        variant = picked(product, request.query_params)
        return self.page(
            request,
            "product.html",
            place,
            cache=BROWSED,
            query=f"sku={quote(variant.sku)}" if variant and request.query_params else "",
            product=product,
            variant=variant,
            pickers=list(pickers(product, variant)),
            pictures=pictures(product, variant),
            alike=alike.items,
            data=product_data(product, self.storefront.base(request), place.home),
        )


def picked(product: ProductPage, told: Mapping[str, str]) -> VariantOffer | None:
    """Find the variant that an address asks for, by its SKU or by options.

    Options are picked in their order: what a later one says gives way if it does not go with them.
    """
    offered = [one for one in product.variants if one.price]
    offered.sort(key=lambda one: (one.sku != told.get("sku"), not one.available))
    for place, option in enumerate(product.options):
        wanted = told.get(f"option-{place + 1}")
        offered = [one for one in offered if one.options.get(option.name) == wanted] or offered
        if offered:
            offered = _same(offered, option.name, offered[0])
    return offered[0] if offered else None


def pickers(product: ProductPage, variant: VariantOffer | None) -> Iterator[Picker]:
    """Tell of each option which values go with those that were picked before it."""
    offered = [one for one in product.variants if one.price]
    for place, option in enumerate(product.options if variant else ()):
        assert variant
        yield Picker(
            name=option.name,
            field=f"option-{place + 1}",
            picks=tuple(
                Pick(
                    value=value,
                    chosen=variant.options.get(option.name) == value,
                    possible=bool(having := [o for o in offered if _has(o, option.name, value)]),
                    available=any(one.available for one in having),
                )
                for value in option.values
            ),
        )
        offered = _same(offered, option.name, variant)


def pictures(product: ProductPage, variant: VariantOffer | None) -> list[PictureShown]:
    """Put first the pictures whose words name what was picked."""
    wanted = tuple(variant.options.values()) if variant else ()
    shown = product.pictures[:MOST_PICTURES]
    return sorted(shown, key=lambda one: not any(one.alt.endswith(value) for value in wanted))


def _same(offered: list[VariantOffer], option: str, as_this: VariantOffer) -> list[VariantOffer]:
    return [one for one in offered if one.options.get(option) == as_this.options.get(option)]


def _has(offer: VariantOffer, option: str, value: str) -> bool:
    return offer.options.get(option) == value


routes = [Products]

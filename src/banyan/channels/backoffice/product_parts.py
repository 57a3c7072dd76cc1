"""A product by its parts: each on a page of its own, under the same head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from msgspec.structs import replace

from banyan.channels.backoffice.desk import HOME, done
from banyan.channels.backoffice.sheet import Sheet, Writing, once, version_of, where
from banyan.kernel import form
from banyan.kernel.contract import Value
from banyan.kernel.form import Form
from banyan.kernel.http import Answer, FromPath, Request, get, needs, post
from banyan.kernel.idempotency import KeyReused
from banyan.modules.catalog.contract import (
    Catalog,
    InvalidProduct,
    Product,
    StaleProduct,
    Taken,
    UnknownProduct,
)
from banyan.modules.pricing.contract import Market, Pricing
from banyan.vocabulary import ProductId, Sku

PRODUCTS = f"{HOME}/products"
PRODUCT = f"{PRODUCTS}/{{product:str}}"

PARTS = (
    ("", "Details"),
    ("/variants", "Variants"),
    ("/pictures", "Pictures"),
    ("/languages", "Languages"),
    ("/prices", "Prices"),
    ("/stock", "Stock"),
)


class ProductHead(Writing):
    """What every page of a product shows: its name, its state, and where shoppers see it."""

    catalog: Catalog
    pricing: Pricing
    notices: ClassVar[Mapping[str, str]] = {
        "created": "The product was created as a draft. Shoppers do not see it yet.",
        "published": "The product was published.",
        "retired": "The product was retired.",
        "saved": "The changes were saved.",
    }

    async def under(
        self, request: Request, name: str, product: Product, /, status: int = 200, **values: Any
    ) -> Answer[bytes]:
        """Show a part of a product under its head."""
        markets = await self.pricing.markets()
        shown = next((one for one in markets if one.open), None)
        return self.page(
            request,
            name,
            status=status,
            product=product,
            parts=PARTS,
            place=f"{PRODUCTS}/{product.id}",
            shop=f"/{shown.code}/{shown.locales[0]}/products/{product.slug}" if shown else "",
            retire_once=str(self.ids.new()),
            **values,
        )


class ProductPart(ProductHead):
    """A part of a product that is saved with it, and only if nobody else did so meanwhile."""

    template: ClassVar[str]
    kind: ClassVar[type[Value]]

    def part(self, product: Product) -> Value:
        """Take this part out of a product, as its form has it."""
        raise NotImplementedError

    async def merged(self, product: Product, part: Any) -> Product:
        """Put this part back into a product."""
        raise NotImplementedError

    def place(self, told: Form[Any], name: str) -> str:  # noqa: ARG002 - for who has other names
        """Tell what a field that the catalog complains of is called here."""
        return name

    async def around(self, product: Product, sheet: Sheet[Any]) -> dict[str, Any]:  # noqa: ARG002
        """Tell the page what else it needs."""
        return {}

    @get(media_type="text/html")
    async def show(self, request: Request, product: FromPath[ProductId]) -> Answer[bytes]:
        """Show the part."""
        known = await self.catalog.product(product=product)
        sheet = self.fresh(self.part(known), version=known.version)
        return await self._with(request, known, sheet)

    @post(media_type="text/html", guards=[needs("catalog:write")])
    async def save(self, request: Request, product: FromPath[ProductId]) -> Answer[bytes]:
        """Save the part, or show what is wrong with it."""
        told: Form[Any] = await form.received(request, self.kind)
        known = await self.catalog.product(product=product)
        if wish := told.text("do"):
            return await self._with(request, known, self.rearranged(told, wish))
        if told.value is None:
            return await self._with(request, known, self.flawed(told))
        try:
            wanted = only_own_words(await self.merged(known, told.value))
            with once(told):
                await self.catalog.save(products=(wanted,), expected=version_of(told))
        except StaleProduct:
            now = await self.catalog.product(product=product)
            sheet = self.overtaken(told, now=self.part(now), version=now.version)
            return await self._with(request, now, sheet)
        except (InvalidProduct, Taken, KeyReused) as no:
            name, _ = where(no)
            sheet = self.refused(told, no, at={name: self.place(told, name)})
            return await self._with(request, known, sheet)
        return done(request.url.path, "saved")

    async def _with(self, request: Request, product: Product, sheet: Sheet[Any]) -> Answer[bytes]:
        around = await self.around(product, sheet)
        return await self.under(
            request, self.template, product, status=sheet.status, sheet=sheet, **around
        )


class ProductState(ProductHead):
    """Whether shoppers see a product."""

    path = PRODUCT

    @post("/publish", media_type="text/html", guards=[needs("catalog:write")])
    async def publish(self, request: Request, product: FromPath[ProductId]) -> Answer[bytes]:
        """Let shoppers see a product."""
        return await self._go(request, product, "published")

    @post("/retire", media_type="text/html", guards=[needs("catalog:write")])
    async def retire(self, request: Request, product: FromPath[ProductId]) -> Answer[bytes]:
        """Take a product out of the shop for good."""
        return await self._go(request, product, "retired")

    async def _go(self, request: Request, product: ProductId, what: str) -> Answer[bytes]:
        told = await form.received(request, Value)
        go = self.catalog.publish if what == "published" else self.catalog.retire
        try:
            with once(told):
                await go(product=product, expected=version_of(told))
        except (InvalidProduct, StaleProduct, UnknownProduct, KeyReused) as no:
            known = await self.catalog.product(product=product)
            _, reason = where(no)
            return await self.under(
                request, "product_state.html", known, status=no.status, reason=reason
            )
        return done(f"{PRODUCTS}/{product}", what)


def only_own_words(product: Product) -> Product:
    """Let go of translations of words that the product does not use any more."""
    own = words_of(product)
    texts = {
        locale: replace(
            text, words={word: said for word, said in text.words.items() if word in own}
        )
        for locale, text in product.translations.items()
    }
    return replace(product, translations=texts)


def words_of(product: Product) -> dict[str, str]:
    """List the words of a product that are translated one by one, and what each is."""
    said = {value: "Attribute" for value in product.attributes.values() if isinstance(value, str)}
    said |= {picture.alt: "Picture" for picture in product.pictures if picture.alt}
    for option in product.options:
        said |= dict.fromkeys(option.values, option.name)
    return {option.name: "Option" for option in product.options} | said


def picks_of(product: Product) -> dict[Sku, str]:
    """Tell of each variant what is picked for it, in the order of the options: White / XS."""
    names = [option.name for option in product.options]
    return {
        one.sku: " / ".join(one.options[name] for name in names if name in one.options)
        for one in product.variants
    }


def languages(product: Product, markets: tuple[Market, ...]) -> list[str]:
    """List the languages that markets speak, and those that the product speaks already."""
    spoken = dict.fromkeys(locale for market in markets for locale in market.locales)
    return list(spoken | dict.fromkeys(product.translations))


routes = [ProductState]

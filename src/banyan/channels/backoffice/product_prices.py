"""What the variants of a product cost, on each price list."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from decimal import Decimal
from typing import Annotated, Any

from msgspec import Meta

from banyan.channels.backoffice.desk import done
from banyan.channels.backoffice.product_parts import PRODUCT, ProductHead, picks_of
from banyan.channels.backoffice.sheet import Sheet, began_with, once
from banyan.kernel import form
from banyan.kernel.contract import Value
from banyan.kernel.form import Form
from banyan.kernel.http import Answer, FromPath, Request, get, needs, post
from banyan.kernel.idempotency import KeyReused
from banyan.modules.catalog.contract import Product
from banyan.modules.pricing.contract import Code, InvalidPrice, Price, PriceList, UnknownPriceList
from banyan.vocabulary import Money, ProductId, Sku, SkuText, exponent

Major = Annotated[str, Meta(pattern=r"^[0-9]{1,10}(\.[0-9]{1,4})?$")]
"""An amount in major units, as people type it: 19.99."""


class PriceRow(Value, frozen=True, kw_only=True):
    """What a variant costs on a list; without an amount, nobody can buy it there."""

    sku: SkuText
    price_list: Code
    amount: Major = ""
    compare_at: Major = ""

    @property
    def key(self) -> tuple[Sku, str]:
        """Tell what the price is for."""
        return self.sku, self.price_list


class Prices(Value, frozen=True, kw_only=True):
    """What a product costs everywhere."""

    prices: tuple[PriceRow, ...] = ()

    def by_key(self) -> dict[tuple[Sku, str], PriceRow]:
        """Find each by what it is for."""
        return {row.key: row for row in self.prices}


class ProductPricesPage(ProductHead):
    """The prices of a product: a table of its variants by price lists."""

    path = f"{PRODUCT}/prices"

    @get(media_type="text/html")
    async def show(self, request: Request, product: FromPath[ProductId]) -> Answer[bytes]:
        """Show what each variant costs."""
        known = await self.catalog.product(product=product)
        lists = await self.pricing.price_lists()
        return await self._with(request, known, lists, self.fresh(await self._there(known, lists)))

    @post(media_type="text/html", guards=[needs("pricing:write")])
    async def save(self, request: Request, product: FromPath[ProductId]) -> Answer[bytes]:
        """Set the prices that were changed, and remove those that were emptied."""
        told = await form.received(request, Prices)
        known = await self.catalog.product(product=product)
        lists = await self.pricing.price_lists()
        if told.value is None or (errors := _too_fine(told.value, lists)):
            sheet = self.flawed(told, errors if told.value else None)
            return await self._with(request, known, lists, sheet)
        now = await self._there(known, lists)
        was = (began_with(told, Prices) or now).by_key()
        touched = {row.key: row for row in told.value.prices if row != was.get(row.key)}
        there = now.by_key()
        if any(there.get(key) not in (was.get(key), row) for key, row in touched.items()):
            mine = Prices(prices=tuple(touched.get(row.key, row) for row in now.prices))
            again = replace(told, said={"seen": [told.text("seen")], **Form.of(mine).said})
            sheet = self.overtaken(again, now=now, version=0)
            return await self._with(request, known, lists, sheet)
        try:
            await self._write(told, touched.values(), {one.code: one.currency for one in lists})
        except (InvalidPrice, UnknownPriceList, KeyReused) as no:
            return await self._with(request, known, lists, self.refused(told, no))
        return done(request.url.path, "saved")

    async def _there(self, product: Product, lists: tuple[PriceList, ...]) -> Prices:
        """Ask for all prices of all variants at once."""
        skus = tuple(variant.sku for variant in product.variants)
        most = len(skus) * len(lists)
        found = await self.pricing.prices(skus=skus, limit=most) if most else ()
        known = {(one.sku, one.price_list): one for one in found}
        return Prices(
            prices=tuple(
                _row(sku, one, known.get((sku, one.code))) for one in lists for sku in skus
            )
        )

    async def _write(
        self, told: Form[Prices], rows: Collection[PriceRow], currencies: dict[str, str]
    ) -> None:
        kept = tuple(
            _price(row, currencies[row.price_list])
            for row in rows
            if row.amount and row.price_list in currencies
        )
        if kept:
            with once(told, "set"):
                await self.pricing.set_prices(prices=kept)
        for code in currencies:
            gone = tuple(row.sku for row in rows if row.price_list == code and not row.amount)
            if gone:
                with once(told, f"remove {code}"):
                    await self.pricing.remove_prices(price_list=code, skus=gone)

    async def _with(
        self,
        request: Request,
        product: Product,
        lists: tuple[PriceList, ...],
        sheet: Sheet[Any],
    ) -> Answer[bytes]:
        return await self.under(
            request,
            "product_prices.html",
            product,
            status=sheet.status,
            sheet=sheet,
            lists=lists,
            picks=picks_of(product),
        )


def _row(sku: Sku, price_list: PriceList, price: Price | None) -> PriceRow:
    def written(amount: int | None) -> str:
        if amount is None:
            return ""
        return str(Money(amount=amount, currency=price_list.currency).major())

    return PriceRow(
        sku=sku,
        price_list=price_list.code,
        amount=written(price.amount if price else None),
        compare_at=written(price.compare_at if price else None),
    )


def _price(row: PriceRow, currency: str) -> Price:
    return Price(
        price_list=row.price_list,
        sku=row.sku,
        amount=Money.of(row.amount, currency).amount,
        compare_at=Money.of(row.compare_at, currency).amount if row.compare_at else None,
    )


def _too_fine(wanted: Prices, lists: tuple[PriceList, ...]) -> dict[str, str]:
    """Refuse amounts with more decimals than their currency has."""
    currencies = {one.code: one.currency for one in lists}
    errors: dict[str, str] = {}
    for number, row in enumerate(wanted.prices):
        currency = currencies.get(row.price_list, "EUR")
        for name in ("amount", "compare_at"):
            told = getattr(row, name)
            if told and is_too_fine(told, currency):
                errors[f"prices.{number}.{name}"] = (
                    f"{row.sku}: {currency} has {exponent(currency)} decimals, not more."
                )
    return errors


def is_too_fine(told: str, currency: str) -> bool:
    """Tell whether an amount has more decimals than its currency."""
    return -int(Decimal(told).normalize().as_tuple().exponent) > exponent(currency)


routes = [ProductPricesPage]

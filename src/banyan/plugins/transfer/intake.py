"""Takes listings into the shop, batch by batch, through what its modules offer."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from banyan.modules.catalog.contract import (
    Attribute,
    Catalog,
    Category,
    InvalidAttribute,
    InvalidCategory,
    InvalidProduct,
    Product,
    StaleAttribute,
    StaleCategory,
    Taken,
)
from banyan.modules.inventory.contract import Held, Inventory, StockTooLow
from banyan.modules.pricing.contract import Pricing
from banyan.plugins.transfer.listing import Listing, Refusal, line_of

MOST_PRICES = 10_000


@dataclass
class Report:
    """What an import has done."""

    products: int = 0
    created: int = 0
    changed: int = 0
    unchanged: int = 0
    categories: int = 0
    attributes: int = 0
    prices: int = 0
    stock: int = 0
    refusals: list[Refusal] = field(default_factory=list)


@dataclass
class Intake:
    """The way of listings into the shop, and what the shop has besides products."""

    catalog: Catalog
    pricing: Pricing
    inventory: Inventory
    price_lists: set[str]
    warehouses: set[str]
    categories: set[str]
    attributes: set[str]
    set_stock: bool = False
    report: Report = field(default_factory=Report)
    lines: dict[str, int] = field(default_factory=dict)

    async def save(self, batch: Sequence[Listing | Refusal]) -> list[Listing]:
        """Save the products of a batch, and return them: what is not fine is reported instead."""
        self.report.products += len(batch)
        fine = [one for one in batch if isinstance(one, Listing) and self._is_fine(one)]
        self.report.refusals += [one for one in batch if isinstance(one, Refusal)]
        fine = [one for one in fine if await self._define(one)]
        return await self._save(fine)

    async def equip(self, saved: Sequence[Listing]) -> None:
        """Give products that are saved their prices and their stock, both at once."""
        await asyncio.gather(self._set_prices(saved), self._set_stock(saved))

    def _is_fine(self, listing: Listing) -> bool:
        """Tell whether a listing agrees with the file and with the shop, or report why not."""
        slug = listing.product.slug
        known = self.lines.setdefault(slug, listing.line)
        price_lists = {price.price_list for price in listing.prices}
        warehouses = {held.warehouse for held in listing.stock}
        reasons = [
            *([f"{slug} is in line {known} already"] if known != listing.line else ()),
            *(f"there is no price list {code}" for code in price_lists - self.price_lists),
            *(f"there is no warehouse {code}" for code in warehouses - self.warehouses),
        ]
        if reasons:
            self._refuse(listing.line, reasons[0])
        return not reasons

    async def _define(self, listing: Listing) -> bool:
        """Make categories and attributes that are missing, or report why that cannot be."""
        try:
            for category in listing.categories:
                await self._define_category(category)
            for attribute in listing.attributes:
                await self._define_attribute(attribute)
        except (InvalidCategory, InvalidAttribute) as no:
            self._refuse(listing.line, f"{no.title()} {no.pointer} {no.reason}")
            return False
        return True

    async def _define_category(self, category: Category) -> None:
        if category.slug in self.categories:
            return
        try:
            await self.catalog.save_category(category=category, expected=0)
            self.report.categories += 1
        except StaleCategory:
            pass  # Somebody else has made it meanwhile.
        self.categories.add(category.slug)

    async def _define_attribute(self, attribute: Attribute) -> None:
        if attribute.code in self.attributes:
            return
        try:
            await self.catalog.save_attribute(attribute=attribute, expected=0)
            self.report.attributes += 1
        except StaleAttribute:
            pass  # Somebody else has made it meanwhile.
        self.attributes.add(attribute.code)

    async def _save(self, listings: list[Listing]) -> list[Listing]:
        """Save products that are new or different, and return all but those that cannot be saved.

        Each that cannot costs a call more; what is taken is looked up again, as somebody else may
        have made it meanwhile.
        """
        known = await self._known(listings)
        listings = [_recognized(listing, known) for listing in listings]
        often = Counter(listing.product.id for listing in listings)
        while wanted := [
            one
            for one in listings
            if often[one.product.id] > 1 or one.product != known.get(one.product.slug)
        ]:
            try:
                saved = await self.catalog.save(products=tuple(one.product for one in wanted))
            except (InvalidProduct, Taken) as no:
                culprit = next(one for one in reversed(wanted) if one.product.id == no.product)
                listings.remove(culprit)
                if isinstance(no, Taken):
                    known |= await self._known([culprit])
                again = _recognized(culprit, known)
                if again.product.id == culprit.product.id:
                    self._refuse(*_complaint(culprit, no))
                else:
                    listings.append(again)
            else:
                self._count(saved, known)
                break
        self.report.unchanged += len(listings) - len(wanted)
        return listings

    async def _known(self, listings: Iterable[Listing]) -> dict[str, Product]:
        """Find the products that have the slugs of listings already."""
        slugs = tuple(listing.product.slug for listing in listings)
        return {product.slug: product for product in await self.catalog.find(slugs=slugs)}

    def _count(self, saved: Iterable[Product], known: dict[str, Product]) -> None:
        for product in saved:
            before = known.get(product.slug)
            if before and before.version == product.version:
                self.report.unchanged += 1
            elif before or product.version > 1:
                self.report.changed += 1
            else:
                self.report.created += 1

    async def _set_prices(self, listings: Sequence[Listing]) -> None:
        prices = [price for listing in listings for price in listing.prices]
        for start in range(0, len(prices), MOST_PRICES):
            batch = tuple(prices[start : start + MOST_PRICES])
            self.report.prices += await self.pricing.set_prices(prices=batch)

    async def _set_stock(self, listings: Sequence[Listing]) -> None:
        """Set the stock of SKUs that have none yet, or of all if the file is to be right."""
        wanted = [held for listing in listings for held in listing.stock]
        skus = tuple({held.sku for held in wanted})
        if not self.set_stock and skus:
            levels = await self.inventory.levels(skus=skus, limit=len(skus))
            known = {level.sku for level in levels}
            wanted = [held for held in wanted if held.sku not in known]
        while wanted:
            try:
                moved = await self.inventory.count(levels=tuple(wanted), note="import")
            except StockTooLow as no:
                wanted = [held for held in wanted if not _is_about(held, no)]
                self._refuse_stock(listings, no)
            else:
                self.report.stock += len(moved)
                return

    def _refuse_stock(self, listings: Sequence[Listing], no: StockTooLow) -> None:
        for listing in listings:
            for number, variant in enumerate(listing.product.variants):
                if variant.sku == no.sku:
                    line = line_of(listing, f"/variants/{number}")
                    self._refuse(line, f"{no.sku} in {no.warehouse}: {no.title()}")

    def _refuse(self, line: int, reason: str) -> None:
        self.report.refusals.append(Refusal(line=line, reason=reason))


def _recognized(listing: Listing, known: dict[str, Product]) -> Listing:
    """Give a product the id and the version under which the shop has it already."""
    before = known.get(listing.product.slug)
    if before is None:
        return listing
    product = replace(listing.product, id=before.id, version=before.version)
    return replace(listing, product=product)


def _complaint(listing: Listing, no: InvalidProduct | Taken) -> tuple[int, str]:
    if isinstance(no, InvalidProduct):
        return line_of(listing, no.pointer), f"{no.pointer} {no.reason}"
    skus: list[str] = [variant.sku for variant in listing.product.variants]
    place = f"/variants/{skus.index(no.value)}" if no.value in skus else ""
    return line_of(listing, place), f"the {no.what} {no.value} belongs to another product"


def _is_about(held: Held, no: StockTooLow) -> bool:
    return held.sku == no.sku and held.warehouse == no.warehouse

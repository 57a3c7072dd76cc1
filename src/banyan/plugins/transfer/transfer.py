"""Takes products from a file into the shop, and from the shop into a file.

It goes through the public operations of catalog, pricing and inventory, in batches, so it works on
a shop that is open for business as well as on one that is closed. A file may be taken in as often
as one likes: what is there already and the same is left alone.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from io import TextIOWrapper
from itertools import chain
from operator import attrgetter
from typing import BinaryIO, TypeVar

from banyan.kernel.ids import Ids
from banyan.modules.catalog.contract import Catalog
from banyan.modules.inventory.contract import Inventory, Level
from banyan.modules.pricing.contract import Price, Pricing
from banyan.plugins.transfer import jsonlines, shopify
from banyan.plugins.transfer.intake import Intake, Report
from banyan.plugins.transfer.listing import Listing, Refusal, Unreadable
from banyan.vocabulary import Sku

BATCH = 500
MOST_VARIANTS = 5_000
AT_ONCE = 2
"""How many batches are saved at the same time: one waits for the disk, the other does not."""
TURN = 10
"""How many products are read at a stretch."""

Progress = Callable[[int], None]
"""Is told how many products have been looked at and, if they are fine, saved."""

Thing = TypeVar("Thing", Price, Level)


def _in_silence(_: int) -> None:
    """Tell nobody."""


async def import_products(
    source: BinaryIO,
    *,
    catalog: Catalog,
    pricing: Pricing,
    inventory: Inventory,
    ids: Ids,
    progress: Progress = _in_silence,
    price_list: str | None = None,
    warehouse: str | None = None,
    set_stock: bool = False,
) -> Report:
    """Take in the products of a file: Shopify's table, or JSON Lines of our own shape.

    `price_list` and `warehouse` are for files that do not name them: else the base list of the
    first market (of its lists, that of lowest priority) and the first warehouse. Stock is set where
    a SKU has none yet, so that a second run after some sales does not bring back what was sold;
    with `set_stock` the file is right. A product that cannot be taken in is reported with its line,
    and all others go in.
    """
    intake = Intake(
        catalog,
        pricing,
        inventory,
        price_lists={one.code for one in await pricing.price_lists()},
        warehouses={one.code for one in await inventory.warehouses()},
        categories={one.slug for one in await catalog.categories()},
        attributes={one.code for one in await catalog.attributes()},
        set_stock=set_stock,
    )
    is_json = source.read(100).lstrip(b"\xef\xbb\xbf \r\n").startswith(b"{")
    source.seek(0)
    lines = TextIOWrapper(source, "utf-8-sig", errors="surrogateescape", newline="")
    try:
        if is_json:
            listings = jsonlines.read(lines, ids)
        else:
            terms = await _terms(pricing, inventory, price_list, warehouse)
            listings = shopify.read(lines, terms, ids)
        batches, saved = await _batches(listings), list[list[Listing]]()
        while batches:
            # While some batches are saved, those before get their prices and their stock, and the
            # next ones are read.
            saved, _, batches = await asyncio.gather(
                asyncio.gather(*map(intake.save, batches)),
                intake.equip(list(chain(*saved))),
                _batches(listings),
            )
            progress(intake.report.products)
        await intake.equip(list(chain(*saved)))
    finally:
        # Whoever has opened the file closes it.
        lines.detach()
    intake.report.refusals.sort(key=attrgetter("line"))
    return intake.report


async def export_products(
    target: BinaryIO,
    *,
    catalog: Catalog,
    pricing: Pricing,
    inventory: Inventory,
    progress: Progress = _in_silence,
) -> int:
    """Write all products with prices and stock as JSON Lines, and return how many there are.

    What is written can be taken in again, here without any change, or into another shop that has
    the price lists and warehouses.
    """
    categories = {one.slug: one for one in await catalog.categories()}
    attributes = {one.code: one for one in await catalog.attributes()}
    lists = len(await pricing.price_lists())
    written, last = 0, None
    while page := await catalog.products(after=last, limit=BATCH):
        skus = tuple(variant.sku for product in page for variant in product.variants)
        prices = await pricing.prices(skus=skus, limit=len(skus) * lists) if skus else ()
        levels = await inventory.levels(skus=skus, limit=len(skus)) if skus else ()
        shop = jsonlines.Shop(
            categories=categories,
            attributes=attributes,
            prices=_by_sku(prices),
            stock=_by_sku(levels),
        )
        target.writelines(jsonlines.write(product, shop) for product in page)
        written, last = written + len(page), page[-1].id
        progress(written)
    return written


async def _terms(
    pricing: Pricing, inventory: Inventory, price_list: str | None, warehouse: str | None
) -> shopify.Terms:
    """Settle what a table does not say."""
    markets = {market.code: market for market in await pricing.markets()}
    first = next(iter(markets), None)
    lists = [
        one
        for one in await pricing.price_lists()
        if one.code == price_list or (price_list is None and one.market == first)
    ]
    warehouses = [one for one in await inventory.warehouses() if warehouse in (None, one.code)]
    if not lists:
        raise Unreadable(reason=f"there is no price list {price_list or 'for its prices'}")
    if not warehouses:
        raise Unreadable(reason=f"there is no warehouse {warehouse or 'for its stock'}")
    chosen = min(lists, key=lambda one: (one.priority, one.code))
    return shopify.Terms(
        price_list=chosen,
        warehouse=warehouses[0].code,
        locale=markets[chosen.market].locales[0],
    )


async def _batches(listings: Iterator[Listing | Refusal]) -> list[list[Listing | Refusal]]:
    """Read as many batches as are saved at the same time, or what is left."""
    return [batch for _ in range(AT_ONCE) if (batch := await _batch(listings))]


async def _batch(listings: Iterator[Listing | Refusal]) -> list[Listing | Refusal]:
    """Read so many that one call carries them; what else goes on has its turn meanwhile."""
    batch: list[Listing | Refusal] = []
    variants = 0
    for one in listings:
        batch.append(one)
        variants += len(one.product.variants) if isinstance(one, Listing) else 0
        if len(batch) >= BATCH or variants >= MOST_VARIANTS:
            break
        if len(batch) % TURN == 0:
            await asyncio.sleep(0)
    return batch


def _by_sku(things: Iterable[Thing]) -> dict[Sku, list[Thing]]:
    found: dict[Sku, list[Thing]] = defaultdict(list)
    for thing in things:
        found[thing.sku].append(thing)
    return found

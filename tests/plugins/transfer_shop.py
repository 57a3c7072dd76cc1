"""A shop that products are taken into, and its price lists and warehouses."""

from __future__ import annotations

import io
from dataclasses import dataclass

from msgspec.structs import replace

from banyan.kernel.testing import Bench
from banyan.modules.catalog.contract import Catalog
from banyan.modules.inventory.contract import Inventory, Warehouse
from banyan.modules.pricing.contract import PriceList, Pricing
from banyan.plugins.transfer.intake import Report
from banyan.plugins.transfer.transfer import export_products, import_products
from banyan.vocabulary import Sku
from tests.modules.pricing.fake import dollar_market, euro_market


@dataclass
class Shop:
    """A shop with two markets, a sale, and two warehouses, but without products."""

    bench: Bench
    catalog: Catalog
    pricing: Pricing
    inventory: Inventory

    async def take(
        self,
        file: bytes | str,
        *,
        price_list: str | None = None,
        warehouse: str | None = None,
        set_stock: bool = False,
        done: list[int] | None = None,
    ) -> Report:
        """Import a file, and note how many products are done after each batch."""
        return await import_products(
            io.BytesIO(file.encode() if isinstance(file, str) else file),
            catalog=self.catalog,
            pricing=self.pricing,
            inventory=self.inventory,
            ids=self.bench.app.ids,
            progress=([] if done is None else done).append,
            price_list=price_list,
            warehouse=warehouse,
            set_stock=set_stock,
        )

    async def hand_out(self) -> bytes:
        """Export everything."""
        target = io.BytesIO()
        await export_products(
            target, catalog=self.catalog, pricing=self.pricing, inventory=self.inventory
        )
        return target.getvalue()

    async def on_hand(self, sku: str) -> list[tuple[str, int]]:
        """Tell what is there of a SKU."""
        levels = await self.inventory.levels(skus=(Sku(sku),))
        return [(level.warehouse, level.on_hand) for level in levels]


async def opened(made: Bench) -> Shop:
    shop = Shop(made, made.ask(Catalog), made.ask(Pricing), made.ask(Inventory))
    for market in (euro_market(), dollar_market()):
        await shop.pricing.save_market(market=market)
        base = PriceList(code=f"{market.code}-base", market=market.code, currency=market.currency)
        await shop.pricing.save_price_list(price_list=base)
        await shop.pricing.save_price_list(
            price_list=replace(base, code=f"{market.code}-autumn", priority=5)
        )
    for position, code in enumerate(("main", "annex")):
        await shop.inventory.save_warehouse(
            warehouse=Warehouse(code=code, title=code, country="DE", position=position)
        )
    return shop

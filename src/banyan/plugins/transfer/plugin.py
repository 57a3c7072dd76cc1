"""Files of products on the command line: `banyan import products` and `banyan export products`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from banyan.kernel.ids import Ids
from banyan.kernel.module import Ask, Plugin
from banyan.modules.catalog.contract import Catalog
from banyan.modules.inventory.contract import Inventory
from banyan.modules.pricing.contract import Pricing
from banyan.plugins.transfer.intake import Report
from banyan.plugins.transfer.listing import Unreadable
from banyan.plugins.transfer.transfer import Progress, export_products, import_products

BAR = 30


async def take_in(
    ask: Ask,
    file: Path,
    *,
    price_list: str | None = None,
    warehouse: str | None = None,
    set_stock: bool = False,
) -> int:
    """Take in products from a file: Shopify's export, or JSON Lines of Banyan's own shape.

    :param price_list: Where Shopify's prices belong; else the base list of the first market.
    :param warehouse: Where Shopify's stock lies; else in the first warehouse.
    :param set_stock: Set the stock of SKUs that have some already, too.
    """
    try:
        with _reading(file) as (source, progress):
            report = await import_products(
                source,
                catalog=ask(Catalog),
                pricing=ask(Pricing),
                inventory=ask(Inventory),
                ids=Ids(),
                progress=progress,
                price_list=price_list,
                warehouse=warehouse,
                set_stock=set_stock,
            )
    except Unreadable as no:
        _say(f"{file}: {no.reason}")
        return 1
    except OSError as no:
        _say(f"{file}: {no.strerror}")
        return 1
    for refusal in report.refusals:
        _say(f"{file}:{refusal.line}: {refusal.reason}")
    _say(_summary(report))
    return 1 if report.refusals else 0


async def hand_out(ask: Ask, file: Path | None = None) -> int:
    """Write all products with prices and stock as JSON Lines, which can be taken in again.

    :param file: Where to write; else on standard output.
    """
    try:
        with _writing(file) as target:
            written = await export_products(
                target,
                catalog=ask(Catalog),
                pricing=ask(Pricing),
                inventory=ask(Inventory),
                progress=_draw,
            )
    except OSError as no:
        _say(f"{file}: {no.strerror}")
        return 1
    _say(f"{written} products")
    return 0


plugin = Plugin(name="transfer", commands={"import products": take_in, "export products": hand_out})


@contextmanager
def _reading(file: Path) -> Iterator[tuple[BinaryIO, Progress]]:
    """Open a file, and draw how much of it is done."""
    with file.open("rb") as source:
        size = file.stat().st_size
        yield source, lambda products: _draw(products, source.tell() / size)


@contextmanager
def _writing(file: Path | None) -> Iterator[BinaryIO]:
    """Write a file that appears when it is complete."""
    if file is None:
        yield sys.stdout.buffer
        return
    draft = file.with_name(f"{file.name}.part")
    with draft.open("wb") as target:
        yield target
    draft.replace(file)


def _summary(report: Report) -> str:
    products = (
        f"{report.products} products: {report.created} new, {report.changed} changed, "
        f"{report.unchanged} unchanged, {len(report.refusals)} complaints"
    )
    besides = (
        f"{report.prices} prices and {report.stock} levels of stock set, "
        f"{report.categories} categories and {report.attributes} attributes made"
    )
    return f"{products}; {besides}"


def _draw(products: int, share: float = 0) -> None:
    if sys.stderr.isatty():
        bar = f"{'█' * round(share * BAR):·<{BAR}} {share:4.0%} " if share else ""
        sys.stderr.write(f"\r{bar}{products} products")
        sys.stderr.flush()


def _say(line: str) -> None:
    erased = "\r\x1b[K" if sys.stderr.isatty() else ""
    sys.stderr.write(f"{erased}{line}\n")

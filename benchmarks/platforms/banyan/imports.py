"""How fast products come into a shop from files, and how much memory that takes."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from benchmarks import goods
from benchmarks.client import Wrong
from benchmarks.report import Trial

PRODUCTS = 20_000
PRICE_LIST, WAREHOUSE = "eu", "berlin"
LOOK_SECONDS = 0.05

Write = Callable[[Path, Iterable[goods.Article]], None]


class Import(NamedTuple):
    """What an import took: from the start of its command to its end, and memory at most."""

    seconds: float
    peak_bytes: int


def trials(folder: Path, where: Sequence[str], known: int) -> Iterator[Trial]:
    """Take many more products into a shop that is stopped, from files of both kinds."""
    formats: dict[str, Write] = {"JSON Lines": write_lines, "CSV": write_table}
    first = known
    for kind, write in formats.items():
        file = folder / "import"
        write(file, islice(goods.articles(first + PRODUCTS), first, None))
        took = take_in(file, where)
        speed, peak = PRODUCTS / took.seconds, took.peak_bytes / 1e6
        yield Trial(
            f"import of {PRODUCTS:,} products of three variants, {kind}",
            f"{speed:,.0f} products/s with start and end of the command, {peak:.0f} MB",
            "≥ 2,000/s, < 300 MB",
            held=speed >= 2000 and peak < 300,
        )
        first += PRODUCTS


def take_in(file: Path, where: Sequence[str]) -> Import:
    """Take in a file as anybody would: by `banyan import`."""
    words = [sys.executable, "-m", "banyan.cli", "import", "products", str(file), *where]
    log = file.with_suffix(".log")
    begun, peak = time.monotonic(), 0
    with log.open("wb") as told:
        importing = psutil.Popen(words, stdin=subprocess.DEVNULL, stdout=told, stderr=told)
        while importing.poll() is None:
            peak = max(peak, importing.memory_info().rss)
            time.sleep(LOOK_SECONDS)
    if importing.returncode:
        raise Wrong(f"banyan import: {log.read_text()[-2000:]}")
    return Import(time.monotonic() - begun, peak)


def write_lines(file: Path, articles: Iterable[goods.Article]) -> None:
    """Write articles as JSON Lines of Banyan's own shape."""
    with file.open("w") as out:
        out.writelines(json.dumps(_line(one)) + "\n" for one in articles)


def write_table(file: Path, articles: Iterable[goods.Article]) -> None:
    """Write articles as Shopify's table."""
    with file.open("w", newline="") as out:
        rows = (row for one in articles for row in _rows(one))
        table = csv.DictWriter(out, next(_rows(next(goods.articles(1)))).keys(), restval="")
        table.writeheader()
        table.writerows(rows)


def _line(article: goods.Article) -> dict[str, Any]:
    slug = article.category
    return {
        "slug": article.slug,
        "title": article.title,
        "description": article.text,
        "state": "published",
        "categories": [slug],
        "category_definitions": [{"slug": slug, "title": {"en": slug.title()}}],
        "options": [{"name": "Size", "values": list(goods.SIZES)}],
        "variants": [
            {
                "sku": sku,
                "options": {"Size": size},
                "weight_grams": 500,
                "prices": [{"price_list": PRICE_LIST, "amount": amount}],
                "stock": [{"warehouse": WAREHOUSE, "on_hand": goods.STOCK}],
            }
            for sku, size, amount in article.skus()
        ],
    }


def _rows(article: goods.Article) -> Iterator[dict[str, object]]:
    said: dict[str, object] = {
        "Title": article.title,
        "Body (HTML)": article.text,
        "Type": article.category,
        "Published": "true",
        "Status": "active",
        "Option1 Name": "Size",
    }
    for sku, size, amount in article.skus():
        yield {
            "Handle": article.slug,
            **said,
            "Option1 Value": size,
            "Variant SKU": sku,
            "Variant Grams": 500,
            "Variant Price": f"{amount // 100}.{amount % 100:02}",
            "Variant Inventory Qty": goods.STOCK,
        }
        said = dict.fromkeys(said, "")

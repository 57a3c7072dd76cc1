"""Products come from files into a shop and go back, as often as one likes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from banyan.kernel.link import Link
from banyan.kernel.testing import Server, bench
from banyan.modules.catalog.contract import Category, ProductPublished
from banyan.modules.catalog.module import module as catalog_module
from banyan.modules.inventory.contract import Held
from banyan.modules.inventory.module import module as inventory_module
from banyan.modules.pricing.module import module as pricing_module
from banyan.plugins.transfer.intake import Report
from banyan.plugins.transfer.listing import Unreadable
from banyan.vocabulary import Line, Sku
from tests.modules.catalog.examples import CLOTHES, EN, GERMAN_MATERIAL, GERMAN_SHIRT, SHIRT, SHIRTS
from tests.plugins.transfer_shop import Shop, opened

REAL = Path(__file__).parents[3] / "shared" / "data" / "shopify"
MODULES = (catalog_module, pricing_module, inventory_module)
LAMP = "Handle,Title,Variant Price,Variant Inventory Qty\nlamp,Lamp,12.50,3\n"


class CutOff(list[int]):
    """Ends an import in the middle, as an operator would."""

    def append(self, _: int) -> None:
        """Hear that the first batch is done."""
        raise KeyboardInterrupt


@pytest.fixture
async def shop(server: Server, tmp_path: Path) -> AsyncIterator[Shop]:
    async with bench(server, MODULES, folder=tmp_path) as made:
        yield await opened(made)


@pytest.mark.skipif(not REAL.is_dir(), reason="the real files are not at hand")
async def test_real_files_go_in_once_over_any_link(
    server: Server, link: Link, tmp_path: Path
) -> None:
    files = [
        (REAL / f"{name}.csv").read_bytes() for name in ("apparel", "home-and-garden", "jewelery")
    ]
    async with bench(server, MODULES, folder=tmp_path, link=link) as made:
        shop = await opened(made)

        first = [await shop.take(file) for file in files]
        before = await shop.hand_out()
        second = [await shop.take(file, set_stock=True) for file in files]
        after = await shop.hand_out()
        told = await made.told(ProductPublished)

    assert [(r.products, r.created, r.prices) for r in first] == [
        (20, 20, 22),
        (20, 20, 21),
        (20, 20, 23),
    ]
    assert [r.categories for r in first] == [0, 2, 3]
    assert [r.refusals for r in first + second] == [[]] * 6
    assert [(r.unchanged, r.prices, r.stock) for r in second] == [(20, 0, 0)] * 3
    assert len(told) == 60
    assert after == before


async def test_a_table_goes_to_the_base_list_of_the_first_market(shop: Shop) -> None:
    report = await shop.take(LAMP)

    (price,) = await shop.pricing.prices(skus=(Sku("lamp"),))
    assert report == Report(products=1, created=1, prices=1, stock=1)
    assert (price.price_list, price.amount) == ("eu-base", 1250)
    assert await shop.on_hand("lamp") == [("main", 3)]


async def test_a_table_goes_where_one_says(shop: Shop) -> None:
    await shop.take(LAMP, price_list="us-autumn", warehouse="annex")

    (price,) = await shop.pricing.prices(skus=(Sku("lamp"),))
    assert price.price_list == "us-autumn"
    assert await shop.on_hand("lamp") == [("annex", 3)]


async def test_a_table_that_belongs_nowhere_is_not_read(shop: Shop) -> None:
    with pytest.raises(Unreadable, match="price list none"):
        await shop.take(LAMP, price_list="none")
    with pytest.raises(Unreadable, match="warehouse none"):
        await shop.take(LAMP, warehouse="none")

    assert not await shop.catalog.products()


async def test_a_byte_order_mark_does_not_matter(shop: Shop) -> None:
    report = await shop.take(b"\xef\xbb\xbf" + LAMP.encode())

    assert report.created == 1


async def test_what_was_sold_does_not_come_back(shop: Shop) -> None:
    await shop.take(LAMP)
    await shop.inventory.count(levels=(Held(sku=Sku("lamp"), warehouse="main", quantity=1),))

    kept = await shop.take(LAMP)
    left = await shop.on_hand("lamp")
    right = await shop.take(LAMP, set_stock=True)

    assert (kept.stock, left) == (0, [("main", 1)])
    assert (right.stock, await shop.on_hand("lamp")) == (1, [("main", 3)])


async def test_a_changed_row_changes_its_product(shop: Shop) -> None:
    await shop.take(LAMP)

    report = await shop.take(LAMP.replace("Lamp", "Floor lamp").replace("12.50", "10"))

    (product,) = await shop.catalog.products()
    (price,) = await shop.pricing.prices(skus=(Sku("lamp"),))
    assert (report.changed, report.prices, report.stock) == (1, 1, 0)
    assert (product.title, product.version, price.amount) == ("Floor lamp", 2, 1000)


async def test_a_product_that_the_shop_has_already_is_recognized_by_its_slug(shop: Shop) -> None:
    await shop.catalog.save(products=(replace(SHIRT, slug="lamp", variants=(), options=()),))

    report = await shop.take(LAMP)

    (product,) = await shop.catalog.products()
    assert report.changed == 1
    assert (product.id, product.title) == (SHIRT.id, "Lamp")


async def test_good_rows_go_in_and_bad_ones_are_told_with_their_lines(shop: Shop) -> None:
    await shop.catalog.save(products=(SHIRT,))
    table = """Handle,Title,Option1 Name,Option1 Value,Variant SKU,Variant Price
lamp,Lamp,,,,10
chair,Chair,Color,red,,cheap
tunic,Tunic,Size,S,tunic-s,20
tunic,,,M,shirt-m,20
desk,Desk,Size,S,,30
desk,,,S,,30
lamp,Lamp again,,,,10
sofa,Sofa,,,,40
"""

    report = await shop.take(table)
    again = await shop.take(table)

    assert (report.products, report.created, again.unchanged) == (6, 2, 2)
    assert [(refusal.line, refusal.reason) for refusal in report.refusals] == [
        (3, "variant price is no number: cheap"),
        (5, "the sku shirt-m belongs to another product"),
        (7, "the same variant is in line 6"),
        (8, "lamp is in line 2 already"),
    ]
    assert len(await shop.pricing.prices()) == 2


async def test_a_line_that_does_not_fit_the_shop_is_told(shop: Shop) -> None:
    variant = {"sku": "x"}
    price, level = {"price_list": "eu-base", "amount": 1}, {"warehouse": "main", "on_hand": 1}
    lines: list[dict[str, Any]] = [
        {"variants": [variant | {"prices": [price | {"price_list": "none"}]}]},
        {"variants": [variant | {"stock": [level | {"warehouse": "none"}]}]},
        {"variants": [variant | {"prices": [price, price]}]},
        {"variants": [variant | {"stock": [level, level]}]},
        {"categories": ["none"]},
        {"attributes": {"none": 1}},
        {"category_definitions": [{"slug": "c", "title": {"en": "C"}, "parent": "none"}]},
        {"attribute_definitions": [{"code": "c", "title": {"en": "C"}, "kind": "choice"}]},
    ]
    file = b"\n".join(
        msgspec.json.encode({"slug": f"p-{number}", "title": "P"} | line)
        for number, line in enumerate(lines)
    )

    report = await shop.take(file)

    reasons = {refusal.line: refusal.reason for refusal in report.refusals}
    assert sorted(reasons) == list(range(1, 9))
    assert "price list none" in reasons[1]
    assert "warehouse none" in reasons[2]
    assert "two prices" in reasons[3]
    assert "twice" in reasons[4]
    assert reasons[5].startswith("/categories/0")
    assert reasons[6].startswith("/attributes/none")
    assert "/parent" in reasons[7]
    assert "/choices" in reasons[8]
    assert not await shop.catalog.products()


async def test_stock_that_is_promised_is_not_counted_away(shop: Shop) -> None:
    table = "Handle,Title,Variant Inventory Qty\nlamp,Lamp,3\ndesk,Desk,3\n"
    await shop.take(table)
    await shop.inventory.reserve(reservation=SHIRT.id, lines=(Line(sku=Sku("lamp"), quantity=3),))

    report = await shop.take(table.replace(",3", ",1"), set_stock=True)

    assert [refusal.line for refusal in report.refusals] == [2]
    assert (report.unchanged, report.stock) == (2, 1)
    assert await shop.on_hand("lamp") == [("main", 3)]
    assert await shop.on_hand("desk") == [("main", 1)]


async def test_what_is_handed_out_and_taken_in_again_changes_nothing(shop: Shop) -> None:
    await shop.catalog.save_category(category=CLOTHES)
    await shop.catalog.save_category(category=SHIRTS)
    await shop.catalog.save_attribute(attribute=GERMAN_MATERIAL)
    shirt = replace(
        GERMAN_SHIRT, state="published", categories=("shirts",), attributes={"material": "linen"}
    )
    await shop.catalog.save(products=(shirt,))
    await shop.take(LAMP)
    await shop.take(LAMP, price_list="us-base", warehouse="annex", set_stock=True)
    (lamp,) = await shop.catalog.find(slugs=("lamp",))
    await shop.catalog.retire(product=lamp.id)
    told = len(await shop.bench.told(ProductPublished))

    exported = await shop.hand_out()
    report = await shop.take(exported, set_stock=True)

    assert report == Report(products=2, unchanged=2)
    assert await shop.hand_out() == exported
    assert len(await shop.bench.told(ProductPublished)) == told


async def test_what_is_handed_out_makes_another_shop_the_same(
    shop: Shop, server: Server, tmp_path: Path
) -> None:
    await shop.catalog.save_category(category=CLOTHES)
    await shop.catalog.save_category(category=SHIRTS)
    await shop.catalog.save_attribute(attribute=GERMAN_MATERIAL)
    await shop.catalog.save(
        products=(replace(GERMAN_SHIRT, categories=("shirts",), attributes={"material": "linen"}),)
    )
    await shop.take(LAMP)
    exported = await shop.hand_out()

    async with bench(server, MODULES, folder=tmp_path) as made:
        other = await opened(made)
        report = await other.take(exported)
        again = await other.hand_out()

    assert report == Report(products=2, created=2, categories=2, attributes=1, prices=1, stock=1)
    assert again == exported


async def test_two_lines_with_one_id_are_not_taken_for_one_product(shop: Shop) -> None:
    lines = "\n".join(
        f'{{"id": "{SHIRT.id}", "slug": "{slug}", "title": "A"}}' for slug in ("one", "two")
    )

    first = await shop.take(lines)
    second = await shop.take(lines)

    assert [refusal.line for refusal in first.refusals] == [2]
    assert second.refusals == first.refusals
    assert [one.slug for one in await shop.catalog.products()] == ["one"]


async def test_much_stock_goes_in(shop: Shop) -> None:
    report = await shop.take(LAMP.replace(",3", ",2000000"))

    assert report.stock == 1
    assert await shop.on_hand("lamp") == [("main", 2_000_000)]


async def test_an_import_that_was_cut_off_is_finished_by_the_next(shop: Shop) -> None:
    table = "\n".join(
        [
            "Handle,Title,Variant Price,Variant Inventory Qty",
            *(f"p-{n},P,9,5" for n in range(1_001)),
        ]
    )

    with pytest.raises(KeyboardInterrupt):
        await shop.take(table, done=CutOff())
    half = len(await shop.bench.told(ProductPublished))
    report = await shop.take(table)
    again = await shop.take(table)

    assert half == 1_000
    assert report == Report(products=1_001, created=1, unchanged=1_000, prices=1_001, stock=1_001)
    assert again == Report(products=1_001, unchanged=1_001)
    assert len(await shop.bench.told(ProductPublished)) == 1_001


async def test_two_imports_of_one_file_at_once_make_each_product_once(shop: Shop) -> None:
    table = "Handle,Title\n" + "".join(f"p-{n},P\n" for n in range(20))

    reports = await asyncio.gather(*(shop.take(table) for _ in range(3)))

    assert [report.refusals for report in reports] == [[], [], []]
    assert sum(report.created for report in reports) == 20
    assert len(await shop.catalog.products(limit=100)) == 20


async def test_a_product_is_as_new_as_its_import(shop: Shop) -> None:
    for handle in ("old", "newer", "newest"):
        await shop.take(f"Handle,Title\n{handle},P\n")
        shop.bench.clock.advance(1)

    by_age = await shop.catalog.products()

    assert [product.slug for product in by_age] == ["old", "newer", "newest"]


async def test_what_is_there_already_is_read_once_and_not_saved_again(shop: Shop) -> None:
    await shop.take(LAMP)
    run = shop.bench.watch()

    await shop.take(LAMP)

    assert [module for module, _ in run].count("catalog") == 3  # Its tree, attributes, product.


async def test_a_batch_costs_a_few_statements_whatever_its_size(shop: Shop) -> None:
    def table(products: int) -> str:
        rows = (f"p-{n},P,Lamps,9.99,5" for n in range(products))
        return "\n".join(["Handle,Title,Type,Variant Price,Variant Inventory Qty", *rows])

    await shop.catalog.save_category(category=Category(slug="lamps", title={EN: "Lamps"}))
    run = shop.bench.watch()
    await shop.take(table(10))
    ten = len(run)
    run = shop.bench.watch()
    report = await shop.take(table(500))

    assert (report.created, report.unchanged) == (490, 10)
    assert len(run) == ten


async def test_the_way_is_told(shop: Shop) -> None:
    rows = (f"p-{n},P" for n in range(1_001))
    told: list[int] = []

    await shop.take("\n".join(["Handle,Title", *rows]), done=told)

    assert told == [1_000, 1_001]

"""The commands that take in and hand out files say what they did, and end accordingly."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from banyan.kernel.testing import Bench, Server, bench
from banyan.modules.catalog.module import module as catalog
from banyan.modules.inventory.contract import Inventory, Warehouse
from banyan.modules.inventory.module import module as inventory
from banyan.modules.pricing.contract import PriceList, Pricing
from banyan.modules.pricing.module import module as pricing
from banyan.plugins.transfer.plugin import plugin
from tests.modules.pricing.fake import euro_market

take_in, hand_out = plugin.commands["import products"], plugin.commands["export products"]
TABLE = "Handle,Title,Variant Price,Variant Inventory Qty\nlamp,Lamp,10,3\n"


@pytest.fixture
async def shop(server: Server, tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench(server, [catalog, pricing, inventory], folder=tmp_path) as made:
        market = euro_market()
        await made.ask(Pricing).save_market(market=market)
        await made.ask(Pricing).save_price_list(
            price_list=PriceList(code="base", market=market.code, currency=market.currency)
        )
        await made.ask(Inventory).save_warehouse(
            warehouse=Warehouse(code="main", title="Main", country="DE")
        )
        yield made


async def test_a_good_file_ends_well(
    shop: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "products.csv"
    file.write_text(TABLE)

    ended = await take_in(shop.ask, file)

    assert ended == 0
    assert capsys.readouterr().err == (
        "1 products: 1 new, 0 changed, 0 unchanged, 0 complaints; "
        "1 prices and 1 levels of stock set, 0 categories and 0 attributes made\n"
    )


async def test_a_bad_row_is_told_with_file_and_line(
    shop: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "products.csv"
    file.write_text(TABLE + "desk,Desk,cheap,1\n")

    ended = await take_in(shop.ask, file)

    assert ended == 1
    assert f"{file}:3: variant price is no number: cheap\n" in capsys.readouterr().err


@pytest.mark.parametrize("content", [None, "", "Name,Price\nLamp,10\n"])
async def test_a_file_that_cannot_be_read_is_told(
    shop: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None
) -> None:
    file = tmp_path / "products.csv"
    if content is not None:
        file.write_text(content)

    ended = await take_in(shop.ask, file)

    assert ended == 1
    assert str(file) in capsys.readouterr().err


async def test_what_is_handed_out_can_be_taken_in(
    shop: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, lines = tmp_path / "products.csv", tmp_path / "products.jsonl"
    table.write_text(TABLE)
    await take_in(shop.ask, table)

    handed_out = await hand_out(shop.ask, lines)
    taken_in = await take_in(shop.ask, lines, set_stock=True)

    assert (handed_out, taken_in) == (0, 0)
    assert "1 products: 0 new, 0 changed, 1 unchanged" in capsys.readouterr().err
    assert (
        sorted(file.name for file in tmp_path.glob("products*")) == [lines.name, table.name][::-1]
    )


async def test_without_a_file_products_go_to_standard_output(
    shop: Bench, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    table = tmp_path / "products.csv"
    table.write_text(TABLE)
    await take_in(shop.ask, table)

    await hand_out(shop.ask)

    written = capfdbinary.readouterr().out
    assert written.startswith(b'{"slug":"lamp"')
    assert written.count(b"\n") == 1


async def test_a_file_that_cannot_be_written_is_told(
    shop: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "nowhere" / "products.jsonl"

    ended = await hand_out(shop.ask, file)

    assert ended == 1
    assert str(file) in capsys.readouterr().err

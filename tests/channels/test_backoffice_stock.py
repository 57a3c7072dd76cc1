"""Stock in the back office: received, adjusted, counted and transferred, and where it stands."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.channels.desk import Desk, Said, look_at, sheet_of, sign_in, working
from tests.channels.eyes import Look, Shoot
from tests.journeys.running import Running

STOCK = "/admin/stock"
LAMP, POT = "ARC-BLACK", "ARC-SAGE"


@pytest.fixture
def desk(shop: Running) -> Iterator[Desk]:
    with working(shop) as desk:
        yield desk


def on_hand(desk: Desk, sku: str, warehouse: str = "berlin") -> int:
    return int(desk.ask(f"/api/admin/stock/{sku}/{warehouse}")["on_hand"])


def lines(*told: tuple[str, int]) -> dict[str, Said]:
    """Fill in the lines of a form."""
    return {
        f"lines__{number}__{name}": str(one)
        for number, line in enumerate(told)
        for name, one in zip(("sku", "quantity"), line, strict=True)
    }


def test_goods_are_received_by_several_lines_once_however_often_they_are_sent(desk: Desk) -> None:
    before = on_hand(desk, LAMP), on_hand(desk, POT)
    sheet = desk.sheet(f"{STOCK}/receive")

    for _ in range(2):
        desk.send(sheet, warehouse="berlin", note="van", **lines((LAMP, 3), (POT, 4)))

    assert (on_hand(desk, LAMP), on_hand(desk, POT)) == (before[0] + 3, before[1] + 4)
    newest = desk.ask("/api/admin/stock/movements", sku=POT, limit=1)["items"][0]
    assert (newest["reason"], newest["note"], newest["quantity"]) == ("received", "van", 4)


def test_a_line_that_is_wrong_stops_all_of_them_and_is_shown(desk: Desk) -> None:
    before = on_hand(desk, LAMP)
    sheet = desk.sheet(f"{STOCK}/receive")

    refused = desk.send(sheet, warehouse="berlin", **lines((LAMP, 3), ("NO-SUCH-SKU", 1)))

    assert refused.status_code == 422
    assert "No product has the SKU NO-SUCH-SKU." in refused.text
    assert sheet_of(refused).said["lines.0.quantity"] == ["3"]
    assert on_hand(desk, LAMP) == before


def test_stock_is_adjusted_down_with_a_reason_but_not_below_nothing(desk: Desk) -> None:
    before = on_hand(desk, LAMP, "new-jersey")
    sheet = desk.sheet(f"{STOCK}/adjust?sku={LAMP}&warehouse=new-jersey")
    assert (sheet.said["lines.0.sku"], sheet.said["warehouse"]) == ([LAMP], ["new-jersey"])

    desk.send(sheet, lines__0__quantity="-2", note="broken")
    refused = desk.send(desk.sheet(f"{STOCK}/adjust"), **lines((LAMP, -99_999)))

    assert on_hand(desk, LAMP, "new-jersey") == before - 2
    assert refused.status_code == 409
    assert 'id="lines.0.quantity-error"' in refused.text


def test_a_count_says_what_is_there(desk: Desk) -> None:
    desk.send(desk.sheet(f"{STOCK}/count"), warehouse="berlin", **lines((POT, 77)))

    assert on_hand(desk, POT) == 77


def test_goods_are_transferred_at_both_ends_at_once(desk: Desk) -> None:
    before = on_hand(desk, LAMP), on_hand(desk, LAMP, "new-jersey")
    sheet = desk.sheet(f"{STOCK}/transfer")
    told = lines((LAMP, 5))

    for _ in range(2):
        desk.send(sheet, warehouse="berlin", target="new-jersey", **told)

    assert on_hand(desk, LAMP) == before[0] - 5
    assert on_hand(desk, LAMP, "new-jersey") == before[1] + 5


def test_a_count_of_a_product_is_refused_where_the_stock_changed_meanwhile(desk: Desk) -> None:
    (product,) = desk.ask("/api/admin/products", q="arc-black")["items"][:1]
    place = f"/admin/products/{product['id']}/stock"
    sheet = desk.sheet(place)
    row = next(
        name.removesuffix(".sku")
        for name, told in sheet.said.items()
        if told == [LAMP] and sheet.said[name.replace("sku", "warehouse")] == ["berlin"]
    )
    desk.send(desk.sheet(f"{STOCK}/receive"), warehouse="berlin", **lines((LAMP, 1)))
    there = on_hand(desk, LAMP)

    refused = desk.send(sheet, **{f"{row}.on_hand": "5", "note": "counted"})

    assert refused.status_code == 409
    assert "changed the stock" in refused.text or "changed meanwhile" in refused.text
    assert sheet_of(refused).said[f"{row}.on_hand"] == ["5"]
    assert on_hand(desk, LAMP) == there
    desk.send(sheet_of(refused))
    assert on_hand(desk, LAMP) == 5


def test_a_cell_that_was_cleared_is_shown_empty_where_it_could_not_be_saved(desk: Desk) -> None:
    (product,) = desk.ask("/api/admin/products", q="arc-black")["items"][:1]
    sheet = desk.sheet(f"/admin/products/{product['id']}/stock")
    row = next(
        name.removesuffix(".sku")
        for name, told in sheet.said.items()
        if told == [POT] and sheet.said[name.replace("sku", "warehouse")] == ["berlin"]
    )
    desk.send(desk.sheet(f"{STOCK}/receive"), warehouse="berlin", **lines((POT, 1)))

    refused = desk.send(sheet, **{f"{row}.on_hand": "", f"{row}.backorder": "on"})

    assert refused.status_code == 409
    again = sheet_of(refused).said
    assert (again[f"{row}.on_hand"], again[f"{row}.backorder"]) == ([""], ["on"])


def test_levels_are_found_by_sku_and_by_how_few_there_are(desk: Desk) -> None:
    found = desk.client.get(STOCK, params={"q": "ARC-BL"}).text
    scarce = desk.client.get(STOCK, params={"show": "low"}).text

    assert LAMP in found
    assert "PLEAT" not in found
    assert "badge" in scarce
    assert LAMP not in scarce


def test_a_warehouse_is_opened_and_not_changed_by_who_was_overtaken(desk: Desk) -> None:
    sheet = desk.sheet(f"{STOCK}/warehouses/new")
    desk.send(sheet, code="graz", title="Graz", country="AT")
    mine, theirs = (desk.sheet(f"{STOCK}/warehouses/graz") for _ in range(2))
    desk.send(theirs, title="Graz South")

    refused = desk.send(mine, position="9")

    assert refused.status_code == 412
    assert "Title: “Graz” is “Graz South” now" in refused.text
    assert desk.ask("/api/admin/warehouses/graz")["title"] == "Graz South"


@pytest.fixture
def signed_in(page: Page, shop: Running) -> Page:
    sign_in(page, shop)
    return page


def test_goods_are_received_in_a_browser(signed_in: Page, desk: Desk) -> None:
    page = signed_in
    before = on_hand(desk, POT)
    page.goto(f"{STOCK}/receive")
    page.get_by_label("Warehouse").select_option("berlin")
    page.get_by_label("SKU in line 1").fill(POT)
    page.get_by_label("Units in line 1").fill("6")

    page.get_by_role("button", name="Add a line").click()
    expect(page.get_by_label("SKU in line 2")).to_be_visible()
    page.get_by_role("button", name="Receive", exact=True).last.click()

    expect(page.get_by_role("status").first).to_contain_text("The goods were received.")
    assert on_hand(desk, POT) == before + 6


def test_every_page_about_stock_can_be_used_by_everybody(
    signed_in: Page, assert_accessible: Look, shoot: Shoot
) -> None:
    ways = ("", "/receive", "/transfer", "/movements", "/warehouses", "/warehouses/berlin")
    shown = {f"stock{way.replace('/', '-')}": STOCK + way for way in ways}

    look_at(signed_in, shown, assert_accessible, shoot, ("stock", "stock-receive"))

"""What the back office works out by itself: paths, amounts, days, stories and the picture."""

from __future__ import annotations

from datetime import UTC, date, datetime
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from banyan.channels.backoffice.dashboard import CHARTED, HEIGHT, bars, every_day
from banyan.channels.backoffice.door import inside
from banyan.channels.backoffice.drawing import NODE_WIDTH, draw, layers
from banyan.channels.backoffice.order import amount_of
from banyan.channels.backoffice.settings import BackofficeSettings
from banyan.channels.look import moment
from banyan.kernel.app import discover
from banyan.kernel.floorplan import Floorplan, Plan
from banyan.kernel.topology import Engines, Process, Topology, monolith
from banyan.modules.ordering.contract import Day
from banyan.vocabulary import Money

APART = Topology(
    engines=Engines(),
    processes=(
        Process(name="front", modules=(), channels=("*",)),
        Process(name="checkout", modules=("ordering", "payments"), channels=(), replicas=2),
        Process(name="rest", modules=("*",), channels=()),
    ),
    settings={},
)


async def plan_of(topology: Topology) -> Plan:
    house = discover()
    return await Floorplan(house.modules, house.channels, topology, None).look()


@pytest.mark.parametrize(
    "path",
    ["/admin", "/admin/", "/admin/orders?state=pending&q=a%40b.example", "/admin/events/a%20b"],
)
def test_whoever_signs_in_is_led_to_the_page_that_was_asked_for(path: str) -> None:
    assert inside(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/eu/en",
        "/administration",
        "//evil.example/admin",
        "https://evil.example/admin",
        "/admin/../eu",
        "/admin/%2e%2E/eu",
        "/admin\\@evil.example",
        "/admin/\\evil.example",
        "/admin\r\nset-cookie: a=b",
        "/admin/..%2f..%2feu",
        "javascript:alert(1)",
    ],
)
def test_nobody_is_led_anywhere_else(path: str) -> None:
    assert inside(path) == "/admin"


@given(st.text())
def test_wherever_a_path_leads_it_is_in_the_back_office(path: str) -> None:
    assert inside(path).partition("?")[0].split("/")[:2] == ["", "admin"]


@given(st.integers(min_value=1, max_value=10**9), st.sampled_from(["EUR", "JPY", "BHD"]))
def test_an_amount_is_read_as_it_is_written(minor: int, currency: str) -> None:
    amount = Money(amount=minor, currency=currency)
    written = f"{amount.major():f}"

    assert amount_of(written, currency) == amount
    assert amount_of(written.replace(".", ","), currency) == amount


@pytest.mark.parametrize("text", ["0", "-1", "1e3", "NaN", "1.234,50", "12.505", "€5", "1,2,3"])
def test_what_is_no_amount_is_explained(text: str) -> None:
    with pytest.raises(ValueError, match=r"^Amount: |^EUR"):
        amount_of(text, "EUR")


def test_without_an_amount_it_is_all_that_is_left() -> None:
    assert amount_of("", "EUR") is None


def test_a_chart_has_every_day_also_those_without_orders() -> None:
    busy = Day(day=date(2026, 11, 20), orders=4, revenue=())

    drawn = bars(every_day((busy,), date(2026, 11, 22)))

    assert [bar.day.orders for bar in drawn] == [0] * (CHARTED - 3) + [4, 0, 0]
    assert max(bar.height for bar in drawn) == HEIGHT
    assert all(bar.y + bar.height == HEIGHT for bar in drawn)


def test_a_clock_shows_the_time_where_the_shop_is_run() -> None:
    zone = BackofficeSettings(time_zone="Europe/Vienna").zone

    shown = moment(datetime(2026, 11, 22, 23, 30, tzinfo=UTC), "en", zone)

    assert shown == "Nov 23, 2026, 00:30"


@pytest.mark.parametrize(
    "zone",
    ["Mars/Olympus", "localtime", "posixrules", "posix/Europe/Berlin", "right/Europe/Berlin"],
)
def test_a_time_zone_that_is_none_is_refused(zone: str) -> None:
    with pytest.raises(ValueError, match=zone):
        BackofficeSettings(time_zone=zone)


def test_every_moment_is_shown_by_the_same_clock() -> None:
    templates = resources.files("banyan.channels.backoffice") / "templates"

    shown = {one.name for one in templates.iterdir() if "|moment" in one.read_text()}

    assert shown == {"parts.html"}


@pytest.mark.parametrize("topology", [monolith(), APART], ids=["monolith", "apart"])
async def test_every_part_stands_in_its_process_and_none_on_another(topology: Topology) -> None:
    plan = await plan_of(topology)

    drawing = draw(plan)

    nodes = [(node, box) for box in drawing.boxes for node in box.nodes]
    assert {node.name for node, _ in nodes} == plan.asks.keys()
    assert len({(node.x, node.y) for node, _ in nodes}) == len(nodes)
    for node, box in nodes:
        assert box.x < node.x
        assert node.x + NODE_WIDTH < box.x + box.width <= drawing.width


async def test_there_is_a_line_for_all_who_ask_and_hear() -> None:
    plan = await plan_of(APART)

    lines = {(edge.kind, edge.source, edge.target) for edge in draw(plan).edges}

    assert ("asks", "ordering", "payments") in lines
    assert ("asks", "backoffice", "ordering") in lines
    assert ("hears", "ordering", "notifications") in lines


async def test_whoever_asks_stands_above_whom_it_asks() -> None:
    plan = await plan_of(monolith())

    found = layers(plan.asks)

    assert all(found[name] < found[one] for name, asked in plan.asks.items() for one in asked)


async def test_a_plan_says_what_each_process_is_to_host() -> None:
    plan = await plan_of(APART)

    front, checkout, rest = plan.sites
    assert {"storefront", "backoffice", "backstage"} <= set(front.channels)
    assert (checkout.modules, checkout.replicas) == (("ordering", "payments"), 2)
    assert "catalog" in rest.modules
    assert checkout.present is None

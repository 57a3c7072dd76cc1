"""How business goes, and which orders are found, on a real database."""

from __future__ import annotations

from datetime import UTC, date, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from banyan.kernel.http import build
from banyan.kernel.security import Caller, Gate
from banyan.modules.ordering.contract import (
    Day,
    Figures,
    Order,
    PaymentRefused,
    UnknownTimeZone,
)
from banyan.vocabulary import CartId, MarketCode, Money
from tests.modules.ordering.conftest import LAMP, Shop

DAY = timedelta(days=1)


async def bought(shop: Shop, number: int, quantity: int = 1, token: str = "tok_ok") -> Order:
    cart = CartId(UUID(int=number))
    await shop.filled(quantity, cart=cart)
    return await shop.check_out(token, cart=cart)


async def told(shop: Shop, zone: str = "UTC", market: str | None = None) -> Figures:
    now = shop.bench.clock.now()
    return await shop.ordering.figures(
        since=now - 3 * DAY, until=now + DAY, zone=zone, market=MarketCode(market or "") or None
    )


async def test_nothing_has_happened_in_an_empty_shop(shop: Shop) -> None:
    assert await told(shop) == Figures(
        orders={"placed": 0, "pending": 0, "confirmed": 0, "canceled": 0, "failed": 0},
        revenue=(),
        average=(),
        carts={"opened": 0, "filled": 0, "addressed": 0, "ordered": 0},
        days=(),
    )


async def test_what_stands_is_counted_with_its_money_and_what_does_not_without(shop: Shop) -> None:
    await bought(shop, 1)
    await bought(shop, 2, quantity=2)
    canceled = await bought(shop, 3)
    await shop.ordering.cancel(order=canceled.id)
    with pytest.raises(PaymentRefused):
        await bought(shop, 4, token="tok_declined")
    await shop.ordering.create_cart(cart=CartId(UUID(int=5)))
    await shop.ordering.create_cart(cart=CartId(UUID(int=6)))
    await shop.ordering.add_line(cart=CartId(UUID(int=6)), sku=LAMP)
    run = shop.bench.watch()

    counted = await told(shop)

    assert len(run) == 1
    assert counted.orders == {
        "placed": 4,
        "pending": 0,
        "confirmed": 2,
        "canceled": 1,
        "failed": 1,
    }
    assert counted.revenue == (Money(amount=5489 + 10_488, currency="EUR"),)
    assert counted.average == (Money(amount=7989, currency="EUR"),), "of 15,977 the half"
    assert counted.carts == {"opened": 6, "filled": 5, "addressed": 4, "ordered": 3}
    today = shop.bench.clock.now().date()
    assert counted.days == (Day(day=today, orders=4, revenue=counted.revenue),)


async def test_a_day_begins_where_the_shop_is(shop: Shop) -> None:
    shop.bench.clock.advance(
        (23 - shop.bench.clock.now().hour) * 3600 + 1800 - shop.bench.clock.now().minute * 60
    )
    await bought(shop, 1)
    await shop.bench.pass_time(3600)
    await bought(shop, 2)
    night = shop.bench.clock.now().astimezone(UTC).date()

    days = {
        zone: {day.day: day.orders for day in (await told(shop, zone)).days}
        for zone in ("UTC", "Europe/Berlin", "America/New_York")
    }

    before = date.fromordinal(night.toordinal() - 1)
    assert days == {
        "UTC": {before: 1, night: 1},
        "Europe/Berlin": {night: 2},
        "America/New_York": {before: 2},
    }


async def test_only_the_time_and_the_market_that_are_asked_for_count(shop: Shop) -> None:
    order = await bought(shop, 1)
    at = order.placed_at

    spans = [(at, at + DAY), (at - DAY, at), (at + DAY, at)]
    placed = [
        (await shop.ordering.figures(since=since, until=until, zone="UTC")).orders["placed"]
        for since, until in spans
    ]

    assert placed == [1, 0, 0]
    assert (await told(shop, market="eu")).orders["placed"] == 1
    elsewhere = await told(shop, market="us")
    assert (elsewhere.orders["placed"], elsewhere.carts["opened"]) == (0, 0)


@pytest.mark.parametrize(
    "zone",
    ["Mars/Crater", "", "../../etc/passwd", "x" * 999, "localtime", "posixrules", "right/UTC"],
)
async def test_days_of_an_unknown_zone_are_refused(shop: Shop, zone: str) -> None:
    with pytest.raises(UnknownTimeZone):
        await told(shop, zone)


async def test_orders_are_found_by_whatever_is_known_of_them(shop: Shop) -> None:
    first = await bought(shop, 1)
    await shop.bench.pass_time(60)
    second = await bought(shop, 2)
    await shop.ordering.cancel(order=second.id)
    seek: dict[str, dict[str, Any]] = {
        "newest first": {},
        "state": {"state": "confirmed"},
        "number": {"number": "1002"},
        "beginning": {"number": "100"},
        "no number": {"number": "one%"},
        "e-mail": {"email": "ADA@example.com"},
        "stranger": {"email": "eve@example.com"},
        "market": {"market": MarketCode("us")},
        "since": {"since": second.placed_at},
        "until": {"until": second.placed_at},
        "all": {"email": first.email, "number": "1", "state": "canceled", "market": first.market},
        "before": {"before": second.id, "number": "10"},
    }

    found = {
        name: [one.number for one in await shop.ordering.orders(**by)] for name, by in seek.items()
    }

    assert found == {
        "newest first": ["1002", "1001"],
        "state": ["1001"],
        "number": ["1002"],
        "beginning": ["1002", "1001"],
        "no number": [],
        "e-mail": ["1002", "1001"],
        "stranger": [],
        "market": [],
        "since": ["1002"],
        "until": ["1001"],
        "all": ["1002"],
        "before": ["1001"],
    }


class Porter(Gate):
    """Knows somebody who may look at orders."""

    async def caller(self, token: str) -> Caller | None:
        return Caller(subject=token, permissions=frozenset({"ordering:read"}))


async def test_figures_and_found_orders_can_be_asked_for_over_http(shop: Shop) -> None:
    order = await bought(shop, 1)
    app: Any = build(
        shop.bench.app.routes(),
        dependencies=shop.bench.app.dependencies(),
        gate=Porter(),
        ready=shop.bench.app.ready,
    )
    span = {
        "since": (order.placed_at - DAY).isoformat(),
        "until": (order.placed_at + DAY).isoformat(),
    }
    path = "/api/admin/orders"

    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://shop",
        headers={"authorization": "Bearer clerk"},
    ) as http:
        told = await http.get(f"{path}/figures", params=span | {"zone": "Europe/Berlin"})
        lost = await http.get(f"{path}/figures", params=span | {"zone": "Mars"})
        vague = await http.get(f"{path}/figures", params=span | {"since": "2020-01-01T00:00:00"})
        found = await http.get(path, params=span | {"email": order.email, "market": "eu"})
        none = await http.get(path, params={"until": span["since"]})

    assert told.json()["orders"]["confirmed"] == 1
    assert told.json()["revenue"] == [{"amount": 5489, "currency": "EUR"}]
    assert told.json()["carts"] == {"opened": 1, "filled": 1, "addressed": 1, "ordered": 1}
    assert (lost.status_code, lost.json()["code"]) == (422, "unknown_time_zone")
    assert vague.json() == told.json(), "a time without an offset is one in UTC"
    assert [one["number"] for one in found.json()["items"]] == ["1001"]
    assert none.json()["items"] == []

"""Fulfillment on a real database: what it costs, what happens at once, what cannot happen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from msgspec.structs import replace

from banyan.kernel.testing import Bench, Server, bench
from banyan.modules.fulfillment.contract import (
    Fulfillment,
    InvalidMethod,
    RateRow,
    ShippingMethod,
    StaleMethod,
    ZoneInUse,
)
from banyan.modules.fulfillment.module import module
from banyan.modules.fulfillment.service import FulfillmentService
from tests.modules.fulfillment.examples import EXPRESS, FIFTY, UNION, US, opened


@pytest.fixture
async def shop(server: Server, tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench(server, [module], folder=tmp_path) as made:
        await opened(made.ask(Fulfillment))
        yield made


@pytest.fixture
def fulfillment(shop: Bench) -> Fulfillment:
    return shop.ask(Fulfillment)


@pytest.fixture
def service(shop: Bench) -> FulfillmentService:
    return shop.app.rooms["fulfillment"].service(FulfillmentService)


async def test_rates_cost_one_statement(shop: Bench, fulfillment: Fulfillment) -> None:
    run = shop.watch()

    rates = await fulfillment.rates(market=US, country="US", total=FIFTY)

    assert (len(rates), len(run)) == (2, 1)


async def test_of_many_who_create_the_same_method_one_does(fulfillment: Fulfillment) -> None:
    offers = [replace(EXPRESS, code="pigeon", position=number) for number in range(8)]

    answers = await asyncio.gather(
        *(fulfillment.save_method(method=offer, expected=0) for offer in offers),
        return_exceptions=True,
    )

    kept = [answer for answer in answers if isinstance(answer, ShippingMethod)]
    refused = [answer for answer in answers if isinstance(answer, StaleMethod)]
    assert (len(kept), len(refused)) == (1, 7)
    assert await fulfillment.method(code="pigeon") == kept[0]


async def test_a_zone_is_not_removed_under_a_method_that_begins_to_refer_to_it(
    fulfillment: Fulfillment, service: FulfillmentService
) -> None:
    for number in range(10):
        zone = await fulfillment.save_zone(zone=replace(UNION, code=f"zone-{number}"))
        rates = (RateRow(zone=zone.code, amount=500),)

        saved, removed = await asyncio.gather(
            fulfillment.save_method(method=replace(EXPRESS, code=f"to-{number}", rates=rates)),
            fulfillment.remove_zone(code=zone.code),
            return_exceptions=True,
        )

        outcome = (type(saved), type(removed))
        assert outcome in {(ShippingMethod, ZoneInUse), (InvalidMethod, type(None))}
    assert await service.audit() == []


async def test_the_database_refuses_what_the_rules_would_refuse(shop: Bench) -> None:
    database = shop.app.rooms["fulfillment"].database

    for statement in (
        "UPDATE zones SET places = '{Germany}'",
        "UPDATE zones SET places = '{DE,NULL}'",
        "UPDATE methods SET title = '{}'",
        "UPDATE methods SET rates = '{}'",
        "UPDATE methods SET version = 0",
    ):
        with pytest.raises(asyncpg.CheckViolationError):
            await database.value(statement)
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await database.value("DELETE FROM zones WHERE code = 'far'")


async def test_a_table_that_went_bad_is_found(shop: Bench, service: FulfillmentService) -> None:
    assert await service.audit() == []

    await shop.app.rooms["fulfillment"].database.value(
        """UPDATE methods SET rates = '[{"zone": "union", "total": "much"}]', version = 2
        WHERE code = 'parcel'"""
    )

    unnoted, broken = await service.audit()
    assert unnoted.startswith("parcel: ")
    assert broken.startswith("parcel/rates/0/total: ")

"""What fulfillment promises, asked of the service over each link and of the fake alike."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from banyan.kernel.link import direct, wire
from banyan.kernel.testing import Server, bench
from banyan.modules.fulfillment.contract import (
    Fulfillment,
    InvalidMethod,
    RateRow,
    StaleMethod,
    StaleZone,
    UnknownMethod,
    UnknownZone,
    ZoneInUse,
)
from banyan.modules.fulfillment.module import module
from banyan.vocabulary import Locale, Money
from tests.modules.fulfillment.examples import EU, FAR, FIFTY, PARCEL, US, opened
from tests.modules.fulfillment.fake import FakeFulfillment


@pytest.fixture(params=["direct", "wire", "fake"])
async def fulfillment(
    request: pytest.FixtureRequest, server: Server, tmp_path: Path
) -> AsyncIterator[Fulfillment]:
    """Open a shop that sends parcels to the United States in two ways."""
    if request.param == "fake":
        yield await opened(FakeFulfillment())
        return
    link = {"direct": direct, "wire": wire}[request.param]
    async with bench(server, [module], folder=tmp_path, link=link) as made:
        yield await opened(made.ask(Fulfillment))


async def prices(fulfillment: Fulfillment, **parcel: str | int) -> dict[str, int]:
    grams, region = int(parcel.get("grams", 500)), str(parcel.get("region", ""))
    rates = await fulfillment.rates(
        market=US, country="US", region=region, total=FIFTY, weight_grams=grams
    )
    return {rate.code: rate.price.amount for rate in rates}


async def test_each_method_that_takes_the_parcel_names_its_price_cheapest_first(
    fulfillment: Fulfillment,
) -> None:
    rates = await fulfillment.rates(
        market=US, country="US", total=FIFTY, weight_grams=2000, locale=Locale("de-CH")
    )

    assert [(rate.title, rate.price) for rate in rates] == [
        ("Paket", Money(amount=990, currency="USD")),
        ("Express", Money(amount=1990, currency="USD")),
    ]


@pytest.mark.parametrize(
    ("locale", "title"), [("de-CH", "Paket"), ("fr", "Parcel"), (None, "Parcel")]
)
async def test_a_title_is_told_in_the_nearest_language_or_in_english(
    fulfillment: Fulfillment, locale: Locale | None, title: str
) -> None:
    rates = await fulfillment.rates(market=US, country="US", total=FIFTY, locale=locale)

    assert {rate.code: rate.title for rate in rates}["parcel"] == title


async def test_a_region_may_lie_in_a_zone_of_its_own(fulfillment: Fulfillment) -> None:
    assert await prices(fulfillment, region="AK") == {"express": 1990, "parcel": 2490}
    assert await prices(fulfillment, region="NY") == {"express": 1990, "parcel": 590}


async def test_a_method_without_a_row_that_holds_is_not_offered(fulfillment: Fulfillment) -> None:
    assert await prices(fulfillment, grams=7000) == {"parcel": 990}
    assert await prices(fulfillment, grams=10_000) == {}


async def test_another_market_has_other_methods(fulfillment: Fulfillment) -> None:
    rates = await fulfillment.rates(market=EU, country="US", total=FIFTY)

    assert rates == ()


async def test_a_change_of_the_table_or_of_a_zone_holds_at_once(fulfillment: Fulfillment) -> None:
    before = await prices(fulfillment, region="NY")

    await fulfillment.save_method(method=replace(PARCEL, rates=(RateRow(amount=100),)))
    changed = await prices(fulfillment, region="NY")
    await fulfillment.save_method(method=PARCEL)
    await fulfillment.save_zone(zone=replace(FAR, places=(*FAR.places, "US-NY")))
    moved = await prices(fulfillment, region="NY")

    assert (before["parcel"], changed["parcel"], moved["parcel"]) == (590, 100, 2490)


async def test_a_table_that_cannot_be_evaluated_is_not_kept(fulfillment: Fulfillment) -> None:
    broken = replace(PARCEL, rates=(*PARCEL.rates, RateRow(weight="< a lot")))

    with pytest.raises(InvalidMethod) as refused:
        await fulfillment.save_method(method=broken)

    assert refused.value.pointer == "/rates/4/weight"
    assert (await fulfillment.method(code="parcel")).rates == PARCEL.rates


async def test_a_row_for_an_unknown_zone_is_refused(fulfillment: Fulfillment) -> None:
    with pytest.raises(InvalidMethod) as refused:
        await fulfillment.save_method(method=replace(PARCEL, rates=(RateRow(zone="moon"),)))

    assert refused.value.pointer == "/rates/0/zone"


async def test_what_somebody_else_has_changed_is_not_overwritten(fulfillment: Fulfillment) -> None:
    changed = await fulfillment.save_method(method=replace(PARCEL, position=7), expected=1)

    with pytest.raises(StaleMethod) as refused:
        await fulfillment.save_method(method=replace(PARCEL, position=8), expected=1)
    with pytest.raises(StaleZone):
        await fulfillment.save_zone(zone=replace(FAR, title="Far away"), expected=0)

    assert (changed.version, refused.value.version) == (2, 2)


async def test_what_would_not_change_keeps_its_version(fulfillment: Fulfillment) -> None:
    method = await fulfillment.save_method(method=PARCEL)
    zone = await fulfillment.save_zone(zone=FAR)

    assert (method.version, zone.version) == (1, 1)


async def test_a_retired_method_is_kept_but_not_offered(fulfillment: Fulfillment) -> None:
    first = await fulfillment.retire_method(code="parcel")
    again = await fulfillment.retire_method(code="parcel")

    assert first == again == await fulfillment.method(code="parcel")
    assert "parcel" not in await prices(fulfillment)
    with pytest.raises(UnknownMethod):
        await fulfillment.retire_method(code="pigeon")


async def test_methods_are_listed_by_position(fulfillment: Fulfillment) -> None:
    everywhere = await fulfillment.methods()
    in_europe = await fulfillment.methods(market=EU)

    assert [method.code for method in everywhere] == ["express", "parcel"]
    assert in_europe == ()


async def test_a_zone_goes_when_no_method_refers_to_it_any_more(fulfillment: Fulfillment) -> None:
    with pytest.raises(ZoneInUse) as refused:
        await fulfillment.remove_zone(code="far")
    await fulfillment.save_method(method=replace(PARCEL, rates=PARCEL.rates[1:]))
    await fulfillment.remove_zone(code="far")

    assert refused.value.method == "parcel"
    assert [zone.code for zone in await fulfillment.zones()] == ["states", "union"]
    with pytest.raises(UnknownZone):
        await fulfillment.zone(code="far")
    with pytest.raises(UnknownZone):
        await fulfillment.remove_zone(code="far")


async def test_a_merchant_can_try_which_row_decides(fulfillment: Fulfillment) -> None:
    await fulfillment.retire_method(code="parcel")

    trial = await fulfillment.try_method(
        code="parcel", country="US", region="HI", total=FIFTY, weight_grams=4000
    )
    heavy = await fulfillment.try_method(
        code="parcel", country="DE", total=FIFTY, weight_grams=40_000
    )

    assert (trial.zones, trial.row, trial.price) == (("far", "states"), 0, _dollars(2490))
    assert (heavy.zones, heavy.row, heavy.price) == (("union",), None, None)


async def test_the_table_is_told_as_a_decision_model(fulfillment: Fulfillment) -> None:
    told = await fulfillment.table(code="parcel")

    (table,) = [node for node in told["nodes"] if node["type"] == "decisionTableNode"]
    assert table["content"]["hitPolicy"] == "first"
    assert len(table["content"]["rules"]) == len(PARCEL.rates)
    with pytest.raises(UnknownMethod):
        await fulfillment.table(code="pigeon")


def _dollars(amount: int) -> Money:
    return Money(amount=amount, currency="USD")

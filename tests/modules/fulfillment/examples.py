"""A shop that sends parcels in two ways, as an example."""

from __future__ import annotations

from banyan.modules.fulfillment.contract import Fulfillment, RateRow, ShippingMethod, Zone
from banyan.vocabulary import Locale, MarketCode, Money

EU, US = MarketCode("eu"), MarketCode("us")
FIFTY = Money(amount=5000, currency="USD")

UNION = Zone(code="union", title="European Union", places=("AT", "DE", "FR"))
STATES = Zone(code="states", title="Contiguous states", places=("US",))
FAR = Zone(code="far", title="Alaska and Hawaii", places=("US-AK", "US-HI"))

PARCEL = ShippingMethod(
    code="parcel",
    market=US,
    title={Locale("en"): "Parcel", Locale("de"): "Paket"},
    rates=(
        RateRow(zone="far", weight="< 5000", amount=2490),
        RateRow(zone="states", total=">= 100", amount=0),
        RateRow(zone="states", weight="< 2000", amount=590),
        RateRow(zone="states", weight="[2000..10000)", amount=990),
    ),
)
EXPRESS = ShippingMethod(
    code="express",
    market=US,
    title={Locale("en"): "Express"},
    rates=(RateRow(weight="< 5000", amount=1990),),
    position=-1,
)


async def opened(fulfillment: Fulfillment) -> Fulfillment:
    """Describe the zones and methods to an empty shop."""
    for zone in (UNION, STATES, FAR):
        await fulfillment.save_zone(zone=zone)
    for method in (PARCEL, EXPRESS):
        await fulfillment.save_method(method=method)
    return fulfillment

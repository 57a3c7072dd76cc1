"""A small shop, as its modules would tell of it, and what search makes of that."""

from __future__ import annotations

from uuid import UUID

from msgspec.structs import replace

from banyan.kernel.database import Database
from banyan.kernel.event import Event
from banyan.kernel.testing import Bench
from banyan.modules.catalog.contract import (
    Attribute,
    AttributesChanged,
    CategoriesChanged,
    Category,
    Option,
    Picture,
    Product,
    ProductPublished,
    ProductRetired,
    ProductText,
    Variant,
)
from banyan.modules.inventory.contract import StockChanged, StockLevel
from banyan.modules.pricing.contract import Market, MarketChanged, Offer, PricesChanged
from banyan.modules.search.contract import Search
from banyan.modules.search.service import SearchService
from banyan.vocabulary import Locale, MarketCode, Money, ProductId, Sku

EN, DE = Locale("en"), Locale("de")
EU, US = MarketCode("eu"), MarketCode("us")
CURRENCIES = {EU: "EUR", US: "USD"}

EUROPE = Market(
    code=EU,
    title="Europe",
    currency="EUR",
    countries=("DE", "FR"),
    locales=(EN, DE),
    tax_inclusive=True,
    version=1,
)
STATES = Market(
    code=US,
    title="United States",
    currency="USD",
    countries=("US",),
    locales=(Locale("en-US"),),
    tax_inclusive=False,
    position=1,
    version=1,
)

HOME = Category(slug="home", title={EN: "Home", DE: "Zuhause"})
LAMPS = Category(slug="lamps", title={EN: "Lamps", DE: "Leuchten"}, parent="home", position=1)
CHAIRS = Category(slug="chairs", title={EN: "Chairs", DE: "Stühle"}, parent="home", position=2)

MATERIAL = Attribute(
    code="material",
    title={EN: "Material", DE: "Werkstoff"},
    kind="choice",
    choices=("Oak", "Steel"),
    words={DE: {"Oak": "Eiche"}},
    facet=True,
)
HEIGHT = Attribute(code="height", title={EN: "Height", DE: "Höhe"}, kind="number", unit="cm")


def product(number: int, title: str, category: str = "lamps", **options: str) -> Product:
    """Make a product with two variants, `<slug>-1` and `<slug>-2`."""
    slug = title.lower().replace(" ", "-")
    return Product(
        id=ProductId(UUID(int=number)),
        slug=slug,
        title=title,
        state="published",
        description=f"<p>The {title.lower()} is <b>handmade</b>.</p>",
        brand="Acme",
        categories=(category,),
        tags=("new",),
        attributes={"material": "Oak", "height": 40},
        options=(Option(name="Color", values=("Red", "Blue")),),
        variants=tuple(
            Variant(sku=Sku(f"{slug}-{place}"), options={"Color": color})
            for place, color in ((1, options.get("color", "Red")), (2, "Blue"))
        ),
        pictures=(Picture(url=f"/media/{slug}.svg", alt=title),),
        version=1,
    )


DESK_LAMP = replace(
    product(1, "Desk Lamp"),
    translations={
        DE: ProductText(
            title="Schreibtischlampe",
            description="<p>Von Hand</p>",
            words={
                "Color": "Farbe",
                "Red": "Rot",
                "Desk Lamp": "Eine Leuchte im Abendlicht",
            },
        )
    },
)
FLOOR_LAMP = replace(
    product(2, "Floor Lamp"), brand="Lumo", attributes={"material": "Steel", "height": 160}
)
CHAIR = product(3, "Wooden Chair", "chairs", color="Green")


def prices(version: int, **amounts: int | None) -> PricesChanged:
    """Say what SKUs cost in both markets; `desk_lamp_1=None` costs nothing anywhere any more."""
    named = {Sku(name.replace("_", "-")): amount for name, amount in amounts.items()}
    return PricesChanged(
        skus=tuple(named),
        offers=tuple(
            Offer(sku=sku, market=market, price=Money(amount=amount, currency=currency))
            for sku, amount in named.items()
            if amount is not None
            for market, currency in CURRENCIES.items()
        ),
        version=version,
    )


def stock(version: int, **available: int) -> StockChanged:
    """Say how many units of SKUs can be sold."""
    return StockChanged(
        levels=tuple(
            StockLevel(
                sku=Sku(name.replace("_", "-")), available=units, backorder=False, version=version
            )
            for name, units in available.items()
        )
    )


def retired(product: Product) -> ProductRetired:
    """Say that a product can no longer be seen."""
    return ProductRetired(
        product=product.id,
        slug=product.slug,
        skus=tuple(variant.sku for variant in product.variants),
        version=product.version + 1,
    )


TREE = CategoriesChanged(categories=(HOME, LAMPS, CHAIRS), version=1)
ATTRIBUTES = AttributesChanged(attributes=(MATERIAL, HEIGHT), version=1)
EVENTS: tuple[Event, ...] = (
    MarketChanged(market=EUROPE),
    MarketChanged(market=STATES),
    TREE,
    ATTRIBUTES,
    ProductPublished(product=DESK_LAMP),
    ProductPublished(product=FLOOR_LAMP),
    ProductPublished(product=CHAIR),
    prices(1, desk_lamp_1=4900, desk_lamp_2=5900, floor_lamp_1=12900, wooden_chair_1=8900),
    stock(1, desk_lamp_1=3, desk_lamp_2=0, floor_lamp_1=50, wooden_chair_1=0),
)


def database(shop: Bench) -> Database:
    """Look at the tables behind the answers."""
    return shop.app.rooms["search"].database


def service(shop: Bench) -> SearchService:
    """Reach what the contract does not offer."""
    found = shop.app.rooms["search"].services[Search]
    assert isinstance(found, SearchService)
    return found


async def documents(shop: Bench) -> list[tuple[object, ...]]:
    """Write down all that is read by shoppers."""
    rows = [
        *await database(shop).all("SELECT * FROM documents ORDER BY product"),
        *await database(shop).all("SELECT * FROM listings ORDER BY product, market"),
    ]
    return [tuple(row) for row in rows]

"""Products, categories and attributes that tests begin with."""

from __future__ import annotations

from uuid import UUID

from msgspec.structs import replace

from banyan.modules.catalog.contract import (
    Attribute,
    Category,
    Option,
    Picture,
    Product,
    ProductText,
    Variant,
)
from banyan.vocabulary import Locale, ProductId, Sku

EN, DE = Locale("en"), Locale("de")
NOBODY = ProductId(UUID(int=404))

CLOTHES = Category(slug="clothes", title={EN: "Clothes", DE: "Kleidung"})
SHIRTS = Category(slug="shirts", title={EN: "Shirts"}, parent="clothes")

MATERIAL = Attribute(
    code="material",
    title={EN: "Material"},
    kind="choice",
    choices=("cotton", "linen"),
)
GERMAN_MATERIAL = replace(MATERIAL, words={DE: {"cotton": "Baumwolle", "linen": "Leinen"}})

SHIRT = Product(
    id=ProductId(UUID(int=1)),
    slug="shirt",
    title="Shirt",
    description="<p>A plain shirt</p>",
    options=(Option(name="Size", values=("S", "M")),),
    variants=(
        Variant(sku=Sku("shirt-s"), options={"Size": "S"}),
        Variant(sku=Sku("shirt-m"), options={"Size": "M"}),
    ),
    pictures=(Picture(url="https://shop.example/shirt.jpg", alt="A shirt"),),
    translations={DE: ProductText(title="Hemd", description="<p>Ein Hemd</p>")},
)

GERMAN_SHIRT = replace(
    SHIRT,
    translations={
        DE: ProductText(title="Hemd", words={"Size": "Größe", "S": "klein", "A shirt": "Ein Hemd"})
    },
)
"""A shirt with words of its own in German: an option, a value of it, and a picture's."""


def product(number: int, *, skus: int = 1) -> Product:
    """Make one of many products that differ in everything that must differ."""
    sizes = tuple(str(size) for size in range(skus))
    return Product(
        id=ProductId(UUID(int=number)),
        slug=f"product-{number}",
        title=f"Product {number}",
        options=(Option(name="Size", values=sizes),),
        variants=tuple(
            Variant(sku=Sku(f"{number}-{size}"), options={"Size": size}) for size in sizes
        ),
    )

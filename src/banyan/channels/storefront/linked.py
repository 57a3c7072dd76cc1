"""What search engines are told about a product, in the words of schema.org (JSON-LD)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urljoin

import msgspec
from markupsafe import Markup

from banyan.modules.search.contract import ProductPage, VariantOffer

IN_STOCK = "https://schema.org/InStock"
SOLD_OUT = "https://schema.org/OutOfStock"


def product_data(product: ProductPage, base: str, home: str) -> str:
    """Describe a product, its offers and the way to it, to be put into a script element."""
    address = f"{base}{home}/products/{product.slug}"
    offered = [one for one in product.variants if one.price]
    graph: list[dict[str, Any]] = [
        {
            "@type": "Product",
            "@id": f"{address}#product",
            "name": product.title,
            "description": Markup(product.description).striptags(),  # noqa: S704 - it leaves text
            "image": [urljoin(base, picture.url) for picture in product.pictures],
            **({"brand": {"@type": "Brand", "name": product.brand}} if product.brand else {}),
            "offers": [_offer(one, address) for one in offered],
        },
        {
            "@type": "BreadcrumbList",
            "itemListElement": [
                {
                    "@type": "ListItem",
                    "position": place,
                    "name": crumb.title,
                    "item": f"{base}{home}/categories/{crumb.slug}",
                }
                for place, crumb in enumerate(product.categories, start=1)
            ],
        },
    ]
    told = msgspec.json.encode({"@context": "https://schema.org", "@graph": graph}).decode()
    # Within a script element, HTML ends it at the first `</script`, whatever JSON says.
    return told.replace("<", "\\u003c")


def _offer(variant: VariantOffer, address: str) -> dict[str, Any]:
    assert variant.price
    return {
        "@type": "Offer",
        "sku": variant.sku,
        "url": f"{address}?sku={variant.sku}",
        "price": str(variant.price.major()),
        "priceCurrency": variant.price.currency,
        "availability": IN_STOCK if variant.available else SOLD_OUT,
    }

"""What others have told of markets, goods and prices: one function, one statement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from banyan.kernel.transaction import Transaction
from banyan.modules.catalog.contract import Product
from banyan.modules.pricing.contract import Market, Offer
from banyan.vocabulary import Locale, ProductId, Sku


async def save_terms(tx: Transaction, market: Market) -> None:
    """Note what a market is like now, unless something newer is known."""
    await tx.execute(
        "INSERT INTO markets (code, currency, tax_inclusive, locales, position, open, version) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (code) DO UPDATE SET "
        "currency = excluded.currency, tax_inclusive = excluded.tax_inclusive, "
        "locales = excluded.locales, position = excluded.position, open = excluded.open, "
        "version = excluded.version WHERE markets.version < excluded.version",
        market.code,
        market.currency,
        market.tax_inclusive,
        list(market.locales),
        market.position,
        market.open,
        market.version,
    )


async def save_goods(tx: Transaction, products: Sequence[Product]) -> None:
    """Note what products are like now, unless something newer is known."""
    await tx.execute(
        "INSERT INTO goods (sku, options, weight_grams, product, slug, title, words, image, "
        "version, for_sale) SELECT DISTINCT ON (sku) *, true FROM jsonb_to_recordset($1) "
        "AS told (sku text, options jsonb, weight_grams bigint, product uuid, slug text, "
        "title text, words jsonb, image text, version bigint) ORDER BY sku, version DESC "
        "ON CONFLICT (sku) DO UPDATE SET product = excluded.product, slug = excluded.slug, "
        "title = excluded.title, words = excluded.words, image = excluded.image, "
        "options = excluded.options, weight_grams = excluded.weight_grams, "
        "for_sale = excluded.for_sale, version = excluded.version "
        "WHERE goods.version < excluded.version",
        [one for product in products for one in _goods(product)],
    )


async def retire_others(tx: Transaction, products: Sequence[Product]) -> None:
    """Sell no more of what products no longer have, unless something newer is known of it."""
    await tx.execute(
        "UPDATE goods SET for_sale = false, version = newest.version "
        "FROM (SELECT DISTINCT ON (product) * FROM jsonb_to_recordset($1) "
        "AS told (product uuid, version bigint, skus text[]) ORDER BY product, version DESC) "
        "AS newest WHERE goods.product = newest.product AND goods.version < newest.version "
        "AND sku <> ALL(skus)",
        [
            {
                "product": product.id,
                "version": product.version,
                "skus": [variant.sku for variant in product.variants],
            }
            for product in products
        ],
    )


async def retire_goods(tx: Transaction, product: ProductId, version: int) -> None:
    """Sell no more of a product, unless something newer is known."""
    await tx.execute(
        "UPDATE goods SET for_sale = false, version = $2 WHERE product = $1 AND version < $2",
        product,
        version,
    )


async def bury_goods(
    tx: Transaction, product: ProductId, slug: str, skus: Sequence[Sku], version: int
) -> None:
    """Note SKUs that were never heard of as not for sale, so that late news cannot revive them."""
    await tx.execute(
        "INSERT INTO goods (sku, product, slug, title, words, image, options, weight_grams, "
        "for_sale, version) SELECT sku, $1, $2, '', '{}', '', '{}', 0, false, $3 "
        "FROM unnest($4::text[]) AS sku ON CONFLICT DO NOTHING",
        product,
        slug,
        version,
        skus,
    )


async def save_offers(
    tx: Transaction, skus: Sequence[Sku], offers: Sequence[Offer], version: int
) -> None:
    """Note what SKUs cost now in every market, unless something newer is known."""
    prices: dict[Sku, dict[str, int]] = {sku: {} for sku in skus}
    for offer in offers:
        prices[offer.sku][offer.market] = offer.price.amount
    await tx.execute(
        "INSERT INTO offers (sku, prices, version) "
        "SELECT sku, prices, $3 FROM unnest($1::text[], $2::jsonb[]) AS told (sku, prices) "
        "ORDER BY sku ON CONFLICT (sku) DO UPDATE SET prices = excluded.prices, "
        "version = excluded.version WHERE offers.version < excluded.version",
        list(prices),
        list(prices.values()),
        version,
    )


def _goods(product: Product) -> Iterator[dict[str, object]]:
    """Say of each variant of a product what lines of carts show and checkouts must know."""
    image = product.pictures[0].url if product.pictures else ""
    words = _words(product)
    for variant in product.variants:
        yield {
            "sku": variant.sku,
            "options": variant.options,
            "weight_grams": variant.weight_grams,
            "product": product.id,
            "slug": product.slug,
            "title": product.title,
            "words": words,
            "image": image,
            "version": product.version,
        }


def _words(product: Product) -> dict[Locale, dict[str, str]]:
    """Take from translations what lines of carts show: options, and under '' the title."""
    shown = {text for one in product.variants for pair in one.options.items() for text in pair}
    return {
        locale: {
            word: said
            for word, said in (text.words | {"": text.title}).items()
            if said and word in {"", *shown}
        }
        for locale, text in product.translations.items()
    }

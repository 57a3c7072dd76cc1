"""Reading what is shown beside lists: a product, the tree of categories, suggestions."""

from __future__ import annotations

from collections.abc import Sequence

from banyan.kernel.database import convert
from banyan.kernel.transaction import Record, Statements
from banyan.modules.search.contract import CategoryShown, Suggestion, Told
from banyan.modules.search.store.cards import ALWAYS, BRANCH, BRANCHES, TOLD
from banyan.modules.search.store.documents import SELLABLE
from banyan.modules.search.store.visits import VISIT
from banyan.modules.search.store.words import BEST

# Variants are looked up one by one: nobody knows ahead how few they are.
VARIANTS = f"""
    SELECT json_agg(json_build_object(
        'sku', named.sku, 'options', (
            SELECT coalesce(json_object_agg(
                translated(key, vocabulary), translated(value, vocabulary)), '{{}}')
            FROM jsonb_each_text(variant -> 'options')),
        'price', CASE WHEN offers.amount IS NOT NULL THEN
            json_build_object('amount', offers.amount, 'currency', offers.currency) END,
        'compare_at', CASE WHEN offers.compare_at IS NOT NULL THEN
            json_build_object('amount', offers.compare_at, 'currency', offers.currency) END,
        'available', offers.amount IS NOT NULL AND {SELLABLE},
        'left', CASE WHEN offers.amount IS NOT NULL AND NOT backorder
            AND stock.available BETWEEN 1 AND $4 THEN stock.available END) ORDER BY place)
    FROM jsonb_array_elements(told -> 'variants') WITH ORDINALITY AS variants (variant, place)
    CROSS JOIN LATERAL (SELECT variant ->> 'sku' AS sku) AS named
    LEFT JOIN LATERAL (
        SELECT * FROM offers WHERE sku = named.sku AND market = visit.market LIMIT 1
    ) AS offers ON true
    LEFT JOIN LATERAL (SELECT * FROM stock WHERE sku = named.sku LIMIT 1) AS stock ON true"""

OPTIONS = """
    SELECT json_agg(json_build_object('name', translated(option ->> 'name', vocabulary),
        'values', (
            SELECT json_agg(translated(value, vocabulary) ORDER BY rank)
            FROM jsonb_array_elements_text(option -> 'values')
                WITH ORDINALITY AS picks (value, rank)
        )) ORDER BY place)
    FROM jsonb_array_elements(told -> 'options') WITH ORDINALITY AS options (option, place)"""

PICTURES = """
    SELECT json_agg(json_build_object('url', picture ->> 'url',
        'alt', translated(picture ->> 'alt', vocabulary)) ORDER BY place)
    FROM jsonb_array_elements(told -> 'pictures') WITH ORDINALITY AS pictures (picture, place)"""

# A choice is called what its attribute says, a text what the product says.
ATTRIBUTES = """
    SELECT json_agg(json_build_object('code', code, 'unit', unit,
        'value', coalesce(to_jsonb(coalesce(
            vocabulary(glossary, locale) ->> (value #>> '{}'),
            vocabulary ->> (value #>> '{}'))), value),
        'title', coalesce(worded(title, locale), worded(title, main), code)) ORDER BY code)
    FROM jsonb_each(told -> 'attributes') JOIN attributes ON code = key"""

CATEGORIES = """
    SELECT json_agg(json_build_object('slug', slug,
        'title', coalesce(worded(title, locale), worded(title, main), slug)) ORDER BY place)
    FROM unnest((SELECT path FROM categories WHERE slug = told #>> '{categories,0}'))
        WITH ORDINALITY AS steps (slug, place)
    JOIN categories USING (slug)"""

PAGE = f"""{VISIT}
    SELECT product::text AS id, coalesce(visit.market, '') AS market,
        coalesce(locale, '') AS locale, coalesce(tax_inclusive, false) AS tax_inclusive,
        told ->> 'slug' AS slug, told ->> 'brand' AS brand,
        told -> 'tags' AS tags,
        coalesce(worded(titles, locale), titles ->> '') AS title,
        coalesce(worded((SELECT jsonb_object_agg(key, value -> 'description')
            FROM jsonb_each(told -> 'translations')), locale), told ->> 'description')
            AS description,
        CASE WHEN amount IS NOT NULL THEN
            json_build_object('amount', amount, 'currency', listings.currency) END AS price,
        coalesce(available, false) AS available,
        coalesce(({VARIANTS}), '[]') AS variants,
        coalesce(({OPTIONS}), '[]') AS options,
        coalesce(({PICTURES}), '[]') AS pictures,
        coalesce(({ATTRIBUTES}), '[]') AS attributes,
        coalesce(({CATEGORIES}), '[]') AS categories
    FROM (SELECT) AS always LEFT JOIN visit ON true
    LEFT JOIN (documents JOIN products ON id = product) ON documents.slug = $3
    LEFT JOIN listings USING (product, market)
    LEFT JOIN LATERAL (
        SELECT vocabulary(jsonb_object_agg(key, value -> 'words'), locale) AS vocabulary
        FROM jsonb_each(told -> 'translations')) AS spoken ON true
    ORDER BY product DESC LIMIT 1"""


async def product_page(
    db: Statements, market: str | None, wishes: Sequence[str], slug: str, *, few: int
) -> Record:
    """Read all that a page shows; `id` is null when there is no such product."""
    row = await db.one(PAGE, market, wishes, slug, few)
    assert row, "one row always stands there"
    return row


TREE = f"""{VISIT}{BRANCHES}, items AS (
        SELECT {BRANCH} FROM branches ORDER BY position
    ){TOLD}{ALWAYS}"""


async def categories(
    db: Statements, market: str | None, wishes: Sequence[str]
) -> Told[CategoryShown]:
    """Read the tree, each category with how many products it and those below it have."""
    row = await db.one(TREE, market, wishes)
    assert row, "one row always stands there"
    return convert(row, Told[CategoryShown])


# A title that begins as it is typed comes first; of equals, the category that holds them all.
SUGGESTIONS = f"""{VISIT}{BEST}, shelves AS (
        SELECT slug, coalesce(worded(title, locale), worded(title, main), slug) AS title
        FROM categories, visit
    ), suggested AS (
        SELECT 'category' AS kind, slug, title, NULL::bigint AS rank FROM shelves
        WHERE (SELECT count(DISTINCT word) FROM meant
            WHERE ' ' || unaccent(spell(title)) || ' ' LIKE part)
            = (SELECT nullif(count(*), 0) FROM read)
        UNION ALL
        SELECT 'product', slug, coalesce(worded(titles, locale), titles ->> ''), rank
        FROM found, visit
    ), items AS (
        SELECT kind, slug, title FROM suggested
        ORDER BY starts_with(unaccent(spell(title)), unaccent(spell($3))) DESC,
            rank DESC NULLS FIRST, title, slug
        LIMIT $4
    ){TOLD}{ALWAYS}"""


async def suggestions(
    db: Statements, market: str | None, wishes: Sequence[str], q: str, limit: int
) -> Told[Suggestion]:
    """Find what somebody may mean who types."""
    row = await db.one(SUGGESTIONS, market, wishes, q, limit)
    assert row, "one row always stands there"
    return convert(row, Told[Suggestion])

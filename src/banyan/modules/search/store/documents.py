"""The documents that lists and pages are read from, made anew from the facts they follow from.

What a document is stands here once, as two queries over the facts. Events, rebuild and audit all
use them, so they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import UUID

from banyan.kernel.transaction import Statements, Transaction
from banyan.modules.search.store.tallies import DOCUMENTS_TALLIED, LISTINGS_TALLIED

MOST_AT_ONCE = 500

SELLABLE = "coalesce(stock.available > 0 OR stock.backorder, false)"

# 40.0 is a number that people write as 40.
VALUE = """
    CASE jsonb_typeof(value)
        WHEN 'number' THEN trim_scale((value #>> '{}')::numeric)::text
        ELSE value #>> '{}'
    END"""

# By language; the product's own title goes without one.
TITLES = """
    SELECT jsonb_object_agg(locale, title) AS titles,
        jsonb_object_agg(locale, unaccent(spell(title))) AS sort_keys
    FROM (
        SELECT '', told ->> 'title'
        UNION ALL
        SELECT key, value ->> 'title' FROM jsonb_each(told -> 'translations')
    ) AS said (locale, title)
    WHERE title <> ''"""

OPTION_CODE = "btrim(replace(spell(option.key), ' ', '-'), '-')"

FACETS = f"""
    SELECT array_agg(token ORDER BY token) AS facets, array_agg(label ORDER BY token) AS labels
    FROM (
        SELECT concat_ws(':', code, lower(btrim(value))) AS token, min(btrim(label)) AS label
        FROM (
            SELECT 'brand', true, told ->> 'brand', told ->> 'brand'
            UNION ALL
            SELECT 'category', true, place, place FROM categories, unnest(path) AS place
            WHERE slug = ANY (products.categories)
            UNION ALL
            SELECT code, false, {VALUE}, {VALUE} FROM jsonb_each(told -> 'attributes')
            JOIN attributes ON code = key AND facet
            UNION ALL
            SELECT {OPTION_CODE}, false, said.value, said.label
            FROM jsonb_array_elements(told -> 'variants') AS variant,
                jsonb_each_text(variant -> 'options') AS option,
                LATERAL (VALUES (option.value, option.value), (NULL, option.key))
                    AS said (value, label)
        ) AS said (code, ours, value, label)
        WHERE length(btrim(label)) BETWEEN 1 AND 255
            AND (ours OR code NOT IN ('', 'available', 'brand', 'category', 'price'))
        GROUP BY token
    ) AS tokens"""

# What the labels of facets and the first picture are in other languages.
GLOSSARY = """
    SELECT coalesce(jsonb_object_agg(locale, words), '{}') AS glossary
    FROM (
        SELECT locale, jsonb_object_agg(btrim(word), said) AS words
        FROM jsonb_each(told -> 'translations') AS translations (locale, translation),
            jsonb_each_text(translation -> 'words') AS words (word, said)
        WHERE btrim(word) = ANY (labels) OR word = told #>> '{pictures,0,alt}'
        GROUP BY locale
    ) AS known"""

# How much of each description is read: less of each in many languages.
ROOM = "200000 / (10 + cardinality(ARRAY(SELECT jsonb_object_keys(told -> 'translations'))))"

# The words of options and attributes, and of no picture: its own are not searched either.
SAID_ELSEWHERE = """
    SELECT locale, said
    FROM jsonb_each(told -> 'translations') AS translations (locale, translation),
        jsonb_each_text(translation -> 'words') AS words (word, said)
    WHERE NOT jsonb_path_exists(told, '$.pictures[*].alt ? (@ == $word)',
        jsonb_build_object('word', word))
    UNION ALL
    SELECT locale, words ->> value FROM jsonb_each_text(told -> 'attributes')
    JOIN attributes ON code = key, jsonb_each(glossary) AS glossaries (locale, words)
    WHERE words ? value"""

# Words of no language belong to every language of the shop, and what queries are compared to is
# there as it is spelled, too. A title weighs more than a tag. A description is HTML, whose tags the
# dictionaries leave out; only its first pages are read, because a tsvector holds a megabyte.
WORDS = f"""
    SELECT coalesce(joined(CASE spoken
            WHEN '' THEN strip(to_tsvector('pg_catalog.simple', unaccent(said.words)))
            ELSE setweight(to_tsvector(dictionary(spoken), said.words), said.weight)
        END ORDER BY spoken, said.weight, said.words), '') AS words,
        ' ' || coalesce(unaccent(string_agg(DISTINCT said.words, ' ')
            FILTER (WHERE compared)), '') || ' ' AS spelled
    FROM unnest(ARRAY[''] || shop.languages
        || CASE shop.languages WHEN '{{}}' THEN ARRAY['und'] END) AS spoken
    JOIN (
        SELECT 'A'::"char", '', true, spell(told ->> 'title')
        UNION ALL
        SELECT 'A', key, true, spell(value ->> 'title') FROM jsonb_each(told -> 'translations')
        UNION ALL
        SELECT 'B', '', true, spell(told ->> 'brand')
        UNION ALL
        SELECT 'B', '', false, spell(string_agg(sku, ' ')) FROM unnest(skus) AS sku
        UNION ALL
        SELECT 'B', key, true, spell(value) FROM categories, jsonb_each_text(title)
        WHERE 'category:' || slug = ANY (facets)
        UNION ALL
        SELECT 'C', '', true, spell(tag) FROM jsonb_array_elements_text(told -> 'tags') AS tag
        UNION ALL
        SELECT 'C', '', false, spell({VALUE}) FROM jsonb_each(told -> 'attributes')
        UNION ALL
        SELECT DISTINCT 'C'::"char", '', false, spell(option.value)
        FROM jsonb_array_elements(told -> 'variants') AS variant,
            jsonb_each_text(variant -> 'options') AS option
        UNION ALL
        SELECT 'C', locale, false, left(spell(string_agg(said, ' ' ORDER BY said)), {ROOM})
        FROM ({SAID_ELSEWHERE}) AS elsewhere (locale, said) GROUP BY locale
        UNION ALL
        SELECT 'D', '', false, left(told ->> 'description', {ROOM})
        UNION ALL
        SELECT 'D', key, false, left(value ->> 'description', {ROOM})
        FROM jsonb_each(told -> 'translations')
    ) AS said (weight, locale, compared, words)
    ON CASE spoken WHEN '' THEN compared
        ELSE said.locale = '' OR split_part(said.locale, '-', 1) = spoken END"""

SHOP = """
    SELECT coalesce(array_agg(DISTINCT split_part(locale, '-', 1)), '{}') AS languages
    FROM markets, unnest(locales) AS locale"""

DOCUMENTS = f"""
    SELECT id AS product, told ->> 'slug' AS slug, titles, sort_keys,
        coalesce(told #>> '{{pictures,0,url}}', '') AS image,
        coalesce(told #>> '{{pictures,0,alt}}', '') AS image_alt,
        told ->> 'brand' AS brand, coalesce(told #>> '{{categories,0}}', '') AS category,
        coalesce(facets, '{{}}') AS facets, coalesce(labels, '{{}}') AS labels, glossary,
        languages, words, spelled, changed
    FROM products, LATERAL ({TITLES}) AS titled, LATERAL ({SHOP}) AS shop,
        LATERAL ({FACETS}) AS narrowed, LATERAL ({GLOSSARY}) AS known, LATERAL ({WORDS}) AS spoken
    WHERE told IS NOT NULL"""

LISTINGS = f"""
    SELECT market, id AS product, min(amount) AS amount,
        (array_agg(compare_at ORDER BY amount, sku))[1] AS compare_at, min(currency) AS currency,
        min(amount) < max(amount) AS varies, bool_or({SELLABLE}) AS available
    FROM products CROSS JOIN unnest(skus) AS sku JOIN offers USING (sku) LEFT JOIN stock USING (sku)
    WHERE told IS NOT NULL
    GROUP BY market, id"""

DOCUMENT = (
    "product, slug, titles, sort_keys, image, image_alt, brand, category, facets, labels, "
    "glossary, languages, words, spelled, changed"
)
LISTING = "market, product, amount, compare_at, currency, varies, available"

# Rows that would stay as they are, are not written: no index is touched for nothing.
REPLACE_DOCUMENT = """
    ON CONFLICT (product) DO UPDATE SET slug = excluded.slug, titles = excluded.titles,
        sort_keys = excluded.sort_keys, image = excluded.image, image_alt = excluded.image_alt,
        brand = excluded.brand, category = excluded.category, facets = excluded.facets,
        labels = excluded.labels, glossary = excluded.glossary, languages = excluded.languages,
        words = excluded.words, spelled = excluded.spelled,
        changed = excluded.changed
    WHERE documents IS DISTINCT FROM excluded"""
REPLACE_LISTING = """
    ON CONFLICT (product, market) DO UPDATE SET amount = excluded.amount,
        compare_at = excluded.compare_at, currency = excluded.currency, varies = excluded.varies,
        available = excluded.available
    WHERE listings IS DISTINCT FROM excluded"""

# What misspelt words are compared to. A word that no document has any more stays until the next
# rebuild: it leads to nothing.
SPELLINGS = """
    INSERT INTO spellings SELECT spelling
    FROM (SELECT DISTINCT unnest(string_to_array(spelled, ' ')) AS spelling FROM document) AS said
    WHERE length(spelling) > 2 AND spelling !~ '[0-9]'
    ON CONFLICT DO NOTHING"""


async def refresh(tx: Transaction, products: Sequence[UUID]) -> None:
    """Make documents and listings of products anew; those of retired ones go.

    Shadows of them were made of older facts, and are given up.
    """
    for some in _parts(products):
        tx.changed()
        await tx.execute(
            "WITH given_up AS (DELETE FROM shadow_documents WHERE product = ANY($1)), "
            f"document AS (SELECT {DOCUMENT} FROM ({DOCUMENTS}) AS made WHERE product = ANY($1)), "
            f"listing AS (SELECT {LISTING} FROM ({LISTINGS}) AS made WHERE product = ANY($1)), "
            "gone AS (DELETE FROM documents WHERE product = ANY($1) "
            "AND product NOT IN (SELECT product FROM document)), "
            "unlisted AS (DELETE FROM listings WHERE product = ANY($1) "
            "AND (product, market) NOT IN (SELECT product, market FROM listing)), "
            f"spelled AS ({SPELLINGS}), "
            f"tallied AS ({DOCUMENTS_TALLIED}), "
            f"replaced AS (INSERT INTO documents ({DOCUMENT}) SELECT {DOCUMENT} FROM document "
            f"{REPLACE_DOCUMENT}) "
            f"INSERT INTO listings ({LISTING}) SELECT {LISTING} FROM listing {REPLACE_LISTING}",
            some,
        )


async def refresh_listings(tx: Transaction, products: Sequence[UUID]) -> None:
    """Make the listings of products anew, in all markets; their documents stay as they are."""
    for some in _parts(products):
        replaced = await tx.value(
            "WITH given_up AS (DELETE FROM shadow_documents WHERE product = ANY($1)), "
            f"listing AS (SELECT {LISTING} FROM ({LISTINGS}) AS made WHERE product = ANY($1)), "
            "unlisted AS (DELETE FROM listings WHERE product = ANY($1) AND (product, market) "
            "NOT IN (SELECT product, market FROM listing) RETURNING product), "
            f"tallied AS ({LISTINGS_TALLIED}), "
            f"listed AS (INSERT INTO listings ({LISTING}) SELECT {LISTING} FROM listing "
            f"{REPLACE_LISTING} RETURNING product) "
            "SELECT EXISTS (SELECT FROM unlisted UNION ALL SELECT FROM listed)",
            some,
        )
        if replaced:
            tx.changed()


def _parts(products: Sequence[UUID]) -> Iterator[Sequence[UUID]]:
    """Divide what may be the whole shop into what one statement makes without much memory."""
    return (products[at : at + MOST_AT_ONCE] for at in range(0, len(products), MOST_AT_ONCE))


async def in_other_languages(tx: Transaction) -> list[UUID]:
    """Find the documents that were made when the shop spoke other languages."""
    rows = await tx.all(
        f"SELECT product FROM documents WHERE languages <> (SELECT languages FROM ({SHOP}) AS shop)"
    )
    return [row["product"] for row in rows]


async def drifted(db: Statements) -> dict[UUID, str]:
    """Find documents that are not what the facts say, with what is wrong about each."""
    rows = await db.all(
        f"SELECT product, 'its document' AS what FROM ("
        f"(SELECT {DOCUMENT} FROM ({DOCUMENTS}) AS made EXCEPT SELECT {DOCUMENT} FROM documents) "
        f"UNION ALL "
        f"(SELECT {DOCUMENT} FROM documents EXCEPT SELECT {DOCUMENT} FROM ({DOCUMENTS}) AS made)"
        f") AS documents UNION SELECT product, 'its price or stock in ' || market FROM ("
        f"(SELECT {LISTING} FROM ({LISTINGS}) AS made EXCEPT SELECT {LISTING} FROM listings) "
        f"UNION ALL "
        f"(SELECT {LISTING} FROM listings EXCEPT SELECT {LISTING} FROM ({LISTINGS}) AS made)"
        f") AS listings ORDER BY product"
    )
    return {
        row["product"]: f"product {row['product']}: {row['what']} is not what was told"
        for row in rows
    }

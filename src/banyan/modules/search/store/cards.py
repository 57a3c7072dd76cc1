"""How products and categories are shown on lists, as parts of what somebody asks for."""

from __future__ import annotations

# What a card is made of, from listings and documents, for a visit.
WRITTEN = "slug, image, image_alt, brand, category, facets, labels, glossary"
SAID = """
    visit.locale, coalesce(worded(titles, visit.locale), titles ->> '') AS title,
    coalesce(worded(sort_keys, visit.locale), sort_keys ->> '') AS sort_key"""
SHOWN = f"listings.*, {WRITTEN}, {SAID}"

CARD = """
    SELECT slug, title, image,
        translated(btrim(image_alt), vocabulary(glossary, locale)) AS image_alt,
        brand, category, available, varies AS price_varies,
        json_build_object('amount', amount, 'currency', currency) AS price,
        CASE WHEN compare_at IS NOT NULL THEN
            json_build_object('amount', compare_at, 'currency', currency) END AS compare_at"""

# A category looks like the newest of its products, of which the first few are looked at.
BRANCHES = """, branches AS NOT MATERIALIZED (
        SELECT slug, path, position, path[cardinality(path) - 1] AS parent,
            coalesce((
                SELECT products FROM tallies
                WHERE tallies.market = visit.market AND place = 'category:' || slug AND token = ''
            ), 0) AS count,
            coalesce(worded(title, locale), worded(title, main), slug) AS title,
            coalesce((
                SELECT image FROM (
                    SELECT product FROM places WHERE place = 'category:' || slug
                    ORDER BY product DESC LIMIT 20) AS newest
                JOIN documents USING (product)
                WHERE image <> '' ORDER BY product DESC LIMIT 1), '') AS image
        FROM categories LEFT JOIN visit ON true
    )"""
BRANCH = "slug, title, parent, count, image"

# What is told in a market and a language, as one row that is always there.
TOLD = """
    SELECT coalesce(visit.market, '') AS market, coalesce(visit.locale, '') AS locale,
        coalesce(visit.tax_inclusive, false) AS tax_inclusive,
        (SELECT coalesce(json_agg(item), '[]') FROM items AS item) AS items"""
ALWAYS = " FROM (SELECT) AS always LEFT JOIN visit ON true"

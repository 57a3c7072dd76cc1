"""Reading a list: one statement finds the market, the products, and what narrows them down."""

from __future__ import annotations

from typing import NamedTuple

from banyan.kernel.database import convert
from banyan.kernel.transaction import Statements
from banyan.modules.search.contract import Sort
from banyan.modules.search.model import Asked, Listed
from banyan.modules.search.store.cards import BRANCH, BRANCHES, CARD, SAID, SHOWN
from banyan.modules.search.store.visits import VISIT
from banyan.modules.search.store.words import BEST, BEST_HERE, FOUND

# Of the values that were chosen of a facet ($5), one must hold.
CHOSEN = """, chosen AS MATERIALIZED (
        SELECT code, choices, CASE code WHEN 'price' THEN
            ('{' || array_to_string(choices, ',') || '}')::int8multirange END AS amounts
        FROM jsonb_to_recordset($5::jsonb) AS chosen (code text, choices text[])
    )"""
HOLDS = """
    CASE code
        WHEN 'price' THEN amounts @> amount
        WHEN 'available' THEN available::text = ANY (choices)
        ELSE facets && choices
    END"""

ALL = f""", scope AS NOT MATERIALIZED (
        SELECT {SHOWN} FROM visit, listings JOIN documents USING (product)
        WHERE listings.market = (SELECT market FROM visit) AND $3::text = ''"""
FOUND_ONLY = f""", scope AS NOT MATERIALIZED (
        SELECT {SHOWN}, rank
        FROM visit, found JOIN listings USING (product) JOIN documents USING (product)
        WHERE listings.market = (SELECT market FROM visit)"""
# The best were read already: what they cost is looked up once.
BEST_ONLY = f""", listed AS MATERIALIZED (
        SELECT * FROM found JOIN listings USING (product)
        WHERE market = (SELECT market FROM visit)
    ), scope AS NOT MATERIALIZED (
        SELECT listed.*, {SAID} FROM visit, listed WHERE $3::text <> ''"""
UNCUT = ", cut AS (SELECT false AS more)"
ANYWHERE = "AND $4::text IS NULL)"
IN_CATEGORY = "AND facets @> ARRAY['category:' || $4::text])"
# The newest of a category are read in their order, as many as a page has.
AT_PLACE = f""", scope AS NOT MATERIALIZED (
        SELECT {SHOWN}
        FROM visit, places JOIN listings USING (product) JOIN documents USING (product)
        WHERE listings.market = (SELECT market FROM visit) AND $3::text = ''
            AND place = 'category:' || $4::text)"""

ITEMS = ", items AS (SELECT scope.*,"
UNCHOSEN = "AS key FROM scope WHERE $6::text[] = '{}'"
# $6 are the values that all must hold: an index leads to them, where `chosen` only looks at rows.
CHOSEN_ONLY = f"""AS key FROM scope
        WHERE facets @> $6::text[] AND NOT EXISTS (SELECT FROM chosen WHERE NOT {HOLDS})"""


class Order(NamedTuple):
    """An order of a list: by which key, what follows a place ($7, $8), and how it is sorted."""

    key: str
    after: str
    by: str


FIRST = "AND $7::text IS NULL AND $8::uuid IS NULL"
ORDERS: dict[Sort, Order] = {
    "relevance": Order(
        "rank", "(rank, product) < ($7::text::bigint, $8::uuid)", "rank DESC, product DESC"
    ),
    "newest": Order("''", "$7::text = '' AND product < $8::uuid", "product DESC"),
    "price": Order("amount", "(amount, product) > ($7::text::bigint, $8::uuid)", "amount, product"),
    "-price": Order(
        "amount", "(amount, product) < ($7::text::bigint, $8::uuid)", "amount DESC, product DESC"
    ),
    "title": Order("sort_key", "(sort_key, product) > ($7::text, $8::uuid)", "sort_key, product"),
}

# In which words labels are told: looked up once for each product, not for each of its labels.
VOCABULARY = "vocabulary(glossary, locale) AS vocabulary"

# A value is counted among the products that would be listed if nothing were chosen of its facet:
# those that miss nothing, or nothing but that. Of '' all products that are looked at have one.
TOKENS = """
        SELECT unnest(facets
            || ARRAY['available:' || available, 'price:' || price_step(amount), '']) AS token,
            unnest(labels) AS label, vocabulary"""
COUNT = """
    token, min(label) AS label, min(vocabulary ->> label) AS said, count(*) AS count"""
COUNTED = f"""), counted AS (
        SELECT {COUNT}, count(*) AS listed
        FROM ({TOKENS} FROM (
            SELECT scope.*, {VOCABULARY} FROM scope LIMIT $10) AS sample) AS facet
        GROUP BY token
    )"""
# Where nothing was chosen or typed, all is counted already.
TALLIED = """), counted AS (
        SELECT token, min(label) AS label, min(worded(said, locale)) AS said,
            sum(products)::bigint AS count, sum(products)::bigint AS listed
        FROM visit JOIN tallies USING (market)
        WHERE place = coalesce('category:' || $4::text, '') AND products > 0
        GROUP BY token
    )"""
COUNTED_CHOSEN = f"""), counted AS (
        SELECT {COUNT}, count(*) FILTER (WHERE missed = '{{}}') AS listed
        FROM ({TOKENS}, missed FROM (
            SELECT scope.*, {VOCABULARY}, ARRAY(SELECT code FROM chosen WHERE NOT {HOLDS}) AS missed
            FROM scope LIMIT $10) AS sample) AS facet
        WHERE missed = '{{}}' OR missed = ARRAY[split_part(token, ':', 1)] OR token = ''
        GROUP BY token
    )"""
HEAD = f"""
    SELECT slug, title, coalesce((
            SELECT json_agg(json_build_object('slug', above.slug, 'title', above.title)
                ORDER BY position)
            FROM branches AS above
            WHERE above.slug = ANY (here.path) AND above.slug <> here.slug), '[]') AS crumbs,
        coalesce((
            SELECT json_agg((SELECT to_json(branch) FROM (SELECT {BRANCH}) AS branch)
                ORDER BY position)
            FROM branches AS below WHERE below.parent = here.slug), '[]') AS children
    FROM branches AS here WHERE slug = $4::text"""
ANSWER = f"""
    SELECT visit.market, visit.locale, visit.currency, visit.tax_inclusive,
        (SELECT to_json(head) FROM ({HEAD}) AS head) AS category,
        (SELECT coalesce(json_agg(json_build_object(
            'key', key::text, 'product', product, 'card', card)), '[]')
        FROM items CROSS JOIN LATERAL ({CARD}) AS card) AS hits,
        (SELECT coalesce(json_agg(json_build_object(
            'code', split_part(token, ':', 1), 'value', substr(token, strpos(token, ':') + 1),
            'label', coalesce(
                worded(categories.title, visit.locale), worded(categories.title, visit.main), slug,
                vocabulary(glossary, visit.locale) ->> label,
                CASE WHEN token NOT LIKE 'brand:%' THEN said END, label, ''),
            'count', count) ORDER BY categories.position, slug, token), '[]')
        FROM counted LEFT JOIN categories ON token = 'category:' || slug
        LEFT JOIN attributes ON facet AND code = split_part(token, ':', 1)
        WHERE token LIKE '%:%' AND (token NOT LIKE 'category:%'
            OR path[cardinality(path) - 1] IS NOT DISTINCT FROM $4::text)) AS counted,
        (SELECT coalesce(json_object_agg(token, coalesce(said, label)), '{{}}')
        FROM counted WHERE token <> '' AND token NOT LIKE '%:%') AS options,
        coalesce((SELECT listed FROM counted WHERE token = ''), 0) AS total,
        coalesce((SELECT count FROM counted WHERE token = '') >= $10, false)
            OR (SELECT more FROM cut) AS uncounted,
        (SELECT coalesce(json_agg(json_build_object(
            'code', code, 'unit', unit, 'choices', choices,
            'title', coalesce(worded(title, visit.locale), worded(title, visit.main), code))), '[]')
        FROM attributes WHERE facet) AS attributes
    FROM (SELECT) AS always LEFT JOIN visit ON true"""


async def find(db: Statements, asked: Asked, *, counted: int) -> Listed:
    """Read a page of a list, and how often each value occurs among so many products of the list."""
    order, tallied = ORDERS[asked.sort], not (asked.q or asked.chosen)
    found, scope = _scope(asked)
    row = await db.one(
        " ".join(
            (
                VISIT,
                BRANCHES,
                CHOSEN,
                found,
                scope,
                ITEMS,
                order.key,
                CHOSEN_ONLY if asked.chosen else UNCHOSEN,
                f"AND {order.after}" if asked.after else FIRST,
                f"ORDER BY {order.by} LIMIT $9",
                TALLIED if tallied else COUNTED_CHOSEN if asked.chosen else COUNTED,
                ANSWER,
            )
        ),
        asked.market,
        asked.wishes,
        asked.q,
        asked.category,
        asked.chosen,
        asked.obligatory,
        asked.after.key if asked.after else None,
        asked.after.product if asked.after else None,
        asked.limit + 1,
        None if tallied else counted,
    )
    assert row, "one row always stands there"
    return convert(row, Listed)


def _scope(asked: Asked) -> tuple[str, str]:
    """Say how products are found that have the words of a query, and among which ones to list."""
    within = IN_CATEGORY if asked.category else ANYWHERE
    if asked.q and asked.sort == "relevance" and not asked.chosen:
        return (BEST_HERE if asked.category else BEST), BEST_ONLY + within
    if asked.q:
        return FOUND, FOUND_ONLY + within
    return UNCUT, AT_PLACE if asked.category and not asked.chosen else ALL + within

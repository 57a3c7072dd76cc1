"""What the words of a query mean, as a part of what somebody asks for."""

from __future__ import annotations

from banyan.modules.search.store.cards import WRITTEN

# Every word of the query ($3) that means something must be found: as a dictionary reads it, at the
# beginning of a word that titles are made of or, if it is long enough, as a part of a compound. A
# word that is found nowhere in the shop is misspelt, and stands for those spelled most like it.
# All this is settled with the short list of spellings; products are looked up by one index, for
# what is meant in the end.
MEANT = """, typed AS (
        SELECT word, unaccent(word) AS plain, dictionary,
            plainto_tsquery(dictionary, word) AS query
        FROM (SELECT dictionary(split_part(locale, '-', 1)) AS dictionary FROM visit) AS spoken,
            (SELECT DISTINCT unnest(string_to_array(spell($3::text), ' ')) AS word) AS said
    ), read AS (
        SELECT *, CASE WHEN length(plain) > 3 THEN '%' ELSE '' END || plain || '%' AS part
        FROM typed WHERE numnode(query) > 0
    ), likely AS MATERIALIZED (
        SELECT word, spelling FROM read CROSS JOIN LATERAL (
            SELECT spelling FROM spellings WHERE spelling LIKE part
            ORDER BY length(spelling), spelling LIMIT 100) AS compounds
    ), known AS MATERIALIZED (
        SELECT * FROM read
        WHERE word IN (SELECT word FROM likely) OR occurs(query)
    ), meant AS MATERIALIZED (
        SELECT word, query, true AS ranks,
            CASE WHEN length(plain) > 3 THEN part ELSE '% ' || part END AS part
        FROM known
        UNION ALL
        SELECT word, quote_literal(spelling)::tsquery, false, NULL FROM likely
        UNION ALL
        SELECT word, plainto_tsquery(dictionary, spelling) || quote_literal(spelling)::tsquery,
            true, '% ' || spelling || ' %'
        FROM read CROSS JOIN LATERAL (
            SELECT spelling FROM spellings
            WHERE spelling %> plain ORDER BY similarity(spelling, plain) DESC, spelling LIMIT 3)
            AS alike
        WHERE word NOT IN (SELECT word FROM known)
    ), wanted AS MATERIALIZED (
        SELECT string_agg(any_of, ' & ')::tsquery AS query,
            string_agg(ranked, ' | ')::tsquery AS ranked,
            string_agg('(' || ranked || ')', ' & ')::tsquery AS titled
        FROM (
            SELECT '(' || string_agg(query::text, ' | ') || ')' AS any_of,
                string_agg(query::text, ' | ') FILTER (WHERE ranks) AS ranked
            FROM meant GROUP BY word
        ) AS each
        HAVING count(*) = (SELECT count(*) FROM read)
    )"""
FOUND = f"""{MEANT}, found AS MATERIALIZED (
        SELECT product, (1e6 * ts_rank(words, ranked))::bigint AS rank FROM wanted, documents
        WHERE words @@ (SELECT query FROM wanted)
    ), cut AS (SELECT false AS more)"""

# Where only the best are asked for, and very many products have the words, so many are looked at,
# and read once: first those that have them in their titles.
MOST_FOUND = 500
IN_TITLE = "ts_filter(words, '{a,b}') @@ (SELECT titled FROM wanted)"
TITLED = f"SELECT * FROM documents WHERE {IN_TITLE}"
OTHERS = f"""SELECT * FROM documents
        WHERE words @@ (SELECT query FROM wanted) AND NOT {IN_TITLE}"""
HERE = "AND facets @> ARRAY['category:' || $4::text]"
RANKED = f"""{MEANT}, found AS MATERIALIZED (
        SELECT product, titles, sort_keys, {WRITTEN},
            (1e6 * ts_rank(words, ranked))::bigint AS rank FROM wanted, ("""
CUT = f"""LIMIT {MOST_FOUND}) AS matched
    ), cut AS (SELECT count(*) >= {MOST_FOUND} AS more FROM found)"""
MOST = f"LIMIT {MOST_FOUND}"
BEST = f"{RANKED}({TITLED} {MOST}) UNION ALL ({OTHERS} {MOST}) {CUT}"
BEST_HERE = f"{RANKED}({TITLED} {HERE} {MOST}) UNION ALL ({OTHERS} {HERE} {MOST}) {CUT}"

"""What the words of a query mean, as a part of what somebody asks for."""

from __future__ import annotations

# Every word of the query ($3) that means something must be found: as a dictionary reads it, or in
# the spelling of a title, at its beginning or, if it is long enough, as a part of a compound. A
# word that is found nowhere in the shop is misspelt, and stands for those spelled most like it.
FOUND = """, typed AS (
        SELECT word, unaccent(word) AS plain, dictionary,
            plainto_tsquery(dictionary, word) AS query
        FROM (SELECT dictionary(split_part(locale, '-', 1)) AS dictionary FROM visit) AS spoken,
            (SELECT DISTINCT unnest(string_to_array(spell($3::text), ' ')) AS word) AS said
    ), read AS (
        SELECT *, CASE WHEN length(plain) > 3 THEN '%' ELSE '% ' END || plain || '%' AS part
        FROM typed WHERE numnode(query) > 0
    ), known AS MATERIALIZED (
        SELECT * FROM read
        WHERE EXISTS (SELECT FROM documents WHERE words @@ query OR spelled LIKE part)
    ), meant AS MATERIALIZED (
        SELECT word, query, part, 1 AS likeness FROM known
        UNION ALL
        SELECT word, plainto_tsquery(dictionary, spelling), '% ' || spelling || ' %', likeness
        FROM read CROSS JOIN LATERAL (
            SELECT spelling, similarity(spelling, plain) AS likeness FROM spellings
            WHERE spelling %> plain ORDER BY likeness DESC, spelling LIMIT 3) AS alike
        WHERE word NOT IN (SELECT word FROM known)
    ), matched AS (
        SELECT product, word,
            max(likeness * greatest(ts_rank(words, query), 0.1)) AS rank
        FROM meant JOIN documents ON words @@ query OR spelled LIKE part
        GROUP BY product, word
    ), found AS MATERIALIZED (
        SELECT product, (1e6 * sum(rank))::bigint AS rank FROM matched
        GROUP BY product HAVING count(*) = (SELECT count(*) FROM read)
    )"""

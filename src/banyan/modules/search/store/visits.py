"""In which market and language somebody looks at the shop, as a part of what they ask for."""

from __future__ import annotations

# $1 is the market that was asked for, if any; $2 are the languages, the best one first, in lower
# case and shortened by RFC 4647 lookup. What a market does not speak, is told in its first one.
VISIT = """
    WITH visit AS (
        SELECT code AS market, currency, tax_inclusive, locales[1] AS main, coalesce((
            SELECT spoken FROM unnest($2::text[]) WITH ORDINALITY AS wishes (wish, place)
            JOIN unnest(locales) AS spoken ON lower(spoken) = wish
            ORDER BY place LIMIT 1), locales[1]) AS locale
        FROM markets
        WHERE open AND code = coalesce($1::text, (
            SELECT code FROM markets WHERE open ORDER BY position, code LIMIT 1)))"""

-- migrate:up

-- What others have told. Each fact keeps the version that tells a newer from an older one.

-- Of a retired product nothing is left but its version, so that a late word about it is known as
-- late.
CREATE TABLE products (
    id uuid PRIMARY KEY,
    version bigint NOT NULL,
    skus text[] NOT NULL DEFAULT '{}',
    categories text[] NOT NULL DEFAULT '{}',
    told jsonb,
    changed timestamptz CHECK (changed IS NOT NULL OR told IS NULL)
);

-- Each price and each stock looks here: nothing may wait in front of the index.
CREATE INDEX products_by_sku ON products USING gin (skus) WITH (fastupdate = off)
WHERE told IS NOT NULL;
CREATE INDEX products_by_category ON products USING gin (categories) WHERE told IS NOT NULL;

CREATE TABLE pricings (
    sku text PRIMARY KEY,
    version bigint NOT NULL
);

CREATE TABLE offers (
    sku text NOT NULL REFERENCES pricings (sku),
    market text NOT NULL,
    amount bigint NOT NULL CHECK (amount >= 0),
    compare_at bigint CHECK (compare_at >= 0),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    PRIMARY KEY (sku, market)
);

CREATE TABLE stock (
    sku text PRIMARY KEY,
    version bigint NOT NULL,
    available bigint NOT NULL,
    backorder boolean NOT NULL
) WITH (fillfactor = 70);

CREATE TABLE markets (
    code text PRIMARY KEY,
    version bigint NOT NULL,
    position bigint NOT NULL,
    open boolean NOT NULL,
    currency text NOT NULL,
    locales text[] NOT NULL CHECK (cardinality(locales) > 0),
    tax_inclusive boolean NOT NULL
);

CREATE INDEX markets_in_order ON markets (position, code);

CREATE TABLE versions (
    list text PRIMARY KEY CHECK (list IN ('categories', 'attributes')),
    version bigint NOT NULL
);

-- `path` leads from the root to the category itself, `position` counts through the whole tree: each
-- category comes before those below it.
CREATE TABLE categories (
    slug text PRIMARY KEY,
    path text[] NOT NULL CHECK (path[cardinality(path)] = slug),
    title jsonb NOT NULL,
    position bigint NOT NULL
);

CREATE TABLE attributes (
    code text PRIMARY KEY,
    title jsonb NOT NULL,
    unit text NOT NULL,
    choices text[] NOT NULL,
    glossary jsonb NOT NULL,
    facet boolean NOT NULL
);

-- What follows from the facts, and is made anew from them whenever they change.

-- One row for a product, whatever the number of markets and languages. The title of its own words
-- stands among `titles` under no language. `facets` are `code:value`
-- and hold what a list can be narrowed to, its categories with their ancestors included, and the
-- `code` alone of each option; `labels` spell the values and the option, in the same order. The
-- `glossary` says labels and the picture's words in other languages. `words` are those of all languages of the shop as their
-- dictionaries read them, `spelled` are those of titles as they stand.
CREATE TABLE documents (
    product uuid PRIMARY KEY,
    slug text NOT NULL,
    titles jsonb NOT NULL,
    sort_keys jsonb NOT NULL,
    image text NOT NULL,
    image_alt text NOT NULL,
    brand text NOT NULL,
    category text NOT NULL,
    facets text[] NOT NULL,
    labels text[] NOT NULL,
    glossary jsonb NOT NULL,
    languages text[] NOT NULL,
    words tsvector NOT NULL,
    spelled text NOT NULL,
    changed timestamptz NOT NULL
);

-- While two products exchange their slugs, both may have the same for a moment. A sitemap is read
-- from this index alone.
CREATE INDEX documents_by_slug ON documents (slug) INCLUDE (changed);
CREATE INDEX documents_by_facet ON documents USING gin (facets);
-- Everybody who asks also reads what waits to be sorted into an index, so little may wait (kB).
CREATE INDEX documents_by_word ON documents USING gin (words) WITH (gin_pending_list_limit = 512);
-- Words of titles, brands and categories, whose weights are not in the index of all words.
CREATE INDEX documents_by_title ON documents USING gin (ts_filter(words, '{a,b}'))
WITH (gin_pending_list_limit = 512);

-- What a product costs where it has a price, and whether it can be bought: the narrow row that
-- prices and stock change, so that they leave the document with its text indexes alone.
CREATE TABLE listings (
    market text NOT NULL,
    product uuid NOT NULL REFERENCES documents (product) ON DELETE CASCADE,
    amount bigint NOT NULL,
    compare_at bigint,
    currency text NOT NULL,
    varies boolean NOT NULL,
    available boolean NOT NULL,
    PRIMARY KEY (product, market)
) WITH (fillfactor = 80);

CREATE INDEX listings_by_price ON listings (market, amount, product);

-- Where products stand: in their categories with those above, and beside others of their brand. The
-- newest of a place are read in order, however many there are and however few of all they are.
CREATE TABLE places (
    place text NOT NULL,
    product uuid NOT NULL REFERENCES documents (product) ON DELETE CASCADE,
    PRIMARY KEY (place, product)
);

CREATE INDEX places_of_product ON places (product);

-- How many products of a market stand in a place and have a value. The place '' is everywhere, the
-- others are categories; the value is one of their facets, whether they are available, their step of
-- prices, or '', which all have. What is labeled or said otherwise is counted by itself.
CREATE TABLE tallies (
    market text NOT NULL,
    place text NOT NULL,
    token text NOT NULL,
    label text NOT NULL,
    said jsonb NOT NULL,
    products bigint NOT NULL
) WITH (fillfactor = 50);

-- What is said in many languages is too long for an index.
CREATE UNIQUE INDEX tallies_by_place ON tallies (market, place, token, label, md5(said::text));

-- Places follow from documents, whichever way these change: their writers take turns.
CREATE FUNCTION find_places() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM places USING made WHERE places.product = made.product AND place <> ALL (facets);
    INSERT INTO places SELECT token, product FROM made, unnest(facets) AS token
    WHERE starts_with(token, 'category:') OR starts_with(token, 'brand:')
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;

CREATE TRIGGER documents_made AFTER INSERT ON documents
REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION find_places();
CREATE TRIGGER documents_made_anew AFTER UPDATE ON documents
REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION find_places();

-- The words that titles, brands, categories and tags are made of, without accents.
CREATE TABLE spellings (
    spelling text PRIMARY KEY
);

CREATE INDEX spellings_alike ON spellings USING gin (spelling extensions.gin_trgm_ops);

-- Documents that are being made anew, until they take the place of those that are wrong.
CREATE TABLE shadow_documents (
    LIKE documents,
    PRIMARY KEY (product)
);

CREATE TABLE shadow_listings (
    LIKE listings,
    PRIMARY KEY (product, market),
    FOREIGN KEY (product) REFERENCES shadow_documents (product) ON DELETE CASCADE
);

-- Which dictionary reads a language; without one, words are taken as they stand.
CREATE FUNCTION dictionary(language text) RETURNS regconfig IMMUTABLE LANGUAGE sql RETURN
CASE language
    WHEN 'da' THEN 'pg_catalog.danish'::regconfig
    WHEN 'de' THEN 'pg_catalog.german'::regconfig
    WHEN 'en' THEN 'pg_catalog.english'::regconfig
    WHEN 'es' THEN 'pg_catalog.spanish'::regconfig
    WHEN 'fi' THEN 'pg_catalog.finnish'::regconfig
    WHEN 'fr' THEN 'pg_catalog.french'::regconfig
    WHEN 'hu' THEN 'pg_catalog.hungarian'::regconfig
    WHEN 'it' THEN 'pg_catalog.italian'::regconfig
    WHEN 'nb' THEN 'pg_catalog.norwegian'::regconfig
    WHEN 'nl' THEN 'pg_catalog.dutch'::regconfig
    WHEN 'pt' THEN 'pg_catalog.portuguese'::regconfig
    WHEN 'ro' THEN 'pg_catalog.romanian'::regconfig
    WHEN 'ru' THEN 'pg_catalog.russian'::regconfig
    WHEN 'sv' THEN 'pg_catalog.swedish'::regconfig
    WHEN 'tr' THEN 'pg_catalog.turkish'::regconfig
    ELSE 'pg_catalog.simple'::regconfig
END;

-- A text as words with spaces between them: the same for products and for queries.
CREATE FUNCTION spell(words text) RETURNS text IMMUTABLE LANGUAGE sql RETURN
translate(lower(words), '!"#$%&''()*+,-./:;<=>?@[\]^_`{|}~–—’‘“”„«»…·•×', repeat(' ', 45));

-- A text in a language, by RFC 4647 lookup: from `zh-Hant-TW` to `zh-Hant` to `zh`.
CREATE FUNCTION worded(texts jsonb, locale text) RETURNS text IMMUTABLE LANGUAGE sql RETURN
coalesce(nullif(texts ->> locale, ''), CASE WHEN strpos(locale, '-') > 0 THEN
    coalesce(
        nullif(texts ->> regexp_replace(locale, '-[^-]*$', ''), ''),
        nullif(texts ->> split_part(locale, '-', 1), '')
    )
END);

-- The words of a language, those included that it shares with the wider ones.
CREATE FUNCTION vocabulary(glossary jsonb, locale text) RETURNS jsonb IMMUTABLE LANGUAGE sql RETURN
CASE WHEN strpos(locale, '-') = 0 THEN glossary -> locale ELSE
    coalesce(glossary -> split_part(locale, '-', 1), '{}')
    || coalesce(glossary -> regexp_replace(locale, '-[^-]*$', ''), '{}')
    || coalesce(glossary -> locale, '{}')
END;

-- A word of a product as such a vocabulary has it; what that does not know stays as it is.
CREATE FUNCTION translated(word text, vocabulary jsonb) RETURNS text IMMUTABLE LANGUAGE sql RETURN
coalesce(vocabulary ->> word, word);

-- The lower end of a round range of prices: 1, 2, 5, 10, 20, 50 …
CREATE FUNCTION price_step(amount bigint) RETURNS bigint IMMUTABLE LANGUAGE sql RETURN
CASE left(amount::text, 1)
    WHEN '0' THEN 0
    WHEN '1' THEN 1
    WHEN '2' THEN 2
    WHEN '3' THEN 2
    WHEN '4' THEN 2
    ELSE 5
END * (10 ^ (length(amount::text) - 1))::bigint;

-- Whether any document has a word. A planner who thinks that many have it would read the documents
-- until it finds one; and where many do have it, not all of them have to be gathered.
CREATE FUNCTION occurs(query tsquery) RETURNS boolean STABLE LANGUAGE sql
SET enable_seqscan = off
SET gin_fuzzy_search_limit = 1000
RETURN EXISTS (SELECT FROM documents WHERE words @@ query);

CREATE AGGREGATE joined(tsvector) (
    SFUNC = tsvector_concat,
    STYPE = tsvector,
    INITCOND = ''
);

-- How much of a word must be spelled right; 0.6 by default, which misses "chiar" for "chair". A
-- function of the extension is called first, because only then its settings are known.
SELECT extensions.show_limit();
ALTER ROLE banyan_search SET pg_trgm.word_similarity_threshold = 0.3;

-- Its statements are long: to plan one takes longer than to run it. Each is planned once.
ALTER ROLE banyan_search SET plan_cache_mode = 'force_generic_plan';

-- migrate:down

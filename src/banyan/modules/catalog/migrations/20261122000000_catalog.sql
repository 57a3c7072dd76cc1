-- migrate:up

CREATE TABLE products (
    id uuid PRIMARY KEY,
    slug text NOT NULL CHECK (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$' AND length(slug) <= 200),
    title text NOT NULL CHECK (title <> ''),
    state text NOT NULL CHECK (state IN ('draft', 'published', 'retired')),
    description text NOT NULL,
    brand text NOT NULL,
    tax_class text NOT NULL CHECK (tax_class <> ''),
    categories text [] NOT NULL,
    tags text [] NOT NULL,
    attributes jsonb NOT NULL CHECK (jsonb_typeof(attributes) = 'object'),
    options jsonb NOT NULL CHECK (jsonb_typeof(options) = 'array'),
    variants jsonb NOT NULL CHECK (jsonb_typeof(variants) = 'array'),
    pictures jsonb NOT NULL CHECK (jsonb_typeof(pictures) = 'array'),
    translations jsonb NOT NULL CHECK (jsonb_typeof(translations) = 'object'),
    version bigint NOT NULL CHECK (version >= 1),
    changed_at timestamptz NOT NULL,
    -- What it is looked up by, one a line: the title, and all slugs and SKUs that it has or had.
    -- Those of a product have most in common, so that one index of all is a third of one of each.
    words text NOT NULL,
    CONSTRAINT who_is_seen_can_be_bought
    CHECK (state <> 'published' OR jsonb_array_length(variants) > 0)
);

CREATE UNIQUE INDEX products_by_slug ON products (slug);
CREATE INDEX products_by_state ON products (state, id);
CREATE INDEX products_by_change ON products (changed_at, id);
CREATE INDEX products_by_state_and_change ON products (state, changed_at, id);
CREATE INDEX products_by_words ON products USING gin (words gin_trgm_ops);
CREATE INDEX products_by_category ON products USING gin (categories);
CREATE INDEX products_by_attribute ON products USING gin (attributes);

-- Whom a slug or a SKU belongs to, for good: also after it is given up or the product is retired.
CREATE TABLE claims (
    what text NOT NULL CHECK (what IN ('slug', 'sku')),
    value text NOT NULL CHECK (value <> ''),
    product uuid NOT NULL REFERENCES products (id) DEFERRABLE INITIALLY DEFERRED,
    PRIMARY KEY (what, value)
);

CREATE INDEX claims_by_product ON claims (product);

CREATE TABLE categories (
    slug text PRIMARY KEY CHECK (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$' AND length(slug) <= 200),
    title jsonb NOT NULL CHECK (jsonb_typeof(title) = 'object'),
    parent text REFERENCES categories (slug) CHECK (parent <> slug),
    position bigint NOT NULL,
    version bigint NOT NULL CHECK (version >= 1)
);

CREATE INDEX categories_by_parent ON categories (parent);

CREATE TABLE attributes (
    code text PRIMARY KEY CHECK (code ~ '^[a-z0-9]+(-[a-z0-9]+)*$' AND length(code) <= 200),
    title jsonb NOT NULL CHECK (jsonb_typeof(title) = 'object'),
    kind text NOT NULL CHECK (kind IN ('text', 'number', 'boolean', 'choice')),
    unit text NOT NULL,
    choices text [] NOT NULL,
    words jsonb NOT NULL CHECK (jsonb_typeof(words) = 'object'),
    facet boolean NOT NULL,
    version bigint NOT NULL CHECK (version >= 1),
    CONSTRAINT only_a_choice_has_choices CHECK ((kind = 'choice') = (cardinality(choices) > 0))
);

-- How often the tree and the attributes have changed. Whoever changes one locks its row first, so
-- that no two changes together make what neither alone would: a circle.
CREATE TABLE revisions (
    what text PRIMARY KEY CHECK (what IN ('attributes', 'categories')),
    version bigint NOT NULL CHECK (version >= 0)
);

INSERT INTO revisions (what, version) VALUES ('attributes', 0), ('categories', 0);

REVOKE UPDATE, DELETE, TRUNCATE ON claims FROM banyan_catalog;
REVOKE DELETE, TRUNCATE ON products FROM banyan_catalog;
REVOKE INSERT, DELETE, TRUNCATE ON revisions FROM banyan_catalog;

-- migrate:down

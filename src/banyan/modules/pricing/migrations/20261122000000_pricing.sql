-- migrate:up

CREATE TABLE markets (
    code text COLLATE "C" PRIMARY KEY,
    title text NOT NULL,
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    countries text[] NOT NULL CHECK (cardinality(countries) > 0),
    locales text[] NOT NULL CHECK (cardinality(locales) > 0),
    tax_inclusive boolean NOT NULL,
    rounding text NOT NULL CHECK (rounding IN ('unit', 'line', 'order')),
    position integer NOT NULL,
    open boolean NOT NULL,
    version bigint NOT NULL,
    -- A price list names both: its prices are in the currency of its market, and that stays.
    UNIQUE (code, currency)
);

CREATE TABLE price_lists (
    code text COLLATE "C" PRIMARY KEY,
    market text COLLATE "C" NOT NULL,
    currency text NOT NULL,
    title text NOT NULL,
    priority integer NOT NULL,
    since timestamptz,
    until timestamptz,
    -- From `since` on and before `until`; without them, without end.
    valid tstzrange NOT NULL GENERATED ALWAYS AS (tstzrange(since, until)) STORED,
    version bigint NOT NULL,
    FOREIGN KEY (market, currency) REFERENCES markets (code, currency),
    CONSTRAINT begins_before_it_ends CHECK (NOT isempty(valid))
);

CREATE INDEX price_lists_by_market ON price_lists (market, code);

-- Prices may be there before the product is, so nothing says that it must exist.
CREATE TABLE prices (
    sku text COLLATE "C" NOT NULL CHECK (length(sku) BETWEEN 1 AND 100),
    price_list text COLLATE "C" NOT NULL REFERENCES price_lists (code) ON DELETE CASCADE,
    amount bigint NOT NULL CHECK (amount BETWEEN 0 AND 1000000000000),
    compare_at bigint CHECK (compare_at BETWEEN 0 AND 1000000000000),
    PRIMARY KEY (sku, price_list)
);

CREATE INDEX prices_by_list ON prices (price_list, sku);

CREATE TABLE tax_rates (
    market text COLLATE "C" NOT NULL REFERENCES markets (code),
    tax_class text COLLATE "C" NOT NULL,
    country text COLLATE "C" NOT NULL,
    region text COLLATE "C" NOT NULL,
    millionths integer NOT NULL CHECK (millionths BETWEEN 0 AND 1000000),
    name text NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (market, tax_class, country, region),
    CONSTRAINT a_region_needs_its_country CHECK (country <> '*' OR region = '*')
);

-- What the catalog has said: of which version of a product we know the goods, and how those are
-- taxed. While a SKU moves from one product to another, it may be in both for a moment.
CREATE TABLE products (
    id uuid PRIMARY KEY,
    version bigint NOT NULL
);

CREATE TABLE goods (
    sku text COLLATE "C" NOT NULL,
    product uuid NOT NULL REFERENCES products (id),
    tax_class text NOT NULL,
    PRIMARY KEY (sku, product)
);

CREATE INDEX goods_by_product ON goods (product);

-- One row: how often and until when changes of prices have been told. Who changes a price holds it,
-- so that what is told later is also true later.
CREATE TABLE told (
    sole boolean PRIMARY KEY DEFAULT true CHECK (sole),
    version bigint NOT NULL DEFAULT 0,
    until timestamptz NOT NULL DEFAULT 'epoch'
);

INSERT INTO told DEFAULT VALUES;

-- Its statements look up few rows by their keys: to plan one takes longer than to run it.
ALTER ROLE banyan_pricing SET plan_cache_mode = 'force_generic_plan';

-- migrate:down

-- migrate:up

-- What ordering knows of others' facts, so that a cart can change without asking anybody.
CREATE TABLE markets (
    code text PRIMARY KEY,
    currency text NOT NULL,
    tax_inclusive boolean NOT NULL,
    locales text [] NOT NULL,
    position integer NOT NULL,
    open boolean NOT NULL,
    version bigint NOT NULL
);

CREATE TABLE goods (
    sku text PRIMARY KEY,
    product uuid NOT NULL,
    slug text NOT NULL,
    title text NOT NULL,
    words jsonb NOT NULL,
    image text NOT NULL,
    options jsonb NOT NULL,
    weight_grams bigint NOT NULL,
    for_sale boolean NOT NULL,
    version bigint NOT NULL
);

CREATE INDEX goods_by_product ON goods (product);

CREATE TABLE offers (
    sku text PRIMARY KEY,
    prices jsonb NOT NULL,
    version bigint NOT NULL
);

CREATE TABLE carts (
    id uuid PRIMARY KEY,
    market text NOT NULL,
    locale text NOT NULL,
    currency text NOT NULL,
    lines jsonb NOT NULL,
    totals jsonb NOT NULL,
    email text,
    shipping_address jsonb,
    billing_address jsonb,
    shipping_method text,
    order_id uuid,
    version bigint NOT NULL DEFAULT 1,
    opened_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    stage bigint NOT NULL GENERATED ALWAYS AS (
        CASE
            WHEN order_id IS NOT NULL THEN 3
            WHEN shipping_address IS NOT NULL THEN 2
            WHEN lines <> '[]' THEN 1
            ELSE 0
        END
    ) STORED
) WITH (fillfactor = 70);

-- How far carts have come is counted from this index alone.
CREATE INDEX carts_by_opening ON carts (opened_at) INCLUDE (market, stage);

CREATE INDEX carts_abandoned ON carts (changed_at) WHERE order_id IS NULL;

CREATE TABLE orders (
    id uuid PRIMARY KEY,
    number bigint UNIQUE,
    state text NOT NULL CHECK (state IN ('pending', 'confirmed', 'canceled')),
    cart uuid NOT NULL,
    market text NOT NULL,
    locale text NOT NULL,
    currency text NOT NULL,
    email text NOT NULL,
    shipping_address jsonb NOT NULL,
    billing_address jsonb NOT NULL,
    shipping_method text NOT NULL,
    lines jsonb NOT NULL,
    totals jsonb NOT NULL,
    total bigint NOT NULL CHECK (total >= 0),
    payment uuid UNIQUE,
    action jsonb,
    placed_at timestamptz NOT NULL,
    confirmed_at timestamptz,
    canceled_at timestamptz,
    cancel_reason text,
    version bigint NOT NULL DEFAULT 1,
    CONSTRAINT confirmed_orders_are_numbered_and_paid
    CHECK (
        state <> 'confirmed' OR (number IS NOT NULL AND (payment IS NOT NULL OR total = 0))
    )
) WITH (fillfactor = 70);

-- A cart becomes one order at most.
CREATE UNIQUE INDEX orders_one_of_a_cart ON orders (cart) WHERE state <> 'canceled';
CREATE INDEX orders_by_state ON orders (state, id);
CREATE INDEX orders_by_market ON orders (market, id);
CREATE INDEX orders_by_email ON orders (lower(email), id);
CREATE INDEX orders_by_number ON orders ((number::text) COLLATE "C");

-- What was ordered, and for how much, is counted from this index alone.
CREATE INDEX orders_by_time ON orders (placed_at)
INCLUDE (market, state, currency, total, confirmed_at);

-- The last order number given: taken in the transaction of the order, so that none is missing.
CREATE TABLE numbers (
    series text PRIMARY KEY,
    last bigint NOT NULL
);

INSERT INTO numbers (series, last) VALUES ('orders', 1000);

REVOKE DELETE, TRUNCATE ON orders FROM banyan_ordering;

-- migrate:down

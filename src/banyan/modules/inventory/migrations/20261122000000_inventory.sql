-- migrate:up

CREATE TABLE warehouses (
    code text PRIMARY KEY,
    title text NOT NULL,
    country text NOT NULL CHECK (country ~ '^[A-Z]{2}$'),
    position integer NOT NULL DEFAULT 0,
    active boolean NOT NULL DEFAULT true,
    version bigint NOT NULL DEFAULT 1
);

-- What is there. `version` counts the changes of a row; their sum over a SKU orders its events.
CREATE TABLE levels (
    sku text COLLATE "C" NOT NULL,
    warehouse text NOT NULL REFERENCES warehouses (code),
    on_hand bigint NOT NULL DEFAULT 0 CHECK (on_hand >= 0),
    reserved bigint NOT NULL DEFAULT 0 CHECK (reserved >= 0),
    backorder boolean NOT NULL DEFAULT false,
    version bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (sku, warehouse),
    CONSTRAINT nothing_is_promised_twice CHECK (backorder OR reserved <= on_hand)
) WITH (fillfactor = 70);

CREATE TABLE reservations (
    id uuid PRIMARY KEY,
    state text NOT NULL CHECK (state IN ('held', 'allocated', 'shipped', 'released')),
    expires_at timestamptz,
    CONSTRAINT only_what_is_held_expires CHECK ((state = 'held') = (expires_at IS NOT NULL))
) WITH (fillfactor = 80);

CREATE INDEX reservations_expiring ON reservations (expires_at) WHERE state = 'held';

CREATE TABLE held (
    reservation uuid NOT NULL REFERENCES reservations (id),
    sku text NOT NULL,
    warehouse text NOT NULL,
    quantity bigint NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (reservation, sku, warehouse),
    FOREIGN KEY (sku, warehouse) REFERENCES levels (sku, warehouse)
);

CREATE INDEX held_by_sku ON held (sku, warehouse);

-- What came and went. Nothing is ever changed or removed here.
CREATE TABLE movements (
    id uuid PRIMARY KEY,
    number bigint GENERATED ALWAYS AS IDENTITY,
    sku text NOT NULL,
    warehouse text NOT NULL,
    quantity bigint NOT NULL CHECK (quantity <> 0),
    reason text NOT NULL
    CHECK (reason IN ('received', 'adjusted', 'shipped', 'returned', 'transferred')),
    note text NOT NULL DEFAULT '',
    at timestamptz NOT NULL,
    FOREIGN KEY (sku, warehouse) REFERENCES levels (sku, warehouse)
);

CREATE UNIQUE INDEX movements_newest ON movements (number);
CREATE INDEX movements_by_sku ON movements (sku, warehouse, number);

REVOKE UPDATE, DELETE, TRUNCATE ON movements FROM banyan_inventory;

-- Its statements look up few rows by their keys: to plan one takes longer than to run it.
ALTER ROLE banyan_inventory SET plan_cache_mode = 'force_generic_plan';

-- migrate:down

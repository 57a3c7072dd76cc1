-- migrate:up

CREATE TABLE zones (
    code text COLLATE "C" PRIMARY KEY CHECK (code ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
    title text NOT NULL CHECK (title <> ''),
    places text[] NOT NULL
    CHECK (array_to_string(places, ' ', '?') ~ '^([A-Z]{2}(-[A-Z0-9]{1,3})?( |$))*$'),
    version bigint NOT NULL CHECK (version > 0)
);

-- Rates are rows of a decision table, as a merchant edits them: data, not code.
CREATE TABLE methods (
    code text COLLATE "C" PRIMARY KEY CHECK (code ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
    market text COLLATE "C" NOT NULL,
    title jsonb NOT NULL CHECK (jsonb_typeof(title) = 'object' AND title <> '{}'),
    rates jsonb NOT NULL CHECK (jsonb_typeof(rates) = 'array'),
    position integer NOT NULL,
    active boolean NOT NULL,
    version bigint NOT NULL CHECK (version > 0)
);

CREATE INDEX methods_by_market ON methods (market, position, code);

-- Which zones the rates of a method name, so that none of them can be removed.
CREATE TABLE references_to_zones (
    method text COLLATE "C" NOT NULL REFERENCES methods (code),
    zone text COLLATE "C" NOT NULL REFERENCES zones (code),
    PRIMARY KEY (method, zone)
);

CREATE INDEX references_by_zone ON references_to_zones (zone, method);

-- migrate:down

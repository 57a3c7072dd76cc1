-- migrate:up
CREATE TABLE frogs (name text PRIMARY KEY, leaps integer NOT NULL CHECK (leaps >= 0));

-- migrate:down

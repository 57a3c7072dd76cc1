-- migrate:up

-- Events that this module has told and that are not yet with their listeners.
CREATE TABLE outbox (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id uuid NOT NULL,
    type text NOT NULL,
    time timestamptz NOT NULL,
    body jsonb NOT NULL,
    traceparent text NOT NULL DEFAULT ''
);

-- Events that this module has heard: what to do, and what was done (kept to recognize repeats).
-- What could not even be read is dead, and kept as it came; no reaction has seen it.
CREATE TABLE inbox (
    event uuid NOT NULL,
    reaction text NOT NULL,
    number bigint GENERATED ALWAYS AS IDENTITY,
    source text NOT NULL,
    type text NOT NULL,
    time timestamptz NOT NULL,
    body jsonb NOT NULL,
    traceparent text NOT NULL DEFAULT '',
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'done', 'dead')),
    attempt integer NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL,
    error text,
    PRIMARY KEY (event, reaction)
) WITH (fillfactor = 80);

CREATE INDEX inbox_due ON inbox (due_at, number) WHERE status = 'pending';
CREATE INDEX inbox_done ON inbox (due_at) WHERE status = 'done';
CREATE INDEX inbox_dead ON inbox (number) WHERE status = 'dead';

-- Undertakings and jobs. One row is state, timer, lease and retry at once.
CREATE TABLE sagas (
    id text PRIMARY KEY,
    kind text NOT NULL,
    arguments jsonb NOT NULL,
    journal jsonb NOT NULL DEFAULT '[]',
    signals jsonb NOT NULL DEFAULT '{}',
    undone integer NOT NULL DEFAULT 0,
    status text NOT NULL DEFAULT 'run'
    CHECK (status IN ('run', 'undo', 'done', 'undone', 'stuck')),
    due_at timestamptz NOT NULL,
    owner text,
    epoch integer NOT NULL DEFAULT 0,
    news integer NOT NULL DEFAULT 0,
    attempt integer NOT NULL DEFAULT 0,
    trouble text,
    error jsonb,
    result jsonb,
    traceparent text NOT NULL DEFAULT '',
    started_at timestamptz NOT NULL,
    ended_at timestamptz
) WITH (fillfactor = 70);

CREATE INDEX sagas_due ON sagas (due_at) WHERE status IN ('run', 'undo');
CREATE INDEX sagas_started ON sagas (started_at, id);
CREATE INDEX sagas_stuck ON sagas (id) WHERE status = 'stuck';
CREATE INDEX sagas_ended ON sagas (ended_at) WHERE ended_at IS NOT NULL;

-- Idempotency keys of this module's commands, stored in the transaction of the effect.
CREATE TABLE idempotency_keys (
    scope text NOT NULL,
    key text NOT NULL,
    fingerprint text NOT NULL,
    answer jsonb,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (scope, key)
);

CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);

-- What a write must touch for the rest of its transaction to hold; else somebody else was faster.
CREATE FUNCTION demand(touched bigint, wanted bigint) RETURNS bigint
LANGUAGE plpgsql
AS $$
BEGIN
    IF touched <> wanted THEN
        RAISE serialization_failure
            USING MESSAGE = format('%s rows were touched instead of %s', touched, wanted);
    END IF;
    RETURN touched;
END
$$;

-- migrate:down

-- migrate:up

CREATE TABLE messages (
    id uuid PRIMARY KEY,
    number bigint GENERATED ALWAYS AS IDENTITY,
    template text NOT NULL,
    about text NOT NULL,
    locale text NOT NULL,
    facts jsonb NOT NULL,
    -- Whom it is for: the only place where that stands, until it is erased.
    recipient jsonb,
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'sent', 'failed')),
    sending integer NOT NULL DEFAULT 1 CHECK (sending > 0),
    created_at timestamptz NOT NULL,
    sent_at timestamptz,
    error text,
    CONSTRAINT what_was_sent_has_its_moment CHECK (state <> 'sent' OR sent_at IS NOT NULL),
    CONSTRAINT what_failed_says_why CHECK ((state = 'failed') = (error IS NOT NULL))
) WITH (fillfactor = 80);

CREATE UNIQUE INDEX messages_newest ON messages (number);
CREATE INDEX messages_about ON messages (about, number);
CREATE INDEX messages_with_recipient ON messages (created_at) WHERE recipient IS NOT NULL;

-- migrate:down

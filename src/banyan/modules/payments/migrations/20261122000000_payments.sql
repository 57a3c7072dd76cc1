-- migrate:up

-- What the books have of each payment. The counters of transfers follow from the table below, and
-- what is under way is due at some moment, so that it is never forgotten. A row with nothing but
-- an id is the tombstone of a payment that was voided before it was begun.
CREATE TABLE payments (
    id uuid PRIMARY KEY,
    number bigint GENERATED ALWAYS AS IDENTITY,
    order_id uuid,
    provider text,
    currency text CHECK (currency ~ '^[A-Z]{3}$'),
    amount bigint CHECK (amount > 0),
    state text NOT NULL
    CHECK (state IN ('pending', 'challenged', 'authorized', 'released', 'declined', 'voided')),
    reference text NOT NULL DEFAULT '',
    authorized bigint NOT NULL DEFAULT 0 CHECK (authorized IN (0, amount)),
    voided bigint NOT NULL DEFAULT 0 CHECK (voided >= 0),
    capturing bigint NOT NULL DEFAULT 0 CHECK (capturing >= 0),
    captured bigint NOT NULL DEFAULT 0 CHECK (captured >= 0),
    refunding bigint NOT NULL DEFAULT 0 CHECK (refunding >= 0),
    refunded bigint NOT NULL DEFAULT 0 CHECK (refunded >= 0),
    decline_reason text,
    redirect_url text,
    card_brand text NOT NULL DEFAULT '',
    card_last4 text NOT NULL DEFAULT '' CHECK (card_last4 ~ '^([0-9]{4})?$'),
    waiting_since timestamptz,
    due_at timestamptz,
    version integer NOT NULL DEFAULT 1,
    CONSTRAINT only_tombstones_lack_terms CHECK (
        num_nulls(order_id, provider, currency, amount) = 0
        OR (state = 'voided' AND num_nulls(order_id, provider, currency, amount) = 4)
    ),
    CONSTRAINT captures_stay_within_what_is_authorized
    CHECK (voided + capturing + captured <= authorized),
    CONSTRAINT refunds_stay_within_captures CHECK (refunding + refunded <= captured),
    CONSTRAINT authorized_means_money
    CHECK (state NOT IN ('authorized', 'released') OR authorized > 0),
    CONSTRAINT taken_means_authorized
    CHECK (state IN ('authorized', 'released') OR capturing + captured = 0),
    CONSTRAINT released_means_no_more_is_taken CHECK (state <> 'released' OR capturing = 0),
    CONSTRAINT what_is_under_way_is_due CHECK (
        due_at IS NOT NULL
        OR (state NOT IN ('pending', 'challenged') AND capturing + refunding = 0)
    ),
    CONSTRAINT what_is_closed_holds_nothing CHECK (
        due_at IS NOT NULL OR state NOT IN ('released', 'declined', 'voided')
        OR voided + captured = authorized
    ),
    CONSTRAINT due_means_waiting CHECK ((due_at IS NULL) = (waiting_since IS NULL))
) WITH (fillfactor = 70);

CREATE UNIQUE INDEX payments_one_per_order ON payments (order_id)
WHERE state IN ('pending', 'challenged', 'authorized', 'released');
CREATE UNIQUE INDEX payments_newest ON payments (number);
CREATE INDEX payments_by_order ON payments (order_id, number);
CREATE INDEX payments_by_provider ON payments (provider, id);
CREATE INDEX payments_due ON payments (due_at) WHERE due_at IS NOT NULL;

-- Money taken and given back. Beginning one reserves its amount.
CREATE TABLE transfers (
    payment uuid NOT NULL REFERENCES payments (id),
    kind text NOT NULL CHECK (kind IN ('capture', 'refund')),
    id uuid NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    state text NOT NULL CHECK (state IN ('pending', 'done', 'failed')),
    reason text NOT NULL DEFAULT '',
    failure text NOT NULL DEFAULT '',
    begun_at timestamptz NOT NULL,
    settled_at timestamptz,
    PRIMARY KEY (payment, kind, id),
    CONSTRAINT settled_means_not_pending CHECK ((state = 'pending') = (settled_at IS NULL))
);

-- It counts with its owner's rights: nobody else may touch the counters.
CREATE FUNCTION count_transfer() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    reserved bigint := CASE WHEN new.state = 'pending' THEN new.amount ELSE 0 END;
    moved bigint := CASE WHEN new.state = 'done' THEN new.amount ELSE 0 END;
    taken bigint := CASE new.kind WHEN 'capture' THEN moved ELSE 0 END;
BEGIN
    IF tg_op = 'UPDATE' THEN
        IF old.state <> 'pending' THEN
            RAISE EXCEPTION 'a settled transfer does not change' USING ERRCODE = 'check_violation';
        END IF;
        reserved := reserved - old.amount;
    END IF;
    UPDATE payments SET
        capturing = capturing + CASE new.kind WHEN 'capture' THEN reserved ELSE 0 END,
        captured = captured + taken,
        refunding = refunding + CASE new.kind WHEN 'refund' THEN reserved ELSE 0 END,
        refunded = refunded + CASE new.kind WHEN 'refund' THEN moved ELSE 0 END,
        waiting_since = CASE
            WHEN capturing + refunding + reserved > 0
                OR (state = 'released' AND voided + captured + taken < authorized)
            THEN coalesce(waiting_since, new.begun_at)
        END,
        due_at = CASE
            WHEN capturing + refunding + reserved > 0
                OR (state = 'released' AND voided + captured + taken < authorized)
            THEN least(due_at, new.begun_at + interval '1 minute')
        END,
        version = version + 1
    WHERE id = new.payment;
    RETURN NULL;
END
$$;

CREATE TRIGGER transfers_count AFTER INSERT OR UPDATE ON transfers
FOR EACH ROW EXECUTE FUNCTION count_transfer();

-- The double-entry ledger. Nothing is ever changed or removed here.
CREATE TABLE entries (
    number bigint GENERATED ALWAYS AS IDENTITY,
    booking uuid NOT NULL,
    account text NOT NULL,
    amount bigint NOT NULL CHECK (amount <> 0),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    payment uuid NOT NULL REFERENCES payments (id),
    at timestamptz NOT NULL,
    PRIMARY KEY (booking, account)
);

CREATE UNIQUE INDEX entries_newest ON entries (number);
CREATE INDEX entries_by_payment ON entries (payment, number);

CREATE FUNCTION refuse_unbalanced_booking() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF EXISTS (
        SELECT FROM entries WHERE booking = new.booking GROUP BY currency HAVING sum(amount) <> 0
    ) THEN
        RAISE EXCEPTION 'booking % does not add up to zero', new.booking
        USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER bookings_balance AFTER INSERT ON entries
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse_unbalanced_booking();

-- What providers have told, as it came; each counts once.
CREATE TABLE webhooks (
    provider text NOT NULL,
    id text NOT NULL,
    kind text NOT NULL,
    payment uuid,
    body text NOT NULL,
    times integer NOT NULL DEFAULT 1,
    heard_at timestamptz NOT NULL,
    settled_at timestamptz,
    PRIMARY KEY (provider, id)
);

CREATE INDEX webhooks_age ON webhooks (heard_at);

REVOKE ALL ON payments, transfers, entries FROM banyan_payments;
GRANT SELECT ON payments, transfers, entries TO banyan_payments;
GRANT INSERT (id, order_id, provider, currency, amount, state, waiting_since, due_at)
ON payments TO banyan_payments;
GRANT UPDATE (
    state, reference, authorized, voided, decline_reason, redirect_url, card_brand, card_last4,
    waiting_since, due_at, version
) ON payments TO banyan_payments;
GRANT INSERT ON transfers TO banyan_payments;
GRANT UPDATE (state, failure, settled_at) ON transfers TO banyan_payments;
GRANT INSERT ON entries TO banyan_payments;

-- migrate:down

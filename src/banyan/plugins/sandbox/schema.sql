-- The bank's memory. Entries move money; every total and status follows from them.

CREATE TABLE IF NOT EXISTS payments (
    id TEXT PRIMARY KEY CHECK (id GLOB 'pay_*'),
    reference TEXT NOT NULL UNIQUE,
    token TEXT, -- NULL on the tombstone of a reference that was voided before it was used
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    amount INTEGER NOT NULL CHECK (amount >= 0),
    capture INTEGER NOT NULL CHECK (capture IN (0, 1)),
    return_url TEXT,
    decline_code TEXT,
    withdrawn INTEGER NOT NULL DEFAULT 0 CHECK (withdrawn IN (0, 1)),
    authorized INTEGER NOT NULL DEFAULT 0,
    captured INTEGER NOT NULL DEFAULT 0,
    voided INTEGER NOT NULL DEFAULT 0,
    refunded INTEGER NOT NULL DEFAULT 0,
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    status TEXT NOT NULL AS (CASE
        WHEN decline_code IS NOT NULL THEN 'declined'
        WHEN captured > 0 THEN 'captured'
        WHEN withdrawn OR voided > 0 THEN 'voided'
        WHEN authorized > 0 THEN 'authorized'
        ELSE 'requires_action'
    END) STORED,
    CHECK (authorized IN (0, amount)),
    CHECK (authorized = 0 OR (decline_code IS NULL AND NOT withdrawn)),
    CHECK (captured >= 0 AND voided >= 0 AND captured + voided <= authorized),
    CHECK (refunded BETWEEN 0 AND captured)
) STRICT;

-- What a shopper typed into a field pays once; the test tokens pay without end.
CREATE UNIQUE INDEX IF NOT EXISTS typed_cards_pay_once ON payments (token)
WHERE token GLOB 'tok_field_*';

CREATE TABLE IF NOT EXISTS cards (
    token TEXT PRIMARY KEY CHECK (token GLOB 'tok_field_*'),
    brand TEXT NOT NULL,
    last4 TEXT NOT NULL CHECK (last4 GLOB '[0-9][0-9][0-9][0-9]'),
    exp TEXT NOT NULL CHECK (exp GLOB '20[0-9][0-9]-[01][0-9]'),
    behavior TEXT NOT NULL CHECK (behavior IN ('ok', 'declined', 'insufficient', 'challenge'))
) STRICT;

CREATE TRIGGER IF NOT EXISTS cards_stay_once_they_have_paid BEFORE UPDATE ON cards
WHEN EXISTS (SELECT 1 FROM payments WHERE token = old.token)
BEGIN
    SELECT raise(ABORT, 'this card has paid already');
END;

CREATE TABLE IF NOT EXISTS entries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    payment TEXT NOT NULL REFERENCES payments (id),
    kind TEXT NOT NULL CHECK (kind IN ('authorize', 'capture', 'void', 'refund')),
    amount INTEGER NOT NULL CHECK (amount > 0),
    at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;

CREATE INDEX IF NOT EXISTS entries_of_payment ON entries (payment);

CREATE TRIGGER IF NOT EXISTS entries_are_posted AFTER INSERT ON entries
BEGIN
    UPDATE payments SET
        authorized = authorized + iif(new.kind = 'authorize', new.amount, 0),
        captured = captured + iif(new.kind = 'capture', new.amount, 0),
        voided = voided + iif(new.kind = 'void', new.amount, 0),
        refunded = refunded + iif(new.kind = 'refund', new.amount, 0)
    WHERE id = new.payment;
END;

CREATE TRIGGER IF NOT EXISTS entries_are_never_changed BEFORE UPDATE ON entries
BEGIN
    SELECT raise(ABORT, 'the ledger is append-only');
END;

CREATE TRIGGER IF NOT EXISTS entries_are_never_removed BEFORE DELETE ON entries
BEGIN
    SELECT raise(ABORT, 'the ledger is append-only');
END;

CREATE VIEW IF NOT EXISTS positions AS
SELECT
    payments.reference,
    payments.id AS payment,
    payments.currency,
    sum(iif(kind = 'authorize', entries.amount, 0)) AS authorized,
    sum(iif(kind = 'capture', entries.amount, 0)) AS captured,
    sum(iif(kind = 'void', entries.amount, 0)) AS voided,
    sum(iif(kind = 'refund', entries.amount, 0)) AS refunded
FROM entries
JOIN payments ON payments.id = entries.payment
GROUP BY payments.id;

CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY,
    fingerprint BLOB NOT NULL,
    status INTEGER NOT NULL CHECK (status BETWEEN 200 AND 499),
    body BLOB NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS webhooks (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    type TEXT NOT NULL,
    mode TEXT NOT NULL CHECK (mode IN ('normal', 'early', 'late', 'thrice', 'never')),
    state TEXT NOT NULL CHECK (state IN ('pending', 'withheld', 'delivered', 'undelivered')),
    attempts INTEGER NOT NULL DEFAULT 0,
    due REAL NOT NULL,
    body BLOB NOT NULL
) STRICT;

CREATE INDEX IF NOT EXISTS webhooks_in_state ON webhooks (state, seq);

CREATE TABLE IF NOT EXISTS steering (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    mode TEXT NOT NULL,
    delay_seconds REAL NOT NULL
) STRICT;

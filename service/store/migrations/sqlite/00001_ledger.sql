-- +goose Up

-- Times are UTC, in microseconds since 1970; 0 means unknown. Amounts are minor
-- units. An empty text means unknown, so that the engines agree on equality.
-- The length checks stand for the VARCHAR(n) of the other engines; what every
-- callback writes is limited in bytes, which SQLite need not count. Nor is there
-- an IN of three values in a check: SQLite builds a table of them for each row.

-- One row per arrival, refused ones too: the audit log.
CREATE TABLE callbacks (
    seq             INTEGER PRIMARY KEY,
    id              TEXT    NOT NULL UNIQUE CHECK (octet_length(id) BETWEEN 1 AND 64),
    merchant        TEXT    NOT NULL CHECK (octet_length(merchant) <= 64),        -- configured name or _OTHER
    path_merchant   TEXT    NOT NULL CHECK (octet_length(path_merchant) <= 64),   -- as the path named it
    api             TEXT    NOT NULL CHECK (octet_length(api) <= 8),
    received_at     INTEGER NOT NULL,
    read_at         INTEGER NOT NULL,
    counted_at      INTEGER NOT NULL,                                       -- received_at; of a row from the spool, the import
    outcome         TEXT    NOT NULL CHECK (outcome = 'accepted' OR outcome = 'duplicate' OR outcome = 'failed'),
    class           TEXT    NOT NULL CHECK (octet_length(class) <= 16),
    reason          TEXT    NOT NULL CHECK (octet_length(reason) <= 32),
    detail          TEXT    NOT NULL CHECK (octet_length(detail) <= 512),
    status          INTEGER NOT NULL,                                       -- the answer that was meant
    arrival         INTEGER NOT NULL,
    repeats         INTEGER NOT NULL,                                       -- like arrivals this row counts besides itself
    notification    INTEGER,                                                -- notifications.id
    notification_id TEXT    NOT NULL CHECK (octet_length(notification_id) <= 128),
    kind            TEXT    NOT NULL CHECK (octet_length(kind) <= 32),
    event_type      TEXT    NOT NULL CHECK (octet_length(event_type) <= 64),
    mchid           TEXT    NOT NULL CHECK (octet_length(mchid) <= 64),
    appid           TEXT    NOT NULL CHECK (octet_length(appid) <= 64),
    business_key    TEXT    NOT NULL CHECK (octet_length(business_key) <= 192),
    out_trade_no    TEXT    NOT NULL CHECK (octet_length(out_trade_no) <= 64),
    transaction_id  TEXT    NOT NULL CHECK (octet_length(transaction_id) <= 64),
    out_refund_no   TEXT    NOT NULL CHECK (octet_length(out_refund_no) <= 64),
    refund_id       TEXT    NOT NULL CHECK (octet_length(refund_id) <= 64),
    state           TEXT    NOT NULL CHECK (octet_length(state) <= 64),
    result_code     TEXT    NOT NULL CHECK (octet_length(result_code) <= 64),
    amount          INTEGER NOT NULL,
    currency        TEXT    NOT NULL CHECK (octet_length(currency) <= 16),
    refund          INTEGER NOT NULL,
    refund_currency TEXT    NOT NULL CHECK (octet_length(refund_currency) <= 16),
    created_at      INTEGER NOT NULL,                                       -- the notification, by WeChat Pay
    succeeded_at    INTEGER NOT NULL,                                       -- the payment or refund
    peer            TEXT    NOT NULL CHECK (octet_length(peer) <= 64),
    content_type    TEXT    NOT NULL CHECK (octet_length(content_type) <= 128),
    length          INTEGER NOT NULL,
    digest          BLOB    NOT NULL,                                       -- SHA-256 of the body as sent
    body_form       TEXT    NOT NULL CHECK (octet_length(body_form) <= 16),
    body_key        TEXT    NOT NULL CHECK (octet_length(body_key) <= 128),
    body            BLOB    NOT NULL,
    serial          TEXT    NOT NULL CHECK (octet_length(serial) <= 128),
    signed_at       TEXT    NOT NULL CHECK (octet_length(signed_at) <= 32),
    nonce           TEXT    NOT NULL CHECK (octet_length(nonce) <= 128),
    signature_type  TEXT    NOT NULL CHECK (octet_length(signature_type) <= 64),
    signature       TEXT    NOT NULL CHECK (octet_length(signature) <= 1024),
    trace           TEXT    NOT NULL CHECK (octet_length(trace) <= 64),
    incident        INTEGER NOT NULL DEFAULT 0,                             -- incidents.id; 0: nobody is told of it yet, or need be
    answered_status INTEGER,                                                -- NULL: stopped before answering
    answered_at     INTEGER,
    duration        INTEGER                                                 -- microseconds
);
-- The failure gauge: failures of the last minutes, whatever else is in the table.
CREATE INDEX callbacks_failed ON callbacks (counted_at) WHERE outcome = 'failed';
-- Failures that belong to no incident yet, to be found newest first: empty but for a moment.
CREATE INDEX callbacks_untold ON callbacks (class, counted_at)
    WHERE incident = 0 AND outcome = 'failed' AND class IN ('proven', 'unproven');
-- The latest failures of one incident.
CREATE INDEX callbacks_incident ON callbacks (incident, class, counted_at) WHERE incident <> 0;
-- The latest callback of each merchant.
CREATE INDEX callbacks_merchant ON callbacks (merchant, received_at);
-- All arrivals of one notification.
CREATE INDEX callbacks_notification ON callbacks (notification) WHERE notification IS NOT NULL;

-- One row per distinct proven message. Never deleted: it is what makes a copy a
-- copy, and a v2 message can be replayed for ever.
CREATE TABLE notifications (
    id              INTEGER PRIMARY KEY,
    merchant        TEXT    NOT NULL CHECK (octet_length(merchant) BETWEEN 1 AND 64),
    business_key    TEXT    NOT NULL CHECK (octet_length(business_key) BETWEEN 1 AND 192),
    notification_id TEXT    NOT NULL CHECK (octet_length(notification_id) BETWEEN 1 AND 128),
    event_id        TEXT    NOT NULL CHECK (octet_length(event_id) BETWEEN 1 AND 64),
    facts           TEXT    NOT NULL CHECK (octet_length(facts) <= 64),           -- empty until an arrival was verified
    standing        TEXT    NOT NULL CHECK (standing = 'outstanding' OR standing = 'watched' OR standing = 'accepted' OR standing = 'quarantined' OR standing = 'rejected'),
    reason          TEXT    NOT NULL CHECK (octet_length(reason) <= 32),
    arrivals        INTEGER NOT NULL,
    first_at        INTEGER NOT NULL,
    last_at         INTEGER NOT NULL,
    first_trace     TEXT    NOT NULL CHECK (octet_length(first_trace) <= 64),
    previous_trace  TEXT    NOT NULL CHECK (octet_length(previous_trace) <= 64),
    last_trace      TEXT    NOT NULL CHECK (octet_length(last_trace) <= 64),
    callback        TEXT    NOT NULL CHECK (octet_length(callback) <= 64),        -- callbacks.id whose body the event is rendered from
    api             TEXT    NOT NULL CHECK (octet_length(api) <= 8),
    kind            TEXT    NOT NULL CHECK (octet_length(kind) <= 32),
    event_type      TEXT    NOT NULL CHECK (octet_length(event_type) <= 64),
    mchid           TEXT    NOT NULL CHECK (octet_length(mchid) <= 64),
    appid           TEXT    NOT NULL CHECK (octet_length(appid) <= 64),
    out_trade_no    TEXT    NOT NULL CHECK (octet_length(out_trade_no) <= 64),
    transaction_id  TEXT    NOT NULL CHECK (octet_length(transaction_id) <= 64),
    out_refund_no   TEXT    NOT NULL CHECK (octet_length(out_refund_no) <= 64),
    refund_id       TEXT    NOT NULL CHECK (octet_length(refund_id) <= 64),
    state           TEXT    NOT NULL CHECK (octet_length(state) <= 64),
    result_code     TEXT    NOT NULL CHECK (octet_length(result_code) <= 64),
    amount          INTEGER NOT NULL,
    currency        TEXT    NOT NULL CHECK (octet_length(currency) <= 16),
    refund          INTEGER NOT NULL,
    refund_currency TEXT    NOT NULL CHECK (octet_length(refund_currency) <= 16),
    created_at      INTEGER NOT NULL,
    succeeded_at    INTEGER NOT NULL,
    closed_at       INTEGER NOT NULL DEFAULT 0,                             -- accepted or resolved
    resolved_by     TEXT    NOT NULL DEFAULT '' CHECK (length(resolved_by) <= 128),
    resolved_reason TEXT    NOT NULL DEFAULT '' CHECK (length(resolved_reason) <= 512),
    -- The id comes first, so that these two also serve a search without a merchant.
    UNIQUE (business_key, merchant),
    UNIQUE (notification_id, merchant)
);
-- Missing money: all that is not accepted.
CREATE INDEX notifications_open ON notifications (merchant, first_at) WHERE standing <> 'accepted';
CREATE INDEX notifications_order ON notifications (out_trade_no);
-- A payment is found by its transaction through its key: one index less to write.
CREATE INDEX notifications_transaction ON notifications (transaction_id)
    WHERE business_key <> 'payment/' || transaction_id;

CREATE TABLE orders (
    merchant       TEXT    NOT NULL CHECK (octet_length(merchant) BETWEEN 1 AND 64),
    out_trade_no   TEXT    NOT NULL CHECK (octet_length(out_trade_no) BETWEEN 1 AND 64),
    amount         INTEGER NOT NULL,
    currency       TEXT    NOT NULL CHECK (octet_length(currency) <= 16),
    state          TEXT    NOT NULL CHECK (state = 'expected' OR state = 'paid' OR state = 'partly_refunded' OR state = 'refunded'),
    transaction_id TEXT    NOT NULL CHECK (octet_length(transaction_id) <= 64),
    refunded       INTEGER NOT NULL,
    registered     BOOLEAN NOT NULL,
    paid_at        INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL,
    PRIMARY KEY (merchant, out_trade_no)
) WITHOUT ROWID;

-- What the merchant's own system is still to be told. The payload is rendered
-- from the stored body when it is sent.
CREATE TABLE outbox (
    event_id     TEXT    NOT NULL CHECK (octet_length(event_id) BETWEEN 1 AND 64),
    destination  TEXT    NOT NULL CHECK (octet_length(destination) BETWEEN 1 AND 64),
    notification INTEGER NOT NULL,                                          -- notifications.id
    state        TEXT    NOT NULL CHECK (state = 'pending' OR state = 'delivered' OR state = 'dead'),
    attempts     INTEGER NOT NULL,
    due_at       INTEGER NOT NULL,
    lease        TEXT    NOT NULL CHECK (octet_length(lease) <= 64),
    leased_until INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    done_at      INTEGER NOT NULL,
    PRIMARY KEY (notification, destination)
) WITHOUT ROWID;
CREATE INDEX outbox_due ON outbox (due_at) WHERE state = 'pending';

-- One row per try to deliver an event.
CREATE TABLE attempts (
    id          INTEGER PRIMARY KEY,
    event_id    TEXT    NOT NULL CHECK (length(event_id) BETWEEN 1 AND 64),
    destination TEXT    NOT NULL CHECK (length(destination) BETWEEN 1 AND 64),
    started_at  INTEGER NOT NULL,
    duration    INTEGER NOT NULL,
    outcome     TEXT    NOT NULL CHECK (length(outcome) <= 32),
    status      INTEGER NOT NULL,
    detail      TEXT    NOT NULL CHECK (length(detail) <= 512)
);
CREATE INDEX attempts_event ON attempts (event_id, destination);

-- What people are told about. One is open per key; failures join it until it closes.
CREATE TABLE incidents (
    id         INTEGER PRIMARY KEY,
    rule       TEXT    NOT NULL CHECK (length(rule) BETWEEN 1 AND 64),
    merchant   TEXT    NOT NULL CHECK (length(merchant) <= 64),
    class      TEXT    NOT NULL CHECK (length(class) <= 16),
    reason     TEXT    NOT NULL CHECK (length(reason) <= 32),
    subject    TEXT    NOT NULL CHECK (length(subject) <= 128),
    detail     TEXT    NOT NULL CHECK (length(detail) <= 1024),
    opened_at  INTEGER NOT NULL,
    latest_at  INTEGER NOT NULL,
    count      INTEGER NOT NULL,
    told_at    INTEGER NOT NULL,                                            -- 0: never
    told_count INTEGER NOT NULL,
    lasting    INTEGER NOT NULL,
    closed_at  INTEGER NOT NULL                                             -- 0: open
);
CREATE UNIQUE INDEX incidents_open ON incidents (rule, merchant, class, reason, subject) WHERE closed_at = 0;
CREATE INDEX incidents_closed ON incidents (rule, merchant, class, reason, subject, closed_at);

-- Who does what only one replica may do.
CREATE TABLE leases (
    name   TEXT    NOT NULL PRIMARY KEY CHECK (length(name) <= 32),
    holder TEXT    NOT NULL CHECK (length(holder) <= 64),
    until  INTEGER NOT NULL
);

-- +goose Down
DROP TABLE leases;
DROP TABLE incidents;
DROP TABLE attempts;
DROP TABLE outbox;
DROP TABLE orders;
DROP TABLE notifications;
DROP TABLE callbacks;

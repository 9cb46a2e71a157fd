-- +goose Up

-- Times are UTC, in microseconds since 1970; 0 means unknown. Amounts are minor
-- units. An empty text means unknown, so that the engines agree on equality.
-- Texts compare byte by byte, whatever the language of the database.

-- One row per arrival, refused ones too: the audit log.
CREATE TABLE callbacks (
    seq             BIGINT                    GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id              VARCHAR(64) COLLATE "C"   NOT NULL UNIQUE CHECK (id <> ''),
    merchant        VARCHAR(64) COLLATE "C"   NOT NULL,                -- configured name or _OTHER
    path_merchant   VARCHAR(64) COLLATE "C"   NOT NULL,                -- as the path named it
    api             VARCHAR(8) COLLATE "C"    NOT NULL,
    received_at     BIGINT                    NOT NULL,
    read_at         BIGINT                    NOT NULL,
    counted_at      BIGINT                    NOT NULL,                -- received_at; of a row from the spool, the import
    outcome         VARCHAR(16) COLLATE "C"   NOT NULL CHECK (outcome IN ('accepted', 'duplicate', 'failed')),
    class           VARCHAR(16) COLLATE "C"   NOT NULL,
    reason          VARCHAR(32) COLLATE "C"   NOT NULL,
    detail          VARCHAR(512) COLLATE "C"  NOT NULL,
    status          INTEGER                   NOT NULL,                -- the answer that was meant
    arrival         INTEGER                   NOT NULL,
    repeats         BIGINT                    NOT NULL,                -- like arrivals this row counts besides itself
    notification    BIGINT,                                            -- notifications.id
    notification_id VARCHAR(128) COLLATE "C"  NOT NULL,
    kind            VARCHAR(32) COLLATE "C"   NOT NULL,
    event_type      VARCHAR(64) COLLATE "C"   NOT NULL,
    mchid           VARCHAR(64) COLLATE "C"   NOT NULL,
    appid           VARCHAR(64) COLLATE "C"   NOT NULL,
    business_key    VARCHAR(192) COLLATE "C"  NOT NULL,
    out_trade_no    VARCHAR(64) COLLATE "C"   NOT NULL,
    transaction_id  VARCHAR(64) COLLATE "C"   NOT NULL,
    out_refund_no   VARCHAR(64) COLLATE "C"   NOT NULL,
    refund_id       VARCHAR(64) COLLATE "C"   NOT NULL,
    state           VARCHAR(64) COLLATE "C"   NOT NULL,
    result_code     VARCHAR(64) COLLATE "C"   NOT NULL,
    amount          BIGINT                    NOT NULL,
    currency        VARCHAR(16) COLLATE "C"   NOT NULL,
    refund          BIGINT                    NOT NULL,
    refund_currency VARCHAR(16) COLLATE "C"   NOT NULL,
    created_at      BIGINT                    NOT NULL,                -- the notification, by WeChat Pay
    succeeded_at    BIGINT                    NOT NULL,                -- the payment or refund
    peer            VARCHAR(64) COLLATE "C"   NOT NULL,
    content_type    VARCHAR(128) COLLATE "C"  NOT NULL,
    length          BIGINT                    NOT NULL,
    digest          BYTEA                     NOT NULL,                -- SHA-256 of the body as sent
    body_form       VARCHAR(16) COLLATE "C"   NOT NULL,
    body_key        VARCHAR(128) COLLATE "C"  NOT NULL,
    body            BYTEA                     NOT NULL,
    serial          VARCHAR(128) COLLATE "C"  NOT NULL,
    signed_at       VARCHAR(32) COLLATE "C"   NOT NULL,
    nonce           VARCHAR(128) COLLATE "C"  NOT NULL,
    signature_type  VARCHAR(64) COLLATE "C"   NOT NULL,
    signature       VARCHAR(1024) COLLATE "C" NOT NULL,
    trace           VARCHAR(64) COLLATE "C"   NOT NULL,
    incident        BIGINT                    NOT NULL DEFAULT 0,      -- incidents.id; 0: nobody is told of it yet, or need be
    answered_status INTEGER,                                           -- NULL: stopped before answering
    answered_at     BIGINT,
    duration        BIGINT                                             -- microseconds
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
    id              BIGINT                    GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    merchant        VARCHAR(64) COLLATE "C"   NOT NULL CHECK (merchant <> ''),
    business_key    VARCHAR(192) COLLATE "C"  NOT NULL CHECK (business_key <> ''),
    notification_id VARCHAR(128) COLLATE "C"  NOT NULL CHECK (notification_id <> ''),
    event_id        VARCHAR(64) COLLATE "C"   NOT NULL CHECK (event_id <> ''),
    facts           VARCHAR(64) COLLATE "C"   NOT NULL,                -- empty until an arrival was verified
    standing        VARCHAR(16) COLLATE "C"   NOT NULL CHECK (standing IN ('outstanding', 'watched', 'accepted', 'quarantined', 'rejected')),
    reason          VARCHAR(32) COLLATE "C"   NOT NULL,
    arrivals        BIGINT                    NOT NULL,
    first_at        BIGINT                    NOT NULL,
    last_at         BIGINT                    NOT NULL,
    first_trace     VARCHAR(64) COLLATE "C"   NOT NULL,
    previous_trace  VARCHAR(64) COLLATE "C"   NOT NULL,
    last_trace      VARCHAR(64) COLLATE "C"   NOT NULL,
    callback        VARCHAR(64) COLLATE "C"   NOT NULL,                -- callbacks.id whose body the event is rendered from
    api             VARCHAR(8) COLLATE "C"    NOT NULL,
    kind            VARCHAR(32) COLLATE "C"   NOT NULL,
    event_type      VARCHAR(64) COLLATE "C"   NOT NULL,
    mchid           VARCHAR(64) COLLATE "C"   NOT NULL,
    appid           VARCHAR(64) COLLATE "C"   NOT NULL,
    out_trade_no    VARCHAR(64) COLLATE "C"   NOT NULL,
    transaction_id  VARCHAR(64) COLLATE "C"   NOT NULL,
    out_refund_no   VARCHAR(64) COLLATE "C"   NOT NULL,
    refund_id       VARCHAR(64) COLLATE "C"   NOT NULL,
    state           VARCHAR(64) COLLATE "C"   NOT NULL,
    result_code     VARCHAR(64) COLLATE "C"   NOT NULL,
    amount          BIGINT                    NOT NULL,
    currency        VARCHAR(16) COLLATE "C"   NOT NULL,
    refund          BIGINT                    NOT NULL,
    refund_currency VARCHAR(16) COLLATE "C"   NOT NULL,
    created_at      BIGINT                    NOT NULL,
    succeeded_at    BIGINT                    NOT NULL,
    closed_at       BIGINT                    NOT NULL DEFAULT 0,      -- accepted or resolved
    resolved_by     VARCHAR(128) COLLATE "C"  NOT NULL DEFAULT '',
    resolved_reason VARCHAR(512) COLLATE "C"  NOT NULL DEFAULT '',
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
    merchant        VARCHAR(64) COLLATE "C"   NOT NULL CHECK (merchant <> ''),
    out_trade_no    VARCHAR(64) COLLATE "C"   NOT NULL CHECK (out_trade_no <> ''),
    amount          BIGINT                    NOT NULL,
    currency        VARCHAR(16) COLLATE "C"   NOT NULL,
    state           VARCHAR(16) COLLATE "C"   NOT NULL CHECK (state IN ('expected', 'paid', 'partly_refunded', 'refunded')),
    transaction_id  VARCHAR(64) COLLATE "C"   NOT NULL,
    refunded        BIGINT                    NOT NULL,
    registered      BOOLEAN                   NOT NULL,
    paid_at         BIGINT                    NOT NULL,
    updated_at      BIGINT                    NOT NULL,
    PRIMARY KEY (merchant, out_trade_no)
);

-- What the merchant's own system is still to be told. The payload is rendered
-- from the stored body when it is sent.
CREATE TABLE outbox (
    event_id        VARCHAR(64) COLLATE "C"   NOT NULL CHECK (event_id <> ''),
    destination     VARCHAR(64) COLLATE "C"   NOT NULL CHECK (destination <> ''),
    notification    BIGINT                    NOT NULL,                -- notifications.id
    state           VARCHAR(16) COLLATE "C"   NOT NULL CHECK (state IN ('pending', 'delivered', 'dead')),
    attempts        INTEGER                   NOT NULL,
    due_at          BIGINT                    NOT NULL,
    lease           VARCHAR(64) COLLATE "C"   NOT NULL,
    leased_until    BIGINT                    NOT NULL,
    created_at      BIGINT                    NOT NULL,
    done_at         BIGINT                    NOT NULL,
    PRIMARY KEY (notification, destination)
);
CREATE INDEX outbox_due ON outbox (due_at) WHERE state = 'pending';

-- One row per try to deliver an event.
CREATE TABLE attempts (
    id              BIGINT                    GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id        VARCHAR(64) COLLATE "C"   NOT NULL CHECK (event_id <> ''),
    destination     VARCHAR(64) COLLATE "C"   NOT NULL CHECK (destination <> ''),
    started_at      BIGINT                    NOT NULL,
    duration        BIGINT                    NOT NULL,
    outcome         VARCHAR(32) COLLATE "C"   NOT NULL,
    status          INTEGER                   NOT NULL,
    detail          VARCHAR(512) COLLATE "C"  NOT NULL
);
CREATE INDEX attempts_event ON attempts (event_id, destination);

-- What people are told about. One is open per key; failures join it until it closes.
CREATE TABLE incidents (
    id              BIGINT                    GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rule            VARCHAR(64) COLLATE "C"   NOT NULL CHECK (rule <> ''),
    merchant        VARCHAR(64) COLLATE "C"   NOT NULL,
    class           VARCHAR(16) COLLATE "C"   NOT NULL,
    reason          VARCHAR(32) COLLATE "C"   NOT NULL,
    subject         VARCHAR(128) COLLATE "C"  NOT NULL,
    detail          VARCHAR(1024) COLLATE "C" NOT NULL,
    opened_at       BIGINT                    NOT NULL,
    latest_at       BIGINT                    NOT NULL,
    count           BIGINT                    NOT NULL,
    told_at         BIGINT                    NOT NULL,                -- 0: never
    told_count      BIGINT                    NOT NULL,
    lasting         BOOLEAN                   NOT NULL,
    closed_at       BIGINT                    NOT NULL                 -- 0: open
);
CREATE UNIQUE INDEX incidents_open ON incidents (rule, merchant, class, reason, subject) WHERE closed_at = 0;
CREATE INDEX incidents_closed ON incidents (rule, merchant, class, reason, subject, closed_at);

-- Who does what only one replica may do.
CREATE TABLE leases (
    name            VARCHAR(32) COLLATE "C"   NOT NULL PRIMARY KEY,
    holder          VARCHAR(64) COLLATE "C"   NOT NULL,
    until           BIGINT                    NOT NULL
);

-- +goose Down
DROP TABLE leases;
DROP TABLE incidents;
DROP TABLE attempts;
DROP TABLE outbox;
DROP TABLE orders;
DROP TABLE notifications;
DROP TABLE callbacks;

-- +goose Up

-- Times are UTC, in microseconds since 1970; 0 means unknown. Amounts are minor
-- units. An empty text means unknown, so that the engines agree on equality.
-- Texts compare byte by byte, and the ids that make a copy a copy are bytes: the
-- engine's texts are equal when only spaces at their end differ.
--
-- MySQL commits after each of these statements; a migration that was interrupted
-- begins again, so each leaves alone what is there.

-- One row per arrival, refused ones too: the audit log.
CREATE TABLE IF NOT EXISTS callbacks (
    seq             BIGINT          NOT NULL AUTO_INCREMENT PRIMARY KEY,
    id              VARCHAR(64)     NOT NULL UNIQUE CHECK (id <> ''),
    merchant        VARCHAR(64)     NOT NULL,                          -- configured name or _OTHER
    path_merchant   VARCHAR(64)     NOT NULL,                          -- as the path named it
    api             VARCHAR(8)      NOT NULL,
    received_at     BIGINT          NOT NULL,
    read_at         BIGINT          NOT NULL,
    counted_at      BIGINT          NOT NULL,                          -- received_at; of a row from the spool, the import
    outcome         VARCHAR(16)     NOT NULL CHECK (outcome IN ('accepted', 'duplicate', 'failed')),
    class           VARCHAR(16)     NOT NULL,
    reason          VARCHAR(32)     NOT NULL,
    detail          VARCHAR(512)    NOT NULL,
    status          INTEGER         NOT NULL,                          -- the answer that was meant
    arrival         INTEGER         NOT NULL,
    repeats         BIGINT          NOT NULL,                          -- like arrivals this row counts besides itself
    notification    BIGINT,                                            -- notifications.id
    notification_id VARBINARY(128)  NOT NULL,
    kind            VARCHAR(32)     NOT NULL,
    event_type      VARCHAR(64)     NOT NULL,
    mchid           VARCHAR(64)     NOT NULL,
    appid           VARCHAR(64)     NOT NULL,
    business_key    VARBINARY(192)  NOT NULL,
    out_trade_no    VARBINARY(64)   NOT NULL,
    transaction_id  VARCHAR(64)     NOT NULL,
    out_refund_no   VARCHAR(64)     NOT NULL,
    refund_id       VARCHAR(64)     NOT NULL,
    state           VARCHAR(64)     NOT NULL,
    result_code     VARCHAR(64)     NOT NULL,
    amount          BIGINT          NOT NULL,
    currency        VARCHAR(16)     NOT NULL,
    refund          BIGINT          NOT NULL,
    refund_currency VARCHAR(16)     NOT NULL,
    created_at      BIGINT          NOT NULL,                          -- the notification, by WeChat Pay
    succeeded_at    BIGINT          NOT NULL,                          -- the payment or refund
    peer            VARCHAR(64)     NOT NULL,
    content_type    VARCHAR(128)    NOT NULL,
    length          BIGINT          NOT NULL,
    digest          VARBINARY(32)   NOT NULL,                          -- SHA-256 of the body as sent
    body_form       VARCHAR(16)     NOT NULL,
    body_key        VARCHAR(128)    NOT NULL,
    body            MEDIUMBLOB      NOT NULL,
    serial          VARCHAR(128)    NOT NULL,
    signed_at       VARCHAR(32)     NOT NULL,
    nonce           VARCHAR(128)    NOT NULL,
    signature_type  VARCHAR(64)     NOT NULL,
    signature       VARCHAR(1024)   NOT NULL,
    trace           VARCHAR(64)     NOT NULL,
    incident        BIGINT          NOT NULL DEFAULT 0,                -- incidents.id; 0: nobody is told of it yet, or need be
    answered_status INTEGER,                                           -- NULL: stopped before answering
    answered_at     BIGINT,
    duration        BIGINT,                                            -- microseconds
    -- There are no partial indexes here: what tells few rows from many comes first.
    -- The failure gauge: failures of the last minutes.
    INDEX callbacks_failed (outcome, counted_at),
    -- Failures that belong to no incident yet, and the latest of one.
    INDEX callbacks_incident (incident, class, counted_at),
    -- The latest callback of each merchant.
    INDEX callbacks_merchant (merchant, received_at),
    -- All arrivals of one notification.
    INDEX callbacks_notification (notification)
) ENGINE = InnoDB, CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- One row per distinct proven message. Never deleted: it is what makes a copy a
-- copy, and a v2 message can be replayed for ever.
CREATE TABLE IF NOT EXISTS notifications (
    id              BIGINT          NOT NULL AUTO_INCREMENT PRIMARY KEY,
    merchant        VARCHAR(64)     NOT NULL CHECK (merchant <> ''),
    business_key    VARBINARY(192)  NOT NULL CHECK (business_key <> ''),
    notification_id VARBINARY(128)  NOT NULL CHECK (notification_id <> ''),
    event_id        VARCHAR(64)     NOT NULL CHECK (event_id <> ''),
    facts           VARCHAR(64)     NOT NULL,                          -- empty until an arrival was verified
    standing        VARCHAR(16)     NOT NULL CHECK (standing IN ('outstanding', 'watched', 'accepted', 'quarantined', 'rejected')),
    reason          VARCHAR(32)     NOT NULL,
    arrivals        BIGINT          NOT NULL,
    first_at        BIGINT          NOT NULL,
    last_at         BIGINT          NOT NULL,
    first_trace     VARCHAR(64)     NOT NULL,
    previous_trace  VARCHAR(64)     NOT NULL,
    last_trace      VARCHAR(64)     NOT NULL,
    callback        VARCHAR(64)     NOT NULL,                          -- callbacks.id whose body the event is rendered from
    api             VARCHAR(8)      NOT NULL,
    kind            VARCHAR(32)     NOT NULL,
    event_type      VARCHAR(64)     NOT NULL,
    mchid           VARCHAR(64)     NOT NULL,
    appid           VARCHAR(64)     NOT NULL,
    out_trade_no    VARBINARY(64)   NOT NULL,
    transaction_id  VARCHAR(64)     NOT NULL,
    out_refund_no   VARCHAR(64)     NOT NULL,
    refund_id       VARCHAR(64)     NOT NULL,
    state           VARCHAR(64)     NOT NULL,
    result_code     VARCHAR(64)     NOT NULL,
    amount          BIGINT          NOT NULL,
    currency        VARCHAR(16)     NOT NULL,
    refund          BIGINT          NOT NULL,
    refund_currency VARCHAR(16)     NOT NULL,
    created_at      BIGINT          NOT NULL,
    succeeded_at    BIGINT          NOT NULL,
    closed_at       BIGINT          NOT NULL DEFAULT 0,                -- accepted or resolved
    resolved_by     VARCHAR(128)    NOT NULL DEFAULT '',
    resolved_reason VARCHAR(512)    NOT NULL DEFAULT '',
    -- The id comes first, so that these two also serve a search without a merchant.
    UNIQUE (business_key, merchant),
    UNIQUE (notification_id, merchant),
    -- Missing money: all that is not accepted.
    INDEX notifications_open (standing, merchant, first_at),
    INDEX notifications_order (out_trade_no),
    INDEX notifications_transaction (transaction_id)
) ENGINE = InnoDB, CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS orders (
    merchant        VARCHAR(64)     NOT NULL CHECK (merchant <> ''),
    out_trade_no    VARBINARY(64)   NOT NULL CHECK (out_trade_no <> ''),
    amount          BIGINT          NOT NULL,
    currency        VARCHAR(16)     NOT NULL,
    state           VARCHAR(16)     NOT NULL CHECK (state IN ('expected', 'paid', 'partly_refunded', 'refunded')),
    transaction_id  VARCHAR(64)     NOT NULL,
    refunded        BIGINT          NOT NULL,
    registered      BOOLEAN         NOT NULL,
    paid_at         BIGINT          NOT NULL,
    updated_at      BIGINT          NOT NULL,
    PRIMARY KEY (merchant, out_trade_no)
) ENGINE = InnoDB, CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- What the merchant's own system is still to be told. The payload is rendered
-- from the stored body when it is sent.
CREATE TABLE IF NOT EXISTS outbox (
    event_id        VARCHAR(64)     NOT NULL CHECK (event_id <> ''),
    destination     VARCHAR(64)     NOT NULL CHECK (destination <> ''),
    notification    BIGINT          NOT NULL,                          -- notifications.id
    state           VARCHAR(16)     NOT NULL CHECK (state IN ('pending', 'delivered', 'dead')),
    attempts        INTEGER         NOT NULL,
    due_at          BIGINT          NOT NULL,
    lease           VARCHAR(64)     NOT NULL,
    leased_until    BIGINT          NOT NULL,
    created_at      BIGINT          NOT NULL,
    done_at         BIGINT          NOT NULL,
    PRIMARY KEY (notification, destination),
    INDEX outbox_due (state, due_at)
) ENGINE = InnoDB, CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- One row per try to deliver an event.
CREATE TABLE IF NOT EXISTS attempts (
    id              BIGINT          NOT NULL AUTO_INCREMENT PRIMARY KEY,
    event_id        VARCHAR(64)     NOT NULL CHECK (event_id <> ''),
    destination     VARCHAR(64)     NOT NULL CHECK (destination <> ''),
    started_at      BIGINT          NOT NULL,
    duration        BIGINT          NOT NULL,
    outcome         VARCHAR(32)     NOT NULL,
    status          INTEGER         NOT NULL,
    detail          VARCHAR(512)    NOT NULL,
    INDEX attempts_event (event_id, destination)
) ENGINE = InnoDB, CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- What people are told about. One is open per key; failures join it until it closes.
CREATE TABLE IF NOT EXISTS incidents (
    id              BIGINT          NOT NULL AUTO_INCREMENT PRIMARY KEY,
    rule            VARCHAR(64)     NOT NULL CHECK (rule <> ''),
    merchant        VARCHAR(64)     NOT NULL,
    class           VARCHAR(16)     NOT NULL,
    reason          VARCHAR(32)     NOT NULL,
    subject         VARCHAR(128)    NOT NULL,
    detail          VARCHAR(1024)   NOT NULL,
    opened_at       BIGINT          NOT NULL,
    latest_at       BIGINT          NOT NULL,
    count           BIGINT          NOT NULL,
    told_at         BIGINT          NOT NULL,                          -- 0: never
    told_count      BIGINT          NOT NULL,
    lasting         BOOLEAN         NOT NULL,
    closed_at       BIGINT          NOT NULL,                          -- 0: open
    -- One row of NULLs equals no other: only what is open is unique.
    still_open      BOOLEAN         GENERATED ALWAYS AS (CASE WHEN closed_at = 0 THEN TRUE END) VIRTUAL,
    UNIQUE (rule, merchant, class, reason, subject, still_open),
    INDEX incidents_closed (rule, merchant, class, reason, subject, closed_at)
) ENGINE = InnoDB, CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Who does what only one replica may do.
CREATE TABLE IF NOT EXISTS leases (
    name            VARCHAR(32)     NOT NULL PRIMARY KEY,
    holder          VARCHAR(64)     NOT NULL,
    until           BIGINT          NOT NULL
) ENGINE = InnoDB, CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- +goose Down
DROP TABLE IF EXISTS leases;
DROP TABLE IF EXISTS incidents;
DROP TABLE IF EXISTS attempts;
DROP TABLE IF EXISTS outbox;
DROP TABLE IF EXISTS orders;
DROP TABLE IF EXISTS notifications;
DROP TABLE IF EXISTS callbacks;

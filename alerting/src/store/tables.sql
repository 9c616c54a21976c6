-- Where reading of each partition stands, with the marks of its sources.
CREATE TABLE checkpoints (
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    incarnation BIGINT NOT NULL,
    next_offset BIGINT NOT NULL,
    last_crc BIGINT,
    marks BLOB NOT NULL,
    PRIMARY KEY (topic, partition)
);
-- The clocks of sources.
CREATE TABLE sources (source BIGINT PRIMARY KEY, clock BLOB NOT NULL);
-- The rules that the rows of rule_groups were made by.
CREATE TABLE rules (name TEXT PRIMARY KEY, definition TEXT NOT NULL);
-- Window and episodes of each group.
CREATE TABLE rule_groups (
    rule TEXT NOT NULL,
    key TEXT NOT NULL,
    state BLOB NOT NULL,
    PRIMARY KEY (rule, key)
);
-- One row per episode. Event times in nanoseconds, wall clock in milliseconds.
CREATE TABLE alerts (
    id TEXT PRIMARY KEY,
    rule TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    labels TEXT NOT NULL,
    annotations TEXT NOT NULL,
    state TEXT NOT NULL,
    starts_at BIGINT NOT NULL,
    ends_at BIGINT,
    last_line BIGINT NOT NULL,
    lines BIGINT NOT NULL,
    samples TEXT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX alerts_by_state ON alerts (state, rule);
-- Only appended to. A step is recorded once, even if a commit whose outcome was unknown is repeated.
CREATE TABLE history (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at BIGINT NOT NULL,
    alert TEXT NOT NULL,
    rule TEXT NOT NULL,
    change TEXT NOT NULL,
    starts_at BIGINT NOT NULL,
    labels TEXT NOT NULL,
    lines BIGINT NOT NULL,
    UNIQUE (alert, change)
);
CREATE INDEX history_by_time ON history (at);
-- Notifications; a row is pending until its receiver took it, or gave up, or was given up.
CREATE TABLE outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    receiver TEXT NOT NULL,
    alert TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    change TEXT NOT NULL,
    body TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    next_try BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    done_at BIGINT,
    last_error TEXT,
    UNIQUE (id, receiver)
);
CREATE INDEX outbox_due ON outbox (receiver, next_try) WHERE state = 'pending';
CREATE INDEX outbox_order ON outbox (receiver, fingerprint, seq) WHERE state = 'pending';
CREATE INDEX outbox_by_alert ON outbox (alert, change);
CREATE INDEX outbox_done ON outbox (done_at) WHERE state <> 'pending';
-- Receivers; `disabled` says why one is not told any more.
CREATE TABLE receivers (name TEXT PRIMARY KEY, url TEXT NOT NULL, address TEXT NOT NULL, disabled TEXT);

-- Whoever starts raises the epoch; a writer that finds another one than its own was replaced.
CREATE TABLE owner (
    only_row BIGINT PRIMARY KEY CHECK (only_row = 1),
    epoch    BIGINT NOT NULL
);
INSERT INTO owner (only_row, epoch) VALUES (1, 0);

-- How far the queue is indexed in published splits, and which byte ranges of every source that was.
CREATE TABLE checkpoints (
    topic       TEXT   NOT NULL,
    partition   BIGINT NOT NULL,
    incarnation BIGINT NOT NULL,
    next_offset BIGINT NOT NULL,
    last_crc    BIGINT,
    marks       BLOB   NOT NULL,
    PRIMARY KEY (topic, partition)
);

-- Only `id`, `state` and `created_ms` are known while a split is staged.
CREATE TABLE splits (
    id             TEXT   PRIMARY KEY,
    state          TEXT   NOT NULL CHECK (state IN ('staged', 'published', 'marked')),
    created_ms     BIGINT NOT NULL,
    marked_ms      BIGINT,
    day            BIGINT NOT NULL DEFAULT 0,
    docs           BIGINT NOT NULL DEFAULT 0,
    raw_bytes      BIGINT NOT NULL DEFAULT 0,
    file_bytes     BIGINT NOT NULL DEFAULT 0,
    generation     BIGINT NOT NULL DEFAULT 0,
    arrival_max_ms BIGINT NOT NULL DEFAULT 0,
    time_min_ns    BIGINT NOT NULL DEFAULT 0,
    time_max_ns    BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX splits_by_state ON splits (state);

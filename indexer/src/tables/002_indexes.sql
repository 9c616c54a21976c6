-- What was indexed before there were several indexes was logs. `kind` is compared at every start.
CREATE TABLE indexes (
    name       TEXT   PRIMARY KEY,
    kind       TEXT   NOT NULL,
    created_ms BIGINT NOT NULL
);
INSERT INTO indexes (name, kind, created_ms) VALUES ('logs', 'logs', 0);

-- `format` numbers the schemas that an index of a kind has had.
ALTER TABLE splits ADD COLUMN index_name TEXT NOT NULL DEFAULT 'logs';
ALTER TABLE splits ADD COLUMN format BIGINT NOT NULL DEFAULT 1;

-- What version 2 adds: API keys, and routes that name versions without serving them.

ALTER TABLE routes ADD COLUMN served INTEGER NOT NULL DEFAULT 1 CHECK (served IN (0, 1));

CREATE TABLE keys (
    id         TEXT NOT NULL PRIMARY KEY,
    name       TEXT NOT NULL,
    role       TEXT NOT NULL,
    digest     TEXT NOT NULL CHECK (length(digest) = 64),
    rate_per_s REAL CHECK (rate_per_s > 0),
    created_by TEXT NOT NULL,
    created_at TEXT NOT NULL,
    expires_at TEXT
) STRICT;

CREATE TABLE revocations (
    key TEXT NOT NULL PRIMARY KEY REFERENCES keys (id),
    at  TEXT NOT NULL
) STRICT;

CREATE TRIGGER keys_stay BEFORE UPDATE ON keys
BEGIN SELECT RAISE(ABORT, 'keys are never changed'); END;
CREATE TRIGGER keys_last BEFORE DELETE ON keys
BEGIN SELECT RAISE(ABORT, 'keys are never removed'); END;
CREATE TRIGGER revocations_stay BEFORE UPDATE ON revocations
BEGIN SELECT RAISE(ABORT, 'revocations are never changed'); END;
CREATE TRIGGER revocations_last BEFORE DELETE ON revocations
BEGIN SELECT RAISE(ABORT, 'revocations are never removed'); END;

PRAGMA user_version = 2;

-- The registry, version 1. Rows are added and never changed: the triggers refuse everything else.

CREATE TABLE versions (
    model      TEXT    NOT NULL,
    number     INTEGER NOT NULL CHECK (number >= 1),
    digest     TEXT    NOT NULL,
    signature  TEXT    NOT NULL,
    card       TEXT    NOT NULL,
    profile    TEXT,
    size_bytes INTEGER NOT NULL,
    created_by TEXT    NOT NULL,
    created_at TEXT    NOT NULL,
    PRIMARY KEY (model, number)
) STRICT;

CREATE TABLE routes (
    model          TEXT    NOT NULL,
    generation     INTEGER NOT NULL CHECK (generation >= 1),
    stable         INTEGER NOT NULL,
    salt           BLOB    NOT NULL,
    shadow_version INTEGER,
    shadow_bp      INTEGER CHECK (shadow_bp BETWEEN 1 AND 10000),
    previous       INTEGER,
    created_by     TEXT    NOT NULL,
    created_at     TEXT    NOT NULL,
    reason         TEXT    NOT NULL,
    PRIMARY KEY (model, generation),
    FOREIGN KEY (model, stable) REFERENCES versions (model, number),
    FOREIGN KEY (model, shadow_version) REFERENCES versions (model, number),
    FOREIGN KEY (model, previous) REFERENCES versions (model, number),
    CHECK ((shadow_version IS NULL) = (shadow_bp IS NULL))
) STRICT;

CREATE TABLE arms (
    model      TEXT    NOT NULL,
    generation INTEGER NOT NULL,
    version    INTEGER NOT NULL,
    weight_bp  INTEGER NOT NULL CHECK (weight_bp BETWEEN 1 AND 10000),
    PRIMARY KEY (model, generation, version),
    FOREIGN KEY (model, generation) REFERENCES routes (model, generation),
    FOREIGN KEY (model, version) REFERENCES versions (model, number)
) STRICT;

CREATE TABLE audit (
    sequence      INTEGER PRIMARY KEY,
    at            TEXT NOT NULL,
    actor         TEXT NOT NULL,
    action        TEXT NOT NULL,
    resource      TEXT NOT NULL,
    before        TEXT NOT NULL,
    after         TEXT NOT NULL,
    reason        TEXT NOT NULL,
    previous_hash TEXT NOT NULL UNIQUE,
    hash          TEXT NOT NULL
) STRICT;

CREATE TRIGGER versions_stay BEFORE UPDATE ON versions
BEGIN SELECT RAISE(ABORT, 'versions are never changed'); END;
CREATE TRIGGER versions_last BEFORE DELETE ON versions
BEGIN SELECT RAISE(ABORT, 'versions are never removed'); END;
CREATE TRIGGER routes_stay BEFORE UPDATE ON routes
BEGIN SELECT RAISE(ABORT, 'routes are never changed'); END;
CREATE TRIGGER routes_last BEFORE DELETE ON routes
BEGIN SELECT RAISE(ABORT, 'routes are never removed'); END;
CREATE TRIGGER arms_stay BEFORE UPDATE ON arms
BEGIN SELECT RAISE(ABORT, 'arms are never changed'); END;
CREATE TRIGGER arms_last BEFORE DELETE ON arms
BEGIN SELECT RAISE(ABORT, 'arms are never removed'); END;
CREATE TRIGGER audit_stays BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'audit entries are never changed'); END;
CREATE TRIGGER audit_lasts BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'audit entries are never removed'); END;

PRAGMA user_version = 1;

-- What version 4 adds: rollouts, every change in the life of one, and the routes that are judged.

CREATE TABLE rollouts (
    id            TEXT    NOT NULL PRIMARY KEY,
    model         TEXT    NOT NULL,
    stable        INTEGER NOT NULL,
    candidate     INTEGER NOT NULL,
    policy        TEXT    NOT NULL,
    policy_digest TEXT    NOT NULL CHECK (policy_digest LIKE 'sha256:%'),
    started_by    TEXT    NOT NULL,
    started_at    TEXT    NOT NULL,
    CHECK (stable <> candidate),
    FOREIGN KEY (model, stable) REFERENCES versions (model, number),
    FOREIGN KEY (model, candidate) REFERENCES versions (model, number)
) STRICT;

CREATE INDEX rollouts_of_models ON rollouts (model);

CREATE TABLE rollout_changes (
    rollout     TEXT    NOT NULL REFERENCES rollouts (id),
    number      INTEGER NOT NULL CHECK (number >= 1),
    action      TEXT    NOT NULL,
    state       TEXT    NOT NULL,
    step        INTEGER NOT NULL CHECK (step >= 0),
    entered_at  TEXT    NOT NULL,
    by          TEXT    NOT NULL,
    at          TEXT    NOT NULL,
    reason      TEXT    NOT NULL,
    hold        TEXT,
    held_from   TEXT,
    promoted_by TEXT,
    approved    TEXT    NOT NULL,
    objective_s REAL    CHECK (objective_s > 0),
    evidence    TEXT    NOT NULL,
    PRIMARY KEY (rollout, number),
    CHECK ((state = 'held') = (hold IS NOT NULL)),
    CHECK ((state = 'held') = (held_from IS NOT NULL))
) STRICT;

CREATE TABLE rollout_deliveries (
    rollout TEXT    NOT NULL,
    change  INTEGER NOT NULL,
    at      TEXT    NOT NULL,
    PRIMARY KEY (rollout, change),
    FOREIGN KEY (rollout, change) REFERENCES rollout_changes (rollout, number)
) STRICT;

-- What is found so far: the one thing here that changes, since a later state holds all of it.
CREATE TABLE rollout_evidence (
    rollout TEXT    NOT NULL PRIMARY KEY,
    change  INTEGER NOT NULL,
    at      TEXT    NOT NULL,
    state   TEXT    NOT NULL,
    FOREIGN KEY (rollout, change) REFERENCES rollout_changes (rollout, number)
) STRICT;

-- A rollout whose first change is still to come is active, too.
CREATE VIEW active_rollouts AS
SELECT rollouts.id, rollouts.model, rollouts.stable, rollouts.candidate FROM rollouts
WHERE NOT EXISTS (
    SELECT 1 FROM rollout_changes
    WHERE rollout = rollouts.id
    AND number = (SELECT max(number) FROM rollout_changes WHERE rollout = rollouts.id)
    AND state IN ('completed', 'rolled back', 'failed')
);

ALTER TABLE routes ADD COLUMN rollout TEXT REFERENCES rollouts (id);
ALTER TABLE routes ADD COLUMN candidate INTEGER
    CHECK ((candidate IS NULL) = (rollout IS NULL));
ALTER TABLE routes ADD COLUMN baseline_bp INTEGER
    CHECK ((baseline_bp IS NULL) = (rollout IS NULL) AND baseline_bp BETWEEN 0 AND 10000);
ALTER TABLE routes ADD COLUMN objective_s REAL
    CHECK (objective_s IS NULL OR (objective_s > 0 AND rollout IS NOT NULL));

CREATE TRIGGER rollouts_stay BEFORE UPDATE ON rollouts
BEGIN SELECT RAISE(ABORT, 'rollouts are never changed'); END;
CREATE TRIGGER rollouts_last BEFORE DELETE ON rollouts
BEGIN SELECT RAISE(ABORT, 'rollouts are never removed'); END;
CREATE TRIGGER rollouts_one_each BEFORE INSERT ON rollouts
WHEN EXISTS (SELECT 1 FROM active_rollouts WHERE model = NEW.model)
BEGIN SELECT RAISE(ABORT, 'a model has one active rollout at most'); END;
CREATE TRIGGER rollout_changes_stay BEFORE UPDATE ON rollout_changes
BEGIN SELECT RAISE(ABORT, 'changes of rollouts are never changed'); END;
CREATE TRIGGER rollout_changes_last BEFORE DELETE ON rollout_changes
BEGIN SELECT RAISE(ABORT, 'changes of rollouts are never removed'); END;
CREATE TRIGGER rollout_changes_follow BEFORE INSERT ON rollout_changes
WHEN NEW.number <> 1 + (SELECT count(*) FROM rollout_changes WHERE rollout = NEW.rollout)
BEGIN SELECT RAISE(ABORT, 'a change of a rollout must follow its last one'); END;
CREATE TRIGGER rollout_changes_one_each BEFORE INSERT ON rollout_changes
WHEN NEW.state NOT IN ('completed', 'rolled back', 'failed') AND EXISTS (
    SELECT 1 FROM active_rollouts
    WHERE model = (SELECT model FROM rollouts WHERE id = NEW.rollout) AND id <> NEW.rollout
)
BEGIN SELECT RAISE(ABORT, 'a model has one active rollout at most'); END;
CREATE TRIGGER rollout_deliveries_stay BEFORE UPDATE ON rollout_deliveries
BEGIN SELECT RAISE(ABORT, 'deliveries are never changed'); END;
CREATE TRIGGER rollout_deliveries_last BEFORE DELETE ON rollout_deliveries
BEGIN SELECT RAISE(ABORT, 'deliveries are never removed'); END;
CREATE TRIGGER routes_judged BEFORE INSERT ON routes
WHEN NEW.rollout IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM active_rollouts
    WHERE id = NEW.rollout AND model = NEW.model
    AND stable = NEW.stable AND candidate = NEW.candidate
)
BEGIN SELECT RAISE(ABORT, 'a judged route belongs to an active rollout of its versions'); END;

PRAGMA user_version = 4;

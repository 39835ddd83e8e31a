-- What the stable version decided where a shadow answered too, and how often either was wrong.

ALTER TABLE assigned RENAME TO assigned_before;

-- label is what the card of the version that answered says of labels, as JSON: a decision is wrong
-- if it is another class than the truth. rival is NULL for answers that are beside no other.
CREATE TABLE assigned (
    code        INTEGER NOT NULL PRIMARY KEY,
    rollout     TEXT    NOT NULL,
    generation  INTEGER NOT NULL,
    arm         TEXT    NOT NULL,
    rival       REAL,
    label       TEXT    NOT NULL,
    labelled    INTEGER NOT NULL DEFAULT 0,
    wrong       INTEGER NOT NULL DEFAULT 0,
    rival_wrong INTEGER NOT NULL DEFAULT 0,
    both_wrong  INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX assigned_alike
    ON assigned (rollout, generation, arm, label, COALESCE(rival, -2));

INSERT INTO assigned (code, rollout, generation, arm, label, labelled, wrong)
    SELECT code, rollout, generation, arm, label, labelled, wrong FROM assigned_before;
DROP TABLE assigned_before;

-- To which arm of a rollout units were assigned, and how many of them are known to be wrong.

ALTER TABLE predictions ADD COLUMN assigned INTEGER;

-- label is what the card of the version that answered says of labels, as JSON: a decision is wrong
-- if it is another class than the truth.
CREATE TABLE assigned (
    code       INTEGER NOT NULL PRIMARY KEY,
    rollout    TEXT    NOT NULL,
    generation INTEGER NOT NULL,
    arm        TEXT    NOT NULL,
    label      TEXT    NOT NULL,
    labelled   INTEGER NOT NULL DEFAULT 0,
    wrong      INTEGER NOT NULL DEFAULT 0,
    UNIQUE (rollout, generation, arm, label)
) STRICT;

-- Whoever adds counts up must know those of another file.
INSERT INTO meta VALUES ('source', lower(hex(randomblob(8))));

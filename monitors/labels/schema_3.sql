-- What the stable version decided where a shadow answered too, and how often either was wrong.

-- Of a row whose arm is that of the shadow; NULL if the stable version decided nothing.
ALTER TABLE predictions ADD COLUMN rival REAL;

ALTER TABLE assigned ADD COLUMN rival_wrong INTEGER NOT NULL DEFAULT 0;
ALTER TABLE assigned ADD COLUMN both_wrong INTEGER NOT NULL DEFAULT 0;

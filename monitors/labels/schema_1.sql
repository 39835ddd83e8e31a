-- Predictions that wait for their truth, truth that waits for its prediction, and what is judged.

CREATE TABLE meta (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

-- Versions in their roles, and how old a prediction is when its label counts.
CREATE TABLE arms (
    arm     INTEGER NOT NULL PRIMARY KEY,
    version INTEGER NOT NULL,
    role    TEXT    NOT NULL,
    delay_s REAL    NOT NULL,
    UNIQUE (version, role)
) STRICT;

CREATE TABLE group_names (
    code      INTEGER NOT NULL PRIMARY KEY,
    attribute TEXT    NOT NULL,
    name      TEXT    NOT NULL,
    UNIQUE (attribute, name)
) STRICT;

-- In the order in which they came, under numbers that rise. Ids and the hashes of requests are 128
-- bits, kept as two whole numbers. told says that the monitors know of it, and as what is in the
-- row. labelled_at holds the time of the prediction until there is a label, so that a row does not
-- grow, and its page is not split, when its label comes.
CREATE TABLE predictions (
    n             INTEGER NOT NULL PRIMARY KEY,
    id_high       INTEGER NOT NULL,
    id_low        INTEGER NOT NULL,
    row_number    INTEGER NOT NULL,
    arm           INTEGER NOT NULL,
    request_high  INTEGER,
    request_low   INTEGER,
    at            REAL    NOT NULL,
    due           REAL    NOT NULL,
    score         REAL,
    decision      REAL,
    score_columns BLOB,
    group_codes   BLOB,
    labelled_at   REAL    NOT NULL,
    told          INTEGER NOT NULL DEFAULT 0,
    label         ANY,
    facts         TEXT,
    audit         TEXT
) STRICT;
CREATE INDEX predictions_ripening ON predictions (due) WHERE label IS NOT NULL AND told = 0;

-- Where predictions are found: by the higher half of their id, and of their request's hash. Those
-- behind the number in addressed are not in it yet: they are added by the thousand.
CREATE TABLE addresses (
    high       INTEGER NOT NULL,
    row_number INTEGER NOT NULL,
    n          INTEGER NOT NULL,
    PRIMARY KEY (high, row_number, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE addressed (
    n INTEGER NOT NULL
) STRICT;
INSERT INTO addressed VALUES (0);

-- Labels whose prediction has not come. An address is a prediction's id or the hash of a request's.
CREATE TABLE waiting (
    turn        INTEGER NOT NULL PRIMARY KEY,
    high        INTEGER NOT NULL,
    low         INTEGER NOT NULL,
    row_number  INTEGER NOT NULL,
    came_at     REAL    NOT NULL,
    labelled_at REAL    NOT NULL,
    label       ANY     NOT NULL,
    facts       TEXT,
    UNIQUE (high, low, row_number)
) STRICT;

-- Group attributes that came by themselves.
CREATE TABLE audits (
    turn       INTEGER NOT NULL PRIMARY KEY,
    high       INTEGER NOT NULL,
    low        INTEGER NOT NULL,
    row_number INTEGER NOT NULL,
    came_at    REAL    NOT NULL,
    facts      TEXT    NOT NULL,
    UNIQUE (high, low, row_number)
) STRICT;

-- What the monitors are to be told, under numbers that are never given twice; whole, since its
-- prediction may be gone by then.
CREATE TABLE judged (
    sequence      INTEGER NOT NULL PRIMARY KEY,
    told_at       REAL    NOT NULL,
    arm           INTEGER NOT NULL,
    id_high       INTEGER NOT NULL,
    id_low        INTEGER NOT NULL,
    row_number    INTEGER NOT NULL,
    at            REAL    NOT NULL,
    score         REAL,
    decision      REAL,
    score_columns BLOB,
    group_codes   BLOB,
    labelled_at   REAL    NOT NULL,
    label         ANY     NOT NULL,
    facts         TEXT,
    audit         TEXT,
    sign          INTEGER NOT NULL,
    corrected     INTEGER NOT NULL
) STRICT;

-- How many predictions of a time there are (delay -1), and how many labels came after which delay.
CREATE TABLE cohorts (
    arm      INTEGER NOT NULL,
    minute   INTEGER NOT NULL,
    decision INTEGER NOT NULL,
    delay    INTEGER NOT NULL,
    count    INTEGER NOT NULL,
    PRIMARY KEY (arm, minute, decision, delay)
) STRICT, WITHOUT ROWID;

CREATE TABLE counts (
    name  TEXT    NOT NULL PRIMARY KEY,
    count INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

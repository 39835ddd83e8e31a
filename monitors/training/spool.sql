-- Rows that wait for their label, and labelled rows that wait to be written to a file.
CREATE TABLE IF NOT EXISTS rows (
  n INTEGER PRIMARY KEY AUTOINCREMENT,
  model TEXT NOT NULL,
  version INTEGER NOT NULL,
  key INTEGER NOT NULL,
  prediction_id TEXT NOT NULL,
  row INTEGER NOT NULL,
  request_id TEXT,
  predicted_at REAL NOT NULL,
  features BLOB NOT NULL,
  score REAL,
  decision REAL,
  label REAL,
  labelled_at REAL,
  told_at REAL,
  part INTEGER,
  UNIQUE (model, version, key)
) STRICT;
CREATE INDEX IF NOT EXISTS by_time ON rows (predicted_at);
CREATE INDEX IF NOT EXISTS labelled ON rows (model, version, predicted_at, told_at)
  WHERE label IS NOT NULL;
CREATE INDEX IF NOT EXISTS parts ON rows (part) WHERE part IS NOT NULL;

-- The features of each version, in the order of their values: JSON.
CREATE TABLE IF NOT EXISTS versions (
  model TEXT NOT NULL,
  version INTEGER NOT NULL,
  features TEXT NOT NULL,
  PRIMARY KEY (model, version)
) STRICT;

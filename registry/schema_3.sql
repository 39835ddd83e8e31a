-- What version 3 adds: alarms, every change in the life of one, and which changes were delivered.

CREATE TABLE alarms (
    id             TEXT    NOT NULL PRIMARY KEY,
    model          TEXT    NOT NULL,
    version        INTEGER NOT NULL,
    role           TEXT    NOT NULL,
    family         TEXT    NOT NULL,
    name           TEXT    NOT NULL,
    subject        TEXT    NOT NULL,
    arming         INTEGER NOT NULL CHECK (arming >= 0),
    raised_at      TEXT    NOT NULL,
    log10_evidence REAL,
    value          REAL,
    lower          REAL,
    upper          REAL,
    message        TEXT    NOT NULL,
    UNIQUE (model, version, role, family, name, subject, arming, raised_at),
    FOREIGN KEY (model, version) REFERENCES versions (model, number)
) STRICT;

CREATE TABLE alarm_changes (
    alarm   TEXT    NOT NULL REFERENCES alarms (id),
    number  INTEGER NOT NULL CHECK (number >= 1),
    state   TEXT    NOT NULL,
    by      TEXT    NOT NULL,
    at      TEXT    NOT NULL,
    reason  TEXT    NOT NULL,
    until   TEXT,
    adopted INTEGER NOT NULL CHECK (adopted IN (0, 1)),
    PRIMARY KEY (alarm, number)
) STRICT;

CREATE TABLE deliveries (
    alarm  TEXT    NOT NULL,
    change INTEGER NOT NULL,
    at     TEXT    NOT NULL,
    PRIMARY KEY (alarm, change),
    FOREIGN KEY (alarm, change) REFERENCES alarm_changes (alarm, number)
) STRICT;

CREATE TRIGGER alarms_stay BEFORE UPDATE ON alarms
BEGIN SELECT RAISE(ABORT, 'alarms are never changed'); END;
CREATE TRIGGER alarms_last BEFORE DELETE ON alarms
BEGIN SELECT RAISE(ABORT, 'alarms are never removed'); END;
CREATE TRIGGER alarm_changes_stay BEFORE UPDATE ON alarm_changes
BEGIN SELECT RAISE(ABORT, 'changes of alarms are never changed'); END;
CREATE TRIGGER alarm_changes_last BEFORE DELETE ON alarm_changes
BEGIN SELECT RAISE(ABORT, 'changes of alarms are never removed'); END;
CREATE TRIGGER alarm_changes_follow BEFORE INSERT ON alarm_changes
WHEN NEW.number <> 1 + (SELECT count(*) FROM alarm_changes WHERE alarm = NEW.alarm)
BEGIN SELECT RAISE(ABORT, 'a change of an alarm must follow its last one'); END;
CREATE TRIGGER deliveries_stay BEFORE UPDATE ON deliveries
BEGIN SELECT RAISE(ABORT, 'deliveries are never changed'); END;
CREATE TRIGGER deliveries_last BEFORE DELETE ON deliveries
BEGIN SELECT RAISE(ABORT, 'deliveries are never removed'); END;

PRAGMA user_version = 3;

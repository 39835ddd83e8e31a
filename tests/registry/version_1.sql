BEGIN TRANSACTION;
CREATE TABLE arms (
    model      TEXT    NOT NULL,
    generation INTEGER NOT NULL,
    version    INTEGER NOT NULL,
    weight_bp  INTEGER NOT NULL CHECK (weight_bp BETWEEN 1 AND 10000),
    PRIMARY KEY (model, generation, version),
    FOREIGN KEY (model, generation) REFERENCES routes (model, generation),
    FOREIGN KEY (model, version) REFERENCES versions (model, number)
) STRICT;
INSERT INTO "arms" VALUES('credit',1,1,10000);
INSERT INTO "arms" VALUES('credit',2,1,9500);
INSERT INTO "arms" VALUES('credit',2,2,500);
INSERT INTO "arms" VALUES('credit',3,2,10000);
INSERT INTO "arms" VALUES('credit',4,1,10000);
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
INSERT INTO "audit" VALUES(1,'2026-01-01T00:00:01.000000+00:00','ada','register','models/credit/versions/1','','{"card":{"change":"improvement","decision":null,"features":[],"groups":[],"label":null,"lineage":{"datasets":[],"git_commit":null,"intended_use":null,"licence":null,"owner":null,"training_run":null},"score":{"column":null,"output":"y"},"task":"regression"},"digest":"sha256:81d2a5d8a2a3361e2b2de948b065b795adf28a879f5b6ead5a8b2172f297de0f","profile":null}','','0000000000000000000000000000000000000000000000000000000000000000','43e7d6fef8daa696895bc9e706194109b5e6c3c360b472df41df63613a870f86');
INSERT INTO "audit" VALUES(2,'2026-01-01T00:00:02.000000+00:00','ada','register','models/credit/versions/2','','{"card":{"change":"improvement","decision":null,"features":[],"groups":[],"label":null,"lineage":{"datasets":[],"git_commit":null,"intended_use":null,"licence":null,"owner":null,"training_run":null},"score":{"column":null,"output":"y"},"task":"regression"},"digest":"sha256:7acbc406bfb164b3775056f89e6b430f16247115c9c7ddc327706c80019bc381","profile":null}','','43e7d6fef8daa696895bc9e706194109b5e6c3c360b472df41df63613a870f86','881f043a28690b0daa736e2949787836dde7a53060b9091ee97d722ffc508910');
INSERT INTO "audit" VALUES(3,'2026-01-01T00:00:03.000000+00:00','ada','register','models/credit/versions/3','','{"card":{"change":"improvement","decision":null,"features":[],"groups":[],"label":null,"lineage":{"datasets":[],"git_commit":null,"intended_use":null,"licence":null,"owner":null,"training_run":null},"score":{"column":null,"output":"y"},"task":"regression"},"digest":"sha256:7e2f89ad536dfffbe20ce70d1cb597bb524f32510ec9c9960a2a1d75c0aac686","profile":null}','','881f043a28690b0daa736e2949787836dde7a53060b9091ee97d722ffc508910','71e63e43fa6cdb948b94da7c05500afec490083489fc8dadc1db253f9d67191a');
INSERT INTO "audit" VALUES(4,'2026-01-01T00:00:04.000000+00:00','ada','set-route','models/credit/route','','{"arms":{"1":10000},"generation":1,"previous":null,"shadow":null,"stable":1}','first','71e63e43fa6cdb948b94da7c05500afec490083489fc8dadc1db253f9d67191a','4fe4b00240ba82859cb9782c4153dc22f4fb42f38dac8443fc78f5192ce22f5d');
INSERT INTO "audit" VALUES(5,'2026-01-01T00:00:05.000000+00:00','ada','set-route','models/credit/route','{"arms":{"1":10000},"generation":1,"previous":null,"shadow":null,"stable":1}','{"arms":{"1":9500,"2":500},"generation":2,"previous":null,"shadow":{"3":5000},"stable":1}','it''s a canary','4fe4b00240ba82859cb9782c4153dc22f4fb42f38dac8443fc78f5192ce22f5d','0d2a8596525601f83002396ec19ad93d6b7cf1ec59591ee004276d6fde99699f');
INSERT INTO "audit" VALUES(6,'2026-01-01T00:00:06.000000+00:00','bob','promote','models/credit/route','{"arms":{"1":9500,"2":500},"generation":2,"previous":null,"shadow":{"3":5000},"stable":1}','{"arms":{"2":10000},"generation":3,"previous":1,"shadow":{"3":5000},"stable":2}','better','0d2a8596525601f83002396ec19ad93d6b7cf1ec59591ee004276d6fde99699f','312bce24cb2e8a2d6be5e5ebd80a7598e54d9567ff22791ce8cc45665284c7ee');
INSERT INTO "audit" VALUES(7,'2026-01-01T00:00:07.000000+00:00','eve','rollback','models/credit/route','{"arms":{"2":10000},"generation":3,"previous":1,"shadow":{"3":5000},"stable":2}','{"arms":{"1":10000},"generation":4,"previous":null,"shadow":{"3":5000},"stable":1}','worse','312bce24cb2e8a2d6be5e5ebd80a7598e54d9567ff22791ce8cc45665284c7ee','75fdba586a6e96cdc59afbecb8965c6ac83384d1b5faeaaa88d94e4a6f2bd8b9');
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
INSERT INTO "routes" VALUES('credit',1,1,X'01010101010101010101010101010101',NULL,NULL,NULL,'ada','2026-01-01T00:00:04.000000+00:00','first');
INSERT INTO "routes" VALUES('credit',2,1,X'02020202020202020202020202020202',3,5000,NULL,'ada','2026-01-01T00:00:05.000000+00:00','it''s a canary');
INSERT INTO "routes" VALUES('credit',3,2,X'02020202020202020202020202020202',3,5000,1,'bob','2026-01-01T00:00:06.000000+00:00','better');
INSERT INTO "routes" VALUES('credit',4,1,X'02020202020202020202020202020202',3,5000,NULL,'eve','2026-01-01T00:00:07.000000+00:00','worse');
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
INSERT INTO "versions" VALUES('credit',1,'sha256:81d2a5d8a2a3361e2b2de948b065b795adf28a879f5b6ead5a8b2172f297de0f','{"inputs":[{"name":"x","datatype":"FP32","shape":[-1,3]}],"outputs":[{"name":"y","datatype":"FP32","shape":[-1,1]}]}','{"task":"regression","score":{"output":"y","column":null},"decision":null,"features":[],"groups":[],"label":null,"change":"improvement","lineage":{"git_commit":null,"datasets":[],"training_run":null,"owner":null,"licence":null,"intended_use":null}}',NULL,183,'ada','2026-01-01T00:00:01.000000+00:00');
INSERT INTO "versions" VALUES('credit',2,'sha256:7acbc406bfb164b3775056f89e6b430f16247115c9c7ddc327706c80019bc381','{"inputs":[{"name":"x","datatype":"FP32","shape":[-1,3]}],"outputs":[{"name":"y","datatype":"FP32","shape":[-1,1]}]}','{"task":"regression","score":{"output":"y","column":null},"decision":null,"features":[],"groups":[],"label":null,"change":"improvement","lineage":{"git_commit":null,"datasets":[],"training_run":null,"owner":null,"licence":null,"intended_use":null}}',NULL,183,'ada','2026-01-01T00:00:02.000000+00:00');
INSERT INTO "versions" VALUES('credit',3,'sha256:7e2f89ad536dfffbe20ce70d1cb597bb524f32510ec9c9960a2a1d75c0aac686','{"inputs":[{"name":"x","datatype":"FP32","shape":[-1,3]}],"outputs":[{"name":"y","datatype":"FP32","shape":[-1,1]}]}','{"task":"regression","score":{"output":"y","column":null},"decision":null,"features":[],"groups":[],"label":null,"change":"improvement","lineage":{"git_commit":null,"datasets":[],"training_run":null,"owner":null,"licence":null,"intended_use":null}}',NULL,183,'ada','2026-01-01T00:00:03.000000+00:00');
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
COMMIT;
PRAGMA user_version = 1;

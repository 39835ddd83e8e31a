"""A registry that an older Weir wrote opens, with all that is in it, or stays as it was."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from configs.errors import StartError
from registry import migrations
from registry.audit import verify_chain
from registry.migrations import SCHEMA_VERSION
from registry.records import FULL, Arm, ShadowArm
from registry.sqlite import SqliteStore
from tests.registry.alarms import alarm
from tests.registry.rollouts import change, judged, rollout
from tests.registry.store_conformance import entry, key, route

ROOT = Path(__file__).parents[2]
VERSION_1 = Path(__file__).with_name("version_1.sql")
"""Three versions of `credit`, four generations of its route and seven entries, as dumped from the
file of a Weir that knew schema 1."""
TABLES = ("versions", "routes", "arms", "audit")


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A data folder that a Weir of schema 1 has left."""
    with closing(sqlite3.connect(tmp_path / "registry.db")) as db:
        db.executescript(VERSION_1.read_text(encoding="utf-8"))
    return tmp_path


def rows(folder: Path) -> dict[str, list[tuple[object, ...]]]:
    """All rows of the tables of schema 1, in order, without columns that came later."""
    with closing(sqlite3.connect(folder / "registry.db")) as db:
        return {
            table: sorted(row[:10] for row in db.execute(f"SELECT * FROM {table}"))  # noqa: S608
            for table in TABLES
        }


def schema(folder: Path) -> tuple[int, set[tuple[str, str]]]:
    """The version of the schema, and the types and names of all that is in it."""
    with closing(sqlite3.connect(folder / "registry.db")) as db:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        return version, set(db.execute("SELECT type, name FROM sqlite_schema"))


def test_an_old_registry_keeps_every_row(old: Path) -> None:
    """Versions, routes and the log are as they were, and the log is whole."""
    before = rows(old)
    assert [len(before[table]) for table in TABLES] == [3, 4, 5, 7]
    with closing(SqliteStore(old)) as store:
        assert verify_chain(store.audit(0, 100)) is None
        latest = store.route("credit")
        assert latest is not None
        assert (latest.generation, latest.stable, latest.arms) == (4, 1, (Arm(1, FULL),))
        assert (latest.shadow, latest.reason) == (ShadowArm(3, 5000), "worse")
        assert (latest.served, latest.judged) == (True, None)
        assert dict(store.numbers()) == {"credit": (1, 2, 3)}
    assert rows(old) == before


def test_an_old_registry_goes_on_like_a_new_one(
    old: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """After the step the file has the schema of a new one, and takes what a new one takes."""
    new = tmp_path_factory.mktemp("new")
    SqliteStore(new).close()
    with closing(SqliteStore(old)) as store:
        store.add_route(route(5), entry(store))
        store.add_key(key(1), entry(store))
        store.add_alarm(alarm(), entry(store))
        store.add_rollout(change(rollout("r1")), entry(store))
        store.add_route(replace(route(6), judged=judged("r1")), entry(store))
        assert verify_chain(store.audit(0, 100)) is None
    with closing(SqliteStore(old)) as store:
        latest = replace(route(6), judged=judged("r1"))
        assert (store.generations("credit")[-2:], store.keys()) == ((route(5), latest), (key(1),))
        assert (store.alarm("a1"), store.rollout("r1")) == (alarm(), rollout("r1"))
    assert schema(old) == schema(new)
    assert schema(old)[0] == SCHEMA_VERSION


def test_a_step_that_fails_changes_nothing(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was done before the failure is taken back; the next start does all of it."""
    before = rows(old), schema(old)
    step = migrations.step
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "step", lambda number: step(number) + "SELECT nothing;")
        with pytest.raises(StartError, match="nothing"):
            SqliteStore(old)
    assert (rows(old), schema(old)) == before
    SqliteStore(old).close()
    assert schema(old)[0] == SCHEMA_VERSION


def test_a_crash_on_the_way_changes_nothing(old: Path) -> None:
    """A process that is killed after the last statement, before the end, leaves the old file."""
    before = rows(old), schema(old)
    code = (
        "import os, sqlite3, sys\n"
        "from registry import migrations\n"
        "db = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "db.execute('PRAGMA journal_mode = TRUNCATE')\n"
        "db.execute('PRAGMA cache_size = 1')\n"
        "db.create_function('die', 0, lambda: os.kill(os.getpid(), 9))\n"
        "step = migrations.step\n"
        "migrations.step = lambda number: step(number) + 'SELECT die();'\n"
        "migrations.migrate(db, sys.argv[1])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(old / "registry.db")], cwd=ROOT, check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert (old / "registry.db-journal").stat().st_size > 0
    assert (rows(old), schema(old)) == before
    with closing(SqliteStore(old)) as store:
        assert verify_chain(store.audit(0, 100)) is None

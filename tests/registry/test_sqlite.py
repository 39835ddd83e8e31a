"""The SQLite store keeps the promises of a store, and those of its own file."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from configs.errors import Conflict, StartError, Unavailable
from registry import sqlite
from registry.migrations import SCHEMA_VERSION
from registry.sqlite import SqliteStore
from tests.registry.alarms import alarm, minute
from tests.registry.rollouts import change, rollout
from tests.registry.store_conformance import (
    StoreConformance,
    entry,
    filled,
    key,
    moment,
    route,
    version,
)


class TestSqliteStore(StoreConformance):
    """SQLite is a store."""

    @pytest.fixture(autouse=True)
    def _close_what_was_opened(self) -> Iterator[None]:
        self._opened: list[SqliteStore] = []
        yield
        for store in self._opened:
            store.close()

    def open(self, folder: Path) -> SqliteStore:
        """A store in a folder, closed when the test is over."""
        store = SqliteStore(folder)
        self._opened.append(store)
        return store


def test_the_connection_has_the_settings_that_durability_rests_on(tmp_path: Path) -> None:
    """Read back from the live connection: synced in full, rollback journal, no memory map."""
    with closing(SqliteStore(tmp_path)) as store:
        names = ("synchronous", "journal_mode", "foreign_keys", "mmap_size")
        values = [store._db.execute(f"PRAGMA {name}").fetchone()[0] for name in names]
    assert values == [2, "truncate", 1, 0]


def test_a_setting_that_does_not_take_stops_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A SQLite that does not sync is refused, and the folder is given back."""
    with monkeypatch.context() as patch:
        patch.setitem(sqlite._SETTINGS, "synchronous", ("OFF", 2))
        with pytest.raises(StartError, match="did not accept synchronous"):
            SqliteStore(tmp_path)
    SqliteStore(tmp_path).close()


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    """An old program does not touch what a newer one wrote."""
    SqliteStore(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "registry.db")) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(StartError, match=r"newer Weir \(schema 5, this one knows 4\)"):
        SqliteStore(tmp_path)


def test_a_foreign_or_broken_file_is_refused(tmp_path: Path) -> None:
    """Another program's database and a file that is none are left alone."""
    path = tmp_path / "registry.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE other (x)")
    with pytest.raises(StartError, match="not a registry of Weir"):
        SqliteStore(tmp_path)
    path.write_bytes(b"no database at all, but long enough to look at" * 100)
    with pytest.raises(StartError, match="cannot be opened as a registry"):
        SqliteStore(tmp_path)


def test_a_second_owner_is_told_who_the_first_is(tmp_path: Path) -> None:
    """It is refused, and told which process holds the lock."""
    with (
        closing(SqliteStore(tmp_path)),
        pytest.raises(StartError, match=rf"running gateway \(process {os.getpid()}\)"),
    ):
        SqliteStore(tmp_path)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM versions",
        "DELETE FROM routes",
        "DELETE FROM arms",
        "DELETE FROM audit",
        "DELETE FROM keys",
        "DELETE FROM revocations",
        "DELETE FROM alarms",
        "DELETE FROM alarm_changes",
        "DELETE FROM deliveries",
        "DELETE FROM rollouts",
        "DELETE FROM rollout_changes",
        "DELETE FROM rollout_deliveries",
        "UPDATE versions SET card = card",
        "UPDATE routes SET salt = salt",
        "UPDATE arms SET weight_bp = weight_bp",
        "UPDATE audit SET actor = actor",
        "UPDATE keys SET role = role",
        "UPDATE revocations SET at = at",
        "UPDATE alarms SET message = message",
        "UPDATE alarm_changes SET by = by",
        "UPDATE deliveries SET at = at",
        "UPDATE rollouts SET policy = policy",
        "UPDATE rollout_changes SET evidence = evidence",
        "UPDATE rollout_deliveries SET at = at",
    ],
)
def test_rows_cannot_be_changed_or_removed(tmp_path: Path, statement: str) -> None:
    """The file itself refuses every UPDATE and DELETE."""
    with closing(SqliteStore(tmp_path)) as store:
        filled(store).add_route(route(1), entry(store))
        store.add_key(key(1), entry(store))
        store.add_alarm(alarm(), entry(store))
        store.add_delivery("a1", 1, minute(4))
        store.add_rollout(change(rollout("r1")), entry(store))
        store.add_rollout_delivery("r1", 1, minute(5))
        store.revoke_key(key(1).id, moment(9), entry(store))
        with pytest.raises(sqlite3.IntegrityError, match="never"):
            store._db.execute(statement)


def test_a_disk_that_is_full_is_said_and_loses_nothing(tmp_path: Path) -> None:
    """A change that cannot be written raises, and the store goes on with what it had."""
    with closing(SqliteStore(tmp_path)) as store:
        filled(store)
        (pages,) = store._db.execute("PRAGMA page_count").fetchone()
        store._db.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(Unavailable, match="cannot be written"):
            filled(store, first=4, last=500)
        kept = store.versions("credit")
        assert len(kept) == len(store.audit(0, 1000))
        store._db.execute("PRAGMA max_page_count = 1000000")
        store.add_version(version(len(kept) + 1), entry(store))


def test_a_reader_beside_the_owner_sees_whole_changes(tmp_path: Path) -> None:
    """A backup may read the file while the gateway runs."""
    with (
        closing(SqliteStore(tmp_path)) as store,
        closing(sqlite3.connect(tmp_path / "registry.db")) as reader,
    ):
        filled(store)
        assert reader.execute("SELECT count(*) FROM versions").fetchone() == (3,)
        with pytest.raises(Conflict):
            store.add_version(version(1), entry(store))
        assert reader.execute("SELECT count(*) FROM audit").fetchone() == (3,)

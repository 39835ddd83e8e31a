"""A file of labels has one owner, belongs to one model, and is written by no older program."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from configs.errors import StartError, Unavailable
from configs.settings import Labels
from monitors.labels.book import LabelBook
from monitors.labels.database import SCHEMA_VERSION, opened
from tests.monitors.labels.samples import AWAITED, START, label


def test_a_file_has_one_owner_at_a_time(tmp_path: Path) -> None:
    """A second one is told so, and may have it when the first has let go."""
    path = tmp_path / "m.db"
    with closing(opened(path, "m")), pytest.raises(Unavailable, match="locked"):
        opened(path, "m")
    opened(path, "m").close()


def test_a_commit_is_synced_to_the_disk(tmp_path: Path) -> None:
    """What every acknowledgement rests on."""
    with closing(opened(tmp_path / "m.db", "m")) as db:
        assert db.execute("PRAGMA synchronous").fetchone() == (2,)
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_file_of_a_newer_program_is_left_alone(tmp_path: Path) -> None:
    """It may hold what this one does not know of."""
    path = tmp_path / "m.db"
    opened(path, "m").close()
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(StartError, match="newer Weir"):
        opened(path, "m")


def test_a_file_belongs_to_one_model(tmp_path: Path) -> None:
    """A file that was put in the place of another is not mixed with it."""
    path = tmp_path / "m.db"
    opened(path, "m").close()
    with pytest.raises(StartError, match="another model"):
        opened(path, "n")


def test_what_is_no_file_of_labels_is_left_alone(tmp_path: Path) -> None:
    """Another database, and bytes that are none."""
    other, rubbish = tmp_path / "other.db", tmp_path / "rubbish.db"
    with closing(sqlite3.connect(other)) as db:
        db.execute("CREATE TABLE t (x)")
    rubbish.write_bytes(b"no database" * 1000)
    before = other.read_bytes()
    with pytest.raises(StartError, match="not one of labels"):
        opened(other, "m")
    with pytest.raises(StartError, match="cannot be opened"):
        opened(rubbish, "m")
    with closing(sqlite3.connect(other)) as db:
        assert db.execute("SELECT name FROM sqlite_schema").fetchall() == [("t",)]
    assert len(other.read_bytes()) == len(before)


def test_files_that_cannot_be_opened_do_not_stop_the_others(tmp_path: Path) -> None:
    """They are logged, and left."""
    book = LabelBook(tmp_path, Labels())
    book.feedback("m", [label(1)], AWAITED, START)
    book.close()
    (tmp_path / "0.db").write_bytes(b"no database" * 1000)

    again = LabelBook(tmp_path, Labels())
    again.ripen(START)
    assert again.told("m", {}, START).waiting == 1
    again.close()


def test_only_its_owner_can_read_the_key_of_request_ids(tmp_path: Path) -> None:
    """Whoever has it could try ids until one fits."""
    book = LabelBook(tmp_path / "labels", Labels())
    book.feedback("m", [{"key": "a", "label": True}], AWAITED, START)
    book.close()
    key = tmp_path / "labels" / "request-ids.key"
    assert key.stat().st_mode & 0o077 == 0
    assert (tmp_path / "labels").stat().st_mode & 0o077 == 0
    assert len(key.read_bytes()) == 32

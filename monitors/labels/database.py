"""The file in which the labels of one model are kept: SQLite, with every commit on disk.

The journal is a write-ahead log: with `synchronous=FULL` it is synced at each commit, so that what
was acknowledged survives a loss of power, and a commit costs one sync whatever its size.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from configs.errors import StartError, Unavailable
from registry import sqlite_file

SCHEMA_VERSION = 3

CACHE_KIB = 64 * 1024
"""Of pages, for each model: memory does not grow with the rows above it."""

_SETTINGS = {
    # One owner: nobody else may write, and no memory is shared with anybody.
    "locking_mode": ("EXCLUSIVE", "exclusive"),
    "journal_mode": ("WAL", "wal"),
    "synchronous": ("FULL", 2),
    "cache_size": (f"-{CACHE_KIB}", -CACHE_KIB),
    "wal_autocheckpoint": ("16000", 16_000),
    "temp_store": ("MEMORY", 2),
    "mmap_size": ("0", 0),
    "trusted_schema": ("OFF", 0),
}
"""Each pragma with what it is set to and what it must read back as."""


def opened(path: Path, model: str) -> sqlite3.Connection:
    """The only connection to the file of a model, which is made where there is none.

    `StartError` for a file that is newer than this program, or is not one of this model.
    `Unavailable` while another process has it.
    """
    try:
        return sqlite_file.opened(path, _SETTINGS, 0.5, lambda db: _migrate(db, path, model))
    except sqlite3.OperationalError as error:
        raise Unavailable(f"the labels in {path} cannot be had: {error}") from None
    except sqlite3.DatabaseError as error:
        raise StartError(f"{path} cannot be opened as a file of labels: {error}") from None


def model_of(path: Path) -> str | None:
    """The model that a file belongs to, None for a file that is not one of labels."""
    try:
        db = sqlite3.connect(path, timeout=0.5)
        try:
            found = db.execute("SELECT value FROM meta WHERE name = 'model'").fetchone()
        finally:
            db.close()
    except sqlite3.DatabaseError:
        return None
    return str(found[0]) if found else None


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All that is done in the block reaches the disk, or nothing; `Unavailable` if it cannot."""
    try:
        with sqlite_file.transaction(db):
            yield
    except sqlite3.DatabaseError as error:
        raise Unavailable(f"labels cannot be written: {error}") from None


def _migrate(db: sqlite3.Connection, path: Path, model: str) -> None:
    """Take the steps that are missing, in one transaction."""
    (found,) = db.execute("PRAGMA user_version").fetchone()
    if found > SCHEMA_VERSION:
        raise StartError(
            f"{path} was written by a newer Weir (schema {found}, this one knows "
            f"{SCHEMA_VERSION}): start the newer one"
        )
    if found == 0 and db.execute("SELECT 1 FROM sqlite_schema").fetchone():
        raise StartError(f"{path} is a database, but not one of labels")
    missing = range(found + 1, SCHEMA_VERSION + 1)
    if missing:
        steps = "\n".join(map(_step, missing))
        version = f"PRAGMA user_version = {SCHEMA_VERSION}"
        db.executescript(f"BEGIN IMMEDIATE;\n{steps}\n{version};\nCOMMIT;")
    db.execute("INSERT OR IGNORE INTO meta VALUES ('model', ?)", (model,))
    if db.execute("SELECT value FROM meta WHERE name = 'model'").fetchone() != (model,):
        raise StartError(f"{path} holds the labels of another model than {model!r}")


def _step(version: int) -> str:
    """The statements that lead to a version of the schema from the one before."""
    return Path(__file__).with_name(f"schema_{version}.sql").read_text(encoding="utf-8")

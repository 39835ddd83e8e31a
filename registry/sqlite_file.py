"""One connection to a SQLite file, with settings that were read back, and its transactions."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from configs.errors import StartError

Settings = Mapping[str, tuple[str, object]]
"""Each pragma with what it is set to and what it must read back as."""


def opened(
    path: Path, settings: Settings, timeout_s: float, prepare: Callable[[sqlite3.Connection], None]
) -> sqlite3.Connection:
    """A connection whose settings took and whose schema has been prepared; else it is closed.

    The caller sees to it that threads take turns. `timeout_s` waits for whoever holds the file.
    `StartError` if a setting did not take, since every promise rests on them; `sqlite3.Error`, and
    what `prepare` raises, as they are.
    """
    db = sqlite3.connect(path, timeout=timeout_s, isolation_level=None, check_same_thread=False)
    with ExitStack() as undone:
        undone.callback(db.close)
        for name, (wanted, must_read) in settings.items():
            db.execute(f"PRAGMA {name} = {wanted}")
            row = db.execute(f"PRAGMA {name}").fetchone()
            # A build of SQLite without memory mapping has no value to read.
            value = row[0] if row else 0
            if value != must_read:
                raise StartError(
                    f"SQLite did not accept {name} for {path} (it is {value}, and must be "
                    f"{must_read})"
                )
        prepare(db)
        undone.pop_all()
    return db


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All that is done in the block reaches the disk, or nothing; `sqlite3.Error` as it is."""
    try:
        db.execute("BEGIN IMMEDIATE")
        yield
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")

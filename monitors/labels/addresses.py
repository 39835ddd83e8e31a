"""Where predictions are found by their names: a tree on disk, and its newest part in memory.

Ids are random, so that each entry would dirty a page of its own if it went into the tree by itself.
Entries are gathered in a temporary table, which follows the transactions of the file, and go into
the tree by the thousand, in its order. What is gathered is made anew from the predictions when the
file is opened.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from hashlib import blake2b

import numpy as np

GATHERED_MAX = 65_536
"""So many predictions are found in memory at most before they go into the tree: some 5 MiB."""

TREES = ("recent", "addresses")
"""The two tables in which every search looks."""

_RECENT = (
    "CREATE TEMP TABLE IF NOT EXISTS recent (high INTEGER NOT NULL, row_number INTEGER NOT NULL, "
    "n INTEGER NOT NULL, PRIMARY KEY (high, row_number, n)) WITHOUT ROWID"
)
_GATHER = (
    # An id and a request of the same row may begin alike.
    "INSERT OR IGNORE INTO recent SELECT id_high, row_number, n FROM predictions WHERE n > :after "
    "UNION ALL SELECT request_high, row_number, n FROM predictions "
    "WHERE n > :after AND request_high IS NOT NULL"
)

Name = tuple[int, int]
"""128 bits, as SQLite can hold them: the higher and the lower half, both with a sign."""


def same_row(tree: str) -> str:
    """SQL: the predictions `p` behind `:after`, and each `s` before them for the same row."""
    return (
        f"FROM predictions p CROSS JOIN {tree} t ON t.high = p.id_high "
        "AND t.row_number = p.row_number AND t.n < p.n "
        "CROSS JOIN predictions s ON s.n = t.n "
        "WHERE p.n > :after AND s.id_high = p.id_high AND s.id_low = p.id_low"
    )


_REPEATED = " UNION ".join(
    f"SELECT p.n, p.id_high, p.request_high, p.row_number {same_row(tree)} AND s.arm = p.arm"
    for tree in TREES
)


def open_addresses(db: sqlite3.Connection) -> None:
    """Gather what is not in the tree of a file that has just been opened."""
    db.execute(_RECENT)
    db.execute(_GATHER, {"after": _addressed(db)})


def last_number(db: sqlite3.Connection) -> int:
    """The number of the newest prediction; no lower one is given to another."""
    (last,) = db.execute("SELECT MAX(n) FROM predictions").fetchone()
    return max(last or 0, _addressed(db))


def gather(db: sqlite3.Connection, after: int) -> None:
    """Make the predictions behind a number findable."""
    db.execute(_GATHER, {"after": after})
    last = last_number(db)
    if last - _addressed(db) >= GATHERED_MAX:
        db.execute("INSERT INTO addresses SELECT * FROM recent ORDER BY high, row_number, n")
        db.execute("DELETE FROM recent")
        db.execute("UPDATE addressed SET n = ?", (last,))


def drop_repeated(db: sqlite3.Connection, after: int) -> set[int]:
    """Drop the predictions behind a number that their version has made before; their numbers."""
    found = db.execute(_REPEATED, {"after": after}).fetchall()
    db.executemany("DELETE FROM predictions WHERE n = ?", [(n,) for n, *_ in found])
    forget(db, [(high, row, n) for n, *highs, row in found for high in highs])
    return {n for n, *_ in found}


def forget(db: sqlite3.Connection, entries: Iterable[tuple[int | None, int, int]]) -> None:
    """Drop entries of predictions that are dropped: the higher half, the row's number, and n."""
    # In the order of the tree, so that each page is met once.
    gone = sorted(entry for entry in entries if entry[0] is not None)
    for tree in TREES:
        db.executemany(
            f"DELETE FROM {tree} WHERE high = ? AND row_number = ? AND n = ?",  # noqa: S608 - ours
            gone,
        )


def names_of_ids(ids: Iterable[str]) -> list[Name]:
    """Names from ids of 32 hexadecimal digits."""
    return names_of_bytes(bytes.fromhex("".join(ids)))


def names_of_bytes(whole: bytes) -> list[Name]:
    """Names from 16 bytes each."""
    halves = np.frombuffer(whole, dtype=">i8").tolist()
    return list(zip(halves[::2], halves[1::2], strict=True))


def name_of_request(request: str, secret: bytes) -> Name:
    """The keyed hash of the caller's own name of a request."""
    data = request.encode("utf-8", "surrogatepass")
    (name,) = names_of_bytes(blake2b(data, key=secret, digest_size=16).digest())
    return name


def _addressed(db: sqlite3.Connection) -> int:
    (n,) = db.execute("SELECT n FROM addressed").fetchone()
    return int(n)

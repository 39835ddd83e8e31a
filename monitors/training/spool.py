"""Rows on disk that wait: for their label, and then for enough of them to be a file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from monitors.training.files import DAY_S, Row
from monitors.training.rows import KeptRow
from registry.card import Feature
from registry.sqlite_file import opened, transaction

_SCHEMA = Path(__file__).with_name("spool.sql")
_SETTINGS = {
    "journal_mode": ("WAL", "wal"),
    "synchronous": ("FULL", 2),
    # What is deleted is not to be found again.
    "secure_delete": ("ON", 1),
}
"""Each pragma with what it is set to and what it must read back as."""


class Judgement(NamedTuple):
    """The truth of one row."""

    key: int
    score: float | None
    decision: float | None
    label: float
    predicted_at: float
    labelled_at: float


class Part(NamedTuple):
    """Labelled rows that are to be one file."""

    number: int
    model: str
    version: int
    day: int


class Spool:
    """Rows of all models in one SQLite file; a change is on disk when its method returns.

    `sqlite3.Error` where the disk is full, or the file is not what it was; `StartError` where a
    setting did not take.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # One thread at a time: whoever calls sees to it.
        self._db = opened(folder / "spool.sqlite", _SETTINGS, 5.0, _prepare)

    def close(self) -> None:
        """Give the file back."""
        self._db.close()

    @contextmanager
    def together(self) -> Iterator[None]:
        """All changes of the block are made, or none."""
        with transaction(self._db):
            yield

    def add(
        self, model: str, version: int, features: Iterable[Feature], rows: Iterable[KeptRow]
    ) -> None:
        """Keep rows until their label comes; those that are there already are left as they are."""
        described = json.dumps([each.model_dump(mode="json") for each in features])
        self._db.execute(
            "INSERT OR IGNORE INTO versions VALUES (?, ?, ?)", (model, version, described)
        )
        self._db.executemany(
            "INSERT OR IGNORE INTO rows (model, version, key, prediction_id, row, request_id, "
            "predicted_at, features) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            ((model, version, *row) for row in rows),
        )

    def judge(self, model: str, version: int, judgement: Judgement, now: float) -> bool:
        """Keep the truth of a row; says whether the row is here."""
        key, *truth = judgement
        done = self._db.execute(
            "UPDATE rows SET score = ?, decision = ?, label = ?, predicted_at = ?, "
            "labelled_at = ?, told_at = COALESCE(told_at, ?) "
            "WHERE model = ? AND version = ? AND key = ?",
            (*truth, now, model, version, key),
        )
        return done.rowcount > 0

    def set_apart(self, rows_per_file: int, told_before: float) -> None:
        """Give labelled rows a part: where there are enough of a day, or where one has waited."""
        waiting = self._db.execute(
            f"SELECT model, version, CAST(predicted_at / {DAY_S} AS INTEGER) AS day, COUNT(*), "  # noqa: S608
            "MIN(told_at) FROM rows WHERE label IS NOT NULL AND part IS NULL GROUP BY 1, 2, 3"
        ).fetchall()
        for model, version, day, rows, told_at in waiting:
            parts = rows // rows_per_file + (told_at < told_before and rows % rows_per_file > 0)
            for _ in range(parts):
                self._set_apart(model, version, day, rows_per_file)

    def _set_apart(self, model: str, version: int, day: int, most: int) -> None:
        chosen = self._db.execute(
            "SELECT n FROM rows WHERE model = ? AND version = ? AND predicted_at >= ? "
            "AND predicted_at < ? AND label IS NOT NULL AND part IS NULL ORDER BY n LIMIT ?",
            (model, version, day * DAY_S, (day + 1) * DAY_S, most),
        ).fetchall()
        # The number of a row is never given twice, so that no two parts have the same.
        part = chosen[0][0]
        self._db.executemany("UPDATE rows SET part = ? WHERE n = ?", ((part, n) for (n,) in chosen))

    def parts(self) -> tuple[Part, ...]:
        """The parts that are not known to be files."""
        found = self._db.execute(
            f"SELECT part, model, version, CAST(MIN(predicted_at) / {DAY_S} AS INTEGER) "  # noqa: S608
            "FROM rows WHERE part IS NOT NULL GROUP BY part, model, version"
        )
        return tuple(Part(*each) for each in found)

    def features(self, model: str, version: int) -> tuple[Feature, ...]:
        """The features of a version's rows, in the order of their values."""
        ((described,),) = self._db.execute(
            "SELECT features FROM versions WHERE model = ? AND version = ?", (model, version)
        ).fetchall()
        return tuple(Feature.model_validate(each) for each in json.loads(described))

    def rows(self, part: Part) -> list[Row]:
        """The rows of a part, as files have them."""
        return self._db.execute(
            "SELECT prediction_id, row, request_id, predicted_at, score, decision, label, "
            "labelled_at, features FROM rows WHERE part = ? ORDER BY n",
            (part.number,),
        ).fetchall()

    def drop_part(self, part: Part) -> None:
        """Let go of rows that are in a file."""
        self._db.execute("DELETE FROM rows WHERE part = ?", (part.number,))

    def drop_waiting(self, before: float) -> int:
        """Let go of rows of before a moment whose label has not come; says how many."""
        return self._db.execute(
            "DELETE FROM rows WHERE predicted_at < ? AND label IS NULL", (before,)
        ).rowcount

    def drop_surplus(self, most: int) -> int:
        """Let go of the oldest rows beyond so many whose label has not come; says how many."""
        ((rows,),) = self._db.execute("SELECT COUNT(*) FROM rows").fetchall()
        if rows <= most:
            return 0
        return self._db.execute(
            "DELETE FROM rows WHERE n IN "
            "(SELECT n FROM rows WHERE label IS NULL ORDER BY predicted_at LIMIT ?)",
            (rows - most,),
        ).rowcount

    def delete(self, model: str, wanted: str) -> int:
        """Take out all rows of a prediction id or request id; says how many there were."""
        return self._db.execute(
            "DELETE FROM rows WHERE model = ? AND (prediction_id = ? OR request_id = ?)",
            (model, wanted, wanted),
        ).rowcount


def _prepare(db: sqlite3.Connection) -> None:
    db.executescript(_SCHEMA.read_text(encoding="utf-8"))

"""Keeps the file of labels within its bounds: what is too old leaves it, and what is too much."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from math import inf

from monitors.labels.addresses import forget
from monitors.labels.coverage import AGES_S, coarse
from monitors.labels.tally import AUDITS_NOW, HELD, LOST, PENDING, WAITING_NOW, Later, Loss, Tally

JUDGED_KEPT_S = 86_400.0
"""What was judged has to be folded within a day; usually it is within seconds."""

_COHORTS_KEPT_S = 2.0 * AGES_S[-1]

_AT_ONCE = 100_000
"""Rows that one change drops at most, where the bound was lowered: the next ones drop the rest."""

_OLD = "n IN (SELECT n FROM predictions ORDER BY n LIMIT ?) AND at < ?"
_OLDEST = "n IN (SELECT n FROM predictions ORDER BY n LIMIT ?)"


def drop_old(db: sqlite3.Connection, tally: Tally, before: float, most: int) -> None:
    """Drop at most so many predictions, labels and groups of before a moment; count the losses.

    Rows are in the order in which they came, which is nearly that of their times.
    """
    if _first(db, "SELECT at FROM predictions ORDER BY n LIMIT 1") < before:
        _drop_predictions(db, tally, Loss.EXPIRED, _OLD, (most, before))
    for table, held, reason in (
        ("waiting", WAITING_NOW, Later.UNMATCHED),
        ("audits", AUDITS_NOW, None),
    ):
        if _first(db, f"SELECT came_at FROM {table} ORDER BY turn LIMIT 1") >= before:  # noqa: S608
            continue
        gone = db.execute(
            f"DELETE FROM {table} WHERE came_at < ? AND turn IN "  # noqa: S608 - names of our own
            f"(SELECT turn FROM {table} ORDER BY turn LIMIT ?)",
            (before, most),
        ).rowcount
        tally.counts[held] -= gone
        if reason is not None:
            tally.counts[reason] += gone


def drop_surplus(db: sqlite3.Connection, tally: Tally, held: Mapping[str, int], most: int) -> None:
    """Drop the oldest rows of what is held beyond `most` predictions, labels or groups."""
    surplus = min(held[HELD] + tally.counts[HELD] - most, _AT_ONCE)
    if surplus > 0:
        _drop_predictions(db, tally, Loss.EVICTED, _OLDEST, (surplus,))
    for table, name, reason in (
        ("waiting", WAITING_NOW, Later.EVICTED),
        ("audits", AUDITS_NOW, None),
    ):
        surplus = min(held[name] + tally.counts[name] - most, _AT_ONCE)
        if surplus <= 0:
            continue
        db.execute(
            f"DELETE FROM {table} WHERE turn IN "  # noqa: S608 - names of our own
            f"(SELECT turn FROM {table} ORDER BY turn LIMIT ?)",
            (surplus,),
        )
        tally.counts[name] -= surplus
        if reason is not None:
            tally.counts[reason] += surplus


def drop_judged(db: sqlite3.Connection, now: float, most: int) -> None:
    """Drop at most so many judged rows that have long been folded."""
    db.execute(
        "DELETE FROM judged WHERE told_at < ? AND sequence IN "
        "(SELECT sequence FROM judged ORDER BY sequence LIMIT ?)",
        (now - JUDGED_KEPT_S, most),
    )


def widen_cohorts(db: sqlite3.Connection, now: float) -> None:
    """Merge cohorts that are old enough, and drop those that nobody asks for any more."""
    oldest = (now - _COHORTS_KEPT_S) // 60
    db.execute("DELETE FROM cohorts WHERE minute < ?", (oldest,))
    for (arm,) in db.execute("SELECT DISTINCT arm FROM cohorts").fetchall():
        rows = db.execute(
            "SELECT minute, decision, delay, count FROM cohorts WHERE arm = ?", (arm,)
        ).fetchall()
        before = {(minute, decision, delay): count for minute, decision, delay, count in rows}
        after = coarse(before, now)
        if after == before:
            continue
        db.execute("DELETE FROM cohorts WHERE arm = ?", (arm,))
        db.executemany(
            "INSERT INTO cohorts VALUES (?, ?, ?, ?, ?)",
            [(arm, *cell, count) for cell, count in after.items()],
        )


def _first(db: sqlite3.Connection, query: str) -> float:
    found = db.execute(query).fetchone()
    return inf if found is None else float(found[0])


def _drop_predictions(
    db: sqlite3.Connection, tally: Tally, loss: Loss, which: str, bounds: tuple[float, ...]
) -> None:
    gone = db.execute(
        f"DELETE FROM predictions WHERE {which} "  # noqa: S608 - one of the two above
        "RETURNING label, told, id_high, request_high, row_number, n",
        bounds,
    ).fetchall()
    forget(db, [(high, row, n) for _, _, *highs, row, n in gone for high in highs])
    tally.counts[HELD] -= len(gone)
    tally.counts[PENDING] -= sum(label is None for label, *_ in gone)
    tally.counts[LOST + loss] += sum(not told for _, told, *_ in gone)

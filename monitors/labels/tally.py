"""What one change of a store has counted, written with the change itself."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from monitors.labels.coverage import PREDICTED, place_of_decision, place_of_delay


class Outcome(StrEnum):
    """What became of a message when it came; each has exactly one."""

    JOINED = "joined"
    WAITING = "waiting"
    REPEATED = "repeated"
    CORRECTED = "corrected"
    REFUSED = "refused"


class Later(StrEnum):
    """What became of a label that waited for its prediction."""

    FOUND = "found"
    UNMATCHED = "unmatched"
    EVICTED = "evicted"


class Loss(StrEnum):
    """Why the truth of a prediction will not be known."""

    EXPIRED = "expired"
    EVICTED = "evicted"
    UNWRITTEN = "unwritten"
    UNREADABLE = "unreadable"


PREDICTIONS = "predictions"
"""Predictions that were taken in."""

LABELLED = "labelled"
"""Predictions that got a label."""

CORRECTIONS = "judged again"
"""Judged rows that were taken back, since another label or group came for them."""

TOLD = "told"
"""Judged rows that the monitors were to be told of: the number of the last one."""

FUTURE = "in the future"
"""Messages that were refused since they are from a time that has not come."""

LOST = "lost: "
"""Before the reason for which predictions were lost without having been judged."""

HELD, PENDING, WAITING_NOW, AUDITS_NOW = "held", "pending", "waiting now", "audits now"
"""Rows that are held now: predictions, those without a label, labels and groups that wait."""


@dataclass(slots=True)
class Tally:
    """The counts of one change at `now`, in seconds since 1970.

    `heads` has the number of the last judged row of each arm of which one was told.
    """

    now: float
    counts: Counter[str] = field(default_factory=Counter)
    cells: Counter[tuple[int, int, int, int]] = field(default_factory=Counter)
    heads: dict[int, int] = field(default_factory=dict)

    def predicted(self, arm: int, at: float, decisions: Sequence[float | None]) -> None:
        """Count predictions of one moment."""
        for name in (PREDICTIONS, HELD, PENDING):
            self.counts[name] += len(decisions)
        for place, count in Counter(map(place_of_decision, decisions)).items():
            self.cells[arm, int(at // 60), place, PREDICTED] += count

    def labelled(self, predictions: Sequence[tuple[int, float, float | None]]) -> None:
        """Count that predictions have their label now: the arm, the time and the decision of each.

        Those of one block are alike: each kind is looked at once.
        """
        self.counts[LABELLED] += len(predictions)
        self.counts[PENDING] -= len(predictions)
        for (arm, at, decision), count in Counter(predictions).items():
            delay = place_of_delay(self.now - at)
            self.cells[arm, int(at // 60), place_of_decision(decision), delay] += count

    def told(self, arms: Sequence[int], first: int) -> None:
        """Count judged rows that go by rising numbers; the arm of each."""
        self.counts[TOLD] += len(arms)
        self.heads.update(zip(arms, range(first, first + len(arms)), strict=True))

    def write(self, db: sqlite3.Connection) -> None:
        """Add the counts to those of the file."""
        db.executemany(
            "INSERT INTO counts VALUES (?, ?) "
            "ON CONFLICT DO UPDATE SET count = count + excluded.count",
            [(name, count) for name, count in self.counts.items() if count],
        )
        db.executemany(
            "INSERT INTO cohorts VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET count = count + excluded.count",
            [(*cell, count) for cell, count in self.cells.items()],
        )

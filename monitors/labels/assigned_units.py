"""Counts units of rollouts whose first answer got its label, and those answered wrongly, by arm.

A unit belongs to the arm that it was assigned to, whichever version answered in the end. It is
counted when its label first counts, in the change of the file by which it does: so it is counted
once, whatever is said again or dies meanwhile. A label that is corrected later changes nothing.

A shadow's answer brings along what the stable version said of the same row, so that one row of the
file tells of both.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from math import isnan

from monitors.labels.assigned import SHADOW, Assigned, LabelledUnits, can_be_wrong, is_wrong
from monitors.labels.codes import code_of
from monitors.labels.database import transaction
from registry.card import Card, Label

ROLLOUTS_KEPT = 8
"""Of one model. No more than one is under way; of those before nobody asks any more."""

_Named = tuple[str, int, str]
"""A rollout, a generation of the route and an arm."""

_COUNTED = (
    "SELECT a.code, CASE WHEN a.label ->> 'within' IS NULL THEN p.decision ELSE p.score END, "
    "p.rival, p.label, COUNT(*) FROM told_now d CROSS JOIN predictions p ON p.n = d.n "
    "CROSS JOIN assigned a ON a.code = p.assigned WHERE d.corrected = 0 GROUP BY 1, 2, 3, 4"
)
_ADD = (
    "UPDATE assigned SET labelled = labelled + ?, wrong = wrong + ?, "
    "rival_wrong = rival_wrong + ?, both_wrong = both_wrong + ? WHERE code = ?"
)
_DROP = (
    "DELETE FROM assigned WHERE rollout NOT IN "
    "(SELECT rollout FROM assigned GROUP BY rollout ORDER BY MAX(code) DESC LIMIT ?)"
)


class AssignedUnits:
    """The counts of one model, in the file of its labels."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        (self._source,) = db.execute("SELECT value FROM meta WHERE name = 'source'").fetchone()
        self._read()

    def codes(self, assigned: Sequence[Assigned | None], card: Card) -> list[int | None]:
        """The numbers by which rows keep what they were assigned to; new ones are written first."""
        distinct = {each[:3] for each in assigned if each is not None}
        if not distinct or card.label is None or not can_be_wrong(card):
            return [None] * len(assigned)
        label = card.label.model_dump_json()
        if any((each, label) not in self._codes for each in distinct):
            self._add(distinct, label)
        return [
            self._codes.get((each[:3], label)) if each is not None else None for each in assigned
        ]

    def count(self) -> None:
        """Count the rows of `told_now` that are told of for the first time."""
        if not self._kinds:
            return
        counted = Counter[tuple[int, bool, bool]]()
        for code, said, rival, value, rows in self._db.execute(_COUNTED).fetchall():
            label, beside_another = self._kinds[code]
            truth = code_of(value, label)
            # What an arm would be that says nothing nobody knows; beside another it is wrong.
            if isnan(truth) or (said is None and not beside_another):
                continue
            wrong = is_wrong(said, truth, label)
            counted[code, wrong, beside_another and is_wrong(rival, truth, label)] += rows
        self._db.executemany(
            _ADD,
            [
                (rows, rows * wrong, rows * rival_wrong, rows * (wrong and rival_wrong), code)
                for (code, wrong, rival_wrong), rows in counted.items()
            ],
        )

    def told(self) -> tuple[LabelledUnits, ...]:
        """All counts of the latest rollouts."""
        found = self._db.execute(
            "SELECT rollout, generation, arm, SUM(labelled), SUM(wrong), SUM(rival_wrong), "
            "SUM(both_wrong) FROM assigned GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
        )
        return tuple(
            LabelledUnits(self._source, Assigned(rollout, generation, arm), *counts)
            for rollout, generation, arm, *counts in found
        )

    def _add(self, distinct: set[_Named], label: str) -> None:
        with transaction(self._db):
            self._db.executemany(
                "INSERT OR IGNORE INTO assigned (rollout, generation, arm, label) "
                "VALUES (?, ?, ?, ?)",
                [(*each, label) for each in sorted(distinct)],
            )
            self._db.execute(_DROP, (ROLLOUTS_KEPT,))
        self._read()

    def _read(self) -> None:
        self._codes: dict[tuple[_Named, str], int] = {}
        self._kinds: dict[int, tuple[Label, bool]] = {}
        for code, rollout, generation, arm, label in self._db.execute(
            "SELECT code, rollout, generation, arm, label FROM assigned"
        ):
            self._codes[(rollout, generation, arm), label] = code
            self._kinds[code] = Label.model_validate_json(label), arm == SHADOW

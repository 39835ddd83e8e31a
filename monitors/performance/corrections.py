"""Sums from which estimates are corrected: over all rows, and over those with a label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitors.labels.judged import JudgedBlock
from monitors.performance.calibrator import Expectation, Rows
from monitors.performance.estimands import summable
from monitors.performance.estimates import centres_of, means_of
from monitors.performance.losses import Floats, realised
from monitors.performance.rectified import AllRows, Corrected, Labelled, corrected, labelled
from monitors.profile.truth import CLASSES, Truth
from registry.card import Task

_SHARE_MIN = 0.1
_EXPECTED_MIN = 8.0


@dataclass(frozen=True, slots=True)
class Coverage:
    """Of the rows with one decision, how many there are, and how many have a label."""

    decision: int
    rows: int
    labelled: int


class Corrections:
    """A fold over rows, and over labels as they come.

    The sums of two parts of the rows make those of the whole, but for rounding.
    """

    def __init__(self, task: Task, expectation: Expectation, truth: Truth) -> None:
        self._task = task
        self._expectation = expectation
        self._centres = centres_of(expectation, truth)
        losses = len(expectation.names)
        self._all = np.zeros((2, losses))
        self._labelled = np.zeros((6, losses))
        self._decided = np.zeros((2, CLASSES), dtype=np.int64)

    @property
    def labels(self) -> int:
        """How many rows with a label say something."""
        return int(self._labelled[0].max())

    def update(self, rows: Rows) -> None:
        """Take in some of all rows."""
        expected = self._expectation.of(rows).values
        for at, name in enumerate(self._expectation.names):
            values = expected[name] - self._centres[at]
            known = values[summable(values)]
            self._all[:, at] += len(known), known.sum()
        self._count(0, rows.decisions, None)

    def judge(self, block: JudgedBlock, which: NDArray[np.bool_]) -> None:
        """Take in some rows whose truth has come, and take back those that were wrong."""
        columns = None if block.score_columns is None else block.score_columns[which]
        scores, decisions = block.scores[which], block.decisions[which]
        signs = block.signs[which]
        expected = self._expectation.of(Rows(scores, columns, decisions)).values
        lost = realised(self._task, scores, columns, decisions, block.labels[which])
        for at, name in enumerate(self._expectation.names):
            r, e = lost[name] - self._centres[at], expected[name] - self._centres[at]
            both = summable(r) & summable(e)
            self._labelled[:, at] += labelled(r[both], e[both], signs[both])
        self._count(1, decisions, np.where(np.isnan(block.labels[which]), 0, signs))

    def _count(
        self, row: int, decisions: Floats | None, signs: NDArray[np.integer[Any]] | None
    ) -> None:
        if decisions is None:
            return
        with np.errstate(invalid="ignore"):
            known = (decisions >= 0) & (decisions < CLASSES) & (decisions == np.floor(decisions))
        weights = None if signs is None else signs[known]
        counts = np.bincount(decisions[known].astype(np.intp), weights, minlength=CLASSES)
        self._decided[row] += counts.astype(np.int64)

    def figures(self) -> dict[str, Corrected]:
        """What can be said, by the names of the estimands."""
        found: dict[str, Corrected] = {}
        for estimand in means_of(self._expectation):
            at = self._expectation.names.index(estimand.loss or "")
            rows, expected = self._all[:, at].tolist()
            labels, *sums = self._labelled[:, at].tolist()
            mean = corrected(AllRows(int(rows), expected), Labelled(int(labels), *sums))
            if mean is not None:
                found[estimand.name] = mean.shifted(float(self._centres[at])).of(estimand)
        return found

    def coverage(self) -> tuple[Coverage, ...]:
        """How many rows of each decision have a label, by decision."""
        rows, labels = self._decided.tolist()
        return tuple(Coverage(at, rows[at], labels[at]) for at in range(CLASSES) if rows[at])

    def uncovered(self) -> Coverage | None:
        """A decision for which hardly any labels come, though they do for others; None without one.

        If labels came for all decisions alike, eight of its rows or more would have one, and fewer
        than a tenth of those do.
        """
        rows, labels = self._decided
        share = labels.sum() / max(rows.sum(), 1)
        awaited = rows * share
        bare = np.flatnonzero((awaited >= _EXPECTED_MIN) & (labels < _SHARE_MIN * awaited))
        if not len(bare):
            return None
        worst = int(bare[rows[bare].argmax()])
        return Coverage(worst, int(rows[worst]), int(labels[worst]))

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """All sums and counts."""
        return {"all": self._all, "labelled": self._labelled, "decided": self._decided}

"""Measures of fairness: of which rows a share is taken, and what counts in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from registry.card import FAIRNESS_OF_LABELS

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

RESIDUAL_PARTS = 2**20
"""Labels less scores are counted in such parts of one: sums then do not depend on their order."""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What was decided, what was true, and what was scored of some rows; NaN where unknown.

    `favourable` is the decision that people hope for, and the label of those who should get it.
    """

    decisions: Floats
    favourable: int
    labels: Floats | None = None
    scores: Floats | None = None

    @property
    def decided(self) -> Mask:
        """Rows with a decision."""
        return np.asarray(~np.isnan(self.decisions))

    @property
    def selected(self) -> Mask:
        """Rows with the favourable decision."""
        return np.asarray(self.decisions == self.favourable)

    @property
    def deserving(self) -> Mask:
        """Rows whose label is the favourable one."""
        return np.asarray(self._true == self.favourable)

    @property
    def others(self) -> Mask:
        """Rows with another label."""
        return np.asarray(~np.isnan(self._true) & ~self.deserving)

    @property
    def _true(self) -> Floats:
        return np.full(len(self.decisions), np.nan) if self.labels is None else self.labels


class Units(NamedTuple):
    """Which rows a measure counts, and what for.

    `part` is -1 for a row that does not count, else the number of the share that it is of;
    `amount` what it adds.
    """

    part: NDArray[np.intp]
    amount: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure: its name on cards and in signals, and how rows are counted for it.

    `shares` say of which rows each of its shares is, in words; `what` says what is counted.
    """

    name: str
    what: str
    shares: tuple[str, ...]
    count: Callable[[Outcomes], Units]

    @property
    def needs_labels(self) -> bool:
        """Whether it can be had of decisions alone."""
        return self.name in FAIRNESS_OF_LABELS

    @property
    def of_scores(self) -> bool:
        """Whether it compares a group's labels with its scores, and not groups with one another."""
        return self is CALIBRATION


def _of(rows: Mask, hits: Mask) -> Units:
    return Units(np.where(rows, 0, -1), (rows & hits).astype(np.int64))


def _selection(seen: Outcomes) -> Units:
    return _of(seen.decided, seen.selected)


def _opportunity(seen: Outcomes) -> Units:
    return _of(seen.decided & seen.deserving, seen.selected)


def _false_positives(seen: Outcomes) -> Units:
    return _of(seen.decided & seen.others, seen.selected)


def _false_negatives(seen: Outcomes) -> Units:
    return _of(seen.decided & seen.deserving, ~seen.selected)


def _odds(seen: Outcomes) -> Units:
    part = np.where(seen.deserving, 0, np.where(seen.others, 1, -1))
    return Units(np.where(seen.decided, part, -1), seen.selected.astype(np.int64))


def _precision(seen: Outcomes) -> Units:
    return _of(seen.selected & (seen.deserving | seen.others), seen.deserving)


def _residuals(seen: Outcomes) -> Units:
    rows = len(seen.decisions)
    if seen.labels is None or seen.scores is None:
        return Units(np.full(rows, -1), np.zeros(rows, dtype=np.int64))
    # A score that is no chance has nothing to be compared with; NaN is none either.
    counts = ~np.isnan(seen.labels) & (seen.scores >= 0) & (seen.scores <= 1)
    residual = np.where(counts, (seen.labels == 1) - seen.scores, 0.0)
    amount = np.rint(residual * RESIDUAL_PARTS).astype(np.int64)
    return Units(np.where(counts, 0, -1), amount)


SELECTION_RATE = Measure("selection_rate", "selected", ("",), _selection)
EQUALISED_ODDS = Measure(
    "equalised_odds", "selected", (" of those who should be", " of those who should not be"), _odds
)
CALIBRATION = Measure("calibration", "label less score", ("",), _residuals)

MEASURES = (
    SELECTION_RATE,
    Measure("equal_opportunity", "selected", (" of those who should be",), _opportunity),
    Measure("false_positive_rate", "selected", (" of those who should not be",), _false_positives),
    Measure("false_negative_rate", "not selected", (" of those who should be",), _false_negatives),
    EQUALISED_ODDS,
    Measure("predictive_parity", "right", (" of those who were selected",), _precision),
    CALIBRATION,
)
"""All measures, each a detector of its own."""

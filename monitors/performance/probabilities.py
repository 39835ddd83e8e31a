"""Measures of chances: log loss, Brier score and calibration error, from exact sums."""

from __future__ import annotations

from math import inf

import numpy as np

from monitors.performance.figures import Estimate
from monitors.performance.rows import Rows
from monitors.performance.tally import Tally
from monitors.profile.reading import as_floats
from monitors.stats.exact_sums import ratio
from registry.card import Task

CALIBRATION_BINS = 10
"""Of equal width: a score of just 0.1 lies in the second, one of 1 in the last."""

_OUTSIDE = "outside"
_CALIBRATION = "calibration"

_OUTSIDE_MAX = 0.01
"""If more of the scores are no chances, chances are not what the model says."""


def count_loss(rows: Rows, tally: Tally, table: str, loss: str) -> None:
    """Add what chances have lost, and how many rows have a score that is no chance."""
    lost = rows.loss(loss)
    known = ~np.isnan(lost)
    tally.add_moments(table, lost[known], rows.signs[known])
    scores = rows.scores[:, None] if rows.score_columns is None else as_floats(rows.score_columns)
    outside = np.asarray(((scores < 0) | (scores > 1)).any(axis=1), dtype=np.bool_)
    tally.add_share(f"{table} {_OUTSIDE}", outside, outside, rows.signs)


def mean_loss(tally: Tally, table: str, most: float = inf) -> Estimate | None:
    """The mean of a loss that is never above `most`; None without rows or where scores are none."""
    rows, mean, deviation = tally.moments(table)
    outside, _ = tally.share(f"{table} {_OUTSIDE}")
    if not rows or outside > _OUTSIDE_MAX * (rows + outside):
        return None
    return Estimate(mean, rows, rows, deviation, (0.0, most))


def count_calibration(rows: Rows, tally: Tally) -> None:
    """Add, by bins of the score, how far labels are above scores."""
    chances = (rows.scores >= 0) & (rows.scores <= 1) & np.isin(rows.labels, (0, 1))
    scores, labels, signs = rows.scores[chances], rows.labels[chances], rows.signs[chances]
    bins = np.minimum(scores * CALIBRATION_BINS, CALIBRATION_BINS - 1).astype(np.int64)
    # In two sums: the difference of a label and a score would be rounded.
    tally.add_sums(f"{_CALIBRATION} labels", bins, labels, signs)
    tally.add_sums(f"{_CALIBRATION} scores", bins, scores, signs)
    tally.add_share(_CALIBRATION, chances, chances, rows.signs)


def calibration_error(tally: Tally) -> Estimate | None:
    """The expected calibration error: how far the mean label of a bin is from its mean score.

    Averaged over rows (Naeini, Cooper, Hauskrecht, AAAI 2015). Chance alone makes it larger than
    nothing, by more the fewer rows there are, so that it has no interval.
    """
    rows, _ = tally.share(_CALIBRATION)
    if not rows:
        return None
    labels, scores = (tally.table(f"{_CALIBRATION} {each}") for each in ("labels", "scores"))
    apart = (abs(labels.get(at, 0) - scores.get(at, 0)) for at in labels.keys() | scores.keys())
    return Estimate(ratio(sum(apart), rows), rows, rows, None)


def brier_most(task: Task) -> float:
    """The largest Brier score that a row can have."""
    return 1.0 if task is Task.BINARY else 2.0

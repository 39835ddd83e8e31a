"""Expected precision, recall, specificity, F1 and AUC, from counts by step of the calibrator.

A row in a step with the chance p is p rows of the class and 1 - p of the other: so NannyML's
confidence-based performance estimation has it (Kivimäki, Białek, Nurminen, Kuberski,
Confidence-based estimators for predictive performance in model monitoring, 2024). Rows are counted
by step and decision, of which all of these figures are functions; their errors follow from the
derivatives (delta method), by the mix of rows and by what the reference does not know of p.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitors.performance.estimands import Estimated
from monitors.performance.losses import Floats

Counts = NDArray[np.int64]

_Pair = tuple[float, float]

_RATIOS: Final[dict[str, tuple[_Pair, _Pair, _Pair, _Pair]]] = {
    "precision": ((0, 1), (0, 0), (0, 1), (0, 1)),
    "recall": ((0, 1), (0, 0), (1, 1), (0, 0)),
    "specificity": ((0, 0), (1, 0), (0, 0), (1, 1)),
    "f1": ((0, 2), (0, 0), (1, 2), (0, 1)),
}
"""A ratio: how much a row that is decided (0, 1) adds above the line if it is of the class, and if
it is not, and below the line if it is, and if it is not."""

OTHER = 2
"""The column of rows whose decision is neither 0 nor 1."""


def counted(steps: NDArray[np.intp], decisions: Floats | None, count: int) -> Counts:
    """Rows by step and decision (0, 1, other), shape (steps, 3); scores without a step are none."""
    known = steps >= 0
    columns = np.full(len(steps), OTHER)
    if decisions is not None:
        columns = np.where(decisions == 0, 0, np.where(decisions == 1, 1, OTHER))
    cells = steps[known] * 3 + columns[known]
    return np.bincount(cells, minlength=count * 3).reshape(count, 3).astype(np.int64)


def expected(cells: Counts, chances: Floats, variances: Floats) -> dict[str, Estimated]:
    """The figures that can be had of rows by step and decision; those without rows are not there.

    `chances` and their `variances` have the shape (steps,).
    """
    found = {
        name: figure
        for name, ratio in _RATIOS.items()
        if (figure := _ratio(cells[:, :OTHER], chances, variances, ratio)) is not None
    }
    auc = _auc(cells.sum(axis=1), chances, variances)
    return found if auc is None else {**found, "auc": auc}


def _ratio(
    cells: Counts, chances: Floats, variances: Floats, ratio: tuple[_Pair, _Pair, _Pair, _Pair]
) -> Estimated | None:
    rows = int(cells.sum())
    above_with, above_without, below_with, below_without = (np.array([pair]) for pair in ratio)
    shares = cells / max(rows, 1)
    p = chances[:, None]
    below = float((shares * (p * below_with + (1 - p) * below_without)).sum())
    if below <= 0:
        return None
    value = float((shares * (p * above_with + (1 - p) * above_without)).sum()) / below
    with_it = (above_with - value * below_with) / below
    without = (above_without - value * below_without) / below
    mixed = p * with_it + (1 - p) * without
    unknown = (shares * (with_it - without)).sum(axis=1)
    return Estimated(value, _error(shares, mixed, rows, unknown, variances), rows)


def _auc(cells: Counts, chances: Floats, variances: Floats) -> Estimated | None:
    """The chance that a row of the class has a higher score than one that is not, ties as half."""
    rows = int(cells.sum())
    shares = cells / max(rows, 1)
    of_class, others = shares * chances, shares * (1 - chances)
    whole = float(of_class.sum()), float(others.sum())
    if min(whole) <= 0:
        return None
    others_below = np.cumsum(others) - others / 2
    of_class_above = whole[0] - np.cumsum(of_class) + of_class / 2
    value = float((of_class * others_below).sum()) / (whole[0] * whole[1])
    with_it = (others_below / whole[1] - value) / whole[0]
    without = (of_class_above / whole[0] - value) / whole[1]
    mixed = chances * with_it + (1 - chances) * without
    unknown = shares * (with_it - without)
    return Estimated(value, _error(shares, mixed, rows, unknown, variances), rows)


def _error(
    shares: Floats, influence: Floats, rows: int, unknown: Floats, variances: Floats
) -> float:
    """The standard error by the mix of rows and by the unknown chances."""
    spread = float((shares * influence**2).sum() - (shares * influence).sum() ** 2)
    return float(np.sqrt(max(spread, 0.0) / max(rows, 1) + (unknown**2 * variances).sum()))

"""What can be estimated of performance, and an estimate with its standard error."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite, sqrt

import numpy as np
from numpy.typing import NDArray

from monitors.performance.losses import ABSOLUTE, BRIER, LOG, OUTCOME, SQUARED, WRONG

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Estimated:
    """An estimate over so many rows; `error` is its standard error."""

    value: float
    error: float
    rows: int

    def interval(self, width: float, limits: Interval = (-inf, inf)) -> Interval:
        """The value and so many errors to each side, within its limits."""
        half = width * self.error
        if not isfinite(half):
            return limits
        return max(self.value - half, limits[0]), min(self.value + half, limits[1])


@dataclass(frozen=True, slots=True)
class Estimand:
    """A measure that can be estimated: its name, its limits, and what it is the mean of, if it is.

    Names are those of `registry.measures`; and `outcome`, the mean label.
    """

    name: str
    limits: Interval = (0.0, 1.0)
    loss: str | None = None

    def of_mean(self, mean: Estimated) -> Estimated:
        """The measure from the mean of its loss: the share of what is not wrong, or a root."""
        if self.loss == WRONG:
            return Estimated(1 - mean.value, mean.error, mean.rows)
        if self.loss == SQUARED:
            root = sqrt(max(mean.value, 0.0))
            # By the slope of the root, which has none at nothing.
            return Estimated(root, mean.error / (2 * root) if root else inf, mean.rows)
        return mean


MEANS = (
    Estimand("outcome", (-inf, inf), OUTCOME),
    Estimand("accuracy", loss=WRONG),
    Estimand("brier", (0.0, 2.0), BRIER),
    Estimand("log_loss", (0.0, inf), LOG),
    Estimand("mae", (0.0, inf), ABSOLUTE),
    Estimand("rmse", (0.0, inf), SQUARED),
)
"""What is the mean of something, so that labels can correct it."""

OF_CONFUSION = tuple(Estimand(name) for name in ("precision", "recall", "specificity", "f1", "auc"))
"""What follows from how often which decision meets which class."""


def moments(total: float, squares: float, rows: int) -> tuple[float, float]:
    """Mean and variance (with rows - 1) from sums of numbers and of their squares."""
    mean = total / rows
    return mean, max(0.0, (squares - total * mean) / max(rows - 1, 1))


def summable(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which values can be added up, and their squares too."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(np.isfinite(values * values), dtype=np.bool_)

"""What a measure may be, and what can be bet on its being worse."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf

import numpy as np

from monitors.performance.classification import (
    BINARY_SHARES,
    MULTICLASS_SHARES,
    REGRESSION_SHARES,
    Counted,
)
from monitors.performance.figures import share_of_f1
from monitors.performance.losses import ABSOLUTE, BRIER, LOG, PINBALL, SQUARED
from monitors.performance.probabilities import brier_most
from monitors.performance.rows import Floats, Rows
from monitors.stats.anytime_means import BoundedMean
from monitors.stats.anytime_shares import log_won_outside
from registry.card import Performance, Task
from registry.measures import Better, Measure

_SHARES: Mapping[Task, Mapping[str, Counted]] = {
    Task.BINARY: BINARY_SHARES,
    Task.MULTICLASS: MULTICLASS_SHARES,
    Task.REGRESSION: REGRESSION_SHARES,
}
_LOSSES = {"log_loss": LOG, "mae": ABSOLUTE, "rmse": SQUARED, "pinball": PINBALL}

_LOSS_MAX = 8.0
"""A loss without a bound counts in bets as no more than so many times the largest mean allowed.

That makes its mean no larger, so that what is won is never too much.
"""


@dataclass(frozen=True, slots=True)
class Band:
    """From where to where a measure may be, and a few words that say why."""

    least: float
    most: float
    why: str

    def left(self, lower: float, upper: float) -> bool:
        """Whether an interval lies wholly outside."""
        return upper < self.least or lower > self.most

    def holds(self, lower: float, upper: float) -> bool:
        """Whether an interval lies wholly inside."""
        return self.least <= lower and upper <= self.most

    def away(self, value: float) -> float:
        """How far a value is from the nearer edge."""
        return min(abs(value - self.least), abs(value - self.most))


def band_of(
    performance: Performance, measure: Measure, reference: float | None, called: str = "reference"
) -> Band | None:
    """What a card allows, given the figure of the reference; None where it allows anything.

    `called` says what that figure is if it is another's.
    """
    name = measure.name
    least = performance.minimum.get(name, -inf)
    most = performance.maximum.get(name, inf)
    tolerance = performance.tolerance.get(name)
    why = ""
    if tolerance is not None and reference is not None:
        why = f" ({called} {reference:.4g}, tolerance {tolerance:g})"
        if measure.better is not Better.LOWER:
            least = max(least, reference - tolerance)
        if measure.better is not Better.HIGHER:
            most = min(most, reference + tolerance)
    if most == inf:
        return None if least == -inf else Band(least, most, f"allowed from {least:.4g}{why}")
    allowed = f"up to {most:.4g}" if least == -inf else f"from {least:.4g} to {most:.4g}"
    return Band(least, most, f"allowed {allowed}{why}")


@dataclass(frozen=True, slots=True)
class Bet:
    """What is bet on: a number between 0 and 1 a row, and what has been won by the mean of them.

    Rows that say nothing are NaN.
    """

    values: Callable[[Rows], Floats]
    won: Callable[[BoundedMean], float]


def bet_of(task: Task, name: str, band: Band) -> Bet | None:
    """The bet on a measure's being worse than it may be; None where none is known to be fair."""
    counted = _SHARES.get(task, {}).get(name)
    if counted is not None:
        least = share_of_f1(band.least) if name == "f1" else band.least
        return _on_share(counted, max(least, 0.0), min(band.most, 1.0))
    if name == "brier":
        return _on_loss(BRIER, brier_most(task), band.most)
    loss, most = _LOSSES.get(name), band.most**2 if name == "rmse" else band.most
    return None if loss is None else _on_loss(loss, _LOSS_MAX * most, most)


def _on_share(counted: Counted, least: float, most: float) -> Bet | None:
    # No share is outside of 0 to 1, and none is within what is empty.
    if not least < most or (least <= 0 and most >= 1):
        return None

    def values(rows: Rows) -> Floats:
        of, hits = counted(rows)
        return np.where(of, hits, np.nan).astype(np.float64)

    return Bet(values, lambda mean: log_won_outside(mean.total, mean.rows, least, most))


def _on_loss(loss: str, scale: float, most: float) -> Bet | None:
    if not 0 < most < scale < inf:
        return None
    return Bet(
        lambda rows: np.minimum(rows.loss(loss) / scale, 1.0),
        lambda mean: mean.log_won_above(most / scale),
    )


def brier_of(rows: Rows) -> Floats:
    """The Brier score of each row as a part of the largest that there is."""
    return rows.loss(BRIER) / brier_most(rows.task)

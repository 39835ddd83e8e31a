"""Means that are estimated on all rows and corrected on those with a label.

Prediction-powered inference with power tuning (Angelopoulos, Duchi, Zrnic, PPI++: Efficient
prediction-powered inference, 2023): with r what labelled rows lost and e what every row was
expected to lose,

    estimate = mean of r - weight * (mean of e over labelled rows - mean of e over all rows).

Whatever the weight, it is right on average as long as the labelled rows are drawn by chance: what
is expected may be wrong, and then helps less. The weight that makes the variance least is the slope
of r on e; with it this is the regression estimator of survey sampling (Cochran, Sampling
techniques, 1977, 7.3), and its variance is that of labels alone times 1 - c^2 (1 - n/N), c the
correlation of r and e, n rows with a label among N.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from monitors.performance.estimands import Estimand, Estimated, moments
from monitors.performance.losses import Floats

ROWS_MIN = 3


@dataclass(frozen=True, slots=True)
class Corrected:
    """A corrected mean beside that of labels alone; the weight is 0 where labels alone do better.

    So its error is never larger than that of `alone`.
    """

    mean: Estimated
    alone: Estimated
    weight: float

    def shifted(self, by: float) -> Corrected:
        """The same of numbers that are so much larger."""
        mean, alone = (replace(each, value=each.value + by) for each in (self.mean, self.alone))
        return Corrected(mean, alone, self.weight)

    def of(self, estimand: Estimand) -> Corrected:
        """The measures that follow from the means."""
        mean, alone = estimand.of_mean(self.mean), estimand.of_mean(self.alone)
        # A root is steeper where it is smaller.
        if mean.error > alone.error:
            return Corrected(alone, alone, 0.0)
        return Corrected(mean, alone, self.weight)


@dataclass(frozen=True, slots=True)
class AllRows:
    """Of all rows: how many, and the sum of what they are expected to lose."""

    rows: int
    expected: float


@dataclass(frozen=True, slots=True)
class Labelled:
    """Sums over rows with a label: of what they lost, were expected to lose, squares, products."""

    rows: int
    lost: float
    expected: float
    lost_squares: float
    expected_squares: float
    products: float


def labelled(lost: Floats, expected: Floats, signs: NDArray[np.int8]) -> NDArray[np.float64]:
    """The sums over some rows, each of which counts as its sign: (6,), as `Labelled` has them."""
    together = np.stack([np.ones(len(lost)), lost, expected, lost**2, expected**2, lost * expected])
    return np.asarray(together @ signs.astype(np.float64))


def corrected(every: AllRows, known: Labelled) -> Corrected | None:
    """The corrected mean; None for fewer than three labels."""
    if known.rows < ROWS_MIN:
        return None
    n = known.rows
    mean, variance = moments(known.lost, known.lost_squares, n)
    alone = Estimated(mean, sqrt(variance / n), n)
    expected, spread = moments(known.expected, known.expected_squares, n)
    together = (known.products - known.lost * expected) / (n - 1)
    # What varies in the last digits only has nothing to explain anything by.
    if every.rows <= n or spread <= 1e-12 * (known.expected_squares / n):
        return Corrected(alone, alone, 0.0)
    weight = together / spread
    explained = min(weight * together, variance)
    unlabelled = 1 - n / every.rows
    # The weight was chosen on the same rows: one more that is not free to vary.
    left = (variance - explained) * (n - 1) / (n - 2) + explained * (1 - unlabelled)
    if left >= variance:
        return Corrected(alone, alone, 0.0)
    value = mean - weight * (expected - every.expected / every.rows)
    return Corrected(Estimated(value, sqrt(left / n), n), alone, weight)

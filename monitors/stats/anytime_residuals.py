"""Labels that are more often true, or less, than a score says: evidence and intervals at any look.

Given the score s, label less score lies between -s and 1 - s, a range of one, so that its sum less
its mean is sub-Gaussian with a variance of 1/4 a row (Hoeffding 1963). The bets
exp(b x - b^2 v / 2) on a sum x of variance v are mixed over b with a normal density, which has a
closed form (Robbins 1970; Howard, Ramdas, McAuliffe, Sekhon 2021, propositions 5 and 6). What is
covered is the mean of what the rows so far were expected to be: it may change from row to row. Sums
and rows are in the last dimension of all arrays.
"""

from __future__ import annotations

from math import log

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

Floats = NDArray[np.float64]

_A_ROW = 0.25
_TUNED = 6.0
"""The variance of what is mixed: the interval is narrowest, for its promise, at some 200 rows."""


def log_residual_evidence(sums: Floats, gap: float) -> Floats:
    """Logarithm of the e-value for "the mean of label less score is at most `gap` in size"."""
    above = _one_sided(sums[..., 0] - sums[..., 1] * gap, sums[..., 1])
    below = _one_sided(-sums[..., 0] - sums[..., 1] * gap, sums[..., 1])
    return np.asarray(np.logaddexp(above, below) - log(2))


def anytime_residual(sums: Floats, alpha: float = 0.05) -> tuple[Floats, Floats]:
    """The interval of the mean of label less score at every look at once; (-1, 1) without rows."""
    rows = sums[..., 1]
    spread = _A_ROW * rows + _TUNED
    half = np.sqrt(spread * np.log(spread / (_TUNED * alpha**2)))
    with np.errstate(divide="ignore", invalid="ignore"):
        mean, half = sums[..., 0] / rows, half / rows
    some = rows > 0
    lower, upper = np.maximum(mean - half, -1.0), np.minimum(mean + half, 1.0)
    return np.where(some, lower, -1.0), np.where(some, upper, 1.0)


def _one_sided(excess: Floats, rows: Floats) -> Floats:
    """What bets on a sum that is too large have won, by a half normal mixture."""
    spread = _A_ROW * rows + _TUNED
    z = excess / np.sqrt(spread)
    won = log(2) + np.log(_TUNED / spread) / 2 + z * z / 2 + log_ndtr(z)
    return np.asarray(won)

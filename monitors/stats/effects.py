"""How large a change is: shifts with bounds, on which decisions rest."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from monitors.stats.distances import smoothed
from monitors.stats.intervals import Z99_ONE_SIDED, newcombe

Floats = NDArray[np.float64]
Counts = NDArray[np.int64] | NDArray[np.float64]
"""Rows, or rows that were weighted, and then so many as would say as much unweighted."""


@dataclass(frozen=True, slots=True)
class Effect:
    """A change with one-sided 99 % bounds, in the unit that `kind` names."""

    kind: str
    value: float
    lower: float
    upper: float

    @property
    def at_least(self) -> float:
        """The lower bound of the size of the change: 0 when the bounds enclose no change."""
        return max(0.0, self.lower, -self.upper)


def bin_scores(reference: Counts) -> Floats:
    """The mean normal score of each bin's share of the reference.

    The mean of a standard normal between the quantiles a and b is
    (density(a) - density(b)) / (b - a as shares).
    """
    shares = smoothed(reference)
    edges = ndtri(np.r_[0.0, np.minimum(np.cumsum(shares[:-1]), 1 - 1e-15), 1.0])
    density = np.exp(-(edges**2) / 2) / np.sqrt(2 * np.pi)
    scores: Floats = -np.diff(density) / shares
    return scores


@dataclass(frozen=True, slots=True)
class Moments:
    """Rows in scored bins: their number, and the mean, variance and fourth moment of the scores."""

    rows: float
    mean: float
    variance: float
    fourth: float


def moments(scores: Floats, counts: Counts) -> Moments:
    """The moments of counts in bins of the given scores; there must be rows."""
    rows = float(counts.sum())
    shares = counts / rows
    mean = float(shares @ scores)
    squares = (scores - mean) ** 2
    return Moments(rows, mean, float(shares @ squares), float(shares @ squares**2))


def location_shift(reference: Moments, live: Moments) -> Effect:
    """Shift of the mean normal score in reference standard deviations.

    Measured on bins, so that no single value can dominate. The variance of the live mean is
    taken as no smaller than the reference's, lest a few equal rows look certain.
    """
    unit = sqrt(reference.variance) if reference.variance > 0 else 1.0
    variance = max(reference.variance, live.variance) / live.rows
    half = Z99_ONE_SIDED * sqrt(variance + reference.variance / reference.rows) / unit
    value = (live.mean - reference.mean) / unit
    return Effect("shift in standard deviations", value, value - half, value + half)


def scale_change(reference: Moments, live: Moments) -> Effect:
    """Relative change of the standard deviation of normal scores; 0 for a constant reference.

    Bounds by the delta method: var(s) = (fourth moment - s^4) / (4 n s^2).
    """
    var0, var1 = reference.variance, live.variance
    if var0 <= 0:
        return Effect("relative change of spread", 0.0, 0.0, 0.0)
    # Never below 0 but by rounding, where all rows lie equally far from the mean.
    excess0, excess1 = max(reference.fourth - var0**2, 0.0), max(live.fourth - var1**2, 0.0)
    noise0 = excess0 / (4 * reference.rows * var0)
    noise1 = max(excess1, excess0) / (4 * live.rows * max(var1, var0))
    half = Z99_ONE_SIDED * sqrt((noise0 + noise1) / var0)
    value = sqrt(var1 / var0) - 1
    return Effect("relative change of spread", value, value - half, value + half)


def share_change(reference: tuple[float, float], live: tuple[float, float]) -> Effect:
    """Change of a share, each given as (hits, rows), with Newcombe bounds (98 % two-sided)."""
    value = live[0] / live[1] - reference[0] / reference[1]
    return Effect("change of share", value, *newcombe(live, reference, Z99_ONE_SIDED))

"""How sure a distance is: 95 % intervals from two samples, (m, bins) and (n, bins) counts of rows.

An interval is for the distance of the two distributions, what one would measure on rows without
end. What is measured on few rows is larger, as noise only ever adds to a distance: without change
PSI is (bins - 1)(1/m + 1/n) on average. So a measured distance may lie above its own interval.

Coverage found by simulation, with 10,000 reference rows: 92 % or more at 200 live rows, 94 % or
more from 2,000 on, and 97 % or more without change (`docs/monitoring.md` has the table,
`tests/monitors/stats/test_distance_coverage.py` the simulation). Shares are smoothed by half a row
a bin, without which the intervals fail where there are few rows a bin.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri, chndtrinc, kolmogi, ndtr

from monitors.stats.distances import Counts, Floats, hellinger, jensen_shannon_divergence, psi
from monitors.stats.intervals import Z95

Bounds = tuple[Floats, Floats]

_TAIL = 0.025
_LOWER_OF_SUPREMUM = float(kolmogi(_TAIL))
_REACH = 20.0
_POINTS = 128


@dataclass(frozen=True, slots=True)
class Samples:
    """Two samples as shares above 0 wherever any of them has rows, and their numbers of rows.

    `p` and `q` have shape (subjects, bins), `m` and `n` (subjects,).
    """

    p: Floats
    q: Floats
    m: Counts
    n: NDArray[np.int64]

    @property
    def noise(self) -> Floats:
        """1/m + 1/n, by which all noise scales."""
        return np.asarray(1 / self.m + 1 / self.n)

    @property
    def second_share(self) -> Floats:
        """The share of all rows that is in the second sample, shape (subjects, 1)."""
        return np.asarray(self.n / (self.m + self.n))[:, None]


@dataclass(frozen=True, slots=True)
class Divergence:
    """A smooth divergence and its slopes in the shares p and q, of two samples.

    Next to no change it is `curvature` times sum((p - q)^2 / p).
    """

    of: Callable[[Samples], Floats]
    slopes: Callable[[Samples], tuple[Floats, Floats]]
    curvature: float


def divergence_bounds(
    divergence: Divergence, samples: Samples, degrees: NDArray[np.int64]
) -> Bounds:
    """Bounds of a divergence of the distributions behind two samples.

    Next to no change, value / (curvature (1/m + 1/n)) is noncentral chi-square, and the bounds of
    its noncentrality are those of the distance (Kent, Hainsworth, Confidence intervals for the
    noncentral chi-squared distribution, 1995). Far from it the value is normal with the variance
    of the delta method (Pardo, Statistical inference based on divergence measures, 2006,
    chapter 3). The unit is stretched so that both hold: noncentral chi-square of large
    noncentrality then has that variance.
    """
    unit = divergence.curvature * samples.noise
    stretch = _stretch(divergence, samples)
    excess = (divergence.of(samples) / unit - degrees) / stretch
    lower, upper = noncentrality_bounds(degrees + excess, degrees)
    return lower * stretch * unit, upper * stretch * unit


def _stretch(divergence: Divergence, samples: Samples) -> Floats:
    """By how much the variance exceeds that of a chi-square divergence of the same size."""
    size = divergence.of(samples)
    slopes = divergence.slopes(samples)
    variance = variance_of(slopes[0], samples.p) / samples.m
    variance += variance_of(slopes[1], samples.q) / samples.n
    expected = 4 * divergence.curvature * samples.noise * size
    # Two samples in equal shares have neither size nor slope.
    stretch = np.divide(variance, expected, out=np.ones_like(size), where=expected > 1e-12)
    return np.maximum(stretch, 1e-3)


def variance_of(values: Floats, shares: Floats) -> Floats:
    """The variance of values that are met with these shares."""
    mean = (shares * values).sum(axis=-1, keepdims=True)
    return np.asarray((shares * (values - mean) ** 2).sum(axis=-1))


def _ratio(samples: Samples) -> Floats:
    """Shares of the second over those of the first, and 1 where both are 0."""
    return np.divide(samples.q, samples.p, out=np.ones_like(samples.p), where=samples.p > 0)


def _psi_slopes(samples: Samples) -> tuple[Floats, Floats]:
    ratio = _ratio(samples)
    logs = np.log(ratio)
    return 1 - logs - ratio, 1 + logs - 1 / ratio


def _jensen_shannon_slopes(samples: Samples) -> tuple[Floats, Floats]:
    ratio = _ratio(samples)
    return np.log(2 / (1 + ratio)) / 2, np.log(2 * ratio / (1 + ratio)) / 2


def _hellinger_slopes(samples: Samples) -> tuple[Floats, Floats]:
    root = np.sqrt(_ratio(samples))
    return -root / 2, -1 / (2 * root)


def _pooled(samples: Samples) -> Floats:
    """The difference of the shares in units of their mean over all rows; 0 where both are 0."""
    pooled = samples.p + samples.second_share * (samples.q - samples.p)
    off = samples.p - samples.q
    return np.divide(off, pooled, out=np.zeros_like(off), where=pooled > 0)


def _pearson(samples: Samples) -> Floats:
    return np.asarray(((samples.p - samples.q) * _pooled(samples)).sum(axis=-1))


def _pearson_slopes(samples: Samples) -> tuple[Floats, Floats]:
    off, second = _pooled(samples), samples.second_share
    return 2 * off - (1 - second) * off**2, -2 * off - second * off**2


PSI = Divergence(lambda s: psi(s.p, s.q), _psi_slopes, 1.0)
JENSEN_SHANNON = Divergence(
    lambda s: jensen_shannon_divergence(s.p, s.q), _jensen_shannon_slopes, 1 / 8
)
"""In nats."""
SQUARED_HELLINGER = Divergence(lambda s: hellinger(s.p, s.q) ** 2, _hellinger_slopes, 1 / 8)
PEARSON = Divergence(_pearson, _pearson_slopes, 1.0)
"""Pearson's statistic times 1/m + 1/n."""


def noncentrality_bounds(statistic: Floats, degrees: NDArray[np.int64]) -> Bounds:
    """95 % bounds of the noncentrality of chi-square variables; shapes (subjects,).

    The upper bound is never that of a statistic below its mean without change, lest one that is
    small by chance look certain; so the interval is never empty, and covers a little more.
    """
    lower, upper = np.zeros_like(statistic), np.zeros_like(statistic)
    for each in np.unique(degrees[degrees > 0]).tolist():
        here = degrees == each
        # Never below 0 but by rounding.
        roots = np.sqrt(np.maximum(statistic[here], 0.0))
        lower[here], upper[here] = _bounds_of(each, roots)
    return lower, upper


def _bounds_of(degrees: int, roots: Floats) -> Bounds:
    at, lower, upper = _table(degrees)
    beyond = roots > at[-1]
    return (
        np.where(beyond, _far(roots - Z95, degrees), np.interp(roots, at, lower)),
        np.where(beyond, _far(roots + Z95, degrees), np.interp(roots, at, upper)),
    )


@lru_cache(maxsize=256)
def _table(degrees: int) -> tuple[Floats, Floats, Floats]:
    """Roots of the statistic, and the bounds for each: solving at every look would be slow."""
    # Where the bounds begin to rise are points too, lest they be drawn out to the next.
    leaves, mean = np.sqrt(chdtri(degrees, _TAIL)), np.sqrt(degrees)
    roots = np.union1d(np.linspace(0.0, mean + _REACH, _POINTS), [leaves, mean])
    statistic = roots**2
    sure = roots > leaves
    lower = np.zeros_like(roots)
    lower[sure] = chndtrinc(statistic[sure], degrees, 1 - _TAIL)
    upper = np.asarray(chndtrinc(np.maximum(statistic, degrees), degrees, _TAIL))
    return roots, lower, upper


def _far(roots: Floats, degrees: int) -> Floats:
    """Noncentralities for which the root of the statistic is `roots` on average, where large.

    That root is normal, with the mean r + (degrees - 1) / (2 r) and variance 1, r^2 being the
    noncentrality.
    """
    own = (roots + np.sqrt(np.maximum(roots**2 - 2 * (degrees - 1), 0.0))) / 2
    return np.asarray(own**2)


def gap_sum_bounds(
    value: Floats, weights: Floats, gaps: Floats, variances: Floats, deviation: Floats
) -> Bounds:
    """Bounds of a weighted sum of absolute gaps, `value`; gaps (subjects, gaps) with variances.

    `deviation` is the largest standard deviation of any sum of the gaps with these weights and
    any signs. With the true signs, which the measured sum is at least, the sum is normal: that
    is the upper bound. The sum itself is a supremum over all signs, whose upper tail above its
    mean is no heavier than normal with that deviation (Borell, Tsirelson, Ibragimov, Sudakov);
    its mean exceeds the truth by the bias of each absolute gap, which is taken at a gap that is
    two standard deviations smaller than measured: that is the lower bound. Both cover more than
    they promise.
    """
    spread = np.sqrt(variances)
    sizes = np.divide(np.abs(gaps), spread, out=np.zeros_like(gaps), where=spread > 0)
    bias = (weights * spread * _bias(np.maximum(sizes - 2, 0.0))).sum(axis=-1)
    half = Z95 * deviation
    return np.maximum(value - bias - half, 0.0), value + half


def _bias(mean: Floats) -> Floats:
    """How much larger |x| is on average than `mean`, from 0 on, if x is normal with variance 1."""
    return np.asarray(np.sqrt(2 / np.pi) * np.exp(-(mean**2) / 2) - 2 * mean * ndtr(-mean))


def supremum_bounds(value: Floats, noise: Floats) -> Bounds:
    """Bounds of the largest gap of two distribution functions, measured as `value`.

    `noise` is 1/m + 1/n. The true largest gap is at a fixed place, and what is measured there is
    normal: that is the upper bound. The lower one allows for the largest error anywhere, which has
    Kolmogorov's distribution. Both cover more than they promise.
    """
    root = np.sqrt(noise)
    return np.maximum(value - _LOWER_OF_SUPREMUM * root, 0.0), value + Z95 / 2 * root

"""Familiar distances between two sets of shares or of counts: the textbook formulas.

All of them work along the last axis, so that one call serves many features at once. How sure a
distance is, is said by `monitors.stats.distance_bounds`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri, rel_entr

Floats = NDArray[np.float64]
Counts = NDArray[np.int64] | NDArray[np.float64]


def shares(counts: Counts) -> Floats:
    """Counts as shares of their sum; all 0 where there are none."""
    return np.asarray(counts / np.maximum(counts.sum(axis=-1, keepdims=True), 1), dtype=np.float64)


def smoothed(counts: Counts, used: NDArray[np.bool_] | bool = True) -> Floats:
    """Shares with half a row added to every bin that is `used`, so that none of them is 0."""
    added = counts + np.multiply(used, 0.5)
    return np.asarray(added / added.sum(axis=-1, keepdims=True), dtype=np.float64)


def kullback_leibler(p: Floats, q: Floats) -> Floats:
    """The divergence of p from q in nats; infinite where q is 0 and p is not."""
    return np.asarray(rel_entr(p, q).sum(axis=-1))


def psi(p: Floats, q: Floats) -> Floats:
    """Population stability index, natural logarithm: sum((q - p) ln(q / p)).

    Infinite where only one of the two shares of a bin is 0.
    """
    return kullback_leibler(p, q) + kullback_leibler(q, p)


def psi_without_change(rows: int, reference_rows: int, bins: int, share: float) -> float:
    """The PSI that a `share` of looks stays below while nothing changes.

    (1/n + 1/m) times a quantile of chi-square with bins - 1 degrees of freedom (Yurdakul, Naranjo,
    Statistical properties of the population stability index, 2020).
    """
    return float((1 / rows + 1 / reference_rows) * chdtri(bins - 1, 1 - share))


def jensen_shannon_divergence(p: Floats, q: Floats) -> Floats:
    """The mean divergence, in nats, of p and q from their middle."""
    middle = (p + q) / 2
    # Never below 0 but by rounding, where the two are equal.
    return np.maximum((kullback_leibler(p, middle) + kullback_leibler(q, middle)) / 2, 0.0)


def jensen_shannon(p: Floats, q: Floats, base: float = 2.0) -> Floats:
    """Jensen-Shannon distance: the root of the divergence; between 0 and 1 to base 2."""
    return np.asarray(np.sqrt(jensen_shannon_divergence(p, q) / np.log(base)))


def hellinger(p: Floats, q: Floats) -> Floats:
    """Hellinger distance, between 0 and 1: the length of sqrt(p) - sqrt(q), over sqrt(2)."""
    return np.asarray(np.sqrt(((np.sqrt(p) - np.sqrt(q)) ** 2).sum(axis=-1) / 2))


def total_variation(p: Floats, q: Floats) -> Floats:
    """Half the sum of absolute differences: the largest difference of any set of bins."""
    return np.asarray(np.abs(p - q).sum(axis=-1) / 2)


def largest_difference(p: Floats, q: Floats) -> Floats:
    """The largest absolute difference (L-infinity)."""
    return np.asarray(np.abs(p - q).max(axis=-1))


def kolmogorov_smirnov(p: Floats, q: Floats) -> Floats:
    """The largest difference of the distribution functions at the upper edges of ordered bins.

    The exact statistic looks between the edges too, so that it is no smaller than this one.
    """
    return largest_difference(np.cumsum(p, axis=-1), np.cumsum(q, axis=-1))


def wasserstein(points: Floats, p: Floats, q: Floats) -> Floats:
    """Wasserstein-1 distance of shares that lie at `points`, which do not fall, in their unit."""
    gaps = np.cumsum(p - q, axis=-1)[..., :-1]
    return np.asarray((np.abs(gaps) * np.diff(points, axis=-1)).sum(axis=-1))


def chi_square(first: Counts, second: Counts, corrected: bool) -> Floats:
    """Pearson's statistic of two samples of counts in the same bins, both with rows.

    `corrected` says that with two bins it is Yates's, as `scipy.stats.chi2_contingency` has it
    unless told otherwise. Bins that are empty in both samples count for nothing.
    """
    both = first + second
    m, n = (counts.sum(axis=-1, keepdims=True) for counts in (first, second))
    # As far as the first sample is above what is expected, the second is below.
    off = np.abs(first - both * (m / (m + n)))
    if corrected:
        two_bins = (degrees(first, second) == 1)[..., None]
        off = np.where(two_bins, off - np.minimum(off, 0.5), off)
    terms = off**2 / np.maximum(both, 1)
    return np.asarray((terms * ((m + n) ** 2 / (m * n))).sum(axis=-1))


def degrees(first: Counts, second: Counts) -> NDArray[np.int64]:
    """Degrees of freedom: bins that are not empty in both samples, less one."""
    return np.asarray(((first + second) > 0).sum(axis=-1) - 1, dtype=np.int64)

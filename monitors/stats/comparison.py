"""Live counts compared with reference counts by familiar distances, for many subjects at once.

Nobody is paged on any of these: see "Familiar distances" in `docs/monitoring.md`.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, kolmogorov

from monitors.stats import distances as formulas
from monitors.stats.distance_bounds import (
    JENSEN_SHANNON,
    PEARSON,
    PSI,
    SQUARED_HELLINGER,
    Bounds,
    Samples,
    divergence_bounds,
    gap_sum_bounds,
    supremum_bounds,
    variance_of,
)
from monitors.stats.distances import Counts, Floats, degrees, shares, smoothed
from monitors.stats.familiar import Distance, Familiar

Integers = NDArray[np.int64]
Number = TypeVar("Number", np.int64, np.float64)

KNOWN_ROWS_MIN = 5
"""Rows of the reference that a bin must have to stand by itself in distances that sum over bins."""


class Comparison:
    """References as counts in bins, against which live counts in the same bins are measured.

    Categories are bins in no order, the last two of which hold what is not on the list. Where
    `points` are given, one array a subject, bins are in order, the first and the last are outside
    the range of the reference, and each lies at its point, in reference standard deviations (not
    finite where there are none).

    PSI, Jensen-Shannon, total variation, Hellinger and chi-square join bins with fewer than
    `KNOWN_ROWS_MIN` rows of the reference: ordered ones with a neighbour, categories with one
    another. What is outside the range, or not on the list, is one bin whatever its rows. So the
    bins depend on the reference only, and what it never met is not taken for what it knows.

    Live counts may be compared with others in the place of the references, in the same bins.
    """

    def __init__(self, references: Sequence[Integers], points: Sequence[Floats] = ()) -> None:
        self._reference = padded(references)
        joins = ordered_groups if points else unordered_groups
        groups = [joins(counts.tolist()) for counts in references]
        self._groups = max((max(each) + 1 for each in groups), default=0)
        # Counts of all subjects are joined at one go, so each group has a number of its own.
        self._joins = padded([np.array(each, dtype=np.int64) for each in groups])
        self._joins += np.arange(len(groups))[:, None] * self._groups
        self._joined = self._join(self._reference)
        # The last point again, so that what is behind a subject's last bin lies nowhere.
        self._points = _padded_points(points, self._reference.shape[1]) if points else None

    def distances(
        self, live: Integers, instead: Floats | None = None
    ) -> list[tuple[Distance, ...]]:
        """The distances of each subject's counts, (subjects, bins); none of one without rows.

        `instead` (subjects, bins) are counts to compare with in the place of the references.
        """
        rows = live.sum(axis=-1)
        if not rows.any():
            return [()] * len(live)
        # A row for subjects without any, whose distances are thrown away.
        live = live + (self._reference > 0) * (rows == 0)[:, None]
        reference = self._reference if instead is None else instead
        columns = self._over_joined_bins(live, reference)
        if self._points is not None:
            columns += self._over_ordered_bins(live, reference, self._points)
        return [
            tuple(distance for distance in of_subject if isfinite(distance.value)) if some else ()
            for some, *of_subject in zip(rows.tolist(), *columns, strict=True)
        ]

    def _join(self, counts: Counts) -> Floats:
        size = len(counts) * self._groups
        joined = np.bincount(self._joins.ravel(), counts.ravel(), minlength=size)
        return np.asarray(joined.reshape(len(counts), self._groups), dtype=np.float64)

    def _over_joined_bins(self, live: Integers, reference: Counts) -> list[list[Distance]]:
        known = reference is self._reference
        first = self._joined if known else self._join(reference)
        second = self._join(live)
        p, q = shares(first), shares(second)
        used = first + second > 0
        m, n = reference.sum(axis=-1), live.sum(axis=-1)
        samples = Samples(smoothed(first, used), smoothed(second, used), m, n)
        bins = degrees(first, second)
        deviation = np.sqrt(samples.noise) / 2

        psi = formulas.psi(samples.p, samples.q)
        divergence = formulas.jensen_shannon_divergence(p, q)
        in_bits = 1 / np.log(2)
        variation = formulas.total_variation(p, q)
        # Half a row more, lest a bin without rows look certain.
        variances = (first + used / 2) * (1 - p) / m[:, None] ** 2
        variances += (second + used / 2) * (1 - q) / n[:, None] ** 2
        hellinger = formulas.hellinger(p, q)
        shown = formulas.chi_square(first, second, corrected=True)

        of_js = divergence_bounds(JENSEN_SHANNON, samples, bins)
        of_hellinger = divergence_bounds(SQUARED_HELLINGER, samples, bins)
        of_pearson = divergence_bounds(PEARSON, samples, bins)
        return [
            _told(Familiar.PSI, psi, divergence_bounds(PSI, samples, bins)),
            _told(
                Familiar.JENSEN_SHANNON,
                np.sqrt(divergence * in_bits),
                _rooted(of_js, in_bits),
                most=1.0,
            ),
            _told(
                Familiar.TOTAL_VARIATION,
                variation,
                gap_sum_bounds(variation, np.array(0.5), p - q, variances, deviation),
                most=1.0,
            ),
            _told(Familiar.HELLINGER, hellinger, _rooted(of_hellinger), most=1.0),
            _told(
                Familiar.CHI_SQUARE,
                shown,
                (of_pearson[0] / samples.noise, of_pearson[1] / samples.noise),
                p_values=np.where(bins > 0, chdtrc(np.maximum(bins, 1), shown), 1.0),
            ),
        ]

    def _over_ordered_bins(
        self, live: Integers, reference: Counts, points: Floats
    ) -> list[list[Distance]]:
        m, n = reference.sum(axis=-1), live.sum(axis=-1)
        noise = 1 / m + 1 / n
        p, q = shares(reference), shares(live)
        largest = formulas.kolmogorov_smirnov(p, q)
        lengths = np.diff(points, axis=-1)
        below, also_below = np.cumsum(p, axis=-1)[:, :-1], np.cumsum(q, axis=-1)[:, :-1]
        variances = below * (1 - below) / m[:, None] + also_below * (1 - also_below) / n[:, None]
        mean = formulas.wasserstein(points, p, q)
        # With any signs the sum is a difference of means of a function that rises by at most one
        # a unit, so that its variance is at most that of the points themselves.
        deviation = np.sqrt(variance_of(points, p) / m + variance_of(points, q) / n)
        return [
            _told(
                Familiar.KOLMOGOROV_SMIRNOV,
                largest,
                supremum_bounds(largest, noise),
                most=1.0,
                p_values=kolmogorov(largest / np.sqrt(noise)),
            ),
            _told(
                Familiar.WASSERSTEIN,
                mean,
                gap_sum_bounds(
                    mean, lengths, below - also_below, np.maximum(variances, 0.0), deviation
                ),
            ),
        ]


def ordered_groups(counts: Sequence[int]) -> list[int]:
    """The group of each ordered bin; those outside the range of the reference have the last one."""
    groups: list[int] = []
    group = rows = 0
    for count in counts[1:-1]:
        if rows >= KNOWN_ROWS_MIN:
            group, rows = group + 1, 0
        groups.append(group)
        rows += count
    if rows < KNOWN_ROWS_MIN and group:
        groups = [min(each, group - 1) for each in groups]
        group -= 1
    return [group + 1, *groups, group + 1]


def unordered_groups(counts: Sequence[int]) -> list[int]:
    """The group of each category; the last two bins, of what is not on the list, have the last one.

    Rare ones have the one before it.
    """
    known = [at for at, count in enumerate(counts[:-2]) if count >= KNOWN_ROWS_MIN]
    rare, unlisted = len(known), len(known) + 1
    groups = [rare] * (len(counts) - 2) + [unlisted] * 2
    for group, at in enumerate(known):
        groups[at] = group
    return groups


def padded(rows: Sequence[NDArray[Number]]) -> NDArray[Number]:
    """Rows of unequal length as one array, with zeros behind the shorter ones."""
    kind = rows[0].dtype if rows else np.dtype(np.int64)
    filled: NDArray[Number] = np.zeros((len(rows), max(map(len, rows), default=0)), dtype=kind)
    for into, row in zip(filled, rows, strict=True):
        into[: len(row)] = row
    return filled


def _padded_points(points: Sequence[Floats], width: int) -> Floats:
    filled = np.empty((len(points), width))
    for into, row in zip(filled, points, strict=True):
        into[: len(row)] = row
        into[len(row) :] = row[-1]
    return filled


def _rooted(bounds: Bounds, factor: float = 1.0) -> Bounds:
    return np.sqrt(bounds[0] * factor), np.sqrt(bounds[1] * factor)


def _told(
    name: Familiar,
    values: Floats,
    bounds: Bounds,
    *,
    most: float = np.inf,
    p_values: Floats | None = None,
) -> list[Distance]:
    """One distance of all subjects; none of its bounds is larger than the `most` that it can be."""
    lower, upper = (np.minimum(bound, most).tolist() for bound in bounds)
    likely = [None] * len(lower) if p_values is None else p_values.tolist()
    return [
        Distance(name.value, *each)
        for each in zip(values.tolist(), lower, upper, likely, strict=True)
    ]

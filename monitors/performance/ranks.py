"""Measures of the order of scores: area under the curve, average precision.

Scores are counted in fixed bins that are fine at both ends of 0 to 1 and about 0.001 to 0.002 wide
in the middle. Those in one bin count as equal, as equal scores do in scikit-learn: the figures are
exact to the bin, and `largest_error` says how far that may be from the exact area.
"""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from monitors.performance.figures import Estimate
from monitors.performance.rows import Rows
from monitors.performance.tally import Tally

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

_STEPS = 256
"""Bins between two powers of two."""

_OCTAVES = 30
"""So many powers of two below 1, and above, are told apart."""

_HALF = 1 + (_OCTAVES * _STEPS)
"""The bin of 0.5."""


def score_bins(scores: Floats) -> Counts:
    """The number of each score's bin, which rises with the score; NaN has none, and must not come.

    Leading bits of a score up to 0.5, or outside 0 to 1; of its distance to 1 in between.
    """
    upper = (scores > 0.5) & (scores <= 1)
    leading = _leading(np.where(upper, 1 - scores, scores))
    beyond = np.where(scores > 1, leading + _HALF, leading)
    return np.where(upper, 2 * _HALF - leading, beyond)


def _leading(numbers: Floats) -> Counts:
    """Sign, exponent and first bits of the fraction as one number; 0 for what is nearly 0."""
    fractions, exponents = np.frexp(np.minimum(np.abs(numbers), 2.0 ** (_OCTAVES + 1)))
    octaves = exponents.astype(np.int64) + _OCTAVES
    steps = np.floor((fractions - 0.5) * 2 * _STEPS).astype(np.int64)
    sizes = np.where(octaves < 0, 0, 1 + octaves * _STEPS + steps)
    return np.sign(numbers).astype(np.int64) * sizes


def count_scores(rows: Rows, tally: Tally, table: str) -> None:
    """Count scores in their bins, apart for the two labels."""
    for name, label in (("negatives", 0), ("positives", 1)):
        those = ~np.isnan(rows.scores) & (rows.labels == label)
        tally.count(f"{table} {name}", score_bins(rows.scores[those]), rows.signs[those])


def by_bin(tally: Tally, table: str) -> tuple[Floats, Floats]:
    """Negatives and positives in each bin that has any, by rising score."""
    negatives, positives = tally.table(f"{table} negatives"), tally.table(f"{table} positives")
    places = sorted(negatives.keys() | positives.keys())
    counts = [[each.get(place, 0) for place in places] for each in (negatives, positives)]
    both = np.maximum(np.array(counts, dtype=np.float64).reshape(2, -1), 0)
    return both[0], both[1]


def area(negatives: Floats, positives: Floats) -> Estimate | None:
    """The area under the ROC curve, None without rows of both kinds.

    Its deviation is that of DeLong, DeLong, Clarke-Pearson (Biometrics 1988), and no less than if
    one row of the rarer kind were at the wrong end.
    """
    none, some = negatives.sum(), positives.sum()
    if not none or not some:
        return None
    above_negatives = (np.cumsum(negatives) - negatives / 2) / none
    below_positives = 1 - (np.cumsum(positives) - positives / 2) / some
    value = float(positives @ above_negatives / some)
    square = _square(positives, above_negatives, value) + _square(negatives, below_positives, value)
    return _of_order(value, none, some, sqrt(square))


def _square(counts: Floats, placements: Floats, mean: float) -> float:
    """The square of the standard error of a mean of placements."""
    rows = counts.sum()
    return float(counts @ (placements - mean) ** 2 / max(rows - 1, 1) / rows)


def average_precision(negatives: Floats, positives: Floats) -> Estimate | None:
    """The mean precision at the scores of positives, None without rows of both kinds.

    As scikit-learn has it, without interpolation. Its deviation is that of the influence of a row
    (first order), with the same least as that of the area.
    """
    none, some = negatives.sum(), positives.sum()
    if not none or not some:
        return None
    counted = negatives + positives
    there = counted > 0
    negatives, positives, counted = negatives[there], positives[there], counted[there]
    reached = np.cumsum(counted[::-1])[::-1]
    precisions = np.cumsum(positives[::-1])[::-1] / reached
    weights = positives / some
    value = float(weights @ precisions)
    rows = none + some
    # A row moves the precision at all scores up to its own, and a positive one adds its own.
    moved = np.cumsum(weights * rows / reached)
    lowered = np.cumsum(weights * precisions * rows / reached)
    of_positive = (precisions - value) * rows / some + moved - lowered
    square = (positives @ of_positive**2 + negatives @ lowered**2) / rows**2
    found = _of_order(value, none, some, sqrt(square))
    # Twice as many rows of the rarer kind are needed until its error is nearly normal.
    return replace(found, scarce=found.scarce // 2)


def _of_order(value: float, none: float, some: float, error: float) -> Estimate:
    rows, scarce = int(none + some), int(min(none, some))
    deviation = max(error, 1 / scarce) * sqrt(rows)
    return Estimate(min(value, 1.0), rows, scarce, deviation, (0.0, 1.0))


def largest_error(negatives: Floats, positives: Floats) -> float:
    """How far the exact area may be from that of the bins: half of the pairs that share a bin."""
    pairs = negatives.sum() * positives.sum()
    return float(negatives @ positives / pairs / 2) if pairs else 0.0

"""Intervals of the mean of values that have no bounds, once there are many of them."""

from __future__ import annotations

from math import sqrt

from scipy.special import stdtrit

from monitors.stats.anytime_normal import at_every_look

_NARROWEST_ROWS = 1000
"""So many rows are where an interval that holds at any time is at its narrowest."""


def at_one_look(
    rows: int, mean: float, variance: float, alpha: float = 0.05
) -> tuple[float, float]:
    """Student's interval of a mean at one look, of two rows at least.

    `variance` is the mean square of what is off the mean, as `Moments` has it.
    """
    half = float(stdtrit(rows - 1, 1 - alpha / 2)) * sqrt(variance / (rows - 1))
    return mean - half, mean + half


def at_any_look(
    rows: int, mean: float, variance: float, alpha: float = 0.05
) -> tuple[float, float]:
    """The interval of a mean that holds at all looks from the first on, if that is late enough.

    Rows are independent, or a martingale about the mean. With chance 1 - alpha it never leaves the
    mean out, more nearly so the more rows there were at the first look: see `anytime_normal`.
    """
    half = at_every_look(rows, alpha, _NARROWEST_ROWS) * sqrt(variance / rows)
    return mean - half, mean + half


def rows_to_trust(skewness: float) -> int:
    """From how many rows on the mean is near enough to normal, by Cochran's rule.

    25 times the square of Fisher's coefficient of skewness (Cochran, Sampling Techniques, 1977,
    section 2.15): of events that are rare it takes about 25.
    """
    return int(25 * skewness**2) + 1

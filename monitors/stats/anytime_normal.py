"""How wide a normal interval must be to hold at every look, and not at one only."""

from __future__ import annotations

from math import log, sqrt

from scipy.special import ndtri

ROWS_SHARPEST = 500
"""The number of rows at which the widening is least."""


def at_one_look(alpha: float = 0.05) -> float:
    """Half the width, in standard errors, of a normal interval with the coverage 1 - alpha."""
    return float(ndtri(1 - alpha / 2))


def at_every_look(rows: float, alpha: float = 0.05, sharpest: float = ROWS_SHARPEST) -> float:
    """Half the width, in standard errors of a mean of so many rows, of an interval for all times.

    With chance 1 - alpha the intervals never leave the mean out, from some hundred rows on: an
    asymptotic confidence sequence (Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas, Time-uniform
    central limit theory and asymptotic confidence sequences, Annals of Statistics 2024, theorem
    2.2, with the parameter of their appendix B.2 for `sharpest` rows). Infinite without rows.
    """
    if rows <= 0:
        return float("inf")
    twice = -2 * log(alpha)
    scaled = rows * (twice + log(twice + 1)) / sharpest
    return sqrt(2 * (1 + 1 / scaled) * (0.5 * log(scaled + 1) - log(alpha)))

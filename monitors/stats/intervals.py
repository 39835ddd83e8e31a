"""Confidence intervals of proportions and of their differences."""

from __future__ import annotations

from math import exp, inf, log, sqrt

from scipy.special import ndtri

Z95 = float(ndtri(0.975))
"""Half the width, in standard errors, of a two-sided 95 % interval."""

Z99_ONE_SIDED = float(ndtri(0.99))
"""The same of a one-sided 99 % bound."""


def wilson(hits: float, rows: float, z: float = Z95) -> tuple[float, float]:
    """The Wilson score interval of hits / rows (Wilson, JASA 1927); (0, 1) when rows is 0."""
    if rows == 0:
        return 0.0, 1.0
    share = hits / rows
    scale = 1 + z * z / rows
    middle = (share + z * z / (2 * rows)) / scale
    half = z * sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows)) / scale
    # At no hits or all hits the bound is 0 or 1 exactly, but for rounding.
    lower = 0.0 if hits == 0 else middle - half
    upper = 1.0 if hits == rows else middle + half
    return lower, upper


def newcombe(
    first: tuple[float, float], second: tuple[float, float], z: float = Z95
) -> tuple[float, float]:
    """Newcombe's interval of a difference of two proportions, each given as (hits, rows).

    The hybrid of two Wilson intervals (Newcombe, Statistics in Medicine 1998, method 10);
    (-1, 1) when one of them has no rows.
    """
    if first[1] == 0 or second[1] == 0:
        return -1.0, 1.0
    p1, p2 = first[0] / first[1], second[0] / second[1]
    (low1, high1), (low2, high2) = wilson(*first, z), wilson(*second, z)
    lower = p1 - p2 - sqrt((p1 - low1) ** 2 + (high2 - p2) ** 2)
    upper = p1 - p2 + sqrt((high1 - p1) ** 2 + (p2 - low2) ** 2)
    return lower, upper


def log_ratio(
    first: tuple[float, float], second: tuple[float, float], z: float = Z95
) -> tuple[float, float]:
    """The log interval of a ratio of two proportions, each given as (hits, rows).

    Half a hit and half a row more (Haldane) keep it finite (Katz, Baptista, Azen, Pike, Biometrics
    1978; Walter, Biometrika 1975); (0, inf) when one of them has no rows.
    """
    if first[1] == 0 or second[1] == 0:
        return 0.0, inf
    middle, variance = 0.0, 0.0
    for sign, (hits, rows) in ((1, first), (-1, second)):
        middle += sign * log((hits + 0.5) / (rows + 0.5))
        variance += 1 / (hits + 0.5) - 1 / (rows + 0.5)
    half = z * sqrt(variance)
    return exp(middle - half), exp(middle + half)

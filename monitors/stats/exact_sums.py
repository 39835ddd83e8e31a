"""Sums of floating-point numbers without any rounding, so that what was added can be taken away.

Every float is a whole number of units of 2^-1126, and whole numbers add up exactly in any order
(Kulisch, Computer Arithmetic and Validity, 2013: a long accumulator). So sums of parts make the sum
of the whole to the last digit, and nothing is left when all rows are taken away.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_DIGITS = 53
_LEAST_EXPONENT = -1073
"""That of the smallest float above zero, as `frexp` gives it."""

_HALF = 27
_UNITS = 1 << (_DIGITS - _LEAST_EXPONENT)


_EXPONENTS = 4096
"""More than there are."""


def exact_sum(values: NDArray[np.float64]) -> int:
    """The sum of finite floats, (rows,), in units of 2^-1126; at most 2^26 of them."""
    return exact_sums(values, np.zeros(len(values), dtype=np.int64)).get(0, 0)


def exact_sums(values: NDArray[np.float64], places: NDArray[np.int64]) -> dict[int, int]:
    """The same for each place of those that rows have, (rows,)."""
    fractions, exponents = np.frexp(values)
    wholes = np.ldexp(fractions, _DIGITS).astype(np.int64)
    # In two halves, whose sums are below 2^53: there `bincount` does not round.
    lower = wholes & ((1 << _HALF) - 1)
    upper = wholes >> _HALF
    shifts = exponents.astype(np.int64) - _LEAST_EXPONENT
    kinds, at = np.unique(places * _EXPONENTS + shifts, return_inverse=True)
    uppers = np.bincount(at, upper, minlength=len(kinds)).tolist()
    lowers = np.bincount(at, lower, minlength=len(kinds)).tolist()
    sums: dict[int, int] = {}
    for kind, high, low in zip(kinds.tolist(), uppers, lowers, strict=True):
        place, shift = divmod(kind, _EXPONENTS)
        sums[place] = sums.get(place, 0) + (((int(high) << _HALF) + int(low)) << shift)
    return sums


def squares(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The squares of numbers, and what rounding took from each of them; below 1e150 in size.

    Both together are exact, but for numbers below 1e-145 (Dekker, Numerische Mathematik 1971).
    """
    rounded = values * values
    spread = values * ((1 << _HALF) + 1.0)
    upper = spread - (spread - values)
    lower = values - upper
    return rounded, ((upper * upper - rounded) + 2 * upper * lower) + lower * lower


def ratio(units: int, divisor: int = 1) -> float:
    """A sum divided by a whole number above zero, rounded once."""
    return units / (divisor * _UNITS)


def mean_and_deviation(rows: int, units: int, squares: int) -> tuple[float, float]:
    """Those of so many rows, one or more, by the sums of their values and of the squares of these.

    The deviation is that of the population, in which `rows` divides.
    """
    # rows * squares - units^2, in the units of a square of a sum.
    excess = max(0, rows * squares * _UNITS - units * units)
    variance = excess / (rows * rows * _UNITS * _UNITS)
    return ratio(units, rows), float(np.sqrt(variance))

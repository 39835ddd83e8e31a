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


def exact_sum(values: NDArray[np.float64]) -> int:
    """The sum of finite floats, (rows,), in units of 2^-1126; at most 2^26 of them."""
    fractions, exponents = np.frexp(values)
    wholes = np.ldexp(fractions, _DIGITS).astype(np.int64)
    # In two halves, whose sums are below 2^53: there `bincount` does not round.
    lower = wholes & ((1 << _HALF) - 1)
    upper = wholes >> _HALF
    kinds, places = np.unique(exponents, return_inverse=True)
    uppers = np.bincount(places, upper, minlength=len(kinds)).tolist()
    lowers = np.bincount(places, lower, minlength=len(kinds)).tolist()
    return sum(
        ((int(high) << _HALF) + int(low)) << (exponent - _LEAST_EXPONENT)
        for exponent, high, low in zip(kinds.tolist(), uppers, lowers, strict=True)
    )


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

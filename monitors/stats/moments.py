"""Mean, variance and skewness of rows that come in parts, and of which parts are taken back."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Moments:
    """How many values there are, their mean, and the sums of squares and cubes of what is off it.

    Parts are joined without loss of digits (Pébay, Formulas for robust, one-pass parallel
    computation of covariances and arbitrary-order statistical moments, 2008, section 1).
    """

    rows: int = 0
    mean: float = 0.0
    squares: float = 0.0
    cubes: float = 0.0

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> Moments:
        """Those of values, shape (rows,), which are finite."""
        if not len(values):
            return cls()
        mean = float(values.mean())
        off = values - mean
        return cls(len(values), mean, float((off**2).sum()), float((off**3).sum()))

    def plus(self, other: Moments) -> Moments:
        """Those of the values of both."""
        if not (self.rows and other.rows):
            return self if self.rows else other
        rows = self.rows + other.rows
        return Moments(
            rows,
            self.mean + (other.mean - self.mean) * other.rows / rows,
            self.squares + other.squares + _squares_between(self, other),
            self.cubes + other.cubes + _cubes_between(self, other),
        )

    def minus(self, other: Moments) -> Moments:
        """Those of what is left when the values of the other are taken back; none if all are."""
        rows = self.rows - other.rows
        if rows <= 0:
            return Moments()
        if not other.rows:
            return self
        mean = self.mean + (self.mean - other.mean) * other.rows / rows
        between = _squares_between(Moments(rows, mean), other)
        squares = max(0.0, self.squares - other.squares - between)
        cubes = self.cubes - other.cubes - _cubes_between(Moments(rows, mean, squares), other)
        return Moments(rows, mean, squares, cubes)

    @property
    def total(self) -> float:
        """The sum of the values."""
        return self.mean * self.rows

    @property
    def variance(self) -> float:
        """The mean square of what is off the mean."""
        return self.squares / self.rows if self.rows else 0.0

    @property
    def skewness(self) -> float:
        """Fisher's coefficient: the mean cube of what is off the mean, in standard deviations."""
        variance = self.variance
        return self.cubes / self.rows / (variance * sqrt(variance)) if variance > 0 else 0.0


def _squares_between(one: Moments, other: Moments) -> float:
    """What the distance of two means adds to the squares of both together."""
    apart = other.mean - one.mean
    return apart**2 * one.rows * other.rows / (one.rows + other.rows)


def _cubes_between(one: Moments, other: Moments) -> float:
    """What it adds to the cubes."""
    rows = one.rows + other.rows
    apart = other.mean - one.mean
    own = apart**3 * one.rows * other.rows * (one.rows - other.rows) / rows**2
    return own + 3 * apart * (one.rows * other.squares - other.rows * one.squares) / rows

"""Intervals of a bounded mean, and evidence that it is above a bound, that hold at every look.

For numbers x between 0 and 1 with the mean m, given all before, and any guess g between 0 and 1
that was made before x, the mean of exp(t (x - m) - w(t) (x - g)^2), w(t) = -ln(1 - t) - t, is at
most one for every t in [0, 1): the empirical Bernstein bound of Fan, Grama, Liu (Electronic Journal
of Probability 2015) with the guesses of Howard, Ramdas, McAuliffe, Sekhon (Annals of Statistics
2021, theorem 4). So its product over rows is a supermartingale, and so is a mixture of them over t;
here of the gamma distribution, for which it has a closed form (the same, proposition 9). It
depends on the rows by three numbers only. Where m is lower the mean is lower still.
"""

from __future__ import annotations

from math import log, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import gammainc, gammaln

Floats = NDArray[np.float64]

_SHAPE = 1.0
"""Of the mixture: it is sharpest where squared surprises add up to some 10 times as much."""


def log_mixture(excess: float, surprise: float) -> float:
    """The logarithm of what all bets together have won.

    `excess` is how far the sum of the rows is above that of the means which are bet against,
    `surprise` the sum of the squared distances from what was guessed of each row before.
    """
    shape = surprise + _SHAPE
    rate = excess + shape
    scale = (
        _SHAPE * log(_SHAPE) - gammaln(_SHAPE) - log(gammainc(_SHAPE, _SHAPE)) + excess + surprise
    )
    # The integral of u^(shape - 1) exp(-rate u) over [0, 1] is no less than this.
    least = -max(rate, 0.0) - log(shape)
    if rate <= 0:
        return float(scale + least)
    inside = gammainc(shape, rate)
    if inside <= 0:
        return float(scale + least)
    return float(scale + max(least, gammaln(shape) + log(inside) - shape * log(rate)))


class BoundedMean:
    """A fold over numbers between 0 and 1, in their order: what is sure of their mean.

    It remembers three numbers: how many rows there were, their sum, and their squared surprises.
    Those of two streams of rows, however they came among each other, add up to those of all.
    """

    def __init__(self, rows: float = 0, total: float = 0.0, surprise: float = 0.0) -> None:
        self.rows = int(rows)
        self.total = total
        self.surprise = surprise

    @property
    def numbers(self) -> tuple[float, float, float]:
        """The three numbers, of which another one can be made."""
        return float(self.rows), self.total, self.surprise

    def update(self, values: Floats) -> None:
        """Take in numbers, (rows,); `ValueError` for one that is not between 0 and 1."""
        if not len(values):
            return
        if not bool(((values >= 0) & (values <= 1)).all()):
            message = "a number that is not between 0 and 1"
            raise ValueError(message)
        sums = self.total + np.cumsum(values)
        # The mean of all before, and of half a row that stands for nothing known.
        guesses = (sums - values + 0.5) / np.arange(self.rows + 1, self.rows + len(values) + 1)
        self.surprise += float(((values - np.clip(guesses, 0, 1)) ** 2).sum())
        self.total = float(sums[-1])
        self.rows += len(values)

    def merge(self, other: BoundedMean) -> None:
        """Take in all rows of another stream, each guessed from what came before it in its own."""
        self.rows += other.rows
        self.total += other.total
        self.surprise += other.surprise

    def log_won_above(self, most: float) -> float:
        """The natural logarithm of the evidence that the mean is above `most`.

        Its e-value exceeds 1/a ever with chance at most a if the mean of each row, given those
        before, is `most` or less.
        """
        return log_mixture(self.total - self.rows * most, self.surprise)

    def half_width(self, alpha: float = 0.05) -> float:
        """How far from the rows' own mean the true one may be, with chance 1 - alpha at all times.

        If the mean of each row, given those before, is the same. 1 without rows.
        """
        if not self.rows:
            return 1.0
        needed = log(2 / alpha)

        def lacking(excess: float) -> float:
            return log_mixture(excess, self.surprise) - needed

        most = 1 + sqrt(self.surprise)
        while lacking(most) < 0:
            most *= 2
        return min(1.0, float(brentq(lacking, 0.0, most)) / self.rows)

    def interval(self, alpha: float = 0.05) -> tuple[float, float]:
        """The interval of the mean, within 0 and 1, that holds at all times with 1 - alpha."""
        if not self.rows:
            return 0.0, 1.0
        mean, half = self.total / self.rows, self.half_width(alpha)
        return max(0.0, mean - half), min(1.0, mean + half)

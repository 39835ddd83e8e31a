"""When bets may begin: what each beginning is worth, by its place or by the clock."""

from __future__ import annotations

from math import log
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# The sum of 1/((k+2) ln(k+2)^2) over k >= 0 is 2.10974...; dividing by a little more keeps the
# sum of the weights just below one.
_SCALE = 2.1098

_ALL_BUT_NOTHING = 700.0


def start_weights(first: int, count: int) -> Floats:
    """The weights of the starting blocks first, first + 1, ...; all of them sum to at most one."""
    k = np.arange(first, first + count, dtype=np.float64) + 2
    weights: Floats = 1 / (k * np.log(k) ** 2) / _SCALE
    return weights


class Starts(Protocol):
    """**Protocol:** gives blocks their weights, in order, and remembers what it has given."""

    def weights(self, count: int) -> Floats:
        """The weights of the next `count` blocks, shape (count,); 0 where no bet begins."""

    @property
    def log_unspent(self) -> float:
        """Logarithm of the weight of all bets that are yet to begin, each of which counts one."""

    @property
    def log_mean(self) -> float:
        """Logarithm of the expectation, under no change, of all bets' wealth."""

    @property
    def spent(self) -> NDArray[np.float64]:
        """What has been given, for `resume`."""

    def resume(self, spent: NDArray[np.float64]) -> None:
        """Go on from what was given."""

    def at(self, minute: int) -> None:
        """Say which minute it is for the blocks to come."""


class SpreadStarts:
    """**Starts** at every block, in all worth one: the mixture is a martingale of mean one.

    Block k has a weight proportional to 1 / ((k + 2) ln(k + 2)^2). (Weights after Robbins and
    Siegmund.)
    """

    def __init__(self) -> None:
        self._blocks = 0
        self._unspent = 1.0

    def weights(self, count: int) -> Floats:
        """The weights of the next `count` blocks."""
        weights = start_weights(self._blocks, count)
        self._blocks += count
        self._unspent -= float(weights.sum())
        return weights

    @property
    def log_unspent(self) -> float:
        """Logarithm of what is left of one."""
        return log(max(self._unspent, 1e-300))

    @property
    def log_mean(self) -> float:
        """The mean is one."""
        return 0.0

    @property
    def spent(self) -> NDArray[np.float64]:
        """The blocks, and what is left of one."""
        return np.array([self._blocks, self._unspent])

    def resume(self, spent: NDArray[np.float64]) -> None:
        """Go on from there."""
        self._blocks, self._unspent = int(spent[0]), float(spent[1])

    def at(self, minute: int) -> None:
        """The clock does not matter."""


class MinuteStarts:
    """**Starts** of weight one, one a minute: the sum is the Shiryaev-Roberts statistic.

    Its mean under no change is the number of minutes in which rows came, so at most that of all
    minutes since the first.
    """

    def __init__(self) -> None:
        self._minutes = 0
        self._last = -1
        self._due = False

    def weights(self, count: int) -> Floats:
        """One for the first of the next `count` blocks if a minute has begun, else zeros."""
        weights = np.zeros(count)
        if self._due and count:
            weights[0] = 1.0
            self._minutes += 1
            self._due = False
        return weights

    @property
    def log_unspent(self) -> float:
        """Bets that are yet to begin do not count; before the first, the statistic is one."""
        return 0.0 if not self._minutes else -_ALL_BUT_NOTHING

    @property
    def log_mean(self) -> float:
        """The logarithm of how many bets have begun."""
        return log(max(self._minutes, 1))

    @property
    def spent(self) -> NDArray[np.float64]:
        """How many minutes there were, the last of them, and whether its bet is due."""
        return np.array([self._minutes, self._last, self._due], dtype=np.float64)

    def resume(self, spent: NDArray[np.float64]) -> None:
        """Go on from there."""
        self._minutes, self._last, self._due = int(spent[0]), int(spent[1]), bool(spent[2])

    def at(self, minute: int) -> None:
        """A later minute than the last makes a bet due; one that is past does not."""
        if minute > self._last:
            self._last, self._due = minute, True

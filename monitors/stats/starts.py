"""When bets may begin: what each beginning is worth, by its place or by the clock."""

from __future__ import annotations

from math import log
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from configs.settings import AlarmMode

Floats = NDArray[np.float64]

_AT_ONCE = 0.2
"""What the bet is worth that begins with the first block: a version that is fed other rows than it
was made with is so from the beginning."""

_FLAT = 100.0
_FALL = 0.4
"""From some `_FLAT` blocks on, the weight of the bet that begins at block k falls like
k^-(1 + _FALL): slowly, as a change that comes late is to be found nearly as soon."""

_ALL_BUT_NOTHING = 700.0


def unspent(block: int) -> float:
    """What all bets are worth that begin at this block or later; those of block 0 on, one."""
    if block == 0:
        return 1.0
    return float((1 - _AT_ONCE) * (_FLAT / (block + _FLAT)) ** _FALL)


def start_weights(first: int, count: int) -> Floats:
    """The weights of the starting blocks first, first + 1, ...: what each leaves less `unspent`."""
    k = np.arange(first, first + count, dtype=np.float64) + _FLAT
    # The difference of two near numbers, by a formula that keeps its digits.
    left = (_FLAT / k) ** _FALL
    weights: Floats = -(1 - _AT_ONCE) * left * np.expm1(-_FALL * np.log1p(1 / k))
    if first == 0 and count:
        weights[0] += _AT_ONCE
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
    """**Starts** at every block, in all worth one: the mixture is a martingale of mean one."""

    def __init__(self) -> None:
        self._blocks = 0

    def weights(self, count: int) -> Floats:
        """The weights of the next `count` blocks."""
        weights = start_weights(self._blocks, count)
        self._blocks += count
        return weights

    @property
    def log_unspent(self) -> float:
        """Logarithm of what is left of one."""
        return log(unspent(self._blocks))

    @property
    def log_mean(self) -> float:
        """The mean is one."""
        return 0.0

    @property
    def spent(self) -> NDArray[np.float64]:
        """The blocks."""
        return np.array([self._blocks], dtype=np.float64)

    def resume(self, spent: NDArray[np.float64]) -> None:
        """Go on from there."""
        (blocks,) = spent.tolist()
        self._blocks = int(blocks)

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
        minutes, last, due = spent.tolist()
        self._minutes, self._last, self._due = int(minutes), int(last), bool(due)

    def at(self, minute: int) -> None:
        """A later minute than the last makes a bet due; one that is past does not."""
        if minute > self._last:
            self._last, self._due = minute, True


def starts_in(mode: AlarmMode) -> Starts:
    """The starts of bets under a promise about false alarms."""
    return MinuteStarts() if mode is AlarmMode.DETECTOR else SpreadStarts()

"""Bets that begin anew every hour, so that a change that comes late is found as well.

A bet that began with the first row has much to forget when things change after a month. So with
every hour in which rows come another one begins, from the counts as they are then. Each has a
weight, and all weights sum to at most one, so that the sum of what all have won is an e-process if
each bet alone is one. Bets of long ago are let go of but for a few: that loses their weight, and
makes evidence smaller only.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitors.stats.checkpoints import Checkpoints

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

FIRST = 0.5
"""The weight of the bet that begins with the first row."""


def start_weight(number: int) -> float:
    """The weight of the bet that begins with the hour of this number, from 1 on.

    The hours from 2^j to 2^(j+1) share 1/2 / ((j+1)(j+2)), which sums to 1/2 over all j. It is
    split equally over how long a bet is held: an hour divisible by 2^l, and by no more, is held
    for 4 * 2^l hours, and few are divisible by much.
    """
    octave = number.bit_length() - 1
    level = (number & -number).bit_length() - 1
    alike = 1 if level == octave else 2 ** (octave - level - 1)
    return (1 - FIRST) / ((octave + 1) ** 2 * (octave + 2)) / alike


def log_yet_to_begin(number: int) -> float:
    """Logarithm of a weight that bets of later hours have, at least; each of them counts one."""
    octave = number.bit_length() - 1
    return log((1 - FIRST) / (octave + 2))


class HourlyStarts:
    """Counts as they were at the beginning of some hours; `number` counts the hours."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._held = Checkpoints(np.zeros(shape, dtype=np.int64))
        self._hour = -1
        self.number = 0

    def at(self, hour: int, counts: Counts) -> None:
        """Say which hour since 1970 it is for the rows to come, and what has been counted so far.

        An hour that is past begins nothing.
        """
        if hour <= self._hour:
            return
        if self._hour >= 0:
            self.number += 1
            self._held.add(self.number, counts.copy())
            self._held.forget(self.number)
        self._hour = hour

    def later(self) -> tuple[NDArray[np.int64], Counts]:
        """The numbers of the hours that are held, shape (held,), and their counts (held, ...)."""
        state = self._held.state()
        return state["at"][1:], state["held"][1:]

    def state(self) -> dict[str, NDArray[Any]]:
        """All that must be remembered."""
        return {**self._held.state(), "hour": np.array([self._hour, self.number], dtype=np.int64)}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a state; `ValueError` where its counts are of another shape."""
        self._held.restore(state)
        self._hour, self.number = (int(each) for each in state["hour"].tolist())

"""Bets that begin anew now and then, of many rollouts at once.

The same as `monitors.stats.restarts`, one row a rollout.
"""

from __future__ import annotations

from functools import lru_cache
from math import log

import numpy as np

from monitors.stats.restarts import BLOCK_EVENTS, Restarts
from serve.rollout.evidence import FROM_START
from serve.rollout.simulation.counts import Floats, Ints, log_sums

_MINUTES = 60


class Beginnings:
    """The wealth of some bets of each rollout, each mixed over when it began."""

    def __init__(self, rollouts: int, bets: int) -> None:
        self._log_wealth = np.full((rollouts, bets), -np.inf)
        self._steps = np.zeros(rollouts, np.int64)
        self._later = np.zeros(rollouts, np.int64)
        self._events = np.zeros(rollouts, np.int64)
        self._step = np.full(rollouts, -1, np.int64)
        self._hour = np.zeros(rollouts, np.int64)

    def fold(self, rows: Ints, step: Ints, minute: Ints, log_gains: Floats, events: Ints) -> None:
        """Begin what is due in these rollouts, then take in what each bet has won by some events.

        `log_gains` is (rows, bets), all else by row.
        """
        before = self._unspent(rows)
        hour = np.maximum(self._hour[rows], minute // _MINUTES)
        known, seen = self._step[rows], self._events[rows]
        first, stepped = known < 0, (known >= 0) & (known != step)
        full = (seen >= BLOCK_EVENTS) | ((seen > 0) & (hour > self._hour[rows]))
        later = ~first & ~stepped & full
        begun = first | stepped | later
        self._hour[rows] = np.where(begun, hour, self._hour[rows])
        self._step[rows] = np.where(begun, step, known)
        self._steps[rows] += stepped
        self._later[rows] += later
        self._events[rows] = np.where(stepped | later, 0, seen) + events
        bets = self._log_wealth.shape[1]
        with np.errstate(divide="ignore"):
            stake = np.log((before - self._unspent(rows)) / bets)
        self._log_wealth[rows] = np.logaddexp(self._log_wealth[rows], stake[:, None]) + log_gains

    def log_evidence(self, rows: Ints) -> Floats:
        """The natural logarithms of the e-values of these rollouts."""
        won = log_sums(self._log_wealth[rows])
        return np.logaddexp(won, np.log(self._unspent(rows)))

    def log_mixed_with(self, from_start: Floats, rows: Ints) -> Floats:
        """The same, mixed with what bets from the start on have won: logarithms, (rows, bets)."""
        won, anew = log_sums(from_start), self.log_evidence(rows)
        mixed: Floats = np.logaddexp(log(FROM_START) + won, log(1 - FROM_START) + anew)
        return mixed

    def _unspent(self, rows: Ints) -> Floats:
        begun = (self._step[rows] >= 0).astype(np.int64)
        of_steps, of_later = _unspent_of(int(self._steps.max()), int(self._later.max()))
        total: Floats = of_steps[begun, self._steps[rows]] + of_later[self._later[rows]]
        return total


def _unspent_of(steps: int, later: int) -> tuple[Floats, Floats]:
    """`Restarts.unspent`, which is a sum over the kinds of beginnings, by how many there were."""
    return _by_steps(steps // _ROOM + 1), _by_later(later // _ROOM + 1)


_ROOM = 1024


@lru_cache(maxsize=8)
def _by_steps(rooms: int) -> Floats:
    return np.array(
        [[_unspent(each, 0, begun) for each in range(rooms * _ROOM)] for begun in (False, True)]
    )


@lru_cache(maxsize=64)
def _by_later(rooms: int) -> Floats:
    """Less what is left when there were none, which `_by_steps` has."""
    nothing = _unspent(0, 0, True)
    return np.array([_unspent(0, each, True) - nothing for each in range(rooms * _ROOM)])


def _unspent(steps: int, later: int, begun: bool) -> float:
    return Restarts((), steps=steps, later=later, step=0 if begun else None).unspent

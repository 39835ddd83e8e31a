"""Bets on the units of many rollouts that a candidate is not worse by a margin."""

from __future__ import annotations

from collections.abc import Callable
from math import log

import numpy as np

from configs.policy import Guardrail
from monitors.stats.event_ratio import log_gains, smaller_than
from monitors.stats.weighted_difference import LOG_WEIGHTS, PARTS
from serve.rollout.simulation.compared import Compared
from serve.rollout.simulation.counts import Floats, Ints

Gains = tuple[tuple[float, ...], tuple[float, ...]]


class Goodness:
    """Bets on units against "worse by the margin or more", of each rollout."""

    def __init__(self, guardrail: Guardrail, compared: Compared, rollouts: int) -> None:
        if guardrail.margin_rel is not None:
            bound = 1 + guardrail.margin_rel
            bets = smaller_than(bound)
            up, down = coefficients(compared, lambda share: log_gains(share, bets, bound))
            self._gains = np.stack([up, down, np.zeros_like(up)], axis=1)
            weights = np.full(len(bets), -log(len(bets)))
        else:
            margin = guardrail.margin_abs or 0.0
            self._gains = np.array([_of_difference(share, margin) for share in compared.shares])
            weights = LOG_WEIGHTS
        self.won = np.tile(weights, (rollouts, 1))

    def fold(self, rows: Ints, split: Ints, units: Ints, trials: Ints) -> None:
        """Take in first requests and those with an event, each (rows, 2)."""
        fine = (units - trials).sum(1)
        kinds = np.stack([trials[:, 0], trials[:, 1], fine], axis=1)
        self.won[rows] += np.einsum("rk,rkp->rp", kinds, self._gains[split])


def _of_difference(share: float | None, margin: float) -> Floats:
    """What each bet of `weighted_difference` wins by an event of either arm, and by none."""
    if share is None:
        return np.zeros((3, len(PARTS)))
    stakes = PARTS * (share / (1 - share * margin))
    ours = np.log1p(-stakes * (1 / share - margin))
    theirs = np.log1p(stakes * (1 / (1 - share) + margin))
    return np.stack([ours, theirs, np.log1p(stakes * margin)])


def coefficients(compared: Compared, gains: Callable[[float], Gains]) -> tuple[Floats, Floats]:
    """What each bet wins by an event of the one arm and of the other: (splits, bets) each."""
    bets = len(gains(0.5)[0])
    nothing = ((0.0,) * bets, (0.0,) * bets)
    made = [nothing if share is None else gains(share) for share in compared.shares]
    return np.array([up for up, _ in made]), np.array([down for _, down in made])

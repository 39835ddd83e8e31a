"""Evidence on the difference of two arms' shares of events, and its interval, at every look.

A unit is the candidate's with the known chance w, else the other arm's, and either has the event
(Y = 1) or not. Weighted by what was likely,

    X = Y (1{candidate} / w - 1{other} / (1 - w))

has the mean p - q, the difference of the chances that this unit has the event with either arm,
given all before: however often events come at that hour, whoever the unit is, and whatever w was
before. (Horvitz, Thompson, 1952.) A bet multiplies its stake by 1 - s (X - m), which is never
negative for s between 0 and 1 / (1/w - m): its mean is at most one if p - q is m or more. A mixture
of such bets is an e-process. (Waudby-Smith, Ramdas, Estimating means of bounded random variables by
betting, JRSS B 2024; with weights: Waudby-Smith, Wu, Ramdas, Karampatziakis, Mineiro, Anytime-valid
off-policy inference for contextual bandits, 2024.)

What has been won depends on four counts a stretch, in any order. The chance w must hold given all
that was seen of this unit before: so units count once, by the first that is seen of them. A unit
that comes again comes to the arm it is known to have, and the same chance no longer says which.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import log
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

Floats = NDArray[np.float64]

PARTS = 0.98 * 2.0 ** -np.arange(12)
"""Stakes that are bet, as parts of the largest that cannot lose all: any noise has its own best."""

LOG_WEIGHTS = -np.log(np.arange(1, 13)) - log(float((1 / np.arange(1, 13)).sum()))
"""The largest stakes are best where there are no events, which is when one waits for nothing."""


class Trials(NamedTuple):
    """Units of the candidate and of the other arm, and those with the event, while w = `share`."""

    share: float
    units: float
    events: float
    other_units: float
    other_events: float

    def turned(self) -> Trials:
        """The same with the arms in each other's place."""
        return Trials(1 - self.share, self.other_units, self.other_events, self.units, self.events)


def log_below(trials: Iterable[Trials], margin: float) -> float:
    """The natural logarithm of the e-value against "p - q is `margin` or more".

    -1 < margin < 1.
    """
    share, units, events, other_units, other_events = _columns(trials)[:, :, None]
    stakes = PARTS * (share / (1 - share * margin))
    won = (units + other_units - events - other_events) * np.log1p(stakes * margin)
    won += events * np.log1p(-stakes * (1 / share - margin))
    won += other_events * np.log1p(stakes * (1 / (1 - share) + margin))
    return float(np.logaddexp.reduce(won.sum(axis=0) + LOG_WEIGHTS))


def difference_interval(trials: Sequence[Trials], alpha: float = 0.05) -> tuple[float, float]:
    """The interval of p - q that covers the true one at all times with a chance of 1 - alpha.

    If it is the same at all times, whatever p and q are. (-1, 1) without units.
    """
    upper = _upper(trials, alpha / 2)
    return -_upper([each.turned() for each in trials], alpha / 2), upper


def difference(trials: Iterable[Trials]) -> float | None:
    """The mean of what is weighted: an estimate of p - q without bias; None without units."""
    units = total = 0.0
    for share, ours, events, theirs, other_events in trials:
        units += ours + theirs
        total += events / share - other_events / (1 - share)
    return total / units if units else None


def _upper(trials: Sequence[Trials], alpha: float) -> float:
    """The least difference that is refuted as too large, and so is any larger one."""
    needed = -log(alpha)
    most = 1 - 1e-9

    def lacking(margin: float) -> float:
        return log_below(trials, margin) - needed

    if lacking(most) <= 0:
        return 1.0
    if lacking(-most) >= 0:
        return -1.0
    return float(brentq(lacking, -most, most, xtol=1e-9))


def _columns(trials: Iterable[Trials]) -> Floats:
    return np.array(list(trials), dtype=np.float64).reshape(-1, 5).T

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
from math import log, log1p
from typing import NamedTuple

from scipy.optimize import brentq

from monitors.stats.event_ratio import log_sum

PARTS = tuple(0.9 * 2.0**-k for k in range(12))
"""Stakes that are bet, as parts of the largest that cannot lose all: any noise has its own best."""


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
    won = [-log(len(PARTS))] * len(PARTS)
    for share, units, events, other_units, other_events in trials:
        largest = share / (1 - share * margin)
        without = units + other_units - events - other_events
        for at, part in enumerate(PARTS):
            stake = part * largest
            won[at] += (
                without * log1p(stake * margin)
                + events * log1p(-stake * (1 / share - margin))
                + other_events * log1p(stake * (1 / (1 - share) + margin))
            )
    return log_sum(won)


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

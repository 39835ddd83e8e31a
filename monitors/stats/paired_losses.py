"""Evidence on how often two answers to the same question are wrong, at every look.

Of each pair it is known whether either answer is wrong. With O = 1 if ours is, and T = 1 if theirs
is, "we are wrong more often than they by `margin_abs`, and by `margin_rel` times as often" says
that

    X = O - (1 + margin_rel) T - margin_abs

has a mean of nought or more, given all pairs before. A bet multiplies its stake by 1 - s X, which
is never negative for s up to 1 / (1 - margin_abs), and whose mean is then at most one: a mixture of
such bets is an e-process. (Waudby-Smith, Ramdas, Estimating means of bounded random variables by
betting, JRSS B 2024.) What has been won depends on four counts, in any order. Nothing need be known
of how hard the questions are, and it need not stay the same.

Where nobody is worse, a pair of which one answer alone is wrong is ours with a chance of a half at
most: the sequential form of the test of McNemar (Psychometrika 1947).
"""

from __future__ import annotations

from math import exp, inf, log
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq

from monitors.stats import event_ratio
from monitors.stats.event_ratio import Split
from monitors.stats.weighted_difference import LOG_WEIGHTS, PARTS

_MOST = 1 - 1e-9
_LOG_RATIO_MOST = 20.0


class Losses(NamedTuple):
    """Pairs of answers whose truth is known: all, with both wrong, with ours alone, with theirs.

    They may be fractions, where somebody asks what twice as many would tell.
    """

    pairs: float = 0
    both: float = 0
    ours: float = 0
    theirs: float = 0

    def plus(self, more: Losses) -> Losses:
        """Both together."""
        return Losses(*(one + other for one, other in zip(self, more, strict=True)))

    def minus(self, before: Losses) -> Losses:
        """What has come since."""
        return Losses(*(now - then for now, then in zip(self, before, strict=True)))

    def times(self, factor: float) -> Losses:
        """As many times as many."""
        return Losses(*(factor * each for each in self))

    def turned(self) -> Losses:
        """The same from the other side."""
        return Losses(self.pairs, self.both, self.theirs, self.ours)


NO_LOSSES = Losses()


def log_worse(losses: Losses) -> float:
    """The natural logarithm of the e-value against "we are wrong no more often than they"."""
    return event_ratio.log_worse([Split(0.5, losses.ours, losses.theirs)])


def log_not_worse(losses: Losses, margin_abs: float = 0.0, margin_rel: float = 0.0) -> float:
    """The natural logarithm of the e-value against "we are wrong more often by the margin".

    -1 < margin_abs <= 1, a difference of shares; -1 < margin_rel, a part of their share.
    """
    margin_abs = min(margin_abs, _MOST)  # Beyond it nothing would be left to bet on.
    pairs, both, ours, theirs = losses
    stakes = PARTS / (1 - margin_abs)
    won = (pairs - both - ours - theirs) * np.log1p(stakes * margin_abs)
    won += both * np.log1p(stakes * (margin_rel + margin_abs))
    won += ours * np.log1p(-stakes * (1 - margin_abs))
    won += theirs * np.log1p(stakes * (1 + margin_rel + margin_abs))
    return float(np.logaddexp.reduce(won + LOG_WEIGHTS))


def difference(losses: Losses) -> float | None:
    """By how much our share of wrong answers is larger; None without pairs."""
    return (losses.ours - losses.theirs) / losses.pairs if losses.pairs else None


def difference_interval(losses: Losses, alpha: float = 0.05) -> tuple[float, float]:
    """The interval of that difference, which covers the true one at all times with 1 - alpha.

    If it is the same at all times. (-1, 1) without pairs.
    """
    return -_most_worse(losses.turned(), alpha / 2), _most_worse(losses, alpha / 2)


def ratio(losses: Losses) -> float | None:
    """How many times as often we are wrong as they; None if neither ever was."""
    ours, theirs = losses.both + losses.ours, losses.both + losses.theirs
    if not theirs:
        return inf if ours else None
    return ours / theirs


def ratio_interval(losses: Losses, alpha: float = 0.05) -> tuple[float, float]:
    """The interval of that ratio, which covers the true one at all times with 1 - alpha.

    If it is the same at all times. (0, inf) where no answer was wrong.
    """
    most = _most_times(losses.turned(), alpha / 2)
    return (1 / most if most < inf else 0.0), _most_times(losses, alpha / 2)


def _most_worse(losses: Losses, alpha: float) -> float:
    """The least difference that is refuted as too large, and so is any larger one."""
    needed = -log(alpha)

    def lacking(margin: float) -> float:
        return log_not_worse(losses, margin_abs=margin) - needed

    if lacking(_MOST) <= 0:
        return 1.0
    if lacking(-_MOST) >= 0:
        return -1.0
    return float(brentq(lacking, -_MOST, _MOST, xtol=1e-9))


def _most_times(losses: Losses, alpha: float) -> float:
    """The least ratio that is refuted as too large, and so is any larger one."""
    needed = -log(alpha)

    def lacking(log_ratio: float) -> float:
        return log_not_worse(losses, margin_rel=exp(log_ratio) - 1) - needed

    if lacking(_LOG_RATIO_MOST) <= 0:
        return inf
    if lacking(-_LOG_RATIO_MOST) >= 0:
        return 0.0
    return exp(float(brentq(lacking, -_LOG_RATIO_MOST, _LOG_RATIO_MOST, xtol=1e-9)))

"""Evidence on two arms from stretches of time, in each of which what goes wrong counts once.

Where a host stalls, many of an arm's answers are late at once: one mishap, which looks like many.
So time is cut into blocks. Of each event in a block a part is kept by chance, and what counts is
whether an arm has any that is kept. The chances of that, for the candidate and for the other arm,
are between nought and one however many events there are, and their difference D is between -1 and
1. A bet multiplies its stake by 1 + s D: its mean is at most one if the candidate's chance is no
larger than the other arm's, whatever events within a block have to do with one another. Nothing is
drawn: the mean over what might have been kept is as good. (Waudby-Smith, Ramdas, Estimating means
of bounded random variables by betting, JRSS B 2024.)

With at most one event in a block and arms of equal size these are the bets of `event_ratio`, as a
block in which one arm had an event is then a fair coin.
"""

from __future__ import annotations

from functools import lru_cache
from math import log1p

import numpy as np

from monitors.stats.event_ratio import WORSE, smaller_than
from monitors.stats.weighted_difference import PARTS

_LEAST = 0.01
"""Where a margin of nearly one allows all, larger stakes would win no more."""

WORSE_STAKES = np.array([(ratio - 1) / (ratio + 1) for ratio in WORSE])
"""Stakes on the ratios of `WORSE`, as fair bets with arms of equal size have them."""


def log_worse_gains(ours: float, theirs: float) -> tuple[float, ...]:
    """What bets on "the candidate's is larger" win by a block: one for each ratio of `WORSE`.

    `ours` and `theirs` are the chances that an event of the candidate, and of the other arm, is
    kept.
    """
    return tuple(log1p(stake * (ours - theirs)) for stake in WORSE_STAKES.tolist())


def log_not_worse_gains(ours: float, theirs: float, margin: float) -> tuple[float, ...]:
    """What bets against "the candidate's is 1 + margin times as large, or more" win by a block."""
    better = theirs - ours / (1 + margin)
    return tuple(log1p(stake * better) for stake in not_worse_stakes(margin))


def log_below_gains(ours: float, theirs: float, margin: float) -> tuple[float, ...]:
    """What bets against "the share is larger by `margin`, or more" win by a block.

    `ours` and `theirs` are shares of a block's units with the event, -1 < margin <= 1.
    """
    better = margin - (ours - theirs)
    return tuple(log1p(stake * better) for stake in below_stakes(margin))


@lru_cache(maxsize=256)
def not_worse_stakes(margin: float) -> tuple[float, ...]:
    """Stakes on the ratios of `smaller_than`, none of which a block can lose."""
    bound = 1 + margin
    return tuple((bound - ratio) / (1 + ratio) for ratio in smaller_than(bound))


@lru_cache(maxsize=256)
def below_stakes(margin: float) -> tuple[float, ...]:
    """Stakes of bets on shares, none of which a block can lose."""
    return tuple((PARTS / max(1 - margin, _LEAST)).tolist())

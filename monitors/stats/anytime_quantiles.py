"""Intervals of a quantile, of values that were counted in bins, that hold at every look at once.

If q is the quantile of a share p, values up to q come with a chance of p or more, and values below
it with p or less. So whoever says too soon that q is above an edge, or that it is not above one,
has taken too few or too many values up to there for chance: both are bets against one and the same
p, if values equal to q are split between the two sides at random so that p is met. What a mixture
of all bets wins against p ever exceeds 1 / alpha with chance alpha at most (Howard, Ramdas,
Sequential estimation of quantiles with applications to A/B testing and best-arm identification,
Bernoulli 2022, section 3; their mixture of a beta distribution about p is Robbins' here).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import inf, log

from monitors.stats.anytime_shares import log_won_outside


@dataclass(frozen=True, slots=True)
class Band:
    """A quantile is above `lower` and at most `upper`; of the rows so far it is `estimate` at most.

    All three are edges of bins. `upper` and `estimate` are infinite where they are beyond the last.
    """

    lower: float
    estimate: float
    upper: float


def quantile_band(
    counts: Sequence[int], edges: Sequence[float], share: float, alpha: float = 0.05
) -> Band:
    """The band of the quantile of a share, which holds at all looks with 1 - alpha.

    `counts` has the values up to each edge and above the one before; what follows is above the
    last. Values are not negative, and independent with one distribution: of any kind, also one with
    lumps. The band is no narrower than the bins at its ends. Without values nothing is known.
    """
    rows = sum(counts)
    if not rows:
        return Band(0.0, inf, inf)
    up_to = list(accumulate(counts))[: len(edges)]
    needed = -log(alpha)

    def not_below(hits: int) -> bool:
        return log_won_outside(hits, rows, share, 1.0) < needed

    def surely_above(hits: int) -> bool:
        return log_won_outside(hits, rows, 0.0, share) >= needed

    first_open = bisect_left(up_to, True, key=not_below)
    ends = (*edges, inf)
    return Band(
        ends[first_open - 1] if first_open else 0.0,
        ends[bisect_left(up_to, share * rows)],
        ends[bisect_left(up_to, True, key=surely_above)],
    )

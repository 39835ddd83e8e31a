"""Evidence that units fail in one arm beyond a limit, and in the other below it.

H0: whoever the unit is and whenever it comes, it fails with the candidate's arm no more likely than
with the other. Given that a unit failed, it is then the candidate's with at most the chance w that
it was assigned with; given that it did not fail, with at least that chance. So bets on both have a
mean of at most one: an e-process that, unlike one of failures alone, learns from units that do not
fail as well, which is much where nearly all fail. What is bet on are pairs of chances of failing,
the candidate's above the limit and the other's below, so that it wins little anywhere else.

Like all that looks at units, it is for the first request of each (see `weighted_difference`).
"""

from __future__ import annotations

from functools import lru_cache

from monitors.stats.event_ratio import log_gains
from monitors.stats.weighted_difference import Trials

_ABOVE = (0.3, 0.7, 0.98)
"""How far above the limit the candidate's chance is, as parts of the way to one."""

_BELOW = (0.03, 0.3, 0.8)
"""The other arm's chance, as parts of the limit."""

PAIRS = len(_ABOVE) * len(_BELOW)


@lru_cache(maxsize=256)
def _ratios(limit: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Of each pair: the ratio of the chances to fail, and of those not to."""
    pairs = [(limit + part * (1 - limit), below * limit) for part in _ABOVE for below in _BELOW]
    return tuple(p / q for p, q in pairs), tuple((1 - p) / (1 - q) for p, q in pairs)


def log_limit_gains(trials: Trials, limit: float) -> tuple[float, ...]:
    """Logarithms of what the bets on each pair win by some units; 0 < limit < 1."""
    failing, passing = _ratios(limit)
    failed, other_failed = log_gains(trials.share, failing)
    passed, other_passed = log_gains(trials.share, passing)
    return tuple(
        trials.events * failed[at]
        + trials.other_events * other_failed[at]
        + (trials.units - trials.events) * passed[at]
        + (trials.other_units - trials.other_events) * other_passed[at]
        for at in range(PAIRS)
    )

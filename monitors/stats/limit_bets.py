"""Evidence that units fail in one arm beyond a limit, and in the other below it.

H0: a failure, whenever it is counted, is the candidate's with at most the chance w that its unit
was assigned with. That is so if a unit fails with the candidate no more likely, and no sooner or
later, than with the other arm. So bets on whose failure it is have a mean of at most one, as those
of `event_ratio` have: an e-process. What is bet on are ratios of two chances of failing, the
candidate's above the limit and the other's below.

Nothing is bet on units that did not fail. They tell much where nearly all fail, but are known only
once they have an answer: of a candidate that is merely slow they come late, and an error that comes
at once would stand alone beside all that the other arm has answered.

Like all that looks at units, it is for the first request of each (see `weighted_difference`).
"""

from __future__ import annotations

from functools import lru_cache

from monitors.stats.event_ratio import log_gains
from monitors.stats.weighted_difference import Trials

_ABOVE = 0.7
"""How far above the limit the candidate's chance is, as a part of the way to one."""

_BELOW = (0.03, 0.3, 0.8)
"""The other arm's chance, as parts of the limit."""

BETS = len(_BELOW)


@lru_cache(maxsize=256)
def _ratios(limit: float) -> tuple[float, ...]:
    above = limit + _ABOVE * (1 - limit)
    return tuple(above / (part * limit) for part in _BELOW)


def log_limit_gains(trials: Trials, limit: float) -> tuple[float, ...]:
    """Logarithms of what each bet wins by the failures of some units; 0 < limit < 1."""
    ours, others = log_gains(trials.share, _ratios(limit))
    return tuple(
        trials.events * up + trials.other_events * down
        for up, down in zip(ours, others, strict=True)
    )

"""What came to two arms in one short stretch of time, for evidence that counts it once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from monitors.stats.weighted_difference import Trials

Both = tuple[float, float]
"""Of the candidate and of the other arm."""


@dataclass(frozen=True, slots=True)
class Block:
    """Units, first requests with an event, and the chances that none of the events is kept.

    `kept` is the chance with which an event is, of the smaller arm; of the larger one as many are
    as if it had as many units. `events` counts first events, less by that; `lost` are the chances
    that none of them is kept, `first_lost` those of events of first requests, and `spared` that of
    the candidate's where fewer of its events are kept by the margin. One that `rests` is not bet
    on.
    """

    began_s: float
    kept: float
    rests: bool = False
    units: Both = (0.0, 0.0)
    trials: Both = (0.0, 0.0)
    events: Both = (0.0, 0.0)
    lost: Both = (1.0, 1.0)
    first_lost: Both = (1.0, 1.0)
    spared: float = 1.0

    def plus(self, trials: Trials, events: Both, margin: float) -> Block:
        """Take in first requests, and first events of all requests; `margin` is a relative one."""
        fewer = min(trials.share, 1 - trials.share)
        ours, theirs = (fewer / share for share in (trials.share, 1 - trials.share))
        first = trials.events, trials.other_events
        lose = 1 - self.kept * ours, 1 - self.kept * theirs
        spare = 1 - self.kept * ours / (1 + margin)
        return replace(
            self,
            units=_sum(self.units, (trials.units, trials.other_units)),
            trials=_sum(self.trials, first),
            events=_sum(self.events, (ours * events[0], theirs * events[1])),
            lost=_times(self.lost, _powers(lose, events)),
            first_lost=_times(self.first_lost, _powers(lose, first)),
            spared=self.spared * spare ** first[0],
        )

    def is_over(self, at_s: float, least_s: float) -> bool:
        """Whether it has lasted long enough, and both arms have units in it."""
        return at_s - self.began_s >= least_s and min(self.units) > 0

    def to_list(self) -> list[Any]:
        """All of it as JSON has it."""
        return [
            self.began_s,
            self.kept,
            self.rests,
            *map(list, (self.units, self.trials, self.events, self.lost, self.first_lost)),
            self.spared,
        ]

    @classmethod
    def from_list(cls, told: list[Any]) -> Block:
        """Go on from what `to_list` gave."""
        began_s, kept, rests, *both, spared = told
        units, trials, events, lost, first_lost = ((one, other) for one, other in both)
        return cls(began_s, kept, rests, units, trials, events, lost, first_lost, spared)


def _sum(one: Both, other: Both) -> Both:
    return one[0] + other[0], one[1] + other[1]


def _times(one: Both, other: Both) -> Both:
    return one[0] * other[0], one[1] * other[1]


def _powers(chances: Both, counts: Both) -> Both:
    return chances[0] ** counts[0], chances[1] ** counts[1]

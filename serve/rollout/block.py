"""What came to two arms in one short stretch of time, for evidence that counts it once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from monitors.stats.weighted_difference import Trials

Both = tuple[float, float]
"""Of the candidate and of the other arm."""


@dataclass(frozen=True, slots=True)
class Block:
    """Units, those whose first request had the event, and the chances that none of these is kept.

    It lasts from `began_s` to the latest look, at `until_s`; `step` and `minute` are those of its
    begin. `kept` is the chance with which an event is kept, `part` how large the other arm is
    beside the candidate, if it is smaller. One that `rests` is not bet on.
    """

    began_s: float
    until_s: float
    step: int
    minute: int
    kept: float = 1.0
    rests: bool = False
    part: float = 1.0
    units: Both = (0.0, 0.0)
    events: Both = (0.0, 0.0)
    lost: Both = (1.0, 1.0)

    def plus(self, trials: Trials, at_s: float) -> Block:
        """Take in what came until `at_s`; a clock that went back makes the block longer."""
        fewer = min(trials.share, 1 - trials.share)
        lose = 1 - self.kept, 1 - self.kept * fewer / (1 - trials.share)
        return replace(
            self,
            began_s=min(self.began_s, at_s),
            until_s=at_s,
            part=min(self.part, fewer / trials.share),
            units=_sum(self.units, (trials.units, trials.other_units)),
            events=_sum(self.events, (trials.events, trials.other_events)),
            lost=(
                self.lost[0] * lose[0] ** trials.events,
                self.lost[1] * lose[1] ** trials.other_events,
            ),
        )

    def is_over(self, at_s: float, least_s: float) -> bool:
        """Whether what comes at a look belongs to the next block: both arms have units in this."""
        return (
            at_s != self.until_s and self.until_s - self.began_s >= least_s and min(self.units) > 0
        )

    @property
    def mishaps(self) -> Both:
        """The chances that either arm had an event that is kept."""
        return 1 - self.lost[0], 1 - self.lost[1]

    def to_list(self) -> list[Any]:
        """All of it as JSON has it."""
        return [
            self.began_s,
            self.until_s,
            self.step,
            self.minute,
            self.kept,
            self.rests,
            self.part,
            *map(list, (self.units, self.events, self.lost)),
        ]

    @classmethod
    def from_list(cls, told: list[Any]) -> Block:
        """Go on from what `to_list` gave."""
        *alone, units, events, lost = told
        both = ((one, other) for one, other in (units, events, lost))
        return cls(*alone, *both)


def _sum(one: Both, other: Both) -> Both:
    return one[0] + other[0], one[1] + other[1]

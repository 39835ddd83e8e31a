"""What gateway replicas count for a rollout: whole numbers by arm that only grow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from configs.policy import Metric
from monitors.stats.paired_losses import NO_LOSSES, Losses


class JudgedArm(StrEnum):
    """The arms of a rollout: the candidate, those it is compared with like for like, the rest."""

    CANDIDATE = "candidate"
    BASELINE = "baseline"
    STABLE = "stable"


@dataclass(frozen=True, slots=True)
class Tally:
    """What the units of one arm did.

    A unit is counted in `units` once in a rollout, when it is seen first, and in `trials` if that
    first request was such an event. It is counted in `events` once for each metric, at its first
    event, whenever that is. For units that come once, `trials` and `events` are the same.
    Of `units`, those are `labelled` whose truth has come: no others can be wrong. `untimed` are
    those that came while it was not set yet when an answer is late: none of them could be late.
    Units whose first request has no outcome yet are `waiting`, beside `units`; those whose client
    leaves before it has one are in neither. Only this number may go down.
    """

    units: int = 0
    trials: Mapping[Metric, int] = field(default_factory=dict)
    events: Mapping[Metric, int] = field(default_factory=dict)
    labelled: int = 0
    waiting: int = 0
    untimed: int = 0

    def told(self, metric: Metric) -> int:
        """How many units are known to have had such an event at first, or none."""
        if metric is Metric.QUALITY_LOSS:
            return self.labelled
        return self.units - self.untimed if metric is Metric.LATENCY_OVER_SLO else self.units

    def __add__(self, more: Tally) -> Tally:
        return Tally(
            self.units + more.units,
            _sums(self.trials, more.trials),
            _sums(self.events, more.events),
            self.labelled + more.labelled,
            self.waiting + more.waiting,
            self.untimed + more.untimed,
        )

    def __sub__(self, before: Tally) -> Tally:
        return Tally(
            self.units - before.units,
            _differences(self.trials, before.trials),
            _differences(self.events, before.events),
            self.labelled - before.labelled,
            self.waiting - before.waiting,
            self.untimed - before.untimed,
        )


def _sums(one: Mapping[Metric, int], other: Mapping[Metric, int]) -> dict[Metric, int]:
    return {each: one.get(each, 0) + other.get(each, 0) for each in {**one, **other}}


def _differences(now: Mapping[Metric, int], before: Mapping[Metric, int]) -> dict[Metric, int]:
    """What has come, without those of which nothing has."""
    each = ((metric, count - before.get(metric, 0)) for metric, count in now.items())
    return {metric: more for metric, more in each if more}


@dataclass(frozen=True, slots=True)
class GroupPairs:
    """Of one group: rows that both versions answered, and decisions that the candidate turned.

    `yes` are the rows for which the stable version decided so.
    """

    rows: int = 0
    to_yes: int = 0
    to_no: int = 0
    yes: int = 0

    def __add__(self, more: GroupPairs) -> GroupPairs:
        return GroupPairs(
            self.rows + more.rows,
            self.to_yes + more.to_yes,
            self.to_no + more.to_no,
            self.yes + more.yes,
        )

    def __sub__(self, before: GroupPairs) -> GroupPairs:
        return GroupPairs(
            self.rows - before.rows,
            self.to_yes - before.to_yes,
            self.to_no - before.to_no,
            self.yes - before.yes,
        )


GROUPS_MAX = 1000
"""Of more groups than these, a gateway process leaves out those that it met last."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Rows that the shadow and the stable version both answered, by unit at most once.

    `score_change` sums the candidate's score less the stable version's, `score_change_squared` its
    squares, over the rows that are `scored` by both; of these, one score or both were `beyond` 0
    and 1. Groups are keyed by attribute and value. `losses` are of the rows whose label has come:
    ours are those that the candidate alone has wrong.
    """

    rows: int = 0
    disagreements: int = 0
    score_change: float = 0.0
    score_change_squared: float = 0.0
    groups: Mapping[tuple[str, str], GroupPairs] = field(default_factory=dict)
    scored: int = 0
    beyond: int = 0
    losses: Losses = NO_LOSSES

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return bool(self.rows or self.losses.pairs)

    def __add__(self, more: Pairs) -> Pairs:
        nobody = GroupPairs()
        return Pairs(
            self.rows + more.rows,
            self.disagreements + more.disagreements,
            self.score_change + more.score_change,
            self.score_change_squared + more.score_change_squared,
            {
                group: self.groups.get(group, nobody) + more.groups.get(group, nobody)
                for group in {**self.groups, **more.groups}
            },
            self.scored + more.scored,
            self.beyond + more.beyond,
            self.losses.plus(more.losses),
        )

    def __sub__(self, before: Pairs) -> Pairs:
        nobody = GroupPairs()
        return Pairs(
            self.rows - before.rows,
            self.disagreements - before.disagreements,
            self.score_change - before.score_change,
            self.score_change_squared - before.score_change_squared,
            {
                group: counts - before.groups.get(group, nobody)
                for group, counts in self.groups.items()
            },
            self.scored - before.scored,
            self.beyond - before.beyond,
            self.losses.minus(before.losses),
        )


LATENCY_BOUNDS = tuple(0.0001 * 1.25**k for k in range(60))
"""Upper bounds in seconds of the buckets in which it is counted how long answers took."""

_NO_ANSWERS = (0,) * (len(LATENCY_BOUNDS) + 1)


@dataclass(frozen=True, slots=True)
class Times:
    """How long the answers of one arm took, of every request that counts.

    `answers` are counted by `LATENCY_BOUNDS`, and above. `none` are requests that had no answer in
    the time they were given, or before their client left. What failed sooner is in neither.
    """

    answers: tuple[int, ...] = _NO_ANSWERS
    none: int = 0

    @property
    def total(self) -> int:
        """How many answers there are, with those that never came."""
        return sum(self.answers) + self.none

    def __add__(self, more: Times) -> Times:
        answers = zip(self.answers, more.answers, strict=True)
        return Times(tuple(one + other for one, other in answers), self.none + more.none)

    def __sub__(self, before: Times) -> Times:
        answers = zip(self.answers, before.answers, strict=True)
        return Times(tuple(now - then for now, then in answers), self.none - before.none)


@dataclass(frozen=True, slots=True)
class Report:
    """What one gateway process, or whoever keeps labels, has counted for one rollout so far.

    `stretches` has a tally by arm for each generation of the route, within which shares are
    constant; `latency` is over all of them. One that `leaves_out` has met units with a `Weir-Key`
    that it does not count: there was no memory left for them, or others may have counted them.
    """

    source: str
    rollout: str
    stretches: Mapping[int, Mapping[JudgedArm, Tally]] = field(default_factory=dict)
    pairs: Pairs = Pairs()
    latency: Mapping[JudgedArm, Times] = field(default_factory=dict)
    leaves_out: bool = False

    @property
    def process(self) -> str:
        """The id of the process that counts, whose later counts have sources of their own."""
        return self.source.partition("-")[0]

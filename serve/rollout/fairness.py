"""Whether the candidate treats groups less alike than the stable version does, on the same rows.

Of each row both decisions are known. For each group the mean of (candidate's decision - stable
decision) is found, and that of all other groups of the attribute: their difference is by how much
the gap between them changed, and with the gap that the stable version has, by how much it widened.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from configs.policy import Guardrail
from monitors.stats.anytime_means import BoundedMean
from monitors.stats.widening import Interval, widening, widening_interval
from serve.rollout.finding import Finding
from serve.rollout.paired import Group, GroupSeen, PairsSeen

ROWS_LEAST = 100
"""Groups of fewer rows, or whose others are fewer, are not judged."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Two sides of one attribute: a group, and all others. `place` counts groups as they came."""

    group: Group
    place: int
    rows: int
    change: BoundedMean
    others_change: BoundedMean
    decision: BoundedMean
    others_decision: BoundedMean

    @property
    def share(self) -> float:
        """The part of a chance of being wrong that the group has; all parts sum to one."""
        return 1 / (self.place * (self.place + 1))

    @property
    def estimate(self) -> float:
        """By how much the gap widened, as far as these rows tell."""
        apart = _mean(self.decision) - _mean(self.others_decision)
        return widening(apart, 2 * (_mean(self.change) - _mean(self.others_change)))

    def interval(self, alpha: float) -> Interval:
        """The interval of how much it widened so far, on average, at all looks with 1 - alpha."""
        of_four = alpha / 4
        half = self.change.half_width(of_four) + self.others_change.half_width(of_four)
        change = 2 * (_mean(self.change) - _mean(self.others_change))
        apart = _mean(self.decision) - _mean(self.others_decision)
        width = self.decision.half_width(of_four) + self.others_decision.half_width(of_four)
        return widening_interval(
            (max(-1.0, apart - width), min(1.0, apart + width)),
            (max(-2.0, change - 2 * half), min(2.0, change + 2 * half)),
        )


def gaps(groups: Mapping[Group, GroupSeen]) -> Iterator[Gap]:
    """All groups that have enough rows, against all others of their attribute."""
    for place, (group, seen) in enumerate(groups.items(), start=1):
        others = [each for at, each in groups.items() if at[0] == group[0] and at[1] != group[1]]
        rows = sum(each.counts.rows for each in others)
        if min(seen.counts.rows, rows) < ROWS_LEAST:
            continue
        yield Gap(
            group,
            place,
            seen.counts.rows,
            seen.change,
            _together([each.change for each in others]),
            seen.decision,
            _together([each.decision for each in others]),
        )


def fairness_finding(
    pairs: PairsSeen, guardrail: Guardrail, blank: Finding, shown: bool
) -> Finding:
    """Harmful if some gap has surely widened by more than the margin; good if surely none has."""
    margin = guardrail.margin_abs or 0.0
    judged = list(gaps(pairs.groups))
    if not judged:
        return replace(blank, message=_NOTHING)
    harm_alpha, good_alpha = 10.0**-blank.harm_at, 10.0**-blank.good_at
    harmful = [each for each in judged if each.interval(harm_alpha * each.share)[0] > margin]
    good = all(each.interval(good_alpha)[1] <= margin for each in judged)
    found = replace(blank, harmful=bool(harmful), good=good and not harmful)
    if not shown:
        return found
    worst = max(harmful or judged, key=lambda each: each.interval(good_alpha)[1 - bool(harmful)])
    lower, upper = worst.interval(good_alpha)
    return replace(
        found,
        measure="widening of the gap",
        estimate=worst.estimate,
        lower=lower,
        upper=upper,
        more_units=None if good or harmful else _more_rows(worst, margin, upper),
        message=_sentence(worst, margin, (lower, upper), bool(harmful), good),
    )


_NOTHING = (
    "fairness cannot be told yet: no attribute has two groups of "
    f"{ROWS_LEAST} rows that both versions answered"
)


def _sentence(gap: Gap, margin: float, interval: Interval, harmful: bool, good: bool) -> str:
    attribute, value = gap.group
    lower, upper = (f"{100 * each:+.2f}" for each in interval)
    numbers = (
        f"the gap between {attribute} {value} and the others widened by "
        f"{100 * gap.estimate:+.2f} points ({lower} to {upper}) on {gap.rows:,} of its rows; "
        f"{100 * margin:g} are allowed"
    )
    if harmful:
        return f"less fair: {numbers}"
    if good:
        return f"as fair as before: no group's gap widened by more than that; largest: {numbers}"
    return f"fairness cannot be told yet: {numbers}"


def _more_rows(gap: Gap, margin: float, upper: float) -> int | None:
    """About how many more rows of a group bring its upper bound down to the margin."""
    slack = margin - gap.estimate
    if slack <= 0:
        return None
    # Widths shrink at least like one over the root of the rows.
    times = ((upper - gap.estimate) / slack) ** 2
    return max(1, round(gap.rows * (times - 1)))


def _together(means: list[BoundedMean]) -> BoundedMean:
    joined = BoundedMean()
    for each in means:
        joined.merge(each)
    return joined


def _mean(of: BoundedMean) -> float:
    return of.total / of.rows if of.rows else 0.5

"""Whether the candidate treats groups less alike than the stable version does, on the same rows.

Of each row both decisions are known. For each group the mean of (candidate's decision - stable
decision) is found, and that of all other groups of the attribute: their difference is by how much
the gap between them changed, and with the gap that the stable version has, by how much it widened.

An attribute of which one value alone was met has no gap. Of any other every group must be judged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from configs.policy import Guardrail
from monitors.stats.anytime_means import BoundedMean
from monitors.stats.widening import Interval, widening, widening_interval
from serve.rollout.finding import Finding
from serve.rollout.paired import Group, GroupSeen, PairsSeen
from serve.rollout.tallies import GROUPS_MAX

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
        return widening(self._apart, self._changed)

    def least(self, alpha: float) -> float:
        """What it widened by at least, on average so far, at all looks with 1 - alpha.

        How far apart the stable version's decisions on these rows were is taken as it was. So what
        changes the gap by no more than a margin, widens it by more with chance alpha at most.
        """
        apart = self._apart
        return widening_interval((apart, apart), self._change_within(alpha))[0]

    def most(self, alpha: float) -> float:
        """What it widened by at most, on average so far, at all looks with 1 - alpha.

        However far apart the stable version's decisions are, as far as that is known.
        """
        width = sum(each.half_width(alpha / 4) for each in (self.decision, self.others_decision))
        apart = max(-1.0, self._apart - width), min(1.0, self._apart + width)
        return widening_interval(apart, self._change_within(alpha / 2))[1]

    @property
    def _apart(self) -> float:
        return _mean(self.decision) - _mean(self.others_decision)

    @property
    def _changed(self) -> float:
        # Changes are counted from 0 to 1, for decisions that turn to no and to yes.
        return 2 * (_mean(self.change) - _mean(self.others_change))

    def _change_within(self, alpha: float) -> Interval:
        half = sum(2 * each.half_width(alpha / 2) for each in (self.change, self.others_change))
        return max(-2.0, self._changed - half), min(2.0, self._changed + half)


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
    """Harmful if some gap has surely widened by more than the margin; good if surely none has.

    Not good while a group that was met has too few rows, or while groups may have been left out.
    It is optional only where no attribute has two groups: else it can be told, if one waits.
    """
    margin = guardrail.margin_abs or 0.0
    judged = list(gaps(pairs.groups))
    unjudged = _unjudged(pairs.groups, {each.group for each in judged})
    if judged or unjudged:
        blank = replace(blank, optional=False)
    if not judged:
        return replace(blank, message=_with_unjudged(_NOTHING, unjudged))
    harm_alpha, good_alpha = 10.0**-blank.harm_at, 10.0**-blank.good_at
    harmful = [each for each in judged if each.least(harm_alpha * each.share) > margin]
    fair = all(each.most(good_alpha) <= margin for each in judged)
    good = fair and not harmful and not unjudged
    found = replace(blank, harmful=bool(harmful), good=good)
    if not shown:
        return found
    worst = max(harmful or judged, key=lambda each: each.most(good_alpha))
    lower, upper = worst.least(good_alpha), worst.most(good_alpha)
    sentence = _sentence(worst, margin, (lower, upper), bool(harmful), good)
    return replace(
        found,
        measure="widening of the gap",
        estimate=worst.estimate,
        lower=lower,
        upper=upper,
        more_units=None if fair or harmful else _more_rows(worst, margin, upper),
        message=sentence if harmful else _with_unjudged(sentence, unjudged),
    )


_NOTHING = (
    "fairness cannot be told yet: no attribute has two groups of "
    f"{ROWS_LEAST} rows that both versions answered"
)
_NAMED_MOST = 3


def _unjudged(groups: Mapping[Group, GroupSeen], judged: set[Group]) -> list[str]:
    """What cannot be judged of the groups that were met, in words; fewest rows first."""
    attributes = Counter(attribute for attribute, _ in groups)
    few = {
        group: seen.counts.rows
        for group, seen in groups.items()
        if attributes[group[0]] > 1 and group not in judged
    }
    by_rows = sorted(few, key=lambda group: few[group])
    named = [f"{each[0]} {each[1]} ({few[each]:,} rows)" for each in by_rows[:_NAMED_MOST]]
    if len(few) > _NAMED_MOST:
        named.append(f"{len(few) - _NAMED_MOST:,} more groups")
    if len(groups) >= GROUPS_MAX:
        named.append(f"groups that were met after the first {GROUPS_MAX:,}")
    return named


def _with_unjudged(sentence: str, unjudged: list[str]) -> str:
    if not unjudged:
        return sentence
    return f"{sentence}; too few rows to judge, of them or of the others: {', '.join(unjudged)}"


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

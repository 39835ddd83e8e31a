"""How many predictions have their label, by age and by decision: counts that add up.

Predictions are counted in cohorts of those that were made in the same minute, hour or day: the
longer ago, the wider. A label is counted in the cohort of its prediction, by how late it came. So
the share that is labelled by an age rests on those predictions alone that are so old already.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400

AGES_S = (
    *(_MINUTE, 5 * _MINUTE, 15 * _MINUTE, _HOUR, 4 * _HOUR, 12 * _HOUR),
    *(_DAY, 2 * _DAY, 4 * _DAY, 7 * _DAY, 14 * _DAY, 30 * _DAY),
)
"""The ages by which predictions are counted, in seconds."""

PREDICTED = -1
"""In the place of a delay: the predictions themselves."""

DECISIONS_MAX = 32
OTHER_DECISION = -1
"""Decisions that are no whole number from 0 to 31, and rows without one, are counted together."""

Cell = tuple[int, int, int]
"""A cohort (the minute since 1970 in which it begins), a decision, and a delay."""

Cells = Mapping[Cell, int]

_MINUTES_FOR_S = 2 * _HOUR
_HOURS_FOR_S = 2 * _DAY


@dataclass(frozen=True, slots=True)
class Covered:
    """How many predictions there are, and how many of them have their label."""

    predictions: int = 0
    labelled: int = 0

    @property
    def share(self) -> float | None:
        """The share that is labelled, None of no predictions."""
        return self.labelled / self.predictions if self.predictions else None


def place_of_delay(delay_s: float) -> int:
    """The place among the ages of the first that is not below a delay, or behind the last."""
    return bisect_left(AGES_S, delay_s)


def place_of_decision(decision: float | None) -> int:
    """Where a decision is counted."""
    if decision is None or not 0 <= decision < DECISIONS_MAX or decision != int(decision):
        return OTHER_DECISION
    return int(decision)


def coarse(cells: Cells, now: float) -> Counter[Cell]:
    """The same counts in cohorts as wide as their age at `now`, in seconds since 1970, allows.

    What becomes of counts does not depend on how often they are made coarser.
    """
    merged = Counter[Cell]()
    for (minute, decision, delay), count in cells.items():
        merged[_beginning(minute, now), decision, delay] += count
    return merged


def covered_by_age(cells: Cells, now: float) -> tuple[Covered, ...]:
    """For each of the ages: predictions that are so old, and those labelled by that age."""
    counts = [[0, 0] for _ in AGES_S]
    for (minute, _, delay), count in coarse(cells, now).items():
        old = _youngest_s(minute, now)
        for place, age in enumerate(AGES_S):
            if age > old:
                break
            if delay == PREDICTED:
                counts[place][0] += count
            elif delay <= place:
                counts[place][1] += count
    return tuple(Covered(*each) for each in counts)


def covered_by_decision(cells: Cells, now: float, age_s: float) -> dict[int, Covered]:
    """By decision, predictions that are so old at least, and those that have their label."""
    predictions, labelled = Counter[int](), Counter[int]()
    for (minute, decision, delay), count in coarse(cells, now).items():
        if age_s and _youngest_s(minute, now) < age_s:
            continue
        (predictions if delay == PREDICTED else labelled)[decision] += count
    return {
        decision: Covered(predictions[decision], labelled[decision])
        for decision in sorted(predictions | labelled)
    }


def covered(cells: Cells, now: float, age_s: float) -> Covered:
    """The predictions that are so old at least, and those that have their label."""
    parts = covered_by_decision(cells, now, age_s).values()
    return Covered(sum(p.predictions for p in parts), sum(p.labelled for p in parts))


def _beginning(minute: int, now: float) -> int:
    """The minute in which the cohort of a minute begins."""
    for width_s, from_age_s in ((_DAY, _HOURS_FOR_S), (_HOUR, _MINUTES_FOR_S)):
        width = width_s // _MINUTE
        begins = minute // width * width
        if now - (begins + width) * _MINUTE >= from_age_s:
            return begins
    return minute


def _youngest_s(minute: int, now: float) -> float:
    """The age of the youngest prediction that the cohort beginning in a minute may hold.

    A cohort's width follows from its beginning: whatever of its minute is merged by now is in it.
    """
    width = 1
    for width_s, from_age_s in ((_HOUR, _MINUTES_FOR_S), (_DAY, _HOURS_FOR_S)):
        wider = width_s // _MINUTE
        if minute % wider == 0 and now - (minute + wider) * _MINUTE >= from_age_s:
            width = wider
    return now - (minute + width) * _MINUTE

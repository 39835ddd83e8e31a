"""Coverage and delays are those of a list of all predictions, and add up."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from monitors.labels.coverage import (
    AGES_S,
    OTHER_DECISION,
    PREDICTED,
    Cell,
    Covered,
    coarse,
    covered,
    covered_by_age,
    covered_by_decision,
    place_of_decision,
    place_of_delay,
)
from monitors.labels.delays import Delays

START = 28_333_334 * 60  # A whole minute.
DAY_S = 86_400


def counted(at: list[float], delays: list[float | None], decision: int = 0) -> Counter[Cell]:
    """Predictions at some times, with labels after some delays."""
    cells = Counter[Cell]()
    for moment, delay in zip(at, delays, strict=True):
        cells[int(moment // 60), decision, PREDICTED] += 1
        if delay is not None:
            cells[int(moment // 60), decision, place_of_delay(delay)] += 1
    return cells


def test_each_age_has_those_that_are_so_old() -> None:
    """Worked by hand: two of three old ones labelled in time, a young one not counted."""
    now = START + 3600.0
    at = [START + 0.0, START + 1.0, START + 2.0, now - 30.0]
    cells = counted(at, [30.0, 200.0, None, 10.0])

    by_age = dict(zip(AGES_S, covered_by_age(cells, now), strict=True))

    assert by_age[60] == Covered(3, 1)
    assert by_age[300] == Covered(3, 2)
    assert by_age[900] == Covered(3, 2)
    assert by_age[4 * 3600] == Covered(0, 0)
    assert by_age[4 * 3600].share is None
    assert covered(cells, now, 0.0) == Covered(4, 3)


def test_coverage_is_that_of_a_list_but_for_the_width_of_a_cohort() -> None:
    """Over forty days of predictions each share is within a percent of the exact one."""
    rng = np.random.default_rng(1)
    now = START + 40.0 * DAY_S
    # As many in each order of magnitude of age, as none would be seen of the young ones otherwise.
    at = now - np.exp(rng.uniform(np.log(30), np.log(40 * DAY_S), 20_000))
    delay = rng.exponential(3 * DAY_S, 20_000)
    known = at + delay <= now

    cells = counted(at.tolist(), [d if k else None for d, k in zip(delay, known, strict=True)])

    for age, found in zip(AGES_S, covered_by_age(cells, now), strict=True):
        old = now - at >= age
        exact = ((delay <= age) & old).sum() / old.sum()
        assert found.share == pytest.approx(exact, abs=0.01)
        assert found.predictions <= old.sum()


def test_it_does_not_matter_when_counts_are_made_coarser() -> None:
    """Merged each hour or once at the end, the cells are the same, and so few that they fit."""
    rng = np.random.default_rng(2)
    now = START + 30.0 * DAY_S
    at = rng.uniform(START, now, 5000)
    cells = counted(at.tolist(), [float(d) for d in rng.exponential(DAY_S, 5000)])

    step_by_step = cells
    for hours in range(0, 30 * 24 + 1, 25):
        step_by_step = coarse(step_by_step, START + hours * 3600.0)

    assert coarse(step_by_step, now) == coarse(cells, now)
    assert sum(coarse(cells, now).values()) == sum(cells.values())
    assert len({minute for minute, _, _ in coarse(cells, now)}) < 60 * 3 + 24 * 3 + 31


def test_counts_of_two_places_add_up() -> None:
    """Coverage of the sum of cells is the sum of coverages."""
    now = START + 5.0 * DAY_S
    one = counted([START + 5.0, START + 90.0], [50.0, None])
    other = counted([START + 10.0, START + 10_000.0], [None, 4000.0])
    both = covered_by_age(one + other, now)
    for each, a, b in zip(both, covered_by_age(one, now), covered_by_age(other, now), strict=True):
        assert each == Covered(a.predictions + b.predictions, a.labelled + b.labelled)


def test_labels_for_one_decision_only_are_seen_as_such() -> None:
    """Loans that were refused never get a label: their coverage is zero, not missing."""
    now = START + 2.0 * DAY_S
    cells = counted([START + 1.0] * 4, [60.0, 60.0, None, 60.0], decision=1)
    cells += counted([START + 1.0] * 6, [None] * 6, decision=0)
    young = counted([now - 5.0], [None], decision=0)

    assert covered_by_decision(cells + young, now, DAY_S) == {0: Covered(6, 0), 1: Covered(4, 3)}


def test_decisions_that_are_no_small_whole_numbers_are_counted_together() -> None:
    """However many there are, counts stay bounded."""
    assert [place_of_decision(d) for d in (0.0, 31.0, 32.0, -1.0, 0.5, None)] == [
        *(0, 31),
        *[OTHER_DECISION] * 4,
    ]
    assert place_of_decision(float("nan")) == OTHER_DECISION


def test_delays_are_counted_by_the_first_age_that_is_not_below_them() -> None:
    """At an age exactly, before its prediction, and later than the last age."""
    assert [place_of_delay(d) for d in (-5.0, 60.0, 60.1, 30.0 * DAY_S, 31.0 * DAY_S)] == [
        *(0, 0, 1, 11, 12)
    ]


def test_delays_add_up_and_say_by_when_most_labels_come() -> None:
    """Half of the labels within five minutes; nothing is said of no labels."""
    one = Delays.of(counted([START] * 3, [30.0, 100.0, None]))
    other = Delays.of(counted([START] * 2, [1000.0, 40.0 * DAY_S]))
    both = one + other

    assert both.labels == 4
    assert both.within_s(0.5) == 300.0
    assert both.within_s(0.75) == 3600.0
    assert both.within_s(1.0) is None
    assert Delays().within_s(0.5) is None

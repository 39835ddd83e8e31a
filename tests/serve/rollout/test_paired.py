"""Pairs by group: guesses are made from what came before, and intervals hold the truth."""

from __future__ import annotations

from math import exp

import numpy as np
import pytest

from monitors.stats.anytime_means import BoundedMean, log_mixture
from serve.rollout.fairness import gaps
from serve.rollout.paired import GroupSeen, PairsSeen
from serve.rollout.shown import shown
from serve.rollout.tallies import GroupPairs, Pairs
from tests.monitors.stats.fair import assert_alarms_within
from tests.monitors.stats.outcomes import mean_when_stopped

CHANGES = {"yes": GroupPairs(1, 1, 0, 0), "no": GroupPairs(1, 0, 1, 1), "none": GroupPairs(1)}


def sure(seen: GroupSeen, mean: float, hindsight: bool = False) -> float:
    """The e-value against "decisions change by `mean` on average", as its interval has it."""
    counts, change = seen.counts, seen.change
    surprise = seen.change_surprise
    if hindsight and counts.rows:
        # Broken on purpose: all rows are guessed by their own mean.
        guess = change.total / counts.rows
        stayed = counts.rows - counts.to_yes - counts.to_no
        surprise = (
            counts.to_yes * (1 - guess) ** 2 + stayed * (0.5 - guess) ** 2 + counts.to_no * guess**2
        )
    return exp(log_mixture(change.total - counts.rows * (1 + mean) / 2, surprise))


@pytest.mark.parametrize("chances", [(0.1, 0.1), (0.3, 0.05), (0.0, 0.5), (0.9, 0.1)])
def test_the_mean_over_all_outcomes_is_at_most_one(chances: tuple[float, float]) -> None:
    """Looks of one row and of two, with guesses from looks before."""
    to_yes, to_no = chances
    each = [("yes", to_yes), ("no", to_no), ("none", 1 - to_yes - to_no)]

    def value(rows: tuple[str, ...], hindsight: bool = False) -> float:
        seen = GroupSeen()
        for at in (0, 1, 3, 5):
            looks = [CHANGES[row] for row in rows[at : at + (1 if at == 0 else 2)]]
            if looks:
                sums = (sum(getattr(look, name) for look in looks) for name in GroupPairs.__slots__)
                seen = seen.folded(GroupPairs(*sums))
        return sure(seen, to_yes - to_no, hindsight)

    for stop_at in (1.05, float("inf")):
        found = mean_when_stopped(7, lambda _: each, value, stop_at)
        assert found <= 1 + 1e-9


def test_a_guess_in_hindsight_is_found() -> None:
    """One row is no surprise to who has seen it."""
    each = [("yes", 0.9), ("no", 0.1)]

    def value(rows: tuple[str, ...]) -> float:
        seen = GroupSeen()
        for row in rows:
            seen = seen.folded(CHANGES[row])
        return sure(seen, 0.8, hindsight=True)

    with_hindsight = mean_when_stopped(1, lambda _: each, value)
    assert with_hindsight > 1.0


def test_counts_of_groups_add_up_and_are_compared_with_all_others() -> None:
    """In the order in which groups came; those of few rows are left out."""
    pairs = PairsSeen()
    first = {("sex", "f"): GroupPairs(200, 2, 4, 80), ("sex", "m"): GroupPairs(300, 3, 3, 150)}
    more = {("sex", "x"): GroupPairs(20), ("sex", "f"): GroupPairs(100, 0, 0, 40)}
    for groups in (first, more):
        pairs = pairs.folded(Pairs(500, 4, 0.0, 0.0, groups))
    by_group = {each.group: each for each in gaps(pairs.groups)}
    assert set(by_group) == {("sex", "f"), ("sex", "m")}
    women = by_group["sex", "f"]
    assert (women.rows, women.place) == (300, 1)
    assert women.others_change.rows == 320
    change = -2 / 300
    apart, then = 120 / 300 - 150 / 320, 120 / 300 - 150 / 320 + change
    assert women.estimate == pytest.approx(abs(then) - abs(apart))


def test_looked_at_often_the_interval_seldom_leaves_the_widening_out() -> None:
    """40 looks of 100 rows a group, stopped as soon as the interval is wrong."""

    def ever(seed: int) -> bool:
        rng = np.random.default_rng([61, seed])
        pairs = PairsSeen()
        for _ in range(40):
            groups = {}
            for value, yes, to_yes, to_no in (("f", 0.4, 0.02, 0.08), ("m", 0.5, 0.05, 0.05)):
                selected = int(rng.binomial(100, yes))
                turned = (rng.binomial(100 - selected, to_yes / (1 - yes)),)
                lost = rng.binomial(selected, to_no / yes)
                groups["sex", value] = GroupPairs(100, int(turned[0]), int(lost), selected)
            pairs = pairs.folded(Pairs(200, 0, 0.0, 0.0, groups))
            (women, *_) = gaps(pairs.groups)
            if not women.least(0.05) <= 0.06 <= women.most(0.05):
                return True
        return False

    assert_alarms_within(0.05, 40, ever)


@pytest.mark.parametrize("apart", [0.0, 0.1])
def test_a_change_by_the_margin_seldom_seems_more(apart: float) -> None:
    """Whether groups were alike before or not; a larger one is found within 6,000 rows a group."""

    def ever(seed: int, change: float, looks: int) -> bool:
        rng = np.random.default_rng([67, seed])
        pairs = PairsSeen()
        for _ in range(looks):
            groups = {}
            for value, yes, lost in (("f", 0.5 - apart, change), ("m", 0.5, 0.0)):
                selected = int(rng.binomial(200, yes))
                turned = int(rng.binomial(selected, lost / yes))
                groups["sex", value] = GroupPairs(200, 0, turned, selected)
            pairs = pairs.folded(Pairs(400, 0, 0.0, 0.0, groups))
            (women, *_) = gaps(pairs.groups)
            if women.least(0.05) > 0.02:
                return True
        return False

    assert_alarms_within(0.05, 40, lambda seed: ever(seed, 0.02, 20))
    assert all(ever(seed, 0.1, 30) for seed in range(10))


def change_of(changes: np.ndarray) -> Pairs:
    """Rows of which the score changed by so much, between chances."""
    sums = float(changes.sum()), float((changes**2).sum())
    return Pairs(len(changes), 0, *sums, scored=len(changes))


def test_the_change_of_scores_has_the_surprises_of_its_rows() -> None:
    """Looked at row by row, it is what a fold over the rows themselves finds; kept as JSON, too."""
    changes = np.random.default_rng(73).uniform(-0.8, 1.0, 200)
    pairs, by_row = PairsSeen(), BoundedMean()
    for change in changes:
        pairs = PairsSeen.read(pairs.folded(change_of(np.array([change]))).told())
        by_row.update(np.array([(change + 1) / 2]))

    assert pairs.change is not None
    assert pairs.change.numbers == pytest.approx(by_row.numbers)


def test_rows_without_a_score_say_nothing_of_its_change() -> None:
    """And a score that is no chance leaves nothing to rely on."""
    some = PairsSeen().folded(change_of(np.full(50, 0.2)))
    more = some.folded(Pairs(rows=100, disagreements=100))
    assert more.change is not None
    assert some.change is not None
    assert more.change.numbers == some.change.numbers

    assert more.folded(Pairs(1, 1, 2.0, 4.0, scored=1, beyond=1)).change is None


def test_looked_at_often_the_interval_seldom_leaves_the_change_out() -> None:
    """100 streams of 60 looks of 1 to 100 rows, of which many do not change."""

    def ever(seed: int) -> bool:
        rng = np.random.default_rng([79, seed])
        pairs = PairsSeen()
        for _ in range(60):
            rows = int(rng.integers(1, 100))
            # Of nine in ten the mean is 0, of the others 1/6.
            changes = np.where(rng.random(rows) < 0.9, 0.0, rng.beta(2, 4, rows) - 1 / 6)
            pairs = pairs.folded(change_of(changes))
            change = shown({}, pairs).score_change
            assert change is not None
            assert change.lower is not None
            assert change.upper is not None
            if not change.lower <= 0.1 / 6 <= change.upper:
                return True
        return False

    assert_alarms_within(0.05, 100, ever)

"""Which of two answers to the same question is wrong more often: evidence, and its intervals."""

from __future__ import annotations

from math import exp, inf, log, sqrt

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from monitors.stats.paired_losses import (
    NO_LOSSES,
    Losses,
    difference,
    difference_interval,
    log_not_worse,
    log_worse,
    ratio,
    ratio_interval,
)
from monitors.stats.weighted_difference import Trials, log_below
from tests.monitors.stats.fair import assert_alarms_within
from tests.monitors.stats.outcomes import Chances, mean_when_stopped

PAIRS = 6
BOTH = (0.0, 0.3, 0.05, 0.5, 0.1, 0.2)
"""Questions are not alike: some of them both get wrong, more or less often."""
ALONE = (0.02, 0.1, 0.3, 0.0, 0.05, 0.2)
"""And some of them only the other gets wrong."""

Pair = tuple[bool, bool]


def counted(pairs: tuple[Pair, ...]) -> Losses:
    """Of each pair: whether ours is wrong, and whether theirs is."""
    found = NO_LOSSES
    for ours, theirs in pairs:
        found = found.plus(Losses(1, ours and theirs, ours and not theirs, theirs and not ours))
    return found


def questions(margin_abs: float, margin_rel: float, more: float = 0.0) -> list[Chances]:
    """What may come of each question if ours is wrong more often by just that, and by `more`."""
    made: list[Chances] = []
    for both, theirs in zip(BOTH, ALONE, strict=True):
        ours = theirs + margin_rel * (both + theirs) + margin_abs + more
        none = 1 - both - ours - theirs
        made.append(
            [
                ((True, True), both),
                ((True, False), ours),
                ((False, True), theirs),
                ((False, False), none),
            ]
        )
    return made


@pytest.mark.parametrize("stop_at", [1.01, 1.5, inf])
@pytest.mark.parametrize("more", [0.0, 0.05])
@pytest.mark.parametrize(
    ("margin_abs", "margin_rel"), [(0.02, 0.0), (0.2, 0.0), (0.0, 0.5), (0.0, 0.1), (0.01, 0.2)]
)
def test_goodness_of_who_is_worse_by_the_margin_or_more_has_a_mean_of_at_most_one(
    margin_abs: float, margin_rel: float, more: float, stop_at: float
) -> None:
    """All outcomes of questions that are not alike; at the margin, just one."""
    each = questions(margin_abs, margin_rel, more)
    assert min(chance for chances in each for _, chance in chances) >= 0

    found = mean_when_stopped(
        PAIRS,
        lambda before: each[len(before)],
        lambda pairs: exp(log_not_worse(counted(pairs), margin_abs, margin_rel)),
        stop_at,
    )

    assert found <= 1 + 1e-9
    if not more:
        assert found == pytest.approx(1.0)


def test_a_margin_that_is_not_the_one_that_is_tested_is_found() -> None:
    """Broken on purpose: who allows half a point more is told that it is good."""
    each = questions(0.2, 0.0)
    found = mean_when_stopped(
        PAIRS,
        lambda before: each[len(before)],
        lambda pairs: exp(log_not_worse(counted(pairs), 0.25)),
    )
    assert found > 1.02


@pytest.mark.parametrize("stop_at", [1.01, 1.5, inf])
@pytest.mark.parametrize("better", [0.0, 0.05])
def test_harm_of_who_is_no_worse_has_a_mean_of_at_most_one(better: float, stop_at: float) -> None:
    """All outcomes; of two that are wrong as often, just one."""
    each: list[Chances] = []
    for both, alone in zip(BOTH, ALONE, strict=True):
        none = 1 - both - 2 * alone - better
        each.append(
            [
                ((True, True), both),
                ((True, False), alone),
                ((False, True), alone + better),
                ((False, False), none),
            ]
        )

    found = mean_when_stopped(
        PAIRS,
        lambda before: each[len(before)],
        lambda pairs: exp(log_worse(counted(pairs))),
        stop_at,
    )

    assert found <= 1 + 1e-9
    if not better:
        assert found == pytest.approx(1.0)


def test_pairs_are_arms_of_a_half_each_of_which_one_has_the_event() -> None:
    """The bets on the difference between arms, which are made otherwise, say the same of pairs."""
    losses, margin = Losses(200, 30, 4, 9), 0.03
    as_arms = Trials(0.5, losses.pairs, losses.ours, 0, losses.theirs)

    assert log_not_worse(losses, margin) == pytest.approx(log_below([as_arms], 2 * margin))


def _streams(seed: int, pairs: int, both: float, ours: float, theirs: float) -> NDArray[np.int64]:
    """Running counts of both, ours and theirs: shape (pairs, 3)."""
    rng = np.random.default_rng([17, seed])
    drawn = rng.choice(4, size=pairs, p=[both, ours, theirs, 1 - both - ours - theirs])
    counts: NDArray[np.int64] = (drawn[:, None] == np.arange(3)).cumsum(axis=0)
    return counts


LOOKS = range(20, 1001, 20)


def _seen(seed: int, both: float, ours: float, theirs: float) -> list[Losses]:
    counts = _streams(seed, LOOKS[-1], both, ours, theirs)
    return [Losses(look, *map(int, counts[look - 1])) for look in LOOKS]


@pytest.mark.parametrize(("margin_abs", "margin_rel"), [(0.02, 0.0), (0.0, 0.5)])
def test_who_is_at_the_margin_is_seldom_shown_to_be_good(
    margin_abs: float, margin_rel: float
) -> None:
    """Looked at fifty times."""
    both, theirs = 0.06, 0.04
    ours = theirs + margin_abs + margin_rel * (both + theirs)

    def ever(seed: int) -> bool:
        seen = _seen(seed, both, ours, theirs)
        return any(log_not_worse(each, margin_abs, margin_rel) >= log(20) for each in seen)

    assert_alarms_within(0.05, 400, ever)


def test_who_is_no_worse_is_seldom_found_to_be() -> None:
    """Looked at fifty times, where one answer in eight is wrong."""

    def ever(seed: int) -> bool:
        return any(log_worse(each) >= log(20) for each in _seen(seed, 0.06, 0.06, 0.06))

    assert_alarms_within(0.05, 400, ever)


def test_intervals_cover_the_truth_at_all_looks_together() -> None:
    """Of the difference, and of the ratio."""

    def misses(seed: int) -> tuple[bool, bool]:
        seen = _seen(seed, 0.06, 0.06, 0.02)[::5]
        apart = [difference_interval(each) for each in seen]
        times = [ratio_interval(each) for each in seen]
        return (
            any(not lower <= 0.04 <= upper for lower, upper in apart),
            any(not lower <= 1.5 <= upper for lower, upper in times),
        )

    found = [misses(seed) for seed in range(100)]
    for which in (0, 1):
        missed = sum(each[which] for each in found)
        assert missed <= stats.binom.ppf(0.999, 100, 0.05), missed


def test_an_interval_is_wider_than_one_of_a_single_look_and_not_much() -> None:
    """Beside Wald's for pairs, as textbooks have it: at every look costs less than twice."""
    losses = Losses(2000, 120, 80, 60)
    n, b, c = losses.pairs, losses.ours, losses.theirs
    half = stats.norm.ppf(0.975) * sqrt(b + c - (b - c) ** 2 / n) / n
    lower, upper = difference_interval(losses)

    assert lower < (b - c) / n - half < (b - c) / n + half < upper
    assert upper - lower < 2 * (2 * half)


def test_intervals_are_turned_with_the_sides() -> None:
    """Nobody is first by nature."""
    losses = Losses(400, 20, 30, 10)
    lower, upper = difference_interval(losses)
    assert difference_interval(losses.turned()) == pytest.approx((-upper, -lower))
    lower, upper = ratio_interval(losses)
    assert ratio_interval(losses.turned()) == pytest.approx((1 / upper, 1 / lower))
    assert difference(losses) == 0.05
    assert ratio(losses) == pytest.approx(50 / 30)


def test_nothing_is_known_of_no_pairs() -> None:
    """Nor of how many times as often where nobody was wrong."""
    assert (difference(NO_LOSSES), ratio(NO_LOSSES)) == (None, None)
    assert difference_interval(NO_LOSSES) == (-1.0, 1.0)
    assert ratio_interval(NO_LOSSES) == (0.0, inf)
    assert ratio_interval(Losses(500)) == (0.0, inf)
    assert log_worse(NO_LOSSES) == pytest.approx(0.0)
    assert log_not_worse(NO_LOSSES, 0.02) == pytest.approx(0.0)
    assert ratio(Losses(10, 0, 3, 0)) == inf


def test_a_margin_of_one_allows_everything() -> None:
    """A number, as for any other margin: nothing is left to be refuted after one answer."""
    for losses in (NO_LOSSES, Losses(100, 10, 90, 0)):
        assert -inf < log_not_worse(losses, 1.0) < inf
    assert log_not_worse(Losses(5, 0, 0, 0), 1.0) > log(20)

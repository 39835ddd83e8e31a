"""Bets that begin anew: never too much in all, and late harm is found nearly as soon as early."""

from __future__ import annotations

from collections.abc import Callable
from math import exp, inf, log
from statistics import median

import numpy as np
import pytest

from monitors.stats.event_ratio import WORSE, Split, log_gains, log_worse
from monitors.stats.restarts import BLOCK_EVENTS, Restarts
from tests.monitors.stats.outcomes import mean_when_stopped

SHARES = (0.05, 0.25, 0.5)
LOOK = 3
STOPS = (1.05, 2.0, inf)


def gains(share: float, ours: int, theirs: int) -> list[float]:
    """What each bet wins by some events."""
    up, down = log_gains(share, WORSE)
    return [ours * one + theirs * other for one, other in zip(up, down, strict=True)]


def told(looks: tuple[int, ...]) -> Restarts:
    """Looks of three events, of which so many are the candidate's; each is a step and an hour."""
    bets = Restarts.of(len(WORSE))
    for at, ours in enumerate(looks):
        share = SHARES[at % len(SHARES)]
        bets = bets.at(at // 2, 60 * at).won(gains(share, ours, LOOK - ours), LOOK)
    return bets


def begun_late(looks: tuple[int, ...]) -> float:
    """Broken on purpose: a bet begins after the events of a look if it has won by them."""
    bets = told(looks[:-1])
    if not looks:
        return 1.0
    at, share = len(looks) - 1, SHARES[(len(looks) - 1) % len(SHARES)]
    won = gains(share, looks[-1], LOOK - looks[-1])
    lucky = [max(each, 0.0) for each in won]
    return exp(bets.at(at // 2, 60 * at).won(lucky, LOOK).log_evidence)


def mean(value: Callable[[tuple[int, ...]], float], ratio: float, stop_at: float = inf) -> float:
    """The mean over all outcomes of six looks."""

    def chances(before: tuple[int, ...]) -> list[tuple[int, float]]:
        weighted = SHARES[len(before) % len(SHARES)] * ratio
        chance = weighted / (weighted + 1 - SHARES[len(before) % len(SHARES)])
        return [
            (0, (1 - chance) ** 3),
            (1, 3 * chance * (1 - chance) ** 2),
            (2, 3 * chance**2 * (1 - chance)),
            (3, chance**3),
        ]

    return mean_when_stopped(6, chances, value, stop_at)


@pytest.mark.parametrize("stop_at", STOPS)
@pytest.mark.parametrize("ratio", [1.0, 0.7, 0.1])
def test_the_mean_over_all_outcomes_is_at_most_one(ratio: float, stop_at: float) -> None:
    """All outcomes of six looks with steps and hours; where rates are equal, just one."""
    found = mean(lambda looks: exp(told(looks).log_evidence), ratio, stop_at)
    assert found <= 1 + 1e-9
    if ratio == 1.0:
        assert found == pytest.approx(1.0)


def test_a_bet_that_begins_after_it_knows_is_found() -> None:
    """The order within a look is unknown, and bets may not choose it."""
    assert mean(begun_late, 1.0) > 1.05


def test_weights_never_sum_to_more_than_one() -> None:
    """What is spent and what is not make one, after many steps and hours; bets that win nothing."""
    bets = Restarts.of(2)
    for at in range(3000):
        bets = bets.at(at // 100, 61 * at).won([0.0, 0.0], at % 7)
        assert bets.log_evidence == pytest.approx(0.0, abs=1e-9)
    assert bets.steps == 29
    assert bets.later > 1000
    assert 0 < bets.unspent < 0.2


def test_a_bet_begins_at_a_step_an_hour_with_events_and_after_some_events() -> None:
    """And at no other time."""
    bets = Restarts.of(1).at(0, 0)
    assert bets.at(0, 59) is bets
    assert bets.at(0, 600) is bets
    some = bets.won([0.0], 1)
    assert some.at(0, 59) is some
    assert some.at(0, 60).later == 1
    assert some.at(1, 0).steps == 1
    assert bets.won([0.0], BLOCK_EVENTS).at(0, 0).later == 1


def test_late_harm_is_found_where_bets_from_the_beginning_alone_have_given_up() -> None:
    """50 times worse after 1,000 events without harm, at 5 %: within 3 times of fresh harm."""

    def delay(seed: int, clean: int, restarted: bool) -> int:
        rng = np.random.default_rng([53, seed])
        share, ratio, needed = 0.05, 50.0, log(600)
        before = rng.binomial(4, share, clean // 4).tolist()
        bets, splits = Restarts.of(len(WORSE)), [Split(share, sum(before), clean - sum(before))]
        for ours in before:
            bets = bets.at(0, 0).won(gains(share, ours, 4 - ours), 4)
        for count in range(1, 1000):
            ours = int(rng.random() < share * ratio / (share * ratio + 1 - share))
            bets = bets.at(0, 0).won(gains(share, ours, 1 - ours), 1)
            splits.append(Split(share, ours, 1 - ours))
            if (bets.log_evidence if restarted else log_worse(splits)) >= needed:
                return count
        return 1000

    fresh = median(delay(seed, 0, restarted=True) for seed in range(40))
    late = median(delay(seed, 1000, restarted=True) for seed in range(40))
    without = median(delay(seed, 1000, restarted=False) for seed in range(20))
    assert late <= 3 * fresh
    assert without > 3 * fresh

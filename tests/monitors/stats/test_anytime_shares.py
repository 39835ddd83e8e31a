"""Shares: intervals that hold at every look, and evidence of a share that is too small."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from math import exp, log

import numpy as np
import pytest
from scipy.special import betaln

from monitors.stats.anytime_shares import anytime_share, log_won_outside
from monitors.stats.intervals import wilson
from tests.monitors.stats.fair import assert_alarms_within, assert_mean_at_most_one

ROWS = 10
LEAST = 0.8


def against_least_alone(hits: float, rows: float, least: float) -> float:
    """Broken on purpose: larger shares than the least one are forgotten."""
    won = betaln(hits + 0.5, rows - hits + 0.5) - betaln(0.5, 0.5)
    return float(won - hits * np.log(least) - (rows - hits) * np.log1p(-least))


def mean(won: Callable[[float, float, float], float], share: float) -> None:
    """The mean of the wealth over all outcomes of some rows."""
    outcomes = [sum(each) for each in product((0, 1), repeat=ROWS)]
    wealth = np.array([exp(won(hits, ROWS, LEAST)) for hits in outcomes])
    chances = np.array([share**hits * (1 - share) ** (ROWS - hits) for hits in outcomes])
    assert_mean_at_most_one(wealth, chances)


@pytest.mark.parametrize("share", [LEAST, 0.85, 0.95, 1.0])
def test_the_mean_over_all_outcomes_is_at_most_one(share: float) -> None:
    """At the least share, and at every larger one."""
    mean(log_won_outside, share)


def test_a_broken_one_is_found() -> None:
    """Who bets against the least share alone wins when it is larger."""
    with pytest.raises(AssertionError):
        mean(against_least_alone, 1.0)


def test_no_alarm_at_the_least_share() -> None:
    """Looked at after every row: 200 streams of 500 rows, a budget of 10 %."""

    def ever(seed: int) -> bool:
        hits = np.cumsum(np.random.default_rng([41, seed]).random(500) < LEAST)
        return any(
            log_won_outside(float(each), row, LEAST) >= log(10) for row, each in enumerate(hits, 1)
        )

    assert_alarms_within(0.1, 200, ever)


def test_a_share_that_is_too_small_is_found() -> None:
    """And nothing is won where it is not; nothing at all is said of no rows."""
    assert log_won_outside(700, 1000, LEAST) > log(1e6)
    assert log_won_outside(900, 1000, LEAST) < 0
    assert log_won_outside(0, 0, LEAST) == 0


@pytest.mark.parametrize("share", [LEAST, 0.85, 0.9])
def test_between_two_shares_the_mean_over_all_outcomes_is_at_most_one(share: float) -> None:
    """Whatever the share is from the least to the most."""
    mean(lambda hits, rows, least: log_won_outside(hits, rows, least, 0.9), share)


def test_a_share_that_is_too_large_is_found() -> None:
    """And one that is within what is allowed is not."""
    assert log_won_outside(980, 1000, LEAST, 0.9) > log(1e6)
    assert log_won_outside(850, 1000, LEAST, 0.9) < 0
    assert log_won_outside(700, 1000, LEAST, 0.9) == log_won_outside(700, 1000, LEAST)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
@pytest.mark.slow
def test_looked_at_after_every_row_the_interval_seldom_leaves_the_share_out(share: float) -> None:
    """60 streams of 200 rows, stopped as soon as the interval is wrong."""

    def ever(seed: int) -> bool:
        hits = np.cumsum(np.random.default_rng([43, seed]).random(200) < share)
        for row, each in enumerate(hits, 1):
            lower, upper = anytime_share(float(each), row)
            if not lower <= share <= upper:
                return True
        return False

    assert_alarms_within(0.05, 60, ever)


def test_an_interval_for_one_look_leaves_it_out_sooner_or_later() -> None:
    """The same check finds that Wilson's is no interval for every look."""

    def ever(seed: int) -> bool:
        hits = np.cumsum(np.random.default_rng([47, seed]).random(500) < 0.5)
        bounds = [wilson(float(each), row) for row, each in enumerate(hits, 1)]
        return any(not lower <= 0.5 <= upper for lower, upper in bounds)

    with pytest.raises(AssertionError):
        assert_alarms_within(0.05, 60, ever)

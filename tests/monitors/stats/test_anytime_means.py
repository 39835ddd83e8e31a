"""Bounded means: the bets are fair, and the intervals hold at every look."""

from __future__ import annotations

from itertools import product
from math import exp, log, log1p

import numpy as np
import pytest
from scipy import integrate

from monitors.stats.anytime_means import BoundedMean, log_mixture
from tests.monitors.stats.fair import assert_alarms_within, assert_mean_at_most_one

ROWS = 7
VALUES = (0.0, 0.3, 1.0)


class Blind(BoundedMean):
    """Broken on purpose: surprise is overlooked."""

    def log_won_above(self, most: float) -> float:
        """Without surprise."""
        return log_mixture(self.total - self.rows * most, 0.0)


def of(numbers: tuple[float, ...], kind: type[BoundedMean] = BoundedMean) -> BoundedMean:
    """The mean of some numbers."""
    mean = kind()
    mean.update(np.array(numbers))
    return mean


def means(kind: type[BoundedMean], chances: tuple[float, ...]) -> None:
    """The mean of the wealth over all outcomes, against the very mean that they have."""
    true = float(np.dot(VALUES, chances))
    outcomes = list(product(range(len(VALUES)), repeat=ROWS))
    weights = np.array([np.prod([chances[at] for at in each]) for each in outcomes])
    wealth = [
        exp(of(tuple(VALUES[at] for at in each), kind).log_won_above(true)) for each in outcomes
    ]
    assert_mean_at_most_one(np.array(wealth), weights)


@pytest.mark.parametrize("chances", [(0.5, 0.0, 0.5), (0.9, 0.05, 0.05), (0.1, 0.2, 0.7)])
def test_the_mean_over_all_outcomes_is_at_most_one(chances: tuple[float, ...]) -> None:
    """Numbers of three values, seven rows: none is left out."""
    means(BoundedMean, chances)


def test_a_broken_one_is_found() -> None:
    """Who overlooks surprise wins too much."""
    with pytest.raises(AssertionError):
        means(Blind, (0.5, 0.0, 0.5))


@pytest.mark.parametrize(
    ("excess", "surprise"), [(0.0, 0.0), (3.0, 2.0), (-1.0, 4.0), (40.0, 100.0), (9.0, 0.1)]
)
def test_the_mixture_is_the_integral_over_its_bets(excess: float, surprise: float) -> None:
    """By numerical integration of the definition: t = 1 - u, u exponential on [0, 1]."""

    def wealth(t: float) -> float:
        density = exp(-(1 - t)) / (1 - exp(-1))
        return density * exp(t * excess + (log1p(-t) + t) * surprise)

    expected, _ = integrate.quad(wealth, 0, 1, epsabs=1e-13)
    assert log_mixture(excess, surprise) == pytest.approx(log(expected), abs=1e-6)


@pytest.mark.parametrize(("excess", "surprise"), [(-50.0, 10.0), (-2000.0, 1500.0), (-9.0, 0.0)])
def test_where_there_is_nothing_to_win_it_says_no_more_than_there_is(
    excess: float, surprise: float
) -> None:
    """Where the closed form has no digits left, a lower bound takes its place."""

    def wealth(t: float) -> float:
        return exp(t * excess + (log1p(-t) + t) * surprise - (1 - t)) / (1 - exp(-1))

    expected, _ = integrate.quad(wealth, 0, 1, epsabs=0, points=[1e-3, 1e-2])
    found = log_mixture(excess, surprise)
    assert np.isfinite(found)
    assert found <= log(expected) + 1e-6


def test_the_ends_of_the_interval_are_where_the_bets_have_just_won() -> None:
    """From below by the rows, from above by one less the rows."""
    numbers = np.random.default_rng(0).beta(2, 5, 400)
    mean, mirrored = BoundedMean(), BoundedMean()
    mean.update(numbers)
    mirrored.update(1 - numbers)
    lower, upper = mean.interval(0.05)
    assert mean.log_won_above(lower) == pytest.approx(log(2 / 0.05))
    assert mirrored.log_won_above(1 - upper) == pytest.approx(log(2 / 0.05))
    assert lower < numbers.mean() < upper
    assert BoundedMean().interval() == (0.0, 1.0)


def test_a_small_spread_makes_a_narrow_interval() -> None:
    """Narrower than what only knows that numbers are between 0 and 1, at one look (Hoeffding)."""
    mean = BoundedMean()
    mean.update(np.random.default_rng(1).beta(2, 50, 5000))
    assert mean.half_width(0.05) < np.sqrt(log(2 / 0.05) / (2 * 5000)) / 2


@pytest.mark.parametrize("kind", ["coin", "skewed", "flat"])
@pytest.mark.slow
def test_looked_at_after_every_row_it_seldom_leaves_the_mean_out(kind: str) -> None:
    """100 streams of 250 rows, stopped as soon as the interval is wrong."""

    def ever(seed: int) -> bool:
        rng = np.random.default_rng([31, seed])
        numbers, true = {
            "coin": ((rng.random(250) < 0.3).astype(float), 0.3),
            "skewed": (rng.beta(0.2, 1.8, 250), 0.1),
            "flat": (rng.random(250), 0.5),
        }[kind]
        up, down = BoundedMean(), BoundedMean()
        for each in numbers:
            up.update(np.array([each]))
            down.update(np.array([1 - each]))
            won = max(up.log_won_above(true), down.log_won_above(1 - true))
            if won >= log(2 / 0.05):
                return True
        return False

    assert_alarms_within(0.05, 100, ever)


def test_means_that_are_lower_still_win_no_more() -> None:
    """Rows of which each has a mean of its own, none above the bound."""

    def ever(seed: int) -> bool:
        rng = np.random.default_rng([37, seed])
        mean = BoundedMean()
        for each in rng.random(200) < rng.choice([0.0, 0.1, 0.2], 200):
            mean.update(np.array([float(each)]))
            if mean.log_won_above(0.2) >= log(10):
                return True
        return False

    assert_alarms_within(0.1, 100, ever)


def test_blocks_do_not_matter_and_streams_add_up() -> None:
    """One by one or at once; two streams are no worse than one."""
    numbers = np.random.default_rng(2).random(500)
    whole, single = BoundedMean(), BoundedMean()
    whole.update(numbers)
    for at in range(0, 500, 7):
        single.update(numbers[at : at + 7])
    assert single.numbers == pytest.approx(whole.numbers, rel=1e-12)
    halves = of(tuple(numbers[::2]))
    halves.merge(of(tuple(numbers[1::2])))
    assert halves.numbers[:2] == pytest.approx(whole.numbers[:2])
    assert halves.half_width() == pytest.approx(whole.half_width(), rel=0.05)
    assert BoundedMean(*whole.numbers).numbers == whole.numbers


@pytest.mark.parametrize("wrong", [1.1, -0.1, np.nan])
def test_what_is_not_between_0_and_1_is_refused(wrong: float) -> None:
    """The bounds are what everything rests on."""
    with pytest.raises(ValueError, match="not between 0 and 1"):
        BoundedMean().update(np.array([0.5, wrong]))


def test_a_rise_is_found() -> None:
    """From 0.1 to 0.2: certain within some hundred rows."""
    mean = BoundedMean()
    mean.update((np.random.default_rng(3).random(600) < 0.2).astype(float))
    assert mean.log_won_above(0.1) > log(1000)

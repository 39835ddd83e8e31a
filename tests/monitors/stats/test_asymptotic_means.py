"""Intervals of means without bounds are those of the formulas, and cover at all looks."""

from __future__ import annotations

from collections.abc import Callable
from math import exp, pi, sqrt

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import integrate, stats

from monitors.stats.asymptotic_means import at_any_look, at_one_look, rows_to_trust

FIRST, ROWS, RUNS = 50, 2000, 1000

Interval = Callable[[int, float, float], tuple[float, float]]


def test_at_one_look_it_is_students() -> None:
    """Held against SciPy's."""
    values = np.random.default_rng(1).standard_normal(37) * 5 + 3
    expected = stats.t.interval(0.95, 36, values.mean(), stats.sem(values))
    assert at_one_look(37, float(values.mean()), float(values.var())) == pytest.approx(expected)


@pytest.mark.parametrize("rows", [50, 1000, 30_000])
@pytest.mark.parametrize("alpha", [0.05, 0.001])
def test_at_any_look_it_ends_where_the_mixture_of_bets_has_won_enough(
    rows: int, alpha: float
) -> None:
    """The mixture is integrated numerically here; at the end of the interval it is 1 / alpha."""
    _, upper = at_any_look(rows, 0.0, 1.0, alpha)
    off = upper * rows
    twice = -2 * np.log(alpha)
    rho = sqrt((twice + np.log(twice + 1)) / 1000)

    def bet(rate: float) -> float:
        weight = exp(-(rate**2) / (2 * rho**2)) / (rho * sqrt(2 * pi))
        return exp(rate * off - rate**2 * rows / 2) * weight

    centre = off / rows
    won, _ = integrate.quad(bet, centre - 12 / sqrt(rows), centre + 12 / sqrt(rows), limit=200)
    assert won == pytest.approx(1 / alpha, rel=1e-6)
    assert at_any_look(rows, 7.0, 4.0, alpha) == pytest.approx((7 - 2 * upper, 7 + 2 * upper))


def covered(
    interval: Interval, draw: Callable[[np.random.Generator], NDArray[np.float64]]
) -> float:
    """The share of runs in which an interval never leaves out the mean 0, looked at every row."""
    rng = np.random.default_rng(3)
    never = 0
    for _ in range(RUNS):
        values = draw(rng)
        rows = np.arange(1, ROWS + 1)
        means = np.cumsum(values) / rows
        variances = np.cumsum(values**2) / rows - means**2
        looks = range(FIRST - 1, ROWS, 7)
        ends = (interval(at + 1, float(means[at]), float(variances[at])) for at in looks)
        never += all(lower <= 0 <= upper for lower, upper in ends)
    return never / RUNS


def test_it_covers_at_all_looks_where_that_of_one_look_does_not() -> None:
    """Normal values, and those of a loan: 120 gained or 500 lost. 95 % less what chance may do."""

    def normal(rng: np.random.Generator) -> NDArray[np.float64]:
        return rng.standard_normal(ROWS)

    def loan(rng: np.random.Generator) -> NDArray[np.float64]:
        return np.where(rng.random(ROWS) < 0.15, -500.0, 120.0) - (120 - 0.15 * 620)

    assert covered(at_any_look, normal) >= 0.95 - 3 * sqrt(0.95 * 0.05 / RUNS)
    assert covered(at_any_look, loan) >= 0.95 - 3 * sqrt(0.95 * 0.05 / RUNS)
    assert covered(at_one_look, normal) < 0.85


def test_rare_events_take_some_twenty_five() -> None:
    """The skewness of an event of chance p is (1 - 2p) / root of p (1 - p)."""
    for chance in (0.001, 0.01, 0.1):
        skewness = (1 - 2 * chance) / sqrt(chance * (1 - chance))
        assert 15 <= rows_to_trust(skewness) * chance <= 26
    assert rows_to_trust(0.0) == 1

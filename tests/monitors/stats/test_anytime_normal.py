"""Normal intervals that are wide enough for every look."""

from math import exp, log, sqrt

import numpy as np
import pytest
from scipy.special import lambertw

from monitors.stats.anytime_normal import at_every_look, at_one_look


def test_at_one_look_it_is_the_normal_quantile() -> None:
    """1.96 for 95 %."""
    assert at_one_look() == pytest.approx(1.959963984540054)


@pytest.mark.parametrize("rows", [10, 500, 20_000])
@pytest.mark.parametrize("alpha", [0.05, 0.001])
def test_it_is_where_a_normal_mixture_has_won_enough(rows: int, alpha: float) -> None:
    """The mixture's wealth (Robbins 1970) at that distance is 1 / alpha, by its own formula."""
    twice = -2 * log(alpha)
    precision = (twice + log(twice + 1)) / 500  # The variance of the mixture, a row's being 1.
    total = at_every_look(rows, alpha) * sqrt(rows)
    wealth = exp(precision * total**2 / (2 * (1 + rows * precision))) / sqrt(1 + rows * precision)
    assert wealth == pytest.approx(1 / alpha)


def test_it_is_sharpest_at_about_the_rows_that_it_is_tuned_for() -> None:
    """Against the exact best parameter (Howard et al. 2021, by Lambert's function) within 1 %."""
    alpha, rows = 0.05, 500

    def width(precision: float) -> float:
        scaled = rows * precision
        return sqrt(2 * (1 + 1 / scaled) * (0.5 * log(scaled + 1) - log(alpha)))

    best = (-float(lambertw(-(alpha**2) / exp(1), -1).real) - 1) / rows
    assert at_every_look(rows, alpha) == pytest.approx(width(best), rel=0.01)


def test_without_rows_nothing_is_known() -> None:
    """Infinitely wide."""
    assert at_every_look(0) == float("inf")


def test_it_holds_at_all_looks_and_one_for_a_single_look_does_not() -> None:
    """400 streams of 4,000 rows, looked at after each of them from the hundredth on."""
    rng = np.random.default_rng(0)
    at = np.arange(1, 4001)
    means = (rng.random((400, 4000)) < 0.3).cumsum(axis=1) / at
    distance = np.abs(means - 0.3) / np.sqrt(0.3 * 0.7 / at)
    wide = np.array([at_every_look(rows) for rows in at.tolist()])

    def left(width: np.ndarray | float) -> float:
        return float((distance > width)[:, 100:].any(axis=1).mean())

    assert left(wide) <= 0.05
    assert left(at_one_look()) > 0.25

"""The pieces of which intervals of distances are made agree with scipy and with differences."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import kolmogi

from monitors.stats.distance_bounds import (
    JENSEN_SHANNON,
    PEARSON,
    PSI,
    SQUARED_HELLINGER,
    Divergence,
    Samples,
    divergence_bounds,
    gap_sum_bounds,
    noncentrality_bounds,
    supremum_bounds,
)
from monitors.stats.distances import Floats

EVERY_DIVERGENCE = pytest.mark.parametrize(
    "divergence",
    [PSI, JENSEN_SHANNON, SQUARED_HELLINGER, PEARSON],
    ids=["psi", "jensen_shannon", "hellinger", "pearson"],
)
P = np.array([[0.25, 0.25, 0.1, 0.4, 0.0]])
Q = np.array([[0.10, 0.20, 0.3, 0.4, 0.0]])
M, N = np.array([3000]), np.array([700])


def samples(p: Floats, q: Floats) -> Samples:
    """Two samples with these shares."""
    return Samples(p, q, M, N)


@EVERY_DIVERGENCE
def test_slopes_are_those_of_the_formula(divergence: Divergence) -> None:
    """Moving a little of one bin's share to another changes the divergence as the slopes say."""
    for slopes, moved in zip(divergence.slopes(samples(P, Q)), ("p", "q"), strict=True):
        for a, b in ((0, 1), (1, 2), (3, 0)):
            step = np.zeros_like(P)
            step[0, a], step[0, b] = 1e-6, -1e-6
            ends = [
                divergence.of(samples(P + s * (moved == "p"), Q + s * (moved == "q")))[0]
                for s in (step, -step)
            ]
            found = (ends[0] - ends[1]) / 2e-6
            assert slopes[0, a] - slopes[0, b] == pytest.approx(found, abs=1e-6)


@EVERY_DIVERGENCE
def test_next_to_no_change_all_are_the_same_but_for_a_factor(divergence: Divergence) -> None:
    """That of chi-square, by the curvature: this is what the bounds rest on."""
    q = P * (1 + 1e-4 * np.array([1, -1, 2.5, -0.625, 0]))
    size = divergence.of(samples(P, q))[0]
    squares = np.sum((q - P)[P > 0] ** 2 / P[P > 0])
    assert size == pytest.approx(divergence.curvature * squares, rel=1e-3)


@EVERY_DIVERGENCE
def test_two_equal_samples_have_bounds(divergence: Divergence) -> None:
    """No size and no slope: nothing is divided by 0, and the lower bound is 0."""
    equal = samples(P, P)
    lower, upper = divergence_bounds(divergence, equal, np.array([3]))
    assert lower[0] == 0 < upper[0] < 0.05


@pytest.mark.parametrize("degrees", [1, 3, 19, 60, 200])
def test_noncentrality_bounds_are_scipys_quantiles(degrees: int) -> None:
    """At its lower bound a statistic is the 97.5 % quantile, at its upper bound the 2.5 % one."""
    without = float(stats.chi2.ppf(0.975, degrees))
    statistic = np.array([1.1 * without, 2 * without, 9 * without, 1500.0, 4000.0, 1e6])
    lower, upper = noncentrality_bounds(statistic, np.full(6, degrees))
    assert stats.ncx2.cdf(statistic, degrees, lower) == pytest.approx(0.975, abs=0.01)
    assert stats.ncx2.cdf(statistic, degrees, upper) == pytest.approx(0.025, abs=0.01)


def test_what_chance_alone_would_give_has_a_lower_bound_of_zero() -> None:
    """And the upper bound of a statistic that is small by chance is that of its mean."""
    degrees = np.array([19, 19, 19, 0])
    lower, upper = noncentrality_bounds(np.array([0.0, 19.0, 32.8, 0.0]), degrees)
    np.testing.assert_array_equal(lower, np.zeros(4))
    assert upper[0] == pytest.approx(upper[1], abs=0.05)
    assert upper[0] < upper[2]
    assert upper[3] == 0


def test_the_bias_of_an_absolute_gap_is_that_of_a_folded_normal() -> None:
    """At a gap two deviations smaller than measured, and none where it is many."""
    for measured in (0.5, 2.0, 3.0, 4.5, 9.0):
        mean = max(measured - 2, 0.0)
        bias = float(stats.foldnorm.mean(mean)) - mean
        lower, upper = gap_sum_bounds(
            np.array([50.0]),
            np.array([[1.0]]),
            np.array([[measured]]),
            np.array([[1.0]]),
            np.array([0.0]),
        )
        assert lower[0] == pytest.approx(50 - bias, abs=1e-12)
        assert upper[0] == 50


def test_a_gap_without_noise_has_no_bias() -> None:
    """Bins that all rows or none are below: nothing is divided by 0."""
    zeros = np.zeros((1, 2))
    bounds = gap_sum_bounds(np.array([0.0]), zeros, zeros, zeros, np.array([0.1]))
    assert bounds[0][0] == 0
    assert bounds[1][0] == pytest.approx(0.196, abs=1e-3)


def test_the_lower_bound_of_the_largest_gap_is_kolmogorovs() -> None:
    """Where nothing has changed, one in forty reach it."""
    noise = np.array([1 / 500 + 1 / 800])
    lower, upper = supremum_bounds(np.array([0.3]), noise)
    assert lower[0] == pytest.approx(0.3 - float(kolmogi(0.025)) * np.sqrt(noise[0]))
    assert upper[0] == pytest.approx(0.3 + 0.98 * np.sqrt(noise[0]), abs=1e-4)
    assert supremum_bounds(np.array([0.01]), noise)[0][0] == 0

"""The formulas of familiar distances give what independent implementations give."""

import numpy as np
import pytest
from scipy import stats
from scipy.spatial import distance

from monitors.stats.distances import (
    chi_square,
    degrees,
    hellinger,
    jensen_shannon,
    jensen_shannon_divergence,
    kolmogorov_smirnov,
    kullback_leibler,
    largest_difference,
    psi,
    psi_without_change,
    shares,
    smoothed,
    total_variation,
    wasserstein,
)

P = np.array([0.25, 0.25, 0.25, 0.25])
Q = np.array([0.10, 0.20, 0.30, 0.40])
COUNTS = np.array([250, 250, 250, 250])
OTHERS = np.array([100, 200, 300, 400])
X = np.arange(1.0, 11.0)
Y = np.arange(3.0, 13.0)
TOLERANCE = 1e-9


def near(value: float) -> object:
    """The value to nine digits."""
    return pytest.approx(value, rel=TOLERANCE, abs=TOLERANCE)


def test_psi_is_the_divergence_both_ways() -> None:
    """A known value, and scipy's entropies of p from q and of q from p."""
    assert psi(P, Q) == near(0.22821740957339182)
    assert psi(P, Q) == near(stats.entropy(P, Q) + stats.entropy(Q, P))


def test_the_divergence_depends_on_the_order() -> None:
    """Both orders have their known values in nats, and are scipy's."""
    assert kullback_leibler(P, Q) == near(0.12177727428716865)
    assert kullback_leibler(Q, P) == near(0.10644013528622315)
    assert kullback_leibler(P, Q) == near(stats.entropy(P, Q))


@pytest.mark.parametrize(
    ("base", "value"), [(2.0, 0.20050332253142814), (np.e, 0.16692996572597962)]
)
def test_jensen_shannon_is_a_root_to_its_base(base: float, value: float) -> None:
    """The distance, not the divergence, in bits or in nats."""
    assert jensen_shannon(P, Q, base) == near(value)
    assert jensen_shannon(P, Q, base) == near(distance.jensenshannon(P, Q, base=base))
    assert jensen_shannon_divergence(P, Q) == near(0.02786561345727673)


def test_jensen_shannon_of_what_has_nothing_in_common_is_one() -> None:
    """Its largest value, where PSI is infinite."""
    p, q = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    assert jensen_shannon(p, q) == near(1.0)
    assert hellinger(p, q) == near(1.0)
    assert np.isinf(psi(p, q))


def test_hellinger_total_variation_and_the_largest_difference() -> None:
    """Known values, and the norms that they are."""
    roots = np.sqrt(P) - np.sqrt(Q)
    assert hellinger(P, Q) == near(0.16789959640267474)
    assert hellinger(P, Q) == near(float(np.linalg.norm(roots)) / np.sqrt(2))
    assert total_variation(P, Q) == near(0.2)
    assert total_variation(P, Q) == near(distance.cityblock(P, Q) / 2)
    assert largest_difference(P, Q) == near(0.15)
    assert largest_difference(P, Q) == near(distance.chebyshev(P, Q))


def test_chi_square_takes_both_samples_for_samples() -> None:
    """The contingency test: not the one that takes the reference for the truth, and finds 200."""
    expected = stats.chi2_contingency([COUNTS, OTHERS], correction=False)
    assert chi_square(COUNTS, OTHERS, corrected=True) == near(109.00210900210901)
    assert chi_square(COUNTS, OTHERS, corrected=True) == near(expected.statistic)
    assert degrees(COUNTS, OTHERS) == expected.dof == 3


@pytest.mark.parametrize(
    ("corrected", "value"), [(False, 4.8), (True, 4.181333333333333)], ids=["plain", "yates"]
)
def test_chi_square_of_two_bins_is_corrected_where_scipys_is(corrected: bool, value: float) -> None:
    """Yates's correction for two bins, and none for more."""
    first, second = np.array([30, 70]), np.array([45, 55])
    expected = stats.chi2_contingency([first, second], correction=corrected)
    assert chi_square(first, second, corrected) == near(value)
    assert chi_square(first, second, corrected) == near(expected.statistic)


def test_a_correction_never_makes_a_difference_out_of_none() -> None:
    """Counts that differ by less than half a row from what is expected give 0, as with scipy."""
    first, second = np.array([10, 11]), np.array([10, 11])
    assert chi_square(first, second, corrected=True) == 0
    first, second = np.array([10, 11]), np.array([11, 12])
    expected = stats.chi2_contingency([first, second]).statistic
    assert chi_square(first, second, corrected=True) == near(expected)


def test_bins_that_nobody_is_in_do_not_count() -> None:
    """Neither for the statistic nor for its degrees of freedom, nor for the correction."""
    first, second = np.array([30, 0, 70, 0]), np.array([45, 0, 55, 0])
    assert chi_square(first, second, corrected=True) == near(4.181333333333333)
    assert degrees(first, second) == 1


def test_kolmogorov_smirnov_is_scipys_on_bins_of_single_values() -> None:
    """Known values: every value has a bin of its own, so nothing is lost between the edges."""
    p, q = (np.bincount(v.astype(int), minlength=13) / 10 for v in (X, Y))
    assert kolmogorov_smirnov(p, q) == near(0.2)
    assert kolmogorov_smirnov(p, q) == near(stats.ks_2samp(X, Y).statistic)


def test_kolmogorov_smirnov_of_bins_is_no_more_than_that_of_the_values() -> None:
    """On bins the gap is looked for at their edges only."""
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal(300), rng.standard_normal(200) + 0.2
    edges = np.linspace(-2, 2, 9)
    p, q = (shares(np.bincount(np.searchsorted(edges, v), minlength=10)) for v in (first, second))
    exact = stats.ks_2samp(first, second).statistic
    assert exact - 0.1 < kolmogorov_smirnov(p, q) <= exact


def test_wasserstein_is_scipys_on_the_same_points() -> None:
    """A known value, its value in reference deviations, and points at odd places."""
    points = np.arange(13.0)
    p, q = (np.bincount(v.astype(int), minlength=13) / 10 for v in (X, Y))
    assert wasserstein(points, p, q) == near(2.0)
    assert wasserstein(points / X.std(), p, q) == near(0.6963106238)
    odd = np.array([-3.0, -3.0, 0.5, 7.0])
    assert wasserstein(odd, P, Q) == near(stats.wasserstein_distance(odd, odd, P, Q))


@pytest.mark.parametrize(
    ("rows", "reference", "bins", "value"),
    [(200, 10_000, 10, 0.0862868), (200, 10_000, 20, 0.1537320), (1000, 1000, 10, 0.0338380)],
)
def test_psi_without_change_has_the_quantiles_of_chi_square(
    rows: int, reference: int, bins: int, value: float
) -> None:
    """Known values to their seven digits, and scipy's quantile to nine."""
    found = psi_without_change(rows, reference, bins, 0.95)
    assert found == pytest.approx(value, abs=5e-8)
    assert found == near((1 / rows + 1 / reference) * stats.chi2.ppf(0.95, bins - 1))


def test_many_features_are_measured_at_one_go() -> None:
    """Row by row, what each pair gives by itself."""
    rng = np.random.default_rng(1)
    first, second = rng.integers(1, 90, (5, 4)), rng.integers(1, 90, (5, 4))
    p, q = shares(first), shares(second)
    points = np.sort(rng.standard_normal((5, 4)))
    for at in range(5):
        for formula in (psi, jensen_shannon, hellinger, total_variation, kolmogorov_smirnov):
            assert formula(p, q)[at] == near(float(formula(p[at], q[at])))
        alone = float(chi_square(first[at], second[at], corrected=True))
        assert chi_square(first, second, corrected=True)[at] == near(alone)
        assert wasserstein(points, p, q)[at] == near(float(wasserstein(points[at], p[at], q[at])))


def test_smoothing_adds_half_a_row_where_a_bin_is_used() -> None:
    """No share is 0 then, but those of bins that are not there at all."""
    counts = np.array([0, 9, 0])
    np.testing.assert_allclose(smoothed(counts), [0.5 / 10.5, 9.5 / 10.5, 0.5 / 10.5])
    used = np.array([True, True, False])
    np.testing.assert_allclose(smoothed(counts, used), [0.05, 0.95, 0.0])


def test_shares_of_nothing_are_nothing() -> None:
    """No rows are no share, and no error."""
    np.testing.assert_array_equal(shares(np.zeros(3, dtype=np.int64)), np.zeros(3))

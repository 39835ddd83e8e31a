"""Live counts are compared with the reference's, and what is told is what the formulas give."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from monitors.stats.comparison import Comparison, ordered_groups, padded, unordered_groups
from monitors.stats.familiar import Distance, Familiar

ORDERED = np.array([1, 0, 40, 60, 50, 2])
LIVE = np.array([3, 1, 60, 30, 40, 6])
POINTS = np.array([-1.5, -1.5, -1.0, 0.5, 1.0, 2.0])
CATEGORIES = np.array([500, 300, 195, 3, 2, 0])
SEEN = np.array([90, 70, 40, 2, 1, 7])


def by_name(distances: tuple[Distance, ...]) -> dict[str, Distance]:
    """Distances by their names."""
    return {each.name: each for each in distances}


def compared(
    reference: np.ndarray, live: np.ndarray, points: np.ndarray | None = None
) -> dict[str, Distance]:
    """The distances of one subject."""
    comparison = Comparison([reference], [] if points is None else [points])
    (distances,) = comparison.distances(live[None])
    return by_name(distances)


def test_ordered_bins_join_their_neighbours() -> None:
    """No bin inside the range has fewer than five rows; both outsides are one bin."""
    assert ordered_groups([1, 0, 40, 60, 50, 2]) == [3, 0, 0, 1, 2, 3]
    assert ordered_groups([0, 3, 1, 2, 9, 4, 0]) == [2, 0, 0, 0, 1, 1, 2]
    assert ordered_groups([0, 3, 0, 1, 0]) == [1, 0, 0, 0, 1]
    assert ordered_groups([0, 500, 0]) == [1, 0, 1]


def test_rare_categories_are_one_bin_and_unlisted_ones_another() -> None:
    """The last two bins hold what is not on the list."""
    assert unordered_groups([500, 4, 300, 1, 2, 0]) == [0, 2, 1, 2, 3, 3]
    assert unordered_groups([0, 0]) == [1, 1]


def test_ordered_bins_give_all_seven() -> None:
    """Each value is what scipy finds for the joined bins, or for the bins as they are."""
    found = compared(ORDERED, LIVE, POINTS)
    first, second = np.array([40, 60, 50, 3]), np.array([61, 30, 40, 9])
    p, q = first / 153, second / 140
    chi = stats.chi2_contingency([first, second])
    apart = stats.wasserstein_distance(POINTS, POINTS, ORDERED, LIVE)
    gap = np.abs(np.cumsum(ORDERED) / 153 - np.cumsum(LIVE) / 140).max()

    assert list(found) == [name.value for name in Familiar]
    assert found["jensen_shannon"].value == pytest.approx(jensenshannon(p, q, base=2), abs=1e-12)
    assert found["total_variation"].value == pytest.approx(np.abs(p - q).sum() / 2, abs=1e-12)
    assert found["chi_square"].value == pytest.approx(chi.statistic, rel=1e-12)
    assert found["chi_square"].p_value == pytest.approx(chi.pvalue, rel=1e-9)
    assert found["wasserstein"].value == pytest.approx(apart, abs=1e-12)
    assert found["kolmogorov_smirnov"].value == pytest.approx(gap, abs=1e-12)
    half = [(each + 0.5) / (each.sum() + 2) for each in (first, second)]
    expected = stats.entropy(*half) + stats.entropy(*half[::-1])
    assert found["psi"].value == pytest.approx(expected, abs=1e-12)


def test_the_p_value_of_the_largest_gap_is_kolmogorovs() -> None:
    """Asymptotic: on single values, and many of them, it is scipy's."""
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 400, 6000), rng.integers(4, 404, 5000)
    counts = [np.bincount(each + 1, minlength=407) for each in (first, second)]
    found = compared(counts[0], counts[1], np.arange(407.0))["kolmogorov_smirnov"]
    theirs = stats.ks_2samp(first, second, method="asymp")
    assert found.value == pytest.approx(theirs.statistic, abs=1e-12)
    assert found.p_value == pytest.approx(theirs.pvalue, rel=0.1)


def test_categories_have_no_order_to_measure_by() -> None:
    """Neither Kolmogorov-Smirnov nor Wasserstein is told of them."""
    found = compared(CATEGORIES, SEEN)
    assert list(found) == [name.value for name in Familiar][:5]
    p, q = np.array([500, 300, 195, 3, 2]) / 1000, np.array([90, 70, 40, 2, 8]) / 210
    expected = np.abs(p - q).sum() / 2
    assert found["total_variation"].value == pytest.approx(expected, abs=1e-12)


def test_a_category_that_the_reference_never_met_is_seen() -> None:
    """All rows are new: every bounded distance is 1, and PSI is finite."""
    found = compared(np.array([600, 400, 0, 0]), np.array([0, 0, 0, 300]))
    for name in ("jensen_shannon", "total_variation", "hellinger"):
        assert found[name].value == pytest.approx(1.0)
        assert 0.8 < found[name].lower <= found[name].upper <= 1.0
    assert 5 < found["psi"].value < 20
    assert found["chi_square"].p_value == pytest.approx(0.0, abs=1e-12)


def test_two_bins_have_yates_chi_square_as_scipy_has() -> None:
    """What `chi2_contingency` gives when it is asked without more ado."""
    found = compared(np.array([70, 30, 0, 0]), np.array([55, 45, 0, 0]))
    assert found["chi_square"].value == pytest.approx(4.181333333333333, abs=1e-9)
    assert found["chi_square"].p_value == pytest.approx(0.0408715, abs=1e-7)


def test_a_constant_that_stays_is_no_distance_away() -> None:
    """One bin and nothing else: zeros, certain, and no warning; no Wasserstein without a spread."""
    found = compared(np.array([0, 500, 0]), np.array([0, 80, 0]), np.full(3, np.nan))
    assert "wasserstein" not in found
    assert [each.value for each in found.values()] == pytest.approx([0.0] * 6, abs=1e-12)
    assert found["chi_square"].p_value == 1.0


def test_a_constant_that_moves_is_as_far_as_can_be() -> None:
    """What lies outside is not taken for the value that the reference had."""
    found = compared(np.array([0, 500, 0]), np.array([0, 0, 80]), np.full(3, np.nan))
    assert found["total_variation"].value == found["kolmogorov_smirnov"].value == 1.0


def test_a_subject_without_rows_has_no_distances() -> None:
    """Nor does it disturb the others, whatever their number of bins."""
    comparison = Comparison([ORDERED, ORDERED[:4]], [POINTS, POINTS[:4]])
    nothing, some = comparison.distances(padded([np.zeros(6, np.int64), LIVE[:4]]))
    assert nothing == ()
    assert by_name(some) == compared(ORDERED[:4], LIVE[:4], POINTS[:4])
    assert comparison.distances(np.zeros((2, 6), np.int64)) == [(), ()]
    assert Comparison([]).distances(np.zeros((0, 0), np.int64)) == []


def test_many_subjects_are_as_each_by_itself() -> None:
    """Ragged bins, in order or not."""
    rng = np.random.default_rng(2)
    references = [rng.integers(0, 60, bins) + (np.arange(bins) == 1) * 20 for bins in (4, 9, 23)]
    live = [rng.integers(0, 60, len(each)) for each in references]
    points = [np.sort(rng.standard_normal(len(each))) for each in references]
    together = Comparison(references, points).distances(padded(live))
    for at, each in enumerate(together):
        alone = compared(references[at], live[at], points[at])
        for name, distance in by_name(each).items():
            assert distance.value == pytest.approx(alone[name].value, abs=1e-12)
            assert distance.lower == pytest.approx(alone[name].lower, abs=1e-9)
            assert distance.upper == pytest.approx(alone[name].upper, abs=1e-9)


def test_few_rows_may_lie_above_their_own_interval() -> None:
    """200 rows of 60 categories without change: PSI is noise, and the interval says so."""
    rng = np.random.default_rng(3)
    shares = np.r_[np.full(60, 1 / 60), 0, 0]
    psi = compared(rng.multinomial(10_000, shares), rng.multinomial(200, shares))["psi"]
    assert psi.lower == 0
    assert psi.value > psi.upper


@given(st.data())
def test_whatever_is_counted_has_bounds(data: st.DataObject) -> None:
    """Finite, in order, never below 0, and p-values are probabilities."""
    bins = data.draw(st.integers(4, 12))
    counts = st.lists(st.integers(0, 10**6) | st.just(0), min_size=bins, max_size=bins)
    reference = np.array(data.draw(counts.filter(lambda each: sum(each) > 0)))
    live = np.array(data.draw(counts.filter(lambda each: sum(each) > 0)))
    points = np.arange(float(bins)) if data.draw(st.booleans()) else None
    for each in compared(reference, live, points).values():
        assert 0 <= each.value < np.inf
        assert 0 <= each.lower <= each.upper < np.inf
        assert each.p_value is None or 0 <= each.p_value <= 1

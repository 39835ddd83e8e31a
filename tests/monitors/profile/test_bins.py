"""Numeric bins are those of a search among the edges."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monitors.profile.bins import bin_points, numeric_bins

NUMBERS = st.one_of(st.integers(-5, 5).map(float), st.floats(width=32))


@given(
    st.lists(st.sets(st.integers(-4, 4), min_size=1, max_size=6), min_size=1, max_size=3),
    st.lists(NUMBERS, max_size=20),
)
def test_bins_are_found_by_search(edges: list[set[int]], numbers: list[float]) -> None:
    """Below the first edge 0, on it 1, then one more for every edge passed; -1 if not finite."""
    padded = np.full((len(edges), 6), np.inf)
    for row, own in zip(padded, edges, strict=True):
        row[: len(own)] = sorted(own)
    values = np.array([numbers] * len(edges)).reshape(len(edges), -1)

    codes = numeric_bins(padded, values)

    for own, found in zip(edges, codes, strict=True):
        rising = np.array(sorted(own), dtype=float)
        expected = [
            -1
            if not np.isfinite(number)
            else 0
            if number < rising[0]
            else int(np.searchsorted(rising, number)) + 1
            for number in numbers
        ]
        assert found.tolist() == expected


def test_a_bin_stands_at_its_middle_and_tails_near_their_mean() -> None:
    """Of 21 edges; the first and the last bin reach far out, where hardly a row is."""
    edges = [-9.0, *np.linspace(-1, 1, 19).tolist(), 9.0]
    points = bin_points(edges)
    width = 2 / 18
    np.testing.assert_allclose(points[3:21], np.linspace(-1, 1, 19)[1:] - width / 2)
    np.testing.assert_allclose(points[[0, 1, -1]], [-9, -9, 9])
    np.testing.assert_allclose(points[[2, -2]], [-1 - width, 1 + width])


def test_equal_bins_all_stand_at_their_middle() -> None:
    """A tail that is no wider than its neighbour is no tail."""
    np.testing.assert_allclose(bin_points(range(21))[2:-1], np.arange(20) + 0.5)


def test_few_edges_are_values_and_stand_for_themselves() -> None:
    """Two for a boolean, one for a constant."""
    assert bin_points([0.0, 1.0]).tolist() == [0.0, 0.0, 1.0, 1.0]
    assert bin_points([7.0]).tolist() == [7.0, 7.0, 7.0]


def test_edges_at_the_end_of_what_a_number_can_be_have_points() -> None:
    """Nothing overflows into an error or into no number."""
    edges = [-1.7e308, *np.linspace(-8e307, 8e307, 19).tolist(), 1.7e308]
    assert np.isfinite(bin_points(edges)).all()

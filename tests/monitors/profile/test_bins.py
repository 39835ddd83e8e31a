"""Numeric bins are those of a search among the edges."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monitors.profile.bins import numeric_bins

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

"""Counts that run along rows are what counting row by row gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitors.stats.running import ROWS_MAX, SKIP, Running, counted


@given(st.integers(1, 30), st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_counts_run_along_the_rows(bins: int, rows: int, seed: int) -> None:
    """For any number of bins, over the edges of words, and with skipped rows."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(SKIP, bins, (3, rows)).astype(np.int16)

    running = Running(codes, bins)

    below, up_to, present = running.below(), running.up_to(), running.present()
    for stream, row in np.argwhere(codes != SKIP).tolist():
        past = codes[stream, : row + 1]
        past = past[past != SKIP]
        assert below[stream, row] == (past < codes[stream, row]).sum()
        assert up_to[stream, row] == (past <= codes[stream, row]).sum()
        assert present[stream, row] == len(past)
    ends = [1, rows]
    for end, counts in zip(ends, running.counts(ends), strict=True):
        np.testing.assert_array_equal(counts, counted(codes[:, :end], bins))


def test_as_many_rows_as_a_byte_can_count() -> None:
    """The last counter is full with 255 rows, and one more is refused rather than miscounted."""
    codes = np.zeros((1, ROWS_MAX), dtype=np.int16)
    assert Running(codes, 2).up_to()[0, -1] == ROWS_MAX
    with pytest.raises(ValueError, match="256 rows"):
        Running(np.zeros((1, ROWS_MAX + 1), dtype=np.int16), 2)

"""Counts that run along rows are what counting row by row gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitors.stats.running import ROWS_MAX, SKIP, Running, counted


@given(st.integers(1, 30), st.sampled_from([1, 7, 60, 255, 256, 300]), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=40)
def test_counts_run_along_the_rows(bins: int, rows: int, seed: int) -> None:
    """For any number of bins, over the edges of words and bytes, and with skipped rows."""
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


@pytest.mark.parametrize("rows", [255, 256, ROWS_MAX])
def test_as_many_rows_as_can_be_counted(rows: int) -> None:
    """No counter runs over where bytes and words end."""
    assert Running(np.zeros((1, rows), dtype=np.int16), 2).up_to()[0, -1] == rows


def test_more_rows_are_refused_rather_than_miscounted() -> None:
    """One row more than can be counted."""
    with pytest.raises(ValueError, match=f"{ROWS_MAX + 1} rows"):
        Running(np.zeros((1, ROWS_MAX + 1), dtype=np.int16), 2)

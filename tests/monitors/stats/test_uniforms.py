"""Uniform numbers belong to their row and stream, and look uniform."""

import numpy as np
from scipy import stats

from monitors.stats.uniforms import row_keys, row_uniforms, stream_keys


def test_draws_are_uniform_and_differ_between_rows_and_streams() -> None:
    """Consecutive ids and row numbers give unrelated, evenly spread numbers."""
    ids = np.array([f"{n // 2:032x}" for n in range(4000)], dtype="S32")
    keys = row_keys(ids, np.arange(4000) % 2)
    u = row_uniforms(keys, stream_keys(["a", "b", "c"]))
    for column in u:
        assert stats.kstest(column, "uniform").pvalue > 1e-4
    assert np.abs(np.corrcoef(u) - np.eye(3)).max() < 0.06
    assert len(np.unique(u)) == u.size


def test_the_same_row_draws_the_same() -> None:
    """A row's numbers do not depend on its neighbours."""
    ids = np.array([b"0" * 32, b"f" * 32])
    both = row_keys(ids, np.array([0, 3]))
    assert row_keys(ids[1:], np.array([3]))[0] == both[1]

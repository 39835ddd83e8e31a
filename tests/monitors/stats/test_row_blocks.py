"""Blocks are cut by the place of rows, and tallies know since when."""

import numpy as np
import pytest

from monitors.stats.row_blocks import RowBlocks, parts, whole


def test_running_sums_are_those_of_whole_blocks() -> None:
    """Three blocks of four rows and two more, in one go and in odd parts."""
    rows = np.arange(14, dtype=np.float64)[:, None]
    tallies = np.ones((14, 1), dtype=np.int64)
    expected = [6.0, 28.0, 66.0]
    blocks = RowBlocks(1, 1, rows=4)
    assert blocks.take(rows, tallies)[:, 0].tolist() == expected
    split, ended, at = RowBlocks(1, 1, rows=4), 0.0, 0
    found: list[float] = []
    for size in (1, 6, 0, 2, 5):
        if not size:
            continue
        sums = split.take(rows[at : at + size], tallies[at : at + size])[:, 0]
        found += (ended + sums).tolist()
        ended, at = found[-1] if found else 0.0, at + size
    assert found == expected
    for each in (blocks, split):
        assert each.tallied.tolist() == [14]
        assert each.since(3).tolist() == [2]
        assert each.since(2).tolist() == [6]


def test_it_goes_on_from_a_state() -> None:
    """Also in the midst of a block; a state of other shape is refused."""
    rows = np.random.default_rng(0).random((30, 2))
    first, second = RowBlocks(2, 1), RowBlocks(2, 1)
    first.take(rows[:17], np.ones((17, 1), dtype=np.int64))
    second.restore(first.state())
    for each in (first, second):
        each.take(rows[17:], np.ones((13, 1), dtype=np.int64))
    assert {k: v.tolist() for k, v in first.state().items()} == {
        k: v.tolist() for k, v in second.state().items()
    }
    with pytest.raises(ValueError, match="open of shape"):
        RowBlocks(3, 1).restore(first.state())
    with pytest.raises(ValueError, match="tallied of shape"):
        RowBlocks(2, 2).restore(first.state())


def test_parts_add_up_in_any_order() -> None:
    """A million small numbers, forwards and backwards, bit for bit."""
    values = np.random.default_rng(1).random(10**6) - 0.5
    assert parts(values).sum() == parts(values[::-1]).sum()
    assert whole(parts(values).sum(keepdims=True))[0] == pytest.approx(values.sum(), abs=1e-3)

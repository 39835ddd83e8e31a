"""Moments of parts are those of the whole, and what is taken back leaves no trace."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from monitors.stats.moments import Moments


def same(moments: Moments, values: NDArray[np.float64]) -> None:
    """Held against SciPy's."""
    assert moments.rows == len(values)
    assert moments.mean == pytest.approx(values.mean(), rel=1e-12)
    assert moments.variance == pytest.approx(values.var(), rel=1e-9)
    assert moments.skewness == pytest.approx(stats.skew(values), rel=1e-9, abs=1e-9)
    assert moments.total == pytest.approx(values.sum(), rel=1e-12)


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_parts_and_what_is_taken_back(offset: float) -> None:
    """Far from zero too, where sums of squares would have lost their digits."""
    values = offset + np.random.default_rng(1).standard_exponential(5000)
    gone = np.arange(5000) % 7 == 0
    moments = Moments()
    for part in np.array_split(values, [1, 3, 4, 1000, 1000, 4990]):
        moments = moments.plus(Moments.of(part))
    same(moments, values)
    for part in np.array_split(values[gone], 9):
        moments = moments.minus(Moments.of(part))
    same(moments, values[~gone])


def test_nothing_is_nothing() -> None:
    """No values have no moments, and taking back all or more leaves none."""
    some = Moments.of(np.array([1.0, 2.0, 4.0]))
    assert Moments.of(np.zeros(0)) == Moments()
    assert Moments().plus(some) == some.plus(Moments()) == some.minus(Moments()) == some
    assert some.minus(some) == Moments().minus(some) == Moments()
    assert (Moments().variance, Moments().skewness, Moments().total) == (0.0, 0.0, 0.0)
    assert Moments.of(np.full(9, 0.1)).skewness == 0.0

"""Intervals of proportions agree with values computed elsewhere."""

import pytest
from scipy import stats

from monitors.stats.intervals import newcombe, wilson


def test_wilson_agrees_with_known_values() -> None:
    """3 of 10 gives the published interval, and scipy's for other counts."""
    assert wilson(3, 10) == pytest.approx((0.1077912674, 0.6032218525), abs=1e-9)
    for hits, rows in ((0, 7), (7, 7), (1, 300), (250, 1000)):
        interval = stats.binomtest(hits, rows).proportion_ci(method="wilson")
        assert wilson(hits, rows) == pytest.approx((interval.low, interval.high), abs=1e-12)


def test_newcombe_agrees_with_the_published_example() -> None:
    """56/70 against 48/80."""
    expected = (0.0524314724, 0.3338726540)
    assert newcombe((56, 70), (48, 80)) == pytest.approx(expected, abs=1e-9)


def test_no_rows_say_nothing() -> None:
    """Without rows an interval is everything that is possible."""
    assert wilson(0, 0) == (0.0, 1.0)
    assert newcombe((0, 0), (3, 4)) == (-1.0, 1.0)

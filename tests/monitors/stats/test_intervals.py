"""Intervals of proportions agree with values computed elsewhere."""

import pytest
from scipy import stats

from monitors.stats.intervals import log_ratio, newcombe, wilson


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


def test_the_log_ratio_agrees_with_a_calculation_by_hand() -> None:
    """56/70 to 48/80: with half a row more 0.80142 to 0.60248, and a standard error of 0.10822.

    Of so many rows that half of one does not matter, it is scipy's.
    """
    assert log_ratio((56, 70), (48, 80)) == pytest.approx((1.07597, 1.64448), abs=2e-4)
    many = stats.contingency.relative_risk(300_000, 1_000_000, 500_000, 1_200_000)
    interval = many.confidence_interval(0.95)
    expected = (interval.low, interval.high)
    assert log_ratio((300_000, 1_000_000), (500_000, 1_200_000)) == pytest.approx(
        expected, rel=1e-5
    )
    assert log_ratio((0, 10), (0, 10))[0] > 0
    assert log_ratio((3, 9), (0, 0)) == (0.0, float("inf"))

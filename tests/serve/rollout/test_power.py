"""How soon harm is found, with a sixth of the budget, looked at after every event."""

from __future__ import annotations

from functools import cache
from statistics import median

import pytest

from benchmarks.rollout_evidence import Found, until_good, until_harm
from configs.policy import Guardrail, Metric

RUNS = 60


@cache
def runs(share: float, ratio: float, clean: int = 0) -> list[Found]:
    """Runs that differ by their seeds alone."""
    return [until_harm(seed, share, ratio, clean) for seed in range(RUNS)]


@pytest.mark.parametrize(
    ("share", "ratio", "most"),
    [
        pytest.param(0.05, 10.0, 20, id="ten times worse at 5 %"),
        pytest.param(0.05, 50.0, 6, id="fifty times worse than all stable traffic"),
        pytest.param(0.5, 50.0, 14, id="fifty times worse than the baseline"),
    ],
)
def test_a_much_worse_version_is_out_after_few_bad_events(
    share: float, ratio: float, most: int
) -> None:
    """Medians, of the events of both arms; the candidate's own are fewer still."""
    found = runs(share, ratio)
    assert median(each.both for each in found) <= most
    assert median(each.candidate for each in found) <= most


@pytest.mark.slow
@pytest.mark.parametrize(("share", "ratio"), [(0.05, 10.0), (0.05, 50.0), (0.5, 50.0)])
def test_harm_after_1000_clean_events_takes_at_most_three_times_as_long(
    share: float, ratio: float
) -> None:
    """As fresh harm: medians of both counts."""
    fresh, late = runs(share, ratio), runs(share, ratio, 1000)
    assert median(each.both for each in late) <= 3 * median(each.both for each in fresh)
    assert median(each.candidate for each in late) <= 3 * median(each.candidate for each in fresh)


def test_no_errors_in_about_a_thousand_units_show_half_a_point() -> None:
    """At 5 %, as a version without any error does; the limit of one look is 600."""
    guardrail = Guardrail(metric=Metric.INVALID_OUTPUT, margin_abs=0.005)
    assert 600 <= until_good(0, 0.05, 0.0, guardrail) <= 1200

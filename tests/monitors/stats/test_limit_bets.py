"""Hard limits: evidence that keeps its promise whatever fails with both arms alike."""

from __future__ import annotations

from collections.abc import Callable
from math import exp, inf, log

import pytest

from monitors.stats.event_ratio import log_sum
from monitors.stats.limit_bets import BETS, log_limit_gains
from monitors.stats.weighted_difference import Trials
from tests.monitors.stats.outcomes import mean_when_stopped

LIMIT = 0.5
RAMP = (0.05, 0.25, 0.5, 0.5, 0.8, 0.95)
COMMON = (0.0, 0.9, 1.0, 0.5, 0.1, 0.7)
"""An outage of both comes and goes."""

Unit = tuple[bool, bool]


def won(each: list[Trials]) -> float:
    """The logarithm of the e-value of all bets together."""
    gains = [log_limit_gains(trials, LIMIT) for trials in each]
    sums = [sum(gain[at] for gain in gains) for at in range(BETS)]
    return log_sum(sums) - log(BETS)


def mean(
    better: float,
    stop_at: float = inf,
    believed: Callable[[float], float] = lambda share: share,
) -> float:
    """The mean over all outcomes; the candidate fails `better` times as often."""

    def chances(before: tuple[Unit, ...]) -> list[tuple[Unit, float]]:
        share, base = RAMP[len(before)], COMMON[len(before)]
        return [
            ((ours, event), arm * (p if event else 1 - p))
            for ours, arm, p in ((True, share, base * better), (False, 1 - share, base))
            for event in (True, False)
        ]

    def value(before: tuple[Unit, ...]) -> float:
        return exp(
            won(
                [
                    Trials(believed(RAMP[at]), ours, ours and event, not ours, not ours and event)
                    for at, (ours, event) in enumerate(before)
                ]
            )
        )

    return mean_when_stopped(len(RAMP), chances, value, stop_at)


@pytest.mark.parametrize("stop_at", [1.1, 3.0, inf])
@pytest.mark.parametrize("better", [1.0, 0.8, 0.0])
def test_the_mean_of_a_harmless_version_is_at_most_one(better: float, stop_at: float) -> None:
    """All outcomes, through an outage of both arms and along a ramp; of an equal one, just one."""
    found = mean(better, stop_at)
    assert found <= 1 + 1e-9
    if better == 1.0:
        assert found == pytest.approx(1.0)


def test_a_share_that_is_not_the_true_one_is_found() -> None:
    """Broken on purpose."""
    assert mean(1.0, believed=lambda share: share / 3) > 1.2


def test_where_all_of_one_arm_fail_and_none_of_the_other_few_failures_are_enough() -> None:
    """At 50:50 and at 5 %; failures of both arms alike are no evidence."""
    assert won([Trials(0.5, 12, 12, 12, 0)]) > log(1000)
    assert won([Trials(0.05, 3, 3, 57, 0)]) > log(1000)
    assert won([Trials(0.5, 7, 7, 7, 7)]) < 0


def test_units_that_pass_or_are_still_out_tell_nothing() -> None:
    """One failure beside many passes of the other arm: those of a slow version come later."""
    late, alike = won([Trials(0.5, 1, 1, 15, 0)]), won([Trials(0.5, 16, 1, 15, 0)])
    assert late == pytest.approx(alike)
    assert late < log(2)

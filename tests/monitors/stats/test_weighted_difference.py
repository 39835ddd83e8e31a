"""The difference of two arms' shares: evidence and intervals that hold along any ramp."""

from __future__ import annotations

from collections.abc import Callable
from math import exp, inf, log

import numpy as np
import pytest

from monitors.stats.weighted_difference import (
    Trials,
    difference,
    difference_interval,
    log_below,
)
from tests.monitors.stats.fair import assert_alarms_within
from tests.monitors.stats.outcomes import mean_when_stopped

UNITS = 6
RAMP = (0.01, 0.05, 0.25, 0.5, 0.8, 0.95)
COMMON = (0.0, 0.3, 0.05, 0.6, 0.1, 0.2)
"""The other arm's chance of an event changes from unit to unit, as load and hours do."""

Unit = tuple[bool, bool]


def trial(share: float, unit: Unit) -> Trials:
    """One unit: whether it is the candidate's, and whether it has the event."""
    ours, event = unit
    return Trials(share, ours, ours and event, not ours, not ours and event)


def mean(
    margin: float,
    gap: float,
    stop_at: float = inf,
    believed: Callable[[float], float] = lambda share: share,
) -> float:
    """The mean e-value over all assignments and events of some units."""

    def chances(before: tuple[Unit, ...]) -> list[tuple[Unit, float]]:
        share, base = RAMP[len(before)], COMMON[len(before)]
        return [
            ((ours, event), arm * (p if event else 1 - p))
            for ours, arm, p in ((True, share, base + gap), (False, 1 - share, base))
            for event in (True, False)
        ]

    def value(before: tuple[Unit, ...]) -> float:
        each = [trial(believed(RAMP[at]), unit) for at, unit in enumerate(before)]
        return exp(log_below(each, margin))

    return mean_when_stopped(UNITS, chances, value, stop_at)


@pytest.mark.parametrize("stop_at", [1.01, 1.5, inf])
@pytest.mark.parametrize(("margin", "more"), [(0.005, 0.0), (0.2, 0.0), (0.005, 0.1), (0.2, 0.2)])
def test_goodness_of_a_version_at_its_margin_or_beyond_has_a_mean_of_at_most_one(
    margin: float, more: float, stop_at: float
) -> None:
    """All outcomes along a ramp, with another chance for each unit; at the margin, just one."""
    found = mean(margin, margin + more, stop_at)
    assert found <= 1 + 1e-9
    if more == 0.0:
        assert found == pytest.approx(1.0)


def test_a_share_that_is_not_the_true_one_is_found() -> None:
    """Broken on purpose: who takes the candidate for larger than it is finds it better."""
    assert mean(0.2, 0.2, believed=lambda share: min(0.99, 1.5 * share)) > 1.02


def test_units_that_come_again_break_it() -> None:
    """The same unit counted three times, each time in the arm that it has: no e-value."""
    share, base, margin = 0.2, 0.3, 0.3

    def value(repeated: int) -> float:
        found = 0.0
        # Whether it has the event belongs to the unit: either always or never, in either arm.
        for ours, arm in ((True, share), (False, 1 - share)):
            for kind, chance in (("never", 1 - base - margin), ("with", margin), ("both", base)):
                event = kind == "both" or (ours and kind == "with")
                one = trial(share, (ours, event))
                found += arm * chance * exp(log_below([one] * repeated, margin))
        return found

    assert value(1) == pytest.approx(1.0)
    assert value(3) > 1.05


def test_cuts_do_not_matter_and_no_units_say_nothing() -> None:
    """Sums over a stretch tell all."""
    parts = [Trials(0.1, 10, 1, 90, 3), Trials(0.5, 40, 2, 41, 1), Trials(0.1, 5, 0, 60, 2)]
    whole = [Trials(0.1, 15, 1, 150, 5), Trials(0.5, 40, 2, 41, 1)]
    assert log_below(parts, 0.01) == pytest.approx(log_below(whole, 0.01))
    assert difference_interval([]) == (-1.0, 1.0)
    assert difference([]) is None
    assert log_below([], 0.01) == pytest.approx(0.0)


def test_with_no_event_at_all_the_bound_is_that_of_the_candidates_units_alone() -> None:
    """The largest stake wins (1 + s m)^n; 900 candidate units show half a point at 5 %."""
    n, share, margin = 16_000, 0.05, 0.005
    won = log_below([Trials(share, share * n, 0, (1 - share) * n, 0)], margin)
    stake = 0.98 * share / (1 - share * margin)
    best = n * np.log1p(stake * margin)
    assert best - 1.2 <= won <= best
    assert won <= log(20) < log_below([Trials(share, 900, 0, 17_100, 0)], margin)


def test_an_interval_holds_the_difference_and_shrinks() -> None:
    """With equal split its width is near that of one look, and no less."""
    trials = [Trials(0.5, 20_000, 1000, 20_000, 600)]
    lower, upper = difference_interval(trials)
    deviation = np.sqrt(0.05 * 0.95 / 20_000 + 0.03 * 0.97 / 20_000)
    assert difference(trials) == pytest.approx(0.02)
    assert 2 * 1.96 * deviation <= upper - lower <= 2.2 * 2 * 1.96 * deviation
    assert lower < 0.02 < upper


def test_the_difference_is_estimated_without_bias_where_rates_and_shares_change_together() -> None:
    """Where the ramp meets a bad hour, sums of both arms are misleading, weights are not."""
    trials = [Trials(0.1, 1000, 10, 9000, 90), Trials(0.5, 5000, 1000, 5000, 1000)]
    assert difference(trials) == pytest.approx(0.0)
    assert 1010 / 6000 - 1090 / 14000 > 0.08


def test_looked_at_often_the_interval_seldom_leaves_the_difference_out() -> None:
    """Along a ramp and through bad hours: 50 runs of 20 looks, stopped as soon as it is wrong."""

    def ever(seed: int) -> bool:
        rng = np.random.default_rng([57, seed])
        seen: dict[float, list[int]] = {}
        for at in range(20):
            share = (0.05, 0.25, 0.5, 0.8)[at // 5]
            base = 0.02 + 0.2 * (at % 7 == 3)
            ours = int(rng.binomial(200, share))
            events = rng.binomial([ours, 200 - ours], [base + 0.03, base]).tolist()
            counts = (ours, events[0], 200 - ours, events[1])
            before = seen.get(share, [0] * 4)
            seen[share] = [one + other for one, other in zip(before, counts, strict=True)]
            trials = [Trials(each, *counted) for each, counted in seen.items()]
            lower, upper = difference_interval(trials)
            if not lower <= 0.03 <= upper:
                return True
        return False

    assert_alarms_within(0.05, 50, ever)

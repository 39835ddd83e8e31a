"""The figures that are promised of rollouts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.rollouts import CLUSTERED, PAUSED, POLICY, events_to_find
from configs.policy import Metric
from serve.rollout.simulation.outcomes import End
from serve.rollout.simulation.weir_runs import run_weir

STREAMS = 500


@pytest.mark.parametrize(
    ("metric", "times", "most"),
    [
        (Metric.INVALID_OUTPUT, 10.0, 20),
        (Metric.ERROR_RATIO, 10.0, 20),
        (Metric.INVALID_OUTPUT, 50.0, 6),
        (Metric.ERROR_RATIO, 50.0, 14),
    ],
)
def test_harm_is_found_soon_and_late_harm_nearly_as_soon(
    metric: Metric, times: float, most: int
) -> None:
    """Medians of events, at 5 % with six guardrails; after 1,000 without harm three times that."""
    fresh, _ = events_to_find(metric, times, 0, STREAMS)
    assert len(fresh) == STREAMS
    assert np.median(fresh) <= most
    late, _ = events_to_find(metric, times, 1000, STREAMS)
    assert np.median(late) <= 3 * np.median(fresh)


@pytest.mark.slow
def test_a_version_that_is_the_same_is_all_but_never_rolled_back() -> None:
    """In rough traffic: more than 14 of 600 would come once in a thousand times at 1 %."""
    outcomes = run_weir(POLICY, CLUSTERED, replace(PAUSED, rollouts=600))
    assert outcomes.share(End.ROLLED_BACK).count <= 14
    assert outcomes.share(End.PROMOTED).value > 0.9

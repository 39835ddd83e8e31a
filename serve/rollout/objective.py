"""How long an answer may take before it counts as late."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from configs.policy import Metric, Policy
from serve.rollout.tallies import LATENCY_BOUNDS

_SHARE = 0.99
_ANSWERS_MIN = 100
"""Below so many, their 99th percentile is their largest."""


def objective_s(policy: Policy, latency: Sequence[int]) -> float | None:
    """The objective in seconds: that of the policy, else the stable version's 99th percentile.

    `latency` counts its answers by `LATENCY_BOUNDS`; the percentile is the upper bound of its
    bucket, within 25 % of the true one. None while there are too few, or where nothing is judged
    by it.
    """
    guardrail = policy.guardrail(Metric.LATENCY_OVER_SLO)
    if guardrail is None:
        return None
    if guardrail.objective_s is not None:
        return guardrail.objective_s
    total = sum(latency)
    if total < _ANSWERS_MIN:
        return None
    sums = accumulate(latency)
    place = next(place for place, sum_ in enumerate(sums) if sum_ >= _SHARE * total)
    return LATENCY_BOUNDS[min(place, len(LATENCY_BOUNDS) - 1)]

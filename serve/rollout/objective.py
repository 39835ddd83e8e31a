"""How long an answer may take before it counts as late."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate

from configs.policy import Metric, Policy
from serve.rollout.tallies import LATENCY_BOUNDS, JudgedArm, Times

_SHARE = 0.99
_ANSWERS_MIN = 100
"""Below so many, their 99th percentile is their largest."""


def objective_s(policy: Policy, latency: Mapping[JudgedArm, Times]) -> float | None:
    """The objective in seconds: that of the policy, else the stable version's 99th percentile.

    The percentile is the upper bound of its bucket, within 25 % of the true one; requests that had
    no answer in time do not raise it. None while there are too few answers, or where nothing is
    judged by it.
    """
    guardrail = policy.guardrail(Metric.LATENCY_OVER_SLO)
    if guardrail is None:
        return None
    if guardrail.objective_s is not None:
        return guardrail.objective_s
    answers = latency.get(JudgedArm.STABLE, Times()).answers
    total = sum(answers)
    if total < _ANSWERS_MIN:
        return None
    sums = accumulate(answers)
    place = next(place for place, sum_ in enumerate(sums) if sum_ >= _SHARE * total)
    return LATENCY_BOUNDS[min(place, len(LATENCY_BOUNDS) - 1)]

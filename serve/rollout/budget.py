"""How the accepted chances of being wrong are shared out among what may decide."""

from __future__ import annotations

from configs.policy import Metric, Policy
from serve.rollout.evidence import BETWEEN_ARMS

LIMITS_PART = 0.1
"""What hard limits have of the chance to roll a harmless version back, all of them together."""


def may_roll_back(policy: Policy, same_behaviour: bool) -> tuple[Metric, ...]:
    """The guardrails that can roll a version back.

    Disagreement can only if the version is meant to answer alike; alarms of the monitors never can,
    as they do not compare versions.
    """
    judged = {*BETWEEN_ARMS, Metric.FAIRNESS_GAP, Metric.SHADOW_LOSS}
    if same_behaviour:
        judged.add(Metric.SHADOW_DISAGREEMENT)
    return tuple(each.metric for each in policy.guardrails if each.metric in judged)


def harm_alpha(policy: Policy, same_behaviour: bool) -> float:
    """The chance that one guardrail may have of rolling a harmless version back.

    Those of all guardrails and hard limits sum to `alpha.rollback`, so that this is the most for
    all together, whatever they have to do with one another.
    """
    guardrails = len(may_roll_back(policy, same_behaviour))
    for_them = 1 - LIMITS_PART if policy.hard_limits else 1.0
    return policy.alpha.rollback * for_them / max(guardrails, 1)


def limit_alpha(policy: Policy) -> float:
    """The chance that one hard limit may have."""
    return policy.alpha.rollback * LIMITS_PART / max(len(policy.hard_limits), 1)

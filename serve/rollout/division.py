"""Who gets how much of the traffic while a rollout is where it is."""

from __future__ import annotations

from dataclasses import dataclass

from configs.policy import Policy
from registry.records import FULL
from registry.rollouts import Rollout, RolloutState


@dataclass(frozen=True, slots=True)
class Division:
    """Shares of the traffic in basis points; the first three sum to 10,000.

    The baseline is the stable version in hosts of its own. `shadow_bp` of the requests are copied
    to the candidate, whose answers nobody gets.
    """

    candidate_bp: int
    baseline_bp: int
    stable_bp: int
    shadow_bp: int = 0


def division(rollout: Rollout, policy: Policy) -> Division:
    """The division of a rollout; one that is held keeps that of the state it was held in.

    While it is being promoted the weights stay as they were, until every gateway process is
    connected to full capacity. While it bakes, what the old version keeps is what the candidate is
    compared with. The shadow ends when the canary begins: its load would fall on the hosts whose
    latency is compared.
    """
    match _effective(rollout):
        case RolloutState.SHADOW:
            return Division(0, 0, FULL, round(policy.shadow.fraction * FULL))
        case RolloutState.CANARY | RolloutState.PROMOTING:
            candidate = _points(policy.steps[rollout.step])
            baseline = min(candidate, _points(policy.baseline_max), FULL - candidate)
            return Division(candidate, baseline, FULL - candidate - baseline)
        case RolloutState.BAKING:
            holdback = _points(policy.holdback)
            return Division(FULL - holdback, 0, holdback)
        case RolloutState.COMPLETED:
            return Division(FULL, 0, 0)
        case _:
            return Division(0, 0, FULL)


def _effective(rollout: Rollout) -> RolloutState:
    if rollout.state is RolloutState.HELD and rollout.held_from is not None:
        return rollout.held_from
    return rollout.state


def _points(percent: float) -> int:
    return round(percent * 100)

"""Rollouts for tests."""

from __future__ import annotations

from configs.policy import Policy
from registry.records import Judged
from registry.rollouts import Rollout, RolloutChange, started
from tests.registry.alarms import why

POLICY = Policy().model_dump_json()


def rollout(rollout_id: str, model: str = "credit", at: int = 0) -> Rollout:
    """A rollout of version 2 beside version 1, which began in a minute."""
    return started(rollout_id, model, (1, 2), POLICY, why(at))


def change(made: Rollout, action: str = "start", evidence: str = "{}") -> RolloutChange:
    """The change that made a rollout what it is."""
    return RolloutChange(made, action, evidence)


def judged(rollout_id: str) -> Judged:
    """That a route belongs to a rollout."""
    return Judged(rollout_id, candidate=2, baseline_bp=500, objective_s=0.25)

"""Rollouts, policies and findings that several tests take."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from configs.policy import Guardrail, Metric, Policy
from registry.moments import utc_text
from registry.rollouts import Rollout, RolloutState
from serve.rollout.finding import Finding
from serve.rollout.machine import Seen
from serve.rollout.tallies import JudgedArm

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

SHORT = Policy(
    steps=(5, 50),
    guardrails=(
        Guardrail(metric=Metric.ERROR_RATIO, margin_abs=0.005),
        Guardrail(metric=Metric.SHADOW_DISAGREEMENT, max=0.02),
        Guardrail(metric=Metric.FAIRNESS_GAP, margin_abs=0.02, optional=True),
        Guardrail(metric=Metric.SIGNALS, optional=True),
    ),
)


def rollout(state: RolloutState = RolloutState.STARTING, **changes: Any) -> Rollout:
    """A rollout of version 4 after version 3 of `churn` that has just reached a state."""
    at = utc_text(START)
    base = Rollout(
        id="r1",
        model="churn",
        stable=3,
        candidate=4,
        policy="{}",
        started_by="ada",
        started_at=at,
        number=1,
        state=state,
        step=0,
        entered_at=at,
        by="ada",
        at=at,
    )
    return replace(base, **changes)


def finding(metric: Metric, *, units: int = 1000, **changes: Any) -> Finding:
    """A finding on so many units of the candidate."""
    return Finding(metric=metric, units={JudgedArm.CANDIDATE: units}, **changes)


def seen(*findings: Finding, **changes: Any) -> Seen:
    """What is seen when all is well but the evidence, which is as given."""
    base = Seen(findings, candidate_ready=True, fresh=True, settled=True)
    return replace(base, **changes)


def good(policy: Policy = SHORT, **changes: Any) -> Seen:
    """What is seen when every guardrail says that the candidate is good."""
    metrics = (guardrail.metric for guardrail in policy.guardrails)
    return seen(*[finding(metric, good=True) for metric in metrics], **changes)

"""What a receiver is told of a rollout: a pure function from changes to the bodies of requests.

Bodies name the model, its versions, who made a change, and how the guardrails stood. They hold no
data of requests, and no reason that a person gave.
"""

from __future__ import annotations

from typing import Any

import orjson

from registry.naming import OURSELVES
from registry.rollouts import RolloutChange, RolloutState
from serve.rollout.account import policy_of
from serve.rollout.division import division
from serve.webhook.message import Message

_POINTS = {
    RolloutState.SHADOW: "advanced",
    RolloutState.CANARY: "advanced",
    RolloutState.PROMOTING: "advanced",
    RolloutState.BAKING: "promoted",
    RolloutState.HELD: "held",
    RolloutState.ROLLING_BACK: "rolling_back",
    RolloutState.ROLLED_BACK: "rolled_back",
    RolloutState.COMPLETED: "completed",
    RolloutState.FAILED: "failed",
}
_ON_AGAIN = frozenset({"go on", "resume"})
_LEADS_TO = {"canary": RolloutState.CANARY, "promotion": RolloutState.PROMOTING}


def point(change: RolloutChange) -> str | None:
    """The point in a rollout's life that a change is told as, None for one that nobody is told."""
    now = change.rollout
    if now.number == 1:
        return "started"
    if change.action in _ON_AGAIN:
        return "resumed"
    if change.action == "approve" and _LEADS_TO[now.approved[-1]] is not now.state:
        # It came before it was waited for, or the evidence was gone when it came.
        begins = now.entered_at == now.at and now.state is not RolloutState.HELD
        return "resumed" if begins else None
    return None if change.action == "set objective" else _POINTS.get(now.state)


def event(change: RolloutChange) -> Message | None:
    """A change as Standard Webhooks have it: type, timestamp and data."""
    named = point(change)
    if named is None:
        return None
    rollout = change.rollout
    split = division(rollout, policy_of(rollout))
    data: dict[str, Any] = {
        "id": rollout.id,
        "model": rollout.model,
        "stable": rollout.stable,
        "candidate": rollout.candidate,
        "state": rollout.state.value,
        "step": rollout.step + 1 if split.candidate_bp else 0,
        "candidate_percent": split.candidate_bp / 100,
        "hold": rollout.hold and rollout.hold.value,
        "action": change.action,
        "by": rollout.by,
        "reason": rollout.reason if rollout.by == OURSELVES else None,
        "guardrails": _guardrails(change.evidence),
        "summary": (
            f"Rollout of {rollout.model} version {rollout.candidate}: {rollout.state.value}"
        ),
    }
    content = {"type": f"rollout.{named}", "timestamp": rollout.at, "data": data}
    return Message(f"rollout_{rollout.id}_{rollout.number}", orjson.dumps(content))


def _guardrails(evidence: str) -> list[dict[str, Any]]:
    """Of each guardrail that a change rested on, its verdict and its evidence."""
    told = ("metric", "harmful", "good", "harm_log10", "harm_at", "good_log10", "good_at")
    findings = orjson.loads(evidence).get("findings", []) if evidence else []
    return [{name: found.get(name) for name in told} for found in findings]

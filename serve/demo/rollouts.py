"""Rollouts that decide for themselves, while a client process goes on asking."""

from __future__ import annotations

from time import monotonic, sleep
from typing import Any

from configs.errors import InternalError
from registry.rollouts import RolloutState
from serve.cli.rollout_view import headline, show_account
from serve.control.rollout_schemas import AccountView
from serve.demo.data import MODEL
from serve.demo.stage import Stage
from serve.demo.traffic import Report

POLICY: dict[str, Any] = {
    "steps": [10, 50],
    "dwell_s": 5,
    "bake_s": 5,
    "shadow": {"fraction": 0.1, "min_pairs": 100},
    "guardrails": [
        {"metric": "error_ratio", "margin_abs": 0.02},
        {"metric": "timeout_ratio", "margin_abs": 0.02},
        {"metric": "invalid_output", "margin_abs": 0.02},
        {"metric": "latency_over_slo", "margin_abs": 0.2, "objective_s": 0.02},
        {"metric": "shadow_disagreement", "max": 0.1, "optional": True},
    ],
}
"""What the demo asks of a version: with a minute of traffic, wide margins are all one can show.

Late answers count once a second, so both harm and goodness take two dozen seconds of traffic.
"""

_LONGEST_S = 150.0
_LOOK_S = 0.5


def roll_out(stage: Stage, version: int, seed: int) -> tuple[AccountView, Report]:
    """Roll a version out, say what becomes of it, and print the evidence it ended with."""
    started = stage.control.start_rollout(MODEL, version, POLICY, "the demo's story").rollout
    stage.say(f"[dim]$ weir rollout start {MODEL} {version} --policy policy.yaml --follow[/]")
    account, report = stage.with_traffic(seed, lambda: _followed(stage, started.id))
    show_account(account)
    return account, report


def expect(account: AccountView, state: RolloutState) -> None:
    """Raise `InternalError` unless a rollout ended so."""
    if account.rollout.state is not state:
        message = f"the rollout should be {state.value}: {headline(account)}"
        raise InternalError(message)


def _followed(stage: Stage, rollout_id: str) -> AccountView:
    """Say every change of a rollout until it is over, or has taken too long; gives the last."""
    began, told = monotonic(), 0
    while True:
        account = stage.control.explain_rollout(rollout_id)
        now = account.rollout
        if now.number != told:
            told = now.number
            stage.say(f"  {monotonic() - began:4.0f} s  {headline(account)}")
        if now.state.over or monotonic() - began > _LONGEST_S:
            return account
        sleep(_LOOK_S)

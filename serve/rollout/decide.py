"""What a rollout does next by itself: a pure function of where it is, and of what is seen.

Harm is looked for in every active state, whoever holds it; nothing else that is seen can roll a
version back, but hosts that do not start, and a time-out where the policy says so. Nothing is
promoted because time went by, or because nothing is known.
"""

from __future__ import annotations

from datetime import datetime

from configs.policy import Policy
from registry.rollouts import Hold, Rollout, RolloutState
from serve.rollout.division import division
from serve.rollout.moves import (
    Move,
    Seen,
    held,
    missing,
    missing_of_pairs,
    missing_of_units,
    moved,
    waited_s,
)

_COMPARING = frozenset(
    {
        RolloutState.SHADOW,
        RolloutState.CANARY,
        RolloutState.PROMOTING,
        RolloutState.BAKING,
    }
)
"""The states in which counts come in, so that their absence means something."""


def decide(rollout: Rollout, policy: Policy, seen: Seen, now: datetime) -> Move | None:
    """The next change of a rollout, if it is time for one."""
    if rollout.state.over:
        return None
    if rollout.state is RolloutState.ROLLING_BACK:
        if not seen.settled:
            return None
        reason = "every gateway process follows the route back"
        return Move(moved(rollout, now, RolloutState.ROLLED_BACK, reason=reason), "end", reason)
    return (
        _out(rollout, policy, seen, now)
        or _hold(rollout, seen, now)
        or _on_again(rollout, seen, now)
        or (None if seen.awaited else _forward(rollout, policy, seen, now))
    )


def _out(rollout: Rollout, policy: Policy, seen: Seen, now: datetime) -> Move | None:
    """Away with a candidate that is harmful or does not start."""
    if (harm := seen.harm) is not None:
        return roll_back(rollout, now, f"{harm.metric.value}: {harm.message or 'it is worse'}")
    if seen.failed is None:
        return None
    if division(rollout, policy).candidate_bp:
        return roll_back(rollout, now, seen.failed)
    failed = moved(rollout, now, RolloutState.FAILED, reason=seen.failed)
    return Move(failed, "fail", seen.failed)


def roll_back(rollout: Rollout, now: datetime, reason: str) -> Move:
    """Everybody back to the stable version."""
    return Move(moved(rollout, now, RolloutState.ROLLING_BACK, reason=reason), "roll back", reason)


def _hold(rollout: Rollout, seen: Seen, now: datetime) -> Move | None:
    """Stop where nothing can be concluded; a split that is wrong outdoes every other hold."""
    if seen.split_suspect and rollout.hold is not Hold.SPLIT:
        reason = "traffic is not split as it should be, so nothing that was counted tells anything"
        return _held(rollout, now, Hold.SPLIT, reason)
    if rollout.state not in _COMPARING:
        return None
    if not seen.fresh and not seen.awaited:
        return _held(rollout, now, Hold.STALE, "no fresh counts from every gateway process")
    signals = seen.alarm
    if signals is not None and rollout.promoted_by is None:
        reason = signals.message or "a monitor has an alarm on the candidate"
        return _held(rollout, now, Hold.SIGNALS, reason)
    return None


def _on_again(rollout: Rollout, seen: Seen, now: datetime) -> Move | None:
    """End a hold whose reason is gone; the wait at that step begins anew."""
    if rollout.held_from is None:
        return None
    if rollout.hold is Hold.STALE and seen.fresh:
        reason = "fresh counts came in again"
    elif rollout.hold is Hold.SIGNALS and seen.fresh and seen.quiet:
        reason = "no monitor has an alarm on the candidate any more"
    else:
        return None
    return Move(moved(rollout, now, rollout.held_from, reason=reason), "go on", reason)


def _forward(rollout: Rollout, policy: Policy, seen: Seen, now: datetime) -> Move | None:
    """Ahead if that is shown, held if it takes too long."""
    if rollout.state is RolloutState.HELD:
        return None
    if rollout.state is RolloutState.BAKING:
        return _baked(rollout, policy, seen, now)
    lacking = lacks(rollout, policy, seen)
    waited = waited_s(rollout, seen, now)
    too_long = waited >= policy.step_max_s
    # What has begun goes on as soon as it can; a start that never could is given up.
    starting = rollout.state is RolloutState.STARTING
    in_vain = seen.hindered if too_long and starting else None
    if not lacking and not in_vain and waited >= _least_s(rollout, policy):
        return onward(rollout, policy, now)
    if not too_long:
        return None
    what = ", ".join(lacking) or in_vain
    reason = f"nothing told in {policy.step_max_s:g} s; still missing: {what}"
    if policy.on_inconclusive == "rollback":
        return roll_back(rollout, now, reason)
    return _held(rollout, now, Hold.INCONCLUSIVE, reason)


def _baked(rollout: Rollout, policy: Policy, seen: Seen, now: datetime) -> Move | None:
    if waited_s(rollout, seen, now) < policy.bake_s:
        return None
    reason = f"no harm in {policy.bake_s:g} s with {100 - policy.holdback:g} % of the traffic"
    return Move(moved(rollout, now, RolloutState.COMPLETED, reason=reason), "complete", reason)


def lacks(rollout: Rollout, policy: Policy, seen: Seen) -> tuple[str, ...]:
    """What the present state, or that in which it is held, must still show before the next."""
    state = rollout.held_from or rollout.state
    if state is RolloutState.PROMOTING:
        return () if seen.settled else ("gateway processes with the new version at full capacity",)
    if not seen.candidate_ready:
        some, of = seen.reaching
        reached = f" ({some} of {of} are)" if some < of else ""
        return (f"gateway processes that are connected to the candidate{reached}",)
    if state is RolloutState.SHADOW:
        return missing_of_pairs(policy, seen)
    if state is RolloutState.CANARY:
        last = rollout.step == len(policy.steps) - 1
        return missing(policy, seen) if last else missing_of_units(policy, seen)
    return ()


def _least_s(rollout: Rollout, policy: Policy) -> float:
    trying = rollout.state in (RolloutState.SHADOW, RolloutState.CANARY)
    return policy.dwell_s if trying else 0.0


def onward(rollout: Rollout, policy: Policy, now: datetime) -> Move:
    """To the next state from the present one, or held until somebody has agreed to it.

    Nothing is checked here but approvals: see `lacks`.
    """
    state, step = _next(rollout, policy)
    gate = gate_ahead(rollout, policy)
    if gate in policy.approvals.before and gate not in rollout.approved:
        by = " by another than who started it" if policy.approvals.by_another else ""
        return _held(rollout, now, Hold.APPROVAL, f"waits for approval of {gate}{by}")
    reason = _arrived(state, policy, step)
    return Move(moved(rollout, now, state, step=step, reason=reason), "advance", reason)


def gate_ahead(rollout: Rollout, policy: Policy) -> str | None:
    """The gate at which the next state begins, as policies name it."""
    state, step = _next(rollout, policy)
    if state is RolloutState.CANARY and step == 0:
        return "canary"
    return "promotion" if state is RolloutState.PROMOTING else None


def _next(rollout: Rollout, policy: Policy) -> tuple[RolloutState, int]:
    match rollout.state:
        case RolloutState.STARTING if policy.shadow.fraction:
            return RolloutState.SHADOW, 0
        case RolloutState.STARTING | RolloutState.SHADOW:
            return RolloutState.CANARY, 0
        case RolloutState.CANARY if rollout.step < len(policy.steps) - 1:
            return RolloutState.CANARY, rollout.step + 1
        case RolloutState.CANARY:
            return RolloutState.PROMOTING, rollout.step
        case _:
            return RolloutState.BAKING, rollout.step


def _arrived(state: RolloutState, policy: Policy, step: int) -> str:
    match state:
        case RolloutState.SHADOW:
            return f"ready; {policy.shadow.fraction:.0%} of the requests are copied to it"
        case RolloutState.CANARY:
            return f"{policy.steps[step]:g} % of the traffic"
        case RolloutState.PROMOTING:
            return "not worse by its margin on any guardrail that must tell"
        case _:
            return f"all of the traffic but {policy.holdback:g} %"


def _held(rollout: Rollout, now: datetime, hold: Hold, reason: str) -> Move:
    return Move(held(rollout, now, hold, reason=reason), "hold", reason)

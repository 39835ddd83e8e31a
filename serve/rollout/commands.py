"""What people may tell a rollout to do, and when.

What cannot be done raises `Conflict`, which says what would be possible.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from configs.errors import BadInput, Conflict
from configs.policy import Policy
from registry.rollouts import Hold, Rollout, RolloutState
from serve.rollout.decide import gate_ahead, lacks, onward
from serve.rollout.moves import Move, Seen, held, missing, moved


class Command(StrEnum):
    """What people may tell a rollout to do."""

    PAUSE = "pause"
    RESUME = "resume"
    ADVANCE = "advance"
    PROMOTE = "promote"
    ABORT = "abort"
    FREEZE = "freeze"
    RETRY = "retry"
    ROLLBACK = "rollback"
    APPROVE = "approve"


_GATES = ("canary", "promotion")


@dataclass(frozen=True, slots=True)
class _Asked:
    """A command with all that it depends on."""

    rollout: Rollout
    policy: Policy
    by: str
    reason: str
    now: datetime
    seen: Seen
    gate: str | None

    def why(self, what: Command) -> str:
        return self.reason or f"{what.value} by {self.by}"

    def move(self, what: Command, state: RolloutState, *, promoted_by: str | None = None) -> Move:
        reason = self.why(what)
        after = moved(
            self.rollout, self.now, state, by=self.by, reason=reason, promoted_by=promoted_by
        )
        return Move(after, what.value, reason)


def command(
    rollout: Rollout,
    policy: Policy,
    what: Command,
    by: str,
    reason: str,
    now: datetime,
    seen: Seen,
    gate: str | None = None,
) -> Move:
    """The change that a person asks for.

    `gate` is for `approve`. `retry` is only checked, and changes nothing: what begins anew is a
    rollout of its own.

    Raises:
        BadInput: nobody is named, or a reason is missing where one is needed.
        Conflict: it does not fit where the rollout is.

    """
    if not by.strip():
        message = f"{what.value} needs the name of who asks for it"
        raise BadInput(message)
    if what in _NEED_A_REASON and not reason.strip():
        message = f"{what.value} needs a reason"
        raise BadInput(message)
    return _COMMANDS[what](_Asked(rollout, policy, by, reason.strip(), now, seen, gate))


def _pause(asked: _Asked) -> Move:
    _active(asked, Command.PAUSE)
    if asked.rollout.hold in (Hold.PAUSED, Hold.FROZEN, Hold.SPLIT):
        raise _conflict(asked, Command.PAUSE)
    return _stop(asked, Command.PAUSE, Hold.PAUSED)


def _freeze(asked: _Asked) -> Move:
    _active(asked, Command.FREEZE)
    if asked.rollout.hold in (Hold.FROZEN, Hold.SPLIT):
        raise _conflict(asked, Command.FREEZE)
    return _stop(asked, Command.FREEZE, Hold.FROZEN)


def _stop(asked: _Asked, what: Command, hold: Hold) -> Move:
    reason = asked.why(what)
    return Move(
        held(asked.rollout, asked.now, hold, by=asked.by, reason=reason), what.value, reason
    )


def _resume(asked: _Asked) -> Move:
    _active(asked, Command.RESUME)
    rollout = asked.rollout
    by_hand = (Hold.PAUSED, Hold.FROZEN, Hold.INCONCLUSIVE)
    if rollout.held_from is None or rollout.hold not in by_hand:
        raise _conflict(asked, Command.RESUME)
    return asked.move(Command.RESUME, rollout.held_from)


def _advance(asked: _Asked) -> Move:
    """To the next step without waiting for more; into a promotion only with the evidence."""
    _active(asked, Command.ADVANCE)
    _movable(asked, Command.ADVANCE)
    rollout = _as_if_not_held(asked.rollout)
    if rollout.state not in (RolloutState.SHADOW, RolloutState.CANARY):
        raise _conflict(asked, Command.ADVANCE)
    last = rollout.state is RolloutState.CANARY and rollout.step == len(asked.policy.steps) - 1
    if last and (lacking := missing(asked.policy, asked.seen)):
        message = (
            f"{_where(asked.rollout)} and has yet to show: {', '.join(lacking)}; "
            "`promote` does without, with a reason"
        )
        raise Conflict(message)
    return _by_hand(asked, Command.ADVANCE, onward(rollout, asked.policy, asked.now))


def _promote(asked: _Asked) -> Move:
    """To all of the traffic, on somebody's word."""
    _active(asked, Command.PROMOTE)
    _movable(asked, Command.PROMOTE)
    state = _as_if_not_held(asked.rollout).state
    if state not in (RolloutState.SHADOW, RolloutState.CANARY):
        raise _conflict(asked, Command.PROMOTE)
    if state is RolloutState.SHADOW:
        _agreed(asked, "canary")
    _agreed(asked, "promotion")
    return asked.move(Command.PROMOTE, RolloutState.PROMOTING, promoted_by=asked.by)


def _abort(asked: _Asked) -> Move:
    _active(asked, Command.ABORT)
    return asked.move(Command.ABORT, RolloutState.ROLLING_BACK)


def _rollback(asked: _Asked) -> Move:
    """Back to the version before a completed one, as long as it is still warm."""
    rollout = asked.rollout
    if rollout.state is not RolloutState.COMPLETED:
        raise _conflict(asked, Command.ROLLBACK)
    if asked.seen.previous != rollout.stable:
        message = (
            f"version {rollout.stable} of {rollout.model} is no longer kept warm as the version "
            "before: start a rollout of it"
        )
        raise Conflict(message)
    return asked.move(Command.ROLLBACK, RolloutState.ROLLING_BACK)


def _retry(asked: _Asked) -> Move:
    if asked.rollout.state not in (RolloutState.ROLLED_BACK, RolloutState.FAILED):
        raise _conflict(asked, Command.RETRY)
    return Move(asked.rollout, Command.RETRY.value, asked.reason)


def _approve(asked: _Asked) -> Move:
    """Agree to what comes at a gate; whoever waits at it goes on if the evidence still says so."""
    _active(asked, Command.APPROVE)
    rollout, policy = asked.rollout, asked.policy
    gate = asked.gate or _next_gate(asked)
    if gate not in policy.approvals.before:
        needed = " and of ".join(policy.approvals.before)
        asked_for = f"approval of {needed}, not of {gate or 'anything more'}"
        message = f"the policy asks for {asked_for if needed else 'no approval'}"
        raise Conflict(message)
    if gate in rollout.approved:
        message = f"{gate} is approved already"
        raise Conflict(message)
    if policy.approvals.by_another and asked.by == rollout.started_by:
        message = f"{asked.by} started this rollout: somebody else must approve it"
        raise Conflict(message)
    if rollout.hold in (Hold.FROZEN, Hold.SPLIT):
        raise _conflict(asked, Command.APPROVE)
    agreed = replace(rollout, approved=(*rollout.approved, gate))
    reason = asked.reason or f"{gate} approved by {asked.by}"
    waited_at = gate_ahead(_as_if_not_held(rollout), policy)
    if rollout.hold is not Hold.APPROVAL or rollout.held_from is None or gate != waited_at:
        noted = replace(
            moved(agreed, asked.now, rollout.state, by=asked.by, reason=reason),
            entered_at=rollout.entered_at,
            hold=rollout.hold,
            held_from=rollout.held_from,
        )
        return Move(noted, Command.APPROVE.value, reason)
    if asked.seen.fresh and not lacks(rollout, policy, asked.seen) and not _barred(asked.seen):
        move = onward(_as_if_not_held(agreed), policy, asked.now)
        return _by_hand(replace(asked, reason=reason), Command.APPROVE, move)
    back = moved(agreed, asked.now, rollout.held_from, by=asked.by, reason=reason)
    return Move(back, Command.APPROVE.value, reason)


_COMMANDS: dict[Command, Callable[[_Asked], Move]] = {
    Command.PAUSE: _pause,
    Command.RESUME: _resume,
    Command.ADVANCE: _advance,
    Command.PROMOTE: _promote,
    Command.ABORT: _abort,
    Command.FREEZE: _freeze,
    Command.RETRY: _retry,
    Command.ROLLBACK: _rollback,
    Command.APPROVE: _approve,
}

_NEED_A_REASON = frozenset({Command.ADVANCE, Command.PROMOTE, Command.FREEZE, Command.ROLLBACK})


def _active(asked: _Asked, what: Command) -> None:
    if asked.rollout.state.over or asked.rollout.state is RolloutState.ROLLING_BACK:
        raise _conflict(asked, what)


def _movable(asked: _Asked, what: Command) -> None:
    """Refuse more traffic for a candidate that is frozen, not known, not ready or harmful."""
    if asked.rollout.hold in (Hold.FROZEN, Hold.SPLIT, Hold.STALE):
        raise _conflict(asked, what)
    seen = asked.seen
    if (harm := seen.harm) is not None:
        message = f"{harm.metric.value} says that version {asked.rollout.candidate} is worse"
        raise Conflict(message)
    if seen.split_suspect:
        message = "traffic is not split as it should be: `abort`, then `retry`"
        raise Conflict(message)
    if seen.failed is not None or not seen.candidate_ready:
        message = seen.failed or "not every gateway process is connected to the candidate: wait"
        raise Conflict(message)
    if not seen.fresh:
        message = "there are no fresh counts of every gateway process: wait, or `abort` it"
        raise Conflict(message)


def _barred(seen: Seen) -> bool:
    """Whether what is seen would not let a rollout go on by itself."""
    return (
        seen.harm is not None
        or seen.split_suspect
        or seen.failed is not None
        or seen.alarm is not None
    )


def _agreed(asked: _Asked, gate: str) -> None:
    if gate in asked.policy.approvals.before and gate not in asked.rollout.approved:
        raise _unapproved(gate)


def _unapproved(gate: str | None) -> Conflict:
    return Conflict(f"{gate} waits for approval: somebody must `approve` it first")


def _next_gate(asked: _Asked) -> str | None:
    """The gate that is waited at, else the first that nobody has agreed to."""
    open_gates = [each for each in _GATES if each not in asked.rollout.approved]
    return next((each for each in open_gates if each in asked.policy.approvals.before), None)


def _as_if_not_held(rollout: Rollout) -> Rollout:
    if rollout.held_from is None:
        return rollout
    return replace(rollout, state=rollout.held_from, hold=None, held_from=None)


def _by_hand(asked: _Asked, what: Command, move: Move) -> Move:
    """A move of the machine, made by a person."""
    after = move.rollout
    if after.state is RolloutState.HELD:
        raise _unapproved(gate_ahead(_as_if_not_held(asked.rollout), asked.policy))
    reason = f"{move.reason}: {asked.reason}"
    return Move(replace(after, by=asked.by, reason=reason), what.value, reason)


def _where(rollout: Rollout) -> str:
    if rollout.hold is not None:
        return f"rollout {rollout.id} is held ({rollout.hold.value})"
    return f"rollout {rollout.id} is {rollout.state.where}"


def _conflict(asked: _Asked, what: Command) -> Conflict:
    return Conflict(f"{_where(asked.rollout)}: no `{what.value}`; {_possible(asked.rollout)}")


_WAYS_OUT = {
    Hold.PAUSED: "`resume`, `advance`, `promote` or `abort` it",
    Hold.FROZEN: "`resume` or `abort` it",
    Hold.INCONCLUSIVE: "`resume`, `advance`, `promote` or `abort` it",
    Hold.SPLIT: "`abort` it, then `retry`",
    Hold.APPROVAL: "`approve` or `abort` it",
    Hold.STALE: "it goes on when counts come in again, or `abort` it",
    Hold.SIGNALS: "it goes on when the alarm is gone, or `advance`, `promote` or `abort` it",
}
_WAYS_ON = {
    RolloutState.STARTING: "it goes on when the candidate is ready, or `abort` it",
    RolloutState.SHADOW: "`pause`, `freeze`, `advance`, `promote` or `abort` it",
    RolloutState.CANARY: "`pause`, `freeze`, `advance`, `promote` or `abort` it",
    RolloutState.PROMOTING: "`pause`, `freeze` or `abort` it",
    RolloutState.BAKING: "`pause`, `freeze` or `abort` it",
    RolloutState.ROLLING_BACK: "it ends by itself when every gateway process routes so",
    RolloutState.COMPLETED: "`rollback` returns to the version before",
    RolloutState.ROLLED_BACK: "`retry` begins anew",
    RolloutState.FAILED: "`retry` begins anew",
}


def _possible(rollout: Rollout) -> str:
    if rollout.hold is not None:
        return _WAYS_OUT[rollout.hold]
    return _WAYS_ON[rollout.state]

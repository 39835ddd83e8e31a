"""What the registry keeps of rollouts: where each one is, and every change on its way."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from enum import StrEnum

from pydantic import ValidationError

from configs.errors import BadInput, Conflict, NotFound
from configs.explain import explain
from configs.policy import Policy
from registry.records import FULL
from registry.routing import Change


class RolloutState(StrEnum):
    """Where a rollout is.

    `starting`: the candidate's hosts are started and connected to. `held` keeps the weights it
    found and goes on looking for harm. The last four are ends but `rolling back`.
    """

    STARTING = "starting"
    SHADOW = "shadow"
    CANARY = "canary"
    PROMOTING = "promoting"
    BAKING = "baking"
    HELD = "held"
    ROLLING_BACK = "rolling back"
    COMPLETED = "completed"
    ROLLED_BACK = "rolled back"
    FAILED = "failed"

    @property
    def over(self) -> bool:
        """Whether nothing happens any more."""
        return self in _ENDS

    @property
    def where(self) -> str:
        """What a rollout of this state is, as a sentence ends."""
        return {"shadow": "in shadow", "canary": "a canary"}.get(self.value, self.value)


_ENDS = frozenset({RolloutState.COMPLETED, RolloutState.ROLLED_BACK, RolloutState.FAILED})


class Hold(StrEnum):
    """Why a rollout is held."""

    PAUSED = "paused"
    FROZEN = "frozen"
    INCONCLUSIVE = "inconclusive"
    SPLIT = "split"
    APPROVAL = "approval"
    STALE = "stale data"
    SIGNALS = "signals"


@dataclass(frozen=True, slots=True)
class Rollout:
    """A rollout after its latest change, which has this `number`, and who made it, when and why.

    `stable` and `candidate` are versions of `model`. `policy` is the policy it started with, as
    JSON. `step` is the index of the step of a canary. `entered_at` (ISO 8601, UTC) is when the
    present state and step began. One that is `held` says why, and in `held_from` to which state it
    goes back. A promotion without evidence carries the reason of whom it is `promoted_by`.
    `approved` names the gates at which somebody has agreed.
    """

    id: str
    model: str
    stable: int
    candidate: int
    policy: str
    started_by: str
    started_at: str
    number: int
    state: RolloutState
    step: int
    entered_at: str
    by: str
    at: str
    reason: str = ""
    hold: Hold | None = None
    held_from: RolloutState | None = None
    promoted_by: str | None = None
    approved: tuple[str, ...] = ()
    objective_s: float | None = None

    @property
    def policy_digest(self) -> str:
        """SHA-256 of the policy, by which the audit log names it."""
        return digest(self.policy)


@dataclass(frozen=True, slots=True)
class RolloutChange:
    """One change in the life of a rollout: what it was after it, and on what evidence (JSON)."""

    rollout: Rollout
    action: str
    evidence: str


@dataclass(frozen=True, slots=True)
class Shares:
    """What a rollout gives its candidate and its baseline, in basis points of the traffic.

    The stable version has the rest, and that of the baseline, which is the same version. Of
    `shadow_bp` of the requests the candidate sees a copy, and answers nobody.
    """

    candidate_bp: int = 0
    baseline_bp: int = 0
    shadow_bp: int = 0

    def __post_init__(self) -> None:
        sound = (
            min(self.candidate_bp, self.baseline_bp, self.shadow_bp) >= 0
            and self.candidate_bp + self.baseline_bp <= FULL
            and self.shadow_bp <= FULL
            and not (self.candidate_bp and self.shadow_bp)
        )
        if not sound:
            raise BadInput(f"a rollout cannot divide traffic so: {self}")


NOTHING = Shares()
"""The stable version has all of the traffic."""


def digest(text: str) -> str:
    """`sha256:<hex>` of a text."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def started(
    rollout_id: str, model: str, versions: tuple[int, int], policy: str, why: Change
) -> Rollout:
    """A rollout that begins; `versions` are the stable one and the candidate.

    `BadInput` for a policy that is none.
    """
    try:
        Policy.model_validate_json(policy)
    except ValidationError as error:
        raise BadInput(f"the policy cannot be used: {explain(error, Policy)}") from None
    stable, candidate = versions
    return Rollout(
        id=rollout_id,
        model=model,
        stable=stable,
        candidate=candidate,
        policy=policy,
        started_by=why.actor,
        started_at=why.at,
        number=1,
        state=RolloutState.STARTING,
        step=0,
        entered_at=why.at,
        by=why.actor,
        at=why.at,
        reason=why.reason,
    )


def following(now: Rollout, after: Rollout, why: Change) -> Rollout:
    """What a rollout is after a change that was worked out before, and is made now.

    A state that begins with this change begins now: its hosts may have taken a while to start.
    `Conflict` for what is no next change of the same rollout.
    """
    entered = now.entered_at if after.entered_at == now.entered_at else why.at
    made = replace(
        after, entered_at=entered, by=why.actor, at=why.at, reason=why.reason, number=now.number + 1
    )
    if after.number != made.number or _lasting(after) != _lasting(now):
        raise Conflict(f"this is no change that follows change {now.number} of rollout {now.id}")
    return made


def rolling_back(rollout: Rollout, why: Change) -> Rollout:
    """The rollout once somebody has returned to the stable version by hand."""
    return replace(
        rollout,
        number=rollout.number + 1,
        state=RolloutState.ROLLING_BACK,
        entered_at=why.at,
        by=why.actor,
        at=why.at,
        reason=why.reason,
        hold=None,
        held_from=None,
    )


def find_rollout(rollout_id: str, rollout: Rollout | None) -> Rollout:
    """The rollout of an id; `NotFound` if there is none."""
    if rollout is None:
        raise NotFound(
            f"there is no rollout {rollout_id[:80]!r}: list the rollouts to see their ids"
        )
    return rollout


def check_none(active: tuple[Rollout, ...]) -> None:
    """`Conflict` while a model has a rollout, with what to do about it."""
    for rollout in active:
        end = f"to end it now, weir rollout abort {rollout.id}"
        if rollout.state is RolloutState.ROLLING_BACK:
            end = "it ends by itself when every gateway process routes so"
        raise Conflict(
            f"rollout {rollout.id} of version {rollout.candidate} is {rollout.state.where}, and "
            f"alone decides how {rollout.model!r} is served until it is over: {end}"
        )


def _lasting(rollout: Rollout) -> tuple[object, ...]:
    """What stays the same for as long as a rollout lasts."""
    return (
        rollout.id,
        rollout.model,
        rollout.stable,
        rollout.candidate,
        rollout.policy,
        rollout.started_by,
        rollout.started_at,
    )

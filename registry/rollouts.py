"""What the registry keeps of rollouts: where each one is, and every change on its way."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


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


@dataclass(frozen=True, slots=True)
class RolloutChange:
    """One change in the life of a rollout: what it was after it, and on what evidence (JSON)."""

    rollout: Rollout
    action: str
    evidence: str

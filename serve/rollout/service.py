"""What can be asked of rollouts; the control API speaks only to this."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from registry.rollouts import Rollout, RolloutChange
from serve.rollout.account import Account
from serve.rollout.machine import Command


@dataclass(frozen=True, slots=True)
class Done:
    """A rollout after a change, what was done, and that in a sentence; made, or only tried."""

    rollout: Rollout
    action: str
    says: str
    tried: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody wants of a rollout: the command, by whom, why, and made for which number.

    `gate` is the one that is approved. A `dry` one changes nothing.
    """

    command: Command
    by: str
    reason: str = ""
    if_number: int | None = None
    gate: str | None = None
    dry: bool = False


@dataclass(frozen=True, slots=True)
class Start:
    """What somebody wants to roll out: the keys of `policy` overrule those of the model's own."""

    model: str
    candidate: int
    by: str
    reason: str = ""
    policy: Mapping[str, object] | None = None
    dry: bool = False


class Rollouts(Protocol):
    """**Protocol:** the rollouts as the API sees them."""

    async def all(self, model: str | None, active_only: bool) -> tuple[Rollout, ...]:
        """Rollouts of one model or all, the latest first."""

    async def one(self, rollout_id: str) -> Rollout:
        """One rollout as it is now; `NotFound` if there is none."""

    async def changes(self, rollout_id: str) -> tuple[RolloutChange, ...]:
        """Every change in the life of a rollout, the first one first."""

    async def explain(self, rollout_id: str) -> Account:
        """How a rollout stands, and what it waits for."""

    async def start(self, start: Start) -> Done:
        """Begin a rollout; `Conflict` while the model has one, or is served in another way."""

    async def command(self, rollout_id: str, order: Order) -> Done:
        """Do what somebody wants; answers when the route follows, where it has to."""

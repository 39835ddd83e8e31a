"""Rollouts over a dictionary, with the rules of the state machine and what a test says is seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from pydantic import ValidationError

from configs.errors import BadInput, PreconditionFailed
from configs.explain import explain
from configs.policy import Metric, Policy
from registry.rollouts import Rollout, RolloutChange, check_none, find_rollout, started
from registry.routing import Change
from serve.rollout.account import Account, Rates, account, policy_of, says
from serve.rollout.commands import Command, command
from serve.rollout.finding import Finding
from serve.rollout.moves import Seen
from serve.rollout.paired import PairsSeen
from serve.rollout.service import Done, Order, Start
from serve.rollout.shown import Shown, shown
from serve.rollout.tallies import LATENCY_BOUNDS, JudgedArm, Pairs, Times

FOUND = Finding(
    metric=Metric.ERROR_RATIO,
    compared_with=JudgedArm.BASELINE,
    harm_log10=0.5,
    harm_at=2.8,
    good_log10=1.0,
    good_at=1.3,
    events={JudgedArm.CANDIDATE: 3, JudgedArm.BASELINE: 2},
    units={JudgedArm.CANDIDATE: 1200, JudgedArm.BASELINE: 1190},
    measure="difference of shares",
    estimate=0.001,
    lower=-0.01,
    upper=0.012,
    more_units=3000,
)
SEEN = Seen((FOUND,), candidate_ready=True, fresh=True, settled=True)
_FAST = Times((*([0] * 20), 1000, *([0] * (len(LATENCY_BOUNDS) - 20))), none=3)
BESIDE = shown(
    {JudgedArm.CANDIDATE: _FAST, JudgedArm.STABLE: _FAST},
    PairsSeen().folded(Pairs(2000, 5, 20.0, 2.0, scored=2000)),
)


@dataclass
class MemoryRollouts:
    """Implements `serve.rollout.service.Rollouts`; fields are there for tests to look at or set."""

    check: Callable[[str, int], int]
    kept: dict[str, list[RolloutChange]] = field(default_factory=dict)
    seen: Seen = SEEN
    beside: Shown = BESIDE
    explained: int = 0
    rates: Rates = field(default_factory=lambda: Rates(units_per_s=2.0))

    async def all(self, model: str | None, active_only: bool) -> tuple[Rollout, ...]:
        """The latest first."""
        if model is not None:
            self.check(model, 0)
        return tuple(
            rollout
            for rollout in reversed(self._now())
            if model in (None, rollout.model) and not (active_only and rollout.state.over)
        )

    async def one(self, rollout_id: str) -> Rollout:
        """One of them."""
        return self._one(rollout_id)

    async def changes(self, rollout_id: str) -> tuple[RolloutChange, ...]:
        """Each, from the first."""
        self._one(rollout_id)
        return tuple(self.kept[rollout_id])

    async def explain(self, rollout_id: str) -> Account:
        """What a test has put there, in words."""
        self.explained += 1
        return account(self._one(rollout_id), self.seen, self.rates, datetime.now(UTC), self.beside)

    async def start(self, start: Start) -> Done:
        """Begin one, unless the model has another."""
        stable = self.check(start.model, start.candidate)
        check_none(tuple(each for each in self._now() if _active(each, start.model)))
        try:
            policy = Policy.model_validate(start.policy or {})
        except ValidationError as error:
            raise BadInput(explain(error, Policy)) from None
        why = Change(start.by, datetime.now(UTC).isoformat(), start.reason)
        made = self._begun(start.model, (stable, start.candidate), policy.model_dump_json(), why)
        return self._done(made, "start", start.dry)

    async def command(self, rollout_id: str, order: Order) -> Done:
        """As the machine has it."""
        now = self._one(rollout_id)
        if order.if_number not in (None, now.number):
            raise PreconditionFailed(f"rollout {now.id} is at change {now.number}")
        what = (order.command, order.by, order.reason, datetime.now(UTC), self.seen, order.gate)
        move = command(now, policy_of(now), *what)
        made = move.rollout
        if order.command is Command.RETRY:
            why = Change(order.by, datetime.now(UTC).isoformat(), order.reason)
            made = self._begun(now.model, (now.stable, now.candidate), now.policy, why)
        return self._done(made, move.action, order.dry)

    def put(self, rollout: Rollout, action: str = "advance") -> None:
        """Let a rollout be where a test wants it."""
        self.kept.setdefault(rollout.id, []).append(RolloutChange(rollout, action, "{}"))

    def move(self, rollout_id: str, **changes: object) -> Rollout:
        """Let a rollout have changed."""
        now = self._one(rollout_id)
        after = replace(now, number=now.number + 1, **changes)  # type: ignore[arg-type]
        self.put(after)
        return after

    def _begun(self, model: str, versions: tuple[int, int], policy: str, why: Change) -> Rollout:
        return started(f"r{len(self.kept) + 1}", model, versions, policy, why)

    def _done(self, rollout: Rollout, action: str, dry: bool) -> Done:
        if not dry:
            self.put(rollout, action)
        return Done(rollout, action, says(rollout, action, rollout.reason), dry)

    def _one(self, rollout_id: str) -> Rollout:
        changes = self.kept.get(rollout_id)
        return find_rollout(rollout_id, changes[-1].rollout if changes else None)

    def _now(self) -> list[Rollout]:
        return [changes[-1].rollout for changes in self.kept.values()]


def _active(rollout: Rollout, model: str) -> bool:
    return rollout.model == model and not rollout.state.over

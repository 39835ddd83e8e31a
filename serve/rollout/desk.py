"""What people want of rollouts: they are started, steered and explained here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

from pydantic import ValidationError

from configs.errors import BadInput, PreconditionFailed
from configs.explain import explain
from configs.policy import BY_LABELS, Metric, Policy, over
from configs.settings import Rollouts as RolloutSettings
from monitors.labels.assigned import can_be_wrong
from registry.rollout_book import RolloutBook
from registry.rollouts import Rollout, RolloutChange
from serve.rollout.account import Account, account, policy_of, says
from serve.rollout.commands import Command, command
from serve.rollout.conductor import Conductor
from serve.rollout.counts import RolloutCounts
from serve.rollout.moves import Move, Seen
from serve.rollout.pairing import ALIKE, labels_tell
from serve.rollout.service import Done, Order, Start
from serve.rollout.shown import shown


class RolloutDesk:
    """The rollouts as the control API sees them, over the registry and whoever conducts them."""

    def __init__(
        self,
        book: RolloutBook,
        conductor: Conductor,
        settings: RolloutSettings,
        counts: RolloutCounts,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._book = book
        self._conductor = conductor
        self._settings = settings
        self._counts = counts
        self._clock = clock

    async def all(self, model: str | None, active_only: bool) -> tuple[Rollout, ...]:
        """Give rollouts of one model or all, the latest first."""
        found = await asyncio.to_thread(self._book.rollouts, model, active_only)
        return tuple(reversed(found))

    async def one(self, rollout_id: str) -> Rollout:
        """Give one rollout as it is now."""
        return await asyncio.to_thread(self._book.rollout, rollout_id)

    async def changes(self, rollout_id: str) -> tuple[RolloutChange, ...]:
        """Give every change in the life of a rollout."""
        return await asyncio.to_thread(self._book.rollout_changes, rollout_id)

    async def explain(self, rollout_id: str) -> Account:
        """Give how a rollout stands, and what it waits for."""
        rollout = await self.one(rollout_id)
        course, seen = await self._conductor.see(rollout)
        beside = shown(course.latency, course.evidence.pairs)
        return account(rollout, seen, course.pace.rates(), self._clock(), beside)

    async def start(self, start: Start) -> Done:
        """Begin a rollout; the conductor takes it from there."""
        policy = self._policy(start).model_dump_json()
        what = (start.model, start.candidate, policy, start.by, start.reason)
        return await self._begin(what, "start", start.dry)

    async def command(self, rollout_id: str, order: Order) -> Done:
        """Do what somebody wants of a rollout."""

        def decided(rollout: Rollout, seen: Seen) -> Move:
            _check_number(rollout, order)
            return command(
                rollout,
                policy_of(rollout),
                order.command,
                order.by,
                order.reason,
                self._clock(),
                seen,
                order.gate,
            )

        if order.dry or order.command is Command.RETRY:
            rollout = await self.one(rollout_id)
            _, seen = await self._conductor.see(rollout)
            move = decided(rollout, seen)
            if order.command is Command.RETRY:
                what = (rollout.model, rollout.candidate, rollout.policy, order.by, order.reason)
                return await self._begin(what, move.action, order.dry)
            return _done(move.rollout, move.action, move.reason, tried=True)
        after, action = await self._conductor.act(rollout_id, decided)
        return _done(after, action, after.reason)

    async def _begin(self, what: tuple[str, int, str, str, str], action: str, dry: bool) -> Done:
        """Begin a rollout: of which model and version, by which policy, who wants it, and why."""
        planned = await asyncio.to_thread(self._book.planned_rollout, *what)
        await asyncio.to_thread(self._check_labels, planned)
        if dry:
            return _done(planned, action, planned.reason, tried=True)
        begun = await asyncio.to_thread(self._book.start_rollout, *what)
        self._counts.changed(begun.model, "start")
        return _done(begun, action, begun.reason)

    def _check_labels(self, planned: Rollout) -> None:
        """Refuse a guardrail that must tell, and of which labels could never tell anything."""
        must = {each.metric for each in policy_of(planned).guardrails if not each.optional}
        judged = [metric for metric in BY_LABELS if metric in must]
        if not judged:
            return
        numbers = planned.stable, planned.candidate
        cards = [self._book.version(planned.model, number).card for number in numbers]
        nothing = f"guardrail {judged[0].value} cannot tell anything"
        for number, card in zip(numbers, cards, strict=True):
            if not can_be_wrong(card):
                raise BadInput(
                    f"{nothing}: the card of {planned.model} version {number} must be one of a "
                    "classification, with a decision and a label, or of a regression whose label "
                    "says within what an answer is right"
                )
        if Metric.SHADOW_LOSS in must and not labels_tell(*cards):
            raise BadInput(
                "guardrail shadow_loss cannot tell anything: the cards of "
                f"{planned.model} versions {planned.stable} and {planned.candidate} must say the "
                f"same of {', '.join(f'label.{name}' for name in ALIKE)}"
            )

    def _policy(self, start: Start) -> Policy:
        """The policy of a start: its own keys over those that are configured for the model."""
        configured = self._settings.policy(start.model)
        if start.policy is None:
            return configured
        try:
            return Policy.model_validate(over(configured.model_dump(), start.policy))
        except ValidationError as error:
            raise BadInput(f"the policy cannot be used: {explain(error, Policy)}") from None


def _check_number(rollout: Rollout, order: Order) -> None:
    if order.if_number not in (None, rollout.number):
        raise PreconditionFailed(
            f"rollout {rollout.id} is at change {rollout.number} ({rollout.state.value}), not "
            f"{order.if_number}: look at it again"
        )


def _done(rollout: Rollout, action: str, reason: str, tried: bool = False) -> Done:
    return Done(rollout, action, says(rollout, action, reason), tried)

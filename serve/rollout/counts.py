"""What is counted of rollouts, and how those stand that are under way: for `/metrics`."""

from __future__ import annotations

from collections.abc import Iterable

from monitors.blocks import Series, Snapshot
from monitors.telemetry import names
from registry.records import FULL
from registry.rollouts import Rollout
from serve.recorder.counts import Counts
from serve.rollout.account import policy_of
from serve.rollout.division import division
from serve.rollout.finding import Finding, bounded
from serve.webhook.receiver import Outcome


class RolloutCounts:
    """Counts changes, failures and deliveries of this process."""

    def __init__(self) -> None:
        self._counts = Counts()
        self._sequence = 0
        for task in (names.TASK_ROLLOUTS, names.TASK_TELL):
            self._counts.add(names.TASK_FAILURES, task, by=0)
        for outcome in Outcome:
            self._counts.add(names.ROLLOUT_DELIVERIES, outcome.value, by=0)

    def changed(self, model: str, action: str) -> None:
        """Count a change of a rollout."""
        self._counts.add(names.ROLLOUT_CHANGES, model, action)

    def failed(self) -> None:
        """Count a look at a rollout that went wrong."""
        self._counts.add(names.TASK_FAILURES, names.TASK_ROLLOUTS)

    def failed_to_tell(self) -> None:
        """Count an attempt to tell of rollouts that went wrong in a way that nobody expected."""
        self._counts.add(names.TASK_FAILURES, names.TASK_TELL)

    def tried(self, outcome: Outcome) -> None:
        """Count a delivery by what became of it."""
        self._counts.add(names.ROLLOUT_DELIVERIES, outcome.value)

    def snapshot(
        self, source: str, standing: Iterable[tuple[Rollout, tuple[Finding, ...]]]
    ) -> Snapshot:
        """The counts now, and how the rollouts stand that are under way."""
        self._sequence += 1
        gauges: dict[Series, float] = {}
        for rollout, findings in standing:
            gauges.update(_gauges(rollout, findings))
        return self._counts.snapshot(source, self._sequence, gauges)


def _gauges(rollout: Rollout, findings: Iterable[Finding]) -> dict[Series, float]:
    of = rollout.model, str(rollout.candidate)
    share = division(rollout, policy_of(rollout)).candidate_bp
    gauges: dict[Series, float] = {
        (names.ROLLOUT_STATE.name, (*of, rollout.state.value)): 1.0,
        (names.ROLLOUT_STEP.name, of): rollout.step + 1.0 if share else 0.0,
        (names.ROLLOUT_SHARE.name, of): share / FULL,
    }
    for found in map(bounded, findings):
        if found.harm_at:
            gauges[names.ROLLOUT_HARM.name, (*of, found.metric.value)] = found.harm_log10
        if found.good_at:
            gauges[names.ROLLOUT_GOOD.name, (*of, found.metric.value)] = found.good_log10
    return gauges

"""What a rollout is told of the world, and how it changes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from configs.policy import EVENTS, Metric, Policy
from registry.moments import utc_text
from registry.naming import OURSELVES
from registry.rollouts import Hold, Rollout, RolloutState
from serve.rollout.finding import Finding
from serve.rollout.tallies import JudgedArm

PAIRED = frozenset({Metric.SHADOW_DISAGREEMENT, Metric.FAIRNESS_GAP, Metric.SHADOW_LOSS})
"""Judged on answers of both versions to the same request, which only the shadow stage gives."""

_BY_UNIT = frozenset({*EVENTS, Metric.QUALITY_LOSS})


@dataclass(frozen=True, slots=True)
class Seen:
    """What is seen of a rollout at one moment.

    `candidate_ready`: every gateway process is connected to the candidate. `fresh`: reports of all
    of them are young enough to decide on. `awaited`: they are not, but a controller that has only
    just begun to look cannot have heard of all yet. Waits count from `judged_since`, if the present
    state began before it: time without a judge is no time that was waited.
    `failed` says why hosts could not be started. `settled`:
    every gateway process routes as the present state asks, and but for a way back reaches all that
    it needs. `previous` is the version that the route would return to, which is still warm.
    `reaching`: how many gateway processes reach all that the route names, and how many there are.
    `leaves_out`: some users with a `Weir-Key` are not counted. `hindered` says why the change that
    was tried last could not be made yet.
    """

    findings: tuple[Finding, ...] = ()
    split_suspect: bool = False
    candidate_ready: bool = False
    fresh: bool = False
    awaited: bool = False
    judged_since: datetime | None = None
    failed: str | None = None
    settled: bool = False
    previous: int | None = None
    reaching: tuple[int, int] = (0, 0)
    leaves_out: bool = False
    hindered: str | None = None

    def of(self, metric: Metric) -> Finding | None:
        """The finding of a metric, if there is one."""
        return next((each for each in self.findings if each.metric is metric), None)

    @property
    def harm(self) -> Finding | None:
        """A guardrail that says the candidate is worse; what the monitors say never is one."""
        found = (each for each in self.findings if each.metric is not Metric.SIGNALS)
        return next((each for each in found if each.harmful), None)

    @property
    def alarm(self) -> Finding | None:
        """The alarms of monitors on the candidate that the stable version does not have."""
        signals = self.of(Metric.SIGNALS)
        return signals if signals is not None and signals.harmful else None

    @property
    def quiet(self) -> bool:
        """Whether the monitors are known to have no such alarm; not so while they do not answer."""
        signals = self.of(Metric.SIGNALS)
        return signals is not None and signals.good


@dataclass(frozen=True, slots=True)
class Move:
    """One change of a rollout: what it is after it, what was done, and why in a sentence."""

    rollout: Rollout
    action: str
    reason: str


def moved(
    rollout: Rollout,
    now: datetime,
    state: RolloutState,
    *,
    step: int | None = None,
    by: str = OURSELVES,
    reason: str,
    promoted_by: str | None = None,
) -> Rollout:
    """The rollout in another state, which begins now and is not held."""
    at = _stamp(rollout, now)
    return replace(
        rollout,
        number=rollout.number + 1,
        state=state,
        step=rollout.step if step is None else step,
        entered_at=at,
        by=by,
        at=at,
        reason=reason,
        hold=None,
        held_from=None,
        promoted_by=promoted_by or rollout.promoted_by,
    )


def held(
    rollout: Rollout, now: datetime, hold: Hold, *, by: str = OURSELVES, reason: str
) -> Rollout:
    """The rollout held where it is; one that is held already only changes the reason."""
    held_from = rollout.held_from if rollout.state is RolloutState.HELD else rollout.state
    after = moved(rollout, now, RolloutState.HELD, by=by, reason=reason)
    return replace(after, hold=hold, held_from=held_from)


def waited_s(rollout: Rollout, seen: Seen, now: datetime) -> float:
    """Seconds in the present state with a judge; none if the clock has been set back since."""
    began = datetime.fromisoformat(rollout.entered_at)
    if seen.judged_since is not None:
        began = max(began, seen.judged_since)
    return max((now - began).total_seconds(), 0.0)


def missing(policy: Policy, seen: Seen) -> tuple[str, ...]:
    """What stands between a version and its promotion, by metric; nothing means: it is proved.

    Every guardrail that is not optional must say that the candidate is good, the others must not
    say that it is harmful. Where all are optional, one of them must say that it is good: otherwise
    a version would be promoted because time went by.
    """
    lacking = _lacking(policy, seen, (guardrail.metric for guardrail in policy.guardrails))
    if not lacking and not any(each.good for each in seen.findings):
        return tuple(guardrail.metric.value for guardrail in policy.guardrails)
    return lacking


def missing_of_pairs(policy: Policy, seen: Seen) -> tuple[str, ...]:
    """What the shadow stage has yet to show, by metric.

    No later stage can: so what a finding may yet tell is waited for, if its guardrail is optional
    or not.
    """
    paired = (each.metric for each in policy.guardrails if each.metric in PAIRED)
    return tuple(
        metric.value
        for metric in paired
        if not _passes(policy, seen, metric) or _can_yet_tell(seen.of(metric))
    )


def missing_of_units(policy: Policy, seen: Seen) -> tuple[str, ...]:
    """What a step before the last has yet to show: that enough units met the candidate."""
    counted = any(guardrail.metric in _BY_UNIT for guardrail in policy.guardrails)
    if not counted or _units(seen) >= policy.min_units:
        return ()
    return (f"{policy.min_units} units",)


def _lacking(policy: Policy, seen: Seen, metrics: Iterable[Metric]) -> tuple[str, ...]:
    return tuple(metric.value for metric in metrics if not _passes(policy, seen, metric))


def _passes(policy: Policy, seen: Seen, metric: Metric) -> bool:
    guardrail, finding = policy.guardrail(metric), seen.of(metric)
    optional = guardrail is not None and guardrail.optional
    if finding is None:
        return optional
    return not finding.harmful and (finding.good or finding.optional or optional)


def _can_yet_tell(finding: Finding | None) -> bool:
    return finding is not None and not finding.good and not finding.optional


def _units(seen: Seen) -> int:
    counts = (each.units for each in seen.findings if each.metric in _BY_UNIT)
    return max((units.get(JudgedArm.CANDIDATE, 0) for units in counts), default=0)


def _stamp(rollout: Rollout, now: datetime) -> str:
    """Now, but not before the change before: else a clock set back and forth would skip a wait."""
    return utc_text(max(now, datetime.fromisoformat(rollout.at)))

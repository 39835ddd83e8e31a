"""How a rollout stands, in figures and in sentences that a person understands; pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from configs.policy import BY_LABELS, Metric, Policy
from registry.rollouts import Hold, Rollout, RolloutState
from serve.rollout.decide import lacks
from serve.rollout.division import Division, division
from serve.rollout.finding import Finding, bounded
from serve.rollout.moves import PAIRED, Seen, waited_s
from serve.rollout.shown import NOTHING, Shown
from serve.rollout.tallies import JudgedArm
from serve.rollout.wording import LABELLED

_LEFT_OUT = (
    "some users with a Weir-Key are not counted: a gateway process began after the candidate had "
    "traffic, or has no memory for more of them; what is counted stays valid, and takes longer"
)


class Verdict(StrEnum):
    """What a guardrail says."""

    WORSE = "worse"
    NOT_WORSE = "not worse"
    CANNOT_TELL = "cannot tell yet"


@dataclass(frozen=True, slots=True)
class Rates:
    """How much comes in a second: units of the candidate, answers that are compared, labels.

    Labels are those of the candidate's units, and those of answers that were compared. None while
    nothing has been counted long enough.
    """

    units_per_s: float | None = None
    pairs_per_s: float | None = None
    labelled_per_s: float | None = None
    labelled_pairs_per_s: float | None = None


@dataclass(frozen=True, slots=True)
class Guard:
    """One guardrail: what was found, what that says, and in about how long it can tell."""

    finding: Finding
    verdict: Verdict
    says: str
    about_s: float | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """A rollout as it stands, what it waits for, what else is to be known, and what is for show."""

    rollout: Rollout
    policy: Policy
    division: Division
    guards: tuple[Guard, ...] = ()
    waits_for: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    rates: Rates = Rates()
    fresh: bool = False
    shown: Shown = NOTHING


def policy_of(rollout: Rollout) -> Policy:
    """The policy that a rollout started with."""
    return Policy.model_validate_json(rollout.policy)


def account(
    rollout: Rollout, seen: Seen, rates: Rates, now: datetime, beside: Shown = NOTHING
) -> Account:
    """What a person is told of a rollout at a moment."""
    policy = policy_of(rollout)
    return Account(
        rollout=rollout,
        policy=policy,
        division=division(rollout, policy),
        guards=tuple(_guard(bounded(each), rates) for each in seen.findings),
        waits_for=(*_waits_for(rollout, policy, seen, now), *_tried_again(seen)),
        notes=(_LEFT_OUT,) if seen.leaves_out else (),
        rates=rates,
        fresh=seen.fresh,
        shown=beside,
    )


def duration(seconds: float) -> str:
    """A time in words, to one unit: `40 s`, `25 minutes`, `3 hours`, `12 days`."""
    for size, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{round(seconds / size):,} {unit}"
    return f"{max(round(seconds), 1)} s"


def percent(basis_points: int) -> str:
    """A share of the traffic, such as `2.5 %`."""
    return f"{basis_points / 100:g} %"


def _guard(found: Finding, rates: Rates) -> Guard:
    verdict = Verdict.CANNOT_TELL
    if found.harmful:
        verdict = Verdict.WORSE
    elif found.good:
        verdict = Verdict.NOT_WORSE
    rate = _rate(found.metric, rates)
    about_s = None
    if verdict is Verdict.CANNOT_TELL and found.more_units is not None and rate:
        about_s = found.more_units / rate
    return Guard(found, verdict, _says(found, verdict, about_s), about_s)


def _rate(metric: Metric, rates: Rates) -> float | None:
    """How much comes in a second of what a guardrail is judged on."""
    if metric is Metric.QUALITY_LOSS:
        return rates.labelled_per_s
    if metric is Metric.SHADOW_LOSS:
        return rates.labelled_pairs_per_s
    return rates.pairs_per_s if metric in PAIRED else rates.units_per_s


def _of(metric: Metric) -> str:
    """What a guardrail is judged on."""
    if metric in BY_LABELS:
        return LABELLED[metric]
    return "compared answers" if metric in PAIRED else "units"


def _says(found: Finding, verdict: Verdict, about_s: float | None) -> str:
    if found.metric is Metric.SIGNALS:
        return found.message or "no monitor has an alarm that the stable version does not have"
    parts = [verdict.value, *_counted(found), *_evidence(found)]
    if verdict is Verdict.CANNOT_TELL:
        parts.append(_missing(found, about_s))
    if found.message:
        parts.append(found.message)
    return "; ".join(part for part in parts if part)


def _counted(found: Finding) -> Iterator[str]:
    """Such as `candidate 3 of 1,204, baseline 2 of 1,190`; of labelled units, which were wrong."""
    arms = (JudgedArm.CANDIDATE, found.compared_with)
    told = [
        f"{arm.value} {found.events.get(arm, 0):,} of {found.units.get(arm, 0):,}"
        for arm in arms
        if arm is not None and (arm in found.units or arm in found.events)
    ]
    if told:
        wrong = f"wrong of {LABELLED[found.metric]}: " if found.metric in BY_LABELS else ""
        yield f"{wrong}{', '.join(told)}"


def _evidence(found: Finding) -> Iterator[str]:
    if found.harm_at:
        yield f"evidence of harm {_times(found.harm_log10)} of {_times(found.harm_at)}"
    if found.good_at:
        yield f"that it is not worse {_times(found.good_log10)} of {_times(found.good_at)}"


def _missing(found: Finding, about_s: float | None) -> str:
    if found.metric in BY_LABELS and not any(found.units.values()):
        return f"no label of {_AWAITED[found.metric]} has come yet"
    if found.more_units is None:
        return "it cannot be said how many more it takes"
    told = f"about {found.more_units:,} more {_of(found.metric)}"
    if about_s is None:
        return f"{told}; nothing comes in at present"
    return f"{told}, {duration(about_s)} at the present rate"


_AWAITED: Mapping[Metric, str] = {
    Metric.QUALITY_LOSS: "a unit",
    Metric.SHADOW_LOSS: "a row that both versions answered",
}


def _times(log10: float) -> str:
    """An e-value as people read it: how many times likelier the data are."""
    if log10 >= 6:
        return f"10^{log10:.1f}"
    value: float = 10**log10
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _waits_for(rollout: Rollout, policy: Policy, seen: Seen, now: datetime) -> Iterator[str]:
    """What has to happen before the rollout goes on, one sentence each."""
    if rollout.state.over:
        return
    if rollout.state is RolloutState.ROLLING_BACK:
        yield "every gateway process must follow the route back"
        return
    if rollout.hold is not None:
        yield _ENDS_HOLD[rollout.hold]
    if seen.awaited:
        yield "the first counts of every gateway process since the control plane has begun anew"
    else:
        yield from _has_yet(rollout, policy, seen, now)


def _has_yet(rollout: Rollout, policy: Policy, seen: Seen, now: datetime) -> Iterator[str]:
    """What one that is judged has yet to do and to show where it is."""
    if rollout.state is RolloutState.BAKING:
        left = policy.bake_s - waited_s(rollout, seen, now)
        yield f"it bakes for {duration(left)} more" if left > 0 else "the next look completes it"
        return
    for lacking in lacks(rollout, policy, seen):
        yield f"it has yet to show: {lacking}"
    if rollout.state in (RolloutState.SHADOW, RolloutState.CANARY):
        left = policy.dwell_s - waited_s(rollout, seen, now)
        if left > 0:
            yield f"it stays here for {duration(left)} more at least"
    if (rollout.held_from or rollout.state) is RolloutState.STARTING:
        hosts = f"the hosts of version {rollout.candidate}"
        yield f"{hosts} must start, and every gateway process be connected to them"
    elif not seen.fresh:
        yield "counts of every gateway process, not older than ten seconds"


def _tried_again(seen: Seen) -> Iterator[str]:
    """Why the last change could not be made."""
    if seen.hindered is not None:
        yield f"it is tried again, as {seen.hindered}"


_ENDS_HOLD: Mapping[Hold, str] = {
    Hold.PAUSED: "somebody has paused it: `weir rollout resume`",
    Hold.FROZEN: "somebody has frozen it: `weir rollout resume`",
    Hold.INCONCLUSIVE: "it took too long to tell: `weir rollout resume`, `promote` or `abort`",
    Hold.SPLIT: "traffic is not split as it should be: `weir rollout abort`, then `retry`",
    Hold.APPROVAL: "somebody has to agree: `weir rollout approve`",
    Hold.STALE: "counts of every gateway process must come in again",
    Hold.SIGNALS: "a monitor has an alarm on the candidate: it goes on when that is closed",
}


def says(rollout: Rollout, action: str, reason: str) -> str:
    """A change in a sentence: what it was, where the rollout is after it, who gets how much."""
    policy = policy_of(rollout)
    split = division(rollout, policy)
    where = rollout.state.value
    if rollout.hold is not None:
        where = f"{where} ({rollout.hold.value})"
    if rollout.state is RolloutState.CANARY:
        where = f"{where}, step {rollout.step + 1} of {len(policy.steps)}"
    shares = (
        f"version {rollout.candidate} gets {percent(split.candidate_bp)}"
        if not split.shadow_bp
        else f"version {rollout.candidate} sees {percent(split.shadow_bp)} and answers nobody"
    )
    return "; ".join([f"{action}: {where}", shares, *([reason] if reason else [])])

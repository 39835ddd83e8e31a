"""What goes in and out of the control API about rollouts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, Literal

import orjson
from pydantic import Field

from configs.policy import Metric
from registry.records import FULL
from registry.rollouts import Hold, Rollout, RolloutChange, RolloutState
from serve.control.schemas import Body, OneLine, VersionNumber, View
from serve.rollout.account import Account, Guard, policy_of
from serve.rollout.division import division
from serve.rollout.service import Done
from serve.rollout.shown import ArmTimes, ScoreChange, Within
from serve.rollout.tallies import JudgedArm

Reason = Annotated[OneLine, Field(min_length=1, examples=["the evidence of last week is enough"])]
Dry = Annotated[bool, Field(description="Say what would happen, and change nothing.")]


class StartBody(Body):
    """The version to roll out, and what it has to show.

    The keys of `policy` overrule those that are configured for the model; see docs/rollouts.md.
    """

    version: VersionNumber
    policy: Annotated[Mapping[str, Any], Field(examples=[{"steps": [5, 50]}])] | None = None
    reason: OneLine = ""
    dry_run: Dry = False


class CommandBody(Body):
    """Why something is done to a rollout."""

    reason: OneLine = ""
    dry_run: Dry = False


class ForceBody(Body):
    """Why a version is promoted before the evidence is there."""

    reason: Reason
    dry_run: Dry = False


class ApproveBody(Body):
    """Which gate a rollout may pass: the one that it waits at, unless it is named."""

    gate: Literal["canary", "promotion"] | None = None
    reason: OneLine = ""
    dry_run: Dry = False


class WeightsView(View):
    """Who gets how much of the traffic, in percent, and the share that is copied to the candidate.

    The baseline is the stable version in hosts of its own, with which the candidate is compared.
    """

    candidate: float
    baseline: float
    stable: float
    shadow: float


class RolloutView(View):
    """A rollout after its latest change, which has this `number`, and who made it, when and why.

    `step` is that of the canary, from 1, in `policy.steps`; 0 before it. One that is held says in
    `hold` why, and in `held_from` where it goes on. Times are ISO 8601 in UTC.
    """

    id: str
    model: str
    stable: int
    candidate: int
    number: int
    state: RolloutState
    step: int
    weights: WeightsView
    entered_at: str
    started_by: str
    started_at: str
    by: str
    at: str
    reason: str
    hold: Hold | None
    held_from: RolloutState | None
    promoted_by: str | None
    approved: tuple[str, ...]
    objective_s: float | None
    policy: Mapping[str, Any]

    @classmethod
    def of(cls, rollout: Rollout) -> RolloutView:
        """The view of a recorded rollout."""
        policy = policy_of(rollout)
        split = division(rollout, policy)
        same = ("id", "model", "stable", "candidate", "number", "state", "entered_at", "by", "at")
        more = ("started_by", "started_at", "reason", "hold", "held_from", "promoted_by")
        last = ("approved", "objective_s")
        return cls(
            **{name: getattr(rollout, name) for name in (*same, *more, *last)},
            step=rollout.step + 1 if split.candidate_bp else 0,
            weights=WeightsView(
                candidate=_percent(split.candidate_bp),
                baseline=_percent(split.baseline_bp),
                stable=_percent(split.stable_bp),
                shadow=_percent(split.shadow_bp),
            ),
            policy=policy.model_dump(mode="json"),
        )


class RolloutsView(View):
    """Rollouts, the latest first."""

    rollouts: tuple[RolloutView, ...]


class DoneView(View):
    """A rollout after a change, what was done, and that in a sentence.

    After a dry run it is what the rollout would be; nothing has changed.
    """

    rollout: RolloutView
    action: str
    says: str
    dry_run: bool

    @classmethod
    def of(cls, done: Done) -> DoneView:
        """The view of a change."""
        view = RolloutView.of(done.rollout)
        return cls(rollout=view, action=done.action, says=done.says, dry_run=done.tried)


class GuardrailView(View):
    """One guardrail: what was counted by arm, what the evidence is, and what it says.

    `harm_log10` is the logarithm of the e-value that the candidate is worse, which rolls it back at
    `harm_at`; `good_log10` that it is not worse by the margin, which is enough at `good_at`. The
    `estimate` is in `measure`, with an interval that holds at any time. `more_units` and `about_s`
    say how much is missing to tell, and how long that takes at the present rate.
    """

    metric: Metric
    verdict: str
    optional: bool
    compared_with: str | None
    events: Mapping[str, int]
    units: Mapping[str, int]
    harm_log10: float
    harm_at: float
    good_log10: float
    good_at: float
    measure: str
    estimate: float | None
    lower: float | None
    upper: float | None
    more_units: int | None
    about_s: float | None
    says: str

    @classmethod
    def of(cls, guard: Guard) -> GuardrailView:
        """The view of a guardrail as it stands."""
        found = guard.finding
        same = ("metric", "optional", "compared_with", "events", "units", "measure", "more_units")
        figures = ("harm_log10", "harm_at", "good_log10", "good_at", "estimate", "lower", "upper")
        return cls(
            **{name: getattr(found, name) for name in (*same, *figures)},
            verdict=guard.verdict.value,
            about_s=guard.about_s,
            says=guard.says,
        )


class WithinView(View):
    """Within how many seconds a `share` of an arm's answers comes.

    The bounds hold at every look at once with 95 %, and are ends of buckets, which are 25 % wide.
    None is longer than the longest bucket, of 52 s, or not known yet.
    """

    share: float
    estimate_s: float | None
    lower_s: float
    upper_s: float | None
    says: str

    @classmethod
    def of(cls, within: Within) -> WithinView:
        """The view of a quantile."""
        return cls(**asdict(within), says=within.says)


class ArmTimesView(View):
    """How long the answers of an arm took; for show, as nothing is decided by it.

    `none` are requests that had no answer in time: they count as longer than all others.
    """

    arm: JudgedArm
    answers: int
    none: int
    within: tuple[WithinView, ...]
    says: str

    @classmethod
    def of(cls, times: ArmTimes) -> ArmTimesView:
        """The view of an arm's times."""
        return cls(
            arm=times.arm,
            answers=times.answers,
            none=times.none,
            within=tuple(WithinView.of(each) for each in times.within),
            says=times.says,
        )


class ScoreChangeView(View):
    """The candidate's score less the stable version's, on average over `rows` that have both.

    For show, as nothing is decided by it. The bounds hold at every look at once with 95 %; there
    are none where some score was not between 0 and 1.
    """

    rows: int
    estimate: float | None
    lower: float | None
    upper: float | None
    says: str

    @classmethod
    def of(cls, change: ScoreChange) -> ScoreChangeView:
        """The view of a change."""
        return cls(**asdict(change))


class AccountView(View):
    """How a rollout stands: what every guardrail says, what it waits for, and what else to know.

    `units_per_s` is how many units meet the candidate, `pairs_per_s` how many of its answers are
    compared in the shadow stage, `labelled_per_s` how many of its units get their label, and
    `labelled_pairs_per_s` how many answers that were compared. Without `fresh` reports of all
    gateway processes nothing advances. `times` and `score_change` are for show.
    """

    rollout: RolloutView
    guardrails: tuple[GuardrailView, ...]
    waits_for: tuple[str, ...]
    notes: tuple[str, ...]
    units_per_s: float | None
    pairs_per_s: float | None
    labelled_per_s: float | None
    labelled_pairs_per_s: float | None
    fresh: bool
    times: tuple[ArmTimesView, ...]
    score_change: ScoreChangeView | None

    @classmethod
    def of(cls, account: Account) -> AccountView:
        """The view of an account."""
        change = account.shown.score_change
        return cls(
            rollout=RolloutView.of(account.rollout),
            guardrails=tuple(GuardrailView.of(guard) for guard in account.guards),
            waits_for=account.waits_for,
            notes=account.notes,
            units_per_s=account.rates.units_per_s,
            pairs_per_s=account.rates.pairs_per_s,
            labelled_per_s=account.rates.labelled_per_s,
            labelled_pairs_per_s=account.rates.labelled_pairs_per_s,
            fresh=account.fresh,
            times=tuple(ArmTimesView.of(each) for each in account.shown.times),
            score_change=ScoreChangeView.of(change) if change is not None else None,
        )


class RolloutChangeView(View):
    """One change: what the rollout was after it, who made it, and on what evidence."""

    number: int
    action: str
    state: RolloutState
    step: int
    hold: Hold | None
    by: str
    at: str
    reason: str
    evidence: Mapping[str, Any]

    @classmethod
    def of(cls, change: RolloutChange) -> RolloutChangeView:
        """The view of a recorded change."""
        after = RolloutView.of(change.rollout)
        same = ("number", "state", "step", "hold", "by", "at", "reason")
        evidence = orjson.loads(change.evidence) if change.evidence else {}
        own = {name: getattr(after, name) for name in same}
        return cls(**own, action=change.action, evidence=evidence)


class RolloutChangesView(View):
    """Every change in the life of a rollout, the first one first."""

    changes: tuple[RolloutChangeView, ...]


def _percent(basis_points: int) -> float:
    return basis_points * 100 / FULL

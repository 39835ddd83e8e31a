"""What another policy would have said of rollouts that were recorded.

Each change of a rollout keeps the counts up to it. What was counted between two of them is folded
into evidence under the other policy, and judged where the changes are: later than a rollout that is
watched, which looks every second, never earlier. Traffic stays split as it was: that another policy
would have split it otherwise nobody can replay. When within that time something happened was not
kept, so what clusters counts as single events here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from configs.policy import Metric, Policy
from serve.rollout.evidence import Evidence, Shares, counts_of, fold, fold_pairs
from serve.rollout.finding import Finding
from serve.rollout.guardrails import SignalsSeen, judge, split_is_suspect
from serve.rollout.machine import Seen
from serve.rollout.moves import missing
from serve.rollout.simulation.counts import ARMS
from serve.rollout.tallies import JudgedArm, Tally

_NOTHING = Evidence()


@dataclass(frozen=True, slots=True)
class RecordedChange:
    """One change of a rollout: when it was, at which step, and its evidence as it was kept."""

    at: datetime
    step: int
    evidence: Mapping[str, Any]


class Would(StrEnum):
    """What a policy would have done."""

    ROLLED_BACK = "rolled back"
    PROMOTED = "let it be promoted"
    SPLIT = "held: traffic not split as it should be"
    NEITHER = "waited"


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a policy would have done, after so many seconds at the latest, and why."""

    would: Would
    after_s: float
    reason: str


def replay(policy: Policy, changes: Iterable[RecordedChange]) -> Replayed:
    """What a policy would have done with what was counted in one rollout.

    Alarms of the monitors are not recorded: they are taken to be silent. `ValueError` where what
    was kept is not evidence.
    """
    policy = _counting_each(policy)
    evidence, seen, began = Evidence.begin(policy), _NOTHING, None
    said = Replayed(Would.NEITHER, 0.0, "nothing was counted")
    for change in changes:
        began = began or change.at
        after_s = (change.at - began).total_seconds()
        if not change.evidence.get("evidence"):
            continue
        counted = counts_of(change.evidence["evidence"])
        for shares, tallies in _stretches(seen, counted):
            evidence = fold(evidence, shares, tallies, change.step, after_s)
        evidence = fold_pairs(evidence, counted.pairs.counts() - seen.pairs.counts())
        seen = counted
        findings = judge(evidence, policy, _same_behaviour(change), SignalsSeen())
        said = _say(policy, evidence, findings, said, after_s)
        if said.would in (Would.ROLLED_BACK, Would.SPLIT):
            break
    return said


def _counting_each(policy: Policy) -> Policy:
    guardrails = (
        each.model_copy(update={"cluster_s": 0.0}) if each.block_s else each
        for each in policy.guardrails
    )
    return policy.model_copy(update={"guardrails": tuple(guardrails)})


def _say(
    policy: Policy,
    evidence: Evidence,
    findings: tuple[Finding, ...],
    before: Replayed,
    after_s: float,
) -> Replayed:
    known = Seen(findings)
    if (harm := known.harm) is not None:
        return Replayed(Would.ROLLED_BACK, after_s, f"{harm.metric.value}: {harm.message}")
    if split_is_suspect(evidence, policy):
        return Replayed(Would.SPLIT, after_s, "")
    if before.would is Would.PROMOTED:
        return before
    lacking = missing(policy, known)
    if lacking:
        return Replayed(Would.NEITHER, after_s, f"not shown: {', '.join(lacking)}")
    return Replayed(Would.PROMOTED, after_s, "shown on every guardrail")


def _same_behaviour(change: RecordedChange) -> bool:
    """Whether disagreement was judged, as it is where answers must be alike."""
    findings = change.evidence.get("findings", ())
    return any(
        each["metric"] == Metric.SHADOW_DISAGREEMENT.value and each["harm_at"] > 0
        for each in findings
    )


def _stretches(
    before: Evidence, after: Evidence
) -> Iterator[tuple[dict[JudgedArm, int], dict[JudgedArm, Tally]]]:
    for shares, tallies in after.seen.items():
        known = before.seen.get(shares, {})
        more = {arm: tally - known.get(arm, Tally()) for arm, tally in tallies.items()}
        if any(tally != Tally() for tally in more.values()):
            yield _by_arm(shares), more


def _by_arm(shares: Shares) -> dict[JudgedArm, int]:
    return dict(zip(ARMS, shares, strict=True))

"""What the evidence says of each guardrail: harmful, good or not known yet, with its numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import log, log10

from configs.policy import Guardrail, Metric, Policy
from monitors.stats.event_ratio import log_unequal
from serve.rollout.agreement import agreement_finding
from serve.rollout.between_arms import finding_between_arms, limits_passed
from serve.rollout.budget import harm_alpha
from serve.rollout.evidence import BETWEEN_ARMS, CANDIDATE, Evidence
from serve.rollout.fairness import fairness_finding
from serve.rollout.finding import Finding
from serve.rollout.shadow_loss import loss_finding
from serve.rollout.tallies import JudgedArm
from serve.rollout.wording import about_signals


@dataclass(frozen=True, slots=True)
class SignalsSeen:
    """Alarms of the monitors on the candidate that the stable version does not have."""

    alarms: tuple[str, ...] = ()
    known: bool = True


def judge(
    evidence: Evidence,
    policy: Policy,
    same_behaviour: bool,
    signals: SignalsSeen,
    shown: bool = True,
) -> tuple[Finding, ...]:
    """One finding for each guardrail, and one for each hard limit that is passed.

    What is for people only (intervals, what is missing, sentences) may be left out: not `shown`.
    """
    harm_at = -log10(harm_alpha(policy, same_behaviour))
    good_at = -log10(policy.alpha.promote)

    def finding(guardrail: Guardrail) -> Finding:
        blank = Finding(
            guardrail.metric, optional=guardrail.optional, harm_at=harm_at, good_at=good_at
        )
        if guardrail.metric in BETWEEN_ARMS:
            return finding_between_arms(evidence, guardrail, blank, policy.alpha.split, shown)
        if guardrail.metric is Metric.SHADOW_DISAGREEMENT:
            least = policy.shadow.min_pairs if policy.shadow.fraction else 0
            return agreement_finding(evidence.pairs, guardrail, blank, least, same_behaviour)
        if guardrail.metric is Metric.FAIRNESS_GAP:
            return fairness_finding(evidence.pairs, guardrail, blank, shown)
        if guardrail.metric is Metric.SHADOW_LOSS:
            return loss_finding(evidence.pairs.losses, guardrail, blank, shown)
        return _of_signals(blank, signals)

    findings = tuple(finding(guardrail) for guardrail in policy.guardrails)
    return (*findings, *limits_passed(evidence, policy))


def split_is_suspect(evidence: Evidence, policy: Policy) -> bool:
    """Whether units are not split between arms as they should be.

    The candidate against both others, and the baseline against stable, each with half the chance.
    """
    others = (JudgedArm.BASELINE, JudgedArm.STABLE)
    each = evidence.units(CANDIDATE, others), evidence.units(others[:1], others[1:])
    return any(log_unequal(splits) >= log(2 / policy.alpha.split) for splits in each)


def _of_signals(blank: Finding, signals: SignalsSeen) -> Finding:
    # Harmful means here that a rollout is held: the machine rolls nothing back for an alarm.
    harmful = bool(signals.alarms)
    good = signals.known and not harmful
    message = about_signals(signals.alarms, signals.known)
    return replace(blank, harmful=harmful, good=good, harm_at=0.0, good_at=0.0, message=message)

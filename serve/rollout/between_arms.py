"""What events say of the candidate beside another arm: worse, not worse by a margin, neither."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import ceil, log, log10

from configs.policy import DEPENDS_ON_LOAD, Guardrail, Metric, Policy
from monitors.stats import event_ratio, weighted_difference
from monitors.stats.event_ratio import Split
from monitors.stats.weighted_difference import Trials
from serve.rollout import wording
from serve.rollout.budget import limit_alpha
from serve.rollout.clusters import Clusters
from serve.rollout.evidence import RECENT_UNITS, Evidence
from serve.rollout.finding import Finding
from serve.rollout.outlook import times_as_much
from serve.rollout.tallies import JudgedArm

LN10 = log(10)


def finding_between_arms(
    evidence: Evidence, guardrail: Guardrail, blank: Finding, split_alpha: float, shown: bool
) -> Finding:
    """The finding on one guardrail of events; intervals and words only where it is `shown`."""
    metric = guardrail.metric
    splits, trials = evidence.splits(metric), evidence.trials(metric)
    harm = evidence.log_harm(metric) / LN10
    clusters = evidence.clusters.get(metric)
    good = log_goodness(trials, guardrail) / LN10
    if clusters is not None:
        # Neither few mishaps that are large nor many small ones may pass: both must be good.
        good = min(good, clusters.log_good() / LN10)
    other = other_arm(metric)
    found = replace(
        blank,
        compared_with=other,
        harm_log10=harm,
        harmful=harm >= blank.harm_at,
        good_log10=good,
        good=good >= blank.good_at and not _outcomes_missing(trials, split_alpha),
        events={
            JudgedArm.CANDIDATE: int(sum(each.candidate for each in splits)),
            other: int(sum(each.other for each in splits)),
        },
        units={
            JudgedArm.CANDIDATE: int(sum(each.units for each in trials)),
            other: int(sum(each.other_units for each in trials)),
        },
    )
    if not shown:
        return found
    found = _with_interval(found, trials, guardrail)
    found = replace(found, more_units=_more_units(found, trials, guardrail, clusters))
    return replace(found, message=wording.about_arms(found, guardrail))


def log_goodness(trials: Sequence[Trials], guardrail: Guardrail) -> float:
    """The natural logarithm of the e-value against "worse by the margin or more".

    First requests alone tell: where units come again, a worse version soon runs out of units that
    have had no event yet, and no longer seems worse.
    """
    if guardrail.margin_rel is not None:
        return event_ratio.log_not_worse(_first(trials), guardrail.margin_rel)
    return weighted_difference.log_below(trials, guardrail.margin_abs or 0.0)


def other_arm(metric: Metric) -> JudgedArm:
    """The arm in whose name the others stand."""
    return JudgedArm.BASELINE if metric in DEPENDS_ON_LOAD else JudgedArm.STABLE


def limits_passed(evidence: Evidence, policy: Policy) -> list[Finding]:
    """A finding for each hard limit that the candidate is beyond while the other arm is not."""
    needed = -log10(limit_alpha(policy))
    passed = []
    for limit in policy.hard_limits:
        won = evidence.limits[limit.metric].log_evidence / LN10
        last = evidence.recent[limit.metric]
        if won < needed or not _only_candidate_beyond(last, limit.share):
            continue
        other = other_arm(limit.metric)
        found = Finding(
            limit.metric,
            harmful=True,
            compared_with=other,
            harm_log10=won,
            harm_at=needed,
            events={JudgedArm.CANDIDATE: int(last.events), other: int(last.other_events)},
            units={JudgedArm.CANDIDATE: int(last.units), other: int(last.other_units)},
            measure="hard limit",
            estimate=last.events / last.units,
        )
        passed.append(replace(found, message=wording.about_limit(found, limit.share)))
    return passed


def _only_candidate_beyond(last: Trials, limit: float) -> bool:
    """Whether more of the last units than the limit failed in this arm alone; few tell nothing."""
    enough = last.units >= RECENT_UNITS
    beyond = last.events > limit * last.units
    return enough and beyond and last.other_events <= limit * last.other_units


def _outcomes_missing(trials: Sequence[Trials], alpha: float) -> bool:
    """Whether one arm has fewer units with an outcome than its share: what is slow is not good."""
    known = [Split(each.share, each.units, each.other_units) for each in trials]
    return event_ratio.log_unequal(known) >= -log(alpha)


def _first(trials: Sequence[Trials]) -> list[Split]:
    return [Split(each.share, each.events, each.other_events) for each in trials]


def _with_interval(found: Finding, trials: Sequence[Trials], guardrail: Guardrail) -> Finding:
    if guardrail.margin_rel is None:
        lower, upper = weighted_difference.difference_interval(trials)
        # Weights are without bias and may be beyond what a difference of shares can be.
        weighted = weighted_difference.difference(trials)
        estimate = None if weighted is None else min(max(weighted, lower), upper)
        return replace(
            found, measure="difference of shares", estimate=estimate, lower=lower, upper=upper
        )
    lower, upper = event_ratio.ratio_interval(_first(trials))
    estimate = event_ratio.likeliest_ratio(_first(trials))
    return replace(found, measure="ratio of rates", estimate=estimate, lower=lower, upper=upper)


def _more_units(
    found: Finding, trials: Sequence[Trials], guardrail: Guardrail, clusters: Clusters | None
) -> int | None:
    """How many more units of the candidate tell, if all goes on as it did until now."""
    units = found.units[JudgedArm.CANDIDATE]
    if found.good or found.harmful or not units:
        return None

    def told(times: float) -> bool:
        if clusters is not None and clusters.log_good(times) / LN10 < found.good_at:
            return False
        more = [Trials(each[0], *(times * count for count in each[1:])) for each in trials]
        return log_goodness(more, guardrail) / LN10 >= found.good_at

    times = times_as_much(told)
    return None if times is None else ceil(units * (times - 1))

"""Sentences on what was found, for people who have not read how it was found."""

from __future__ import annotations

from collections.abc import Sequence

from configs.policy import Guardrail, Metric
from monitors.stats.paired_losses import Losses
from serve.rollout.finding import Finding
from serve.rollout.paired import PairsSeen
from serve.rollout.tallies import JudgedArm

_DID = {
    Metric.ERROR_RATIO: "failed",
    Metric.TIMEOUT_RATIO: "timed out",
    Metric.INVALID_OUTPUT: "got an invalid answer",
    Metric.LATENCY_OVER_SLO: "were answered too late",
    Metric.QUALITY_LOSS: "were answered wrongly",
    Metric.SHADOW_LOSS: "were answered wrongly",
}
LABELLED = {
    Metric.QUALITY_LOSS: "labelled units",
    Metric.SHADOW_LOSS: "labelled rows that both versions answered",
}
"""What guardrails on labels are judged on."""

_OTHER = {JudgedArm.BASELINE: "the baseline", JudgedArm.STABLE: "the stable version"}


def about_arms(found: Finding, guardrail: Guardrail) -> str:
    """Who had how many events, how the rates compare, and what follows."""
    once = f" (within {guardrail.block_s:g} s, one mishap)" if guardrail.block_s else ""
    return f"{_counts(found)}{once}{_comparison(found)}; {_verdict(found, _allowed(guardrail))}"


def about_limit(found: Finding, share: float) -> str:
    """That a hard limit is passed."""
    return (
        f"of the last units, {_counts(found)}: beyond the hard limit of {_percent(share)}, while "
        f"{_other(found)} is below it ({_evidence(found.harm_log10, found.harm_at)})"
    )


def about_pairs(found: Finding, pairs: PairsSeen, most: float, *, judged: bool) -> str:
    """How often the shadow answered otherwise."""
    if not pairs.rows:
        return "no row was answered by the shadow and the stable version yet"
    numbers = (
        f"{pairs.disagreements:,} of {pairs.rows:,} rows were answered otherwise by the shadow "
        f"({_percent(found.lower or 0.0)} to {_percent(found.upper or 0.0)})"
    )
    if pairs.scored:
        numbers += f"; scores changed by {pairs.score_change / pairs.scored:+.2g} on average"
    if not judged:
        return f"{numbers}; shown only, as this version is meant to answer otherwise"
    return f"{numbers}; {_verdict(found, f'at most {_percent(most)} are allowed', 'rows')}"


def about_losses(found: Finding, losses: Losses, guardrail: Guardrail) -> str:
    """How often each version was wrong about the same rows; nothing while no label has come."""
    if not losses.pairs:
        return ""
    ours, theirs = int(losses.ours), int(losses.theirs)
    alone = f"of these the candidate alone {ours:,}, the stable version alone {theirs:,}"
    verdict = _verdict(found, _allowed(guardrail), LABELLED[Metric.SHADOW_LOSS])
    return f"{_counts(found)}; {alone}{_comparison(found)}; {verdict}"


def about_signals(alarms: Sequence[str], known: bool) -> str:
    """Alarms of the monitors, which hold a rollout and never roll it back."""
    if not known:
        return "what the monitors say of the candidate is not known"
    if not alarms:
        return "the monitors have no alarm on the candidate that the stable version lacks"
    return f"alarms on the candidate alone: {', '.join(alarms)}"


def _counts(found: Finding) -> str:
    did, other = _DID[found.metric], found.compared_with or JudgedArm.STABLE
    events, units = found.events, found.units
    of = LABELLED.get(found.metric, "units")
    return (
        f"{events[JudgedArm.CANDIDATE]:,} of {units[JudgedArm.CANDIDATE]:,} {of} {did} with the "
        f"candidate, {events[other]:,} of {units[other]:,} with {_other(found)}"
    )


def _other(found: Finding) -> str:
    return _OTHER[found.compared_with or JudgedArm.STABLE]


def _comparison(found: Finding) -> str:
    if found.estimate is None or found.lower is None or found.upper is None:
        return ""
    if found.measure == "ratio of rates":
        most = "any number of" if found.upper == float("inf") else f"{found.upper:.3g}"
        return f": {found.lower:.2g} to {most} times as often"
    estimate, lower, upper = map(_points, (found.estimate, found.lower, found.upper))
    return f": {estimate} points ({lower} to {upper})"


def _points(share: float) -> str:
    points = 100 * share
    return f"{points:+.2g}" if abs(points) < 99.5 else f"{points:+.0f}"


def _allowed(guardrail: Guardrail) -> str:
    if guardrail.margin_rel is not None:
        return f"less than {1 + guardrail.margin_rel:g} times as often is allowed"
    return f"less than {100 * (guardrail.margin_abs or 0.0):g} points more is allowed"


def _verdict(found: Finding, allowed: str, of: str = "units of the candidate") -> str:
    if found.harmful:
        return f"worse, {_evidence(found.harm_log10, found.harm_at)}"
    if found.good:
        return f"{allowed}: shown, {_evidence(found.good_log10, found.good_at)}"
    if found.good_at <= found.good_log10:
        return f"{allowed}: not shown, as outcomes are missing"
    if found.more_units is None:
        return f"{allowed}: not shown yet"
    return f"{allowed}: not shown yet, about {found.more_units:,} more {of} would at these rates"


def _evidence(log10: float, needed: float) -> str:
    return f"evidence {_number(log10)} : 1, {_number(needed)} needed"


def _number(log10: float) -> str:
    if log10 >= 5:
        return f"10^{log10:.0f}"
    return f"{10**log10:,.0f}" if log10 >= 2 else f"{10**log10:.2g}"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"

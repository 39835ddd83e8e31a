"""Whether the shadow's answers are wrong more often than the stable version's to the same rows.

Where both are wrong, or neither, nothing is learnt of who is better: so it takes far fewer labels
to tell than between arms, whose units differ.
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil, log

from configs.policy import Guardrail
from monitors.stats import paired_losses
from monitors.stats.paired_losses import Losses
from serve.rollout import wording
from serve.rollout.finding import Finding
from serve.rollout.outlook import times_as_much
from serve.rollout.tallies import JudgedArm

_LN10 = log(10)


def loss_finding(losses: Losses, guardrail: Guardrail, blank: Finding, shown: bool) -> Finding:
    """The finding on wrong answers; intervals and words only where it is `shown`."""
    harm = paired_losses.log_worse(losses) / _LN10
    good = _log_good(losses, guardrail) / _LN10
    events = losses.both + losses.ours, losses.both + losses.theirs
    arms = JudgedArm.CANDIDATE, JudgedArm.STABLE
    found = replace(
        blank,
        compared_with=JudgedArm.STABLE,
        harm_log10=harm,
        harmful=harm >= blank.harm_at,
        good_log10=good,
        good=good >= blank.good_at,
        events=dict(zip(arms, map(int, events), strict=True)),
        units=dict.fromkeys(arms, int(losses.pairs)),
    )
    if not shown:
        return found
    found = replace(
        _with_interval(found, losses, guardrail), more_units=_more_pairs(found, losses, guardrail)
    )
    return replace(found, message=wording.about_losses(found, losses, guardrail))


def _log_good(losses: Losses, guardrail: Guardrail) -> float:
    """The natural logarithm of the e-value against "worse by the margin or more"."""
    margin_abs, margin_rel = guardrail.margin_abs or 0.0, guardrail.margin_rel or 0.0
    return paired_losses.log_not_worse(losses, margin_abs, margin_rel)


def _with_interval(found: Finding, losses: Losses, guardrail: Guardrail) -> Finding:
    if guardrail.margin_rel is None:
        measure, estimate = "difference of shares", paired_losses.difference(losses)
        lower, upper = paired_losses.difference_interval(losses)
    else:
        measure, estimate = "ratio of rates", paired_losses.ratio(losses)
        lower, upper = paired_losses.ratio_interval(losses)
    return replace(found, measure=measure, estimate=estimate, lower=lower, upper=upper)


def _more_pairs(found: Finding, losses: Losses, guardrail: Guardrail) -> int | None:
    """About how many more labels tell, if all goes on as it did until now."""
    if found.good or found.harmful or not losses.pairs:
        return None
    times = times_as_much(
        lambda by: _log_good(losses.times(by), guardrail) / _LN10 >= found.good_at
    )
    return None if times is None else ceil(losses.pairs * (times - 1))

"""Whether the shadow's answers agree with the stable version's often enough."""

from __future__ import annotations

from dataclasses import replace
from math import ceil, log

from configs.policy import Guardrail
from monitors.stats.anytime_shares import anytime_share
from monitors.stats.event_ratio import Split, log_won, log_worse, smaller_than
from serve.rollout import wording
from serve.rollout.finding import Finding
from serve.rollout.outlook import times_as_much
from serve.rollout.paired import PairsSeen

_LN10 = log(10)


def agreement_finding(
    pairs: PairsSeen, guardrail: Guardrail, blank: Finding, least: int, judged: bool
) -> Finding:
    """The finding on disagreements, of which at least so many rows must tell.

    A version that is meant to answer otherwise is not `judged`: how often it does is shown, and
    nothing is asked of it but to have answered.
    """
    most = guardrail.max or 0.0
    lower, upper = anytime_share(pairs.disagreements, pairs.rows)
    found = replace(
        blank,
        measure="share of rows answered otherwise",
        estimate=pairs.disagreements / pairs.rows if pairs.rows else None,
        lower=lower,
        upper=upper,
    )
    if not judged:
        found = replace(found, good=pairs.rows >= least, harm_at=0.0, good_at=0.0)
        return replace(found, message=wording.about_pairs(found, pairs, most, judged=False))
    harm = log_worse([_odds(pairs, most)]) / _LN10
    good = _log_fewer(pairs, most) / _LN10
    found = replace(
        found,
        harm_log10=harm,
        harmful=harm >= blank.harm_at,
        good_log10=good,
        good=good >= blank.good_at and pairs.rows >= least,
    )
    found = replace(found, more_units=_more_rows(found, pairs, most, least))
    return replace(found, message=wording.about_pairs(found, pairs, most, judged=True))


def _odds(pairs: PairsSeen, most: float, times: float = 1.0) -> Split:
    """A row that disagrees is an event of the one kind, one that agrees of the other."""
    return Split(most, times * pairs.disagreements, times * (pairs.rows - pairs.disagreements))


def _log_fewer(pairs: PairsSeen, most: float, times: float = 1.0) -> float:
    """The logarithm of the e-value against "a row disagrees with chance `most` or more"."""
    return log_won([_odds(pairs, most, times)], smaller_than(1.0))


def _more_rows(found: Finding, pairs: PairsSeen, most: float, least: int) -> int | None:
    if found.good or found.harmful or not pairs.rows:
        return None
    if found.good_log10 >= found.good_at:
        return least - pairs.rows
    times = times_as_much(lambda by: _log_fewer(pairs, most, by) / _LN10 >= found.good_at)
    if times is None:
        return None
    return max(ceil(pairs.rows * (times - 1)), least - pairs.rows)

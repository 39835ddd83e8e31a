"""What is folded from counts: the promises of the whole, by all outcomes and by long streams."""

from __future__ import annotations

from math import exp, inf
from typing import Any

import numpy as np
import pytest

from configs.policy import Guardrail, HardLimit, Metric, Policy
from serve.rollout.evidence import Evidence, compared_with, fold, fold_pairs
from serve.rollout.guardrails import SignalsSeen, judge, split_is_suspect
from serve.rollout.tallies import GroupPairs, JudgedArm, Pairs, Tally
from tests.monitors.stats.outcomes import mean_when_stopped

CANDIDATE, BASELINE, STABLE = JudgedArm.CANDIDATE, JudgedArm.BASELINE, JudgedArm.STABLE
ERROR, INVALID, LATE = Metric.ERROR_RATIO, Metric.INVALID_OUTPUT, Metric.LATENCY_OVER_SLO
POLICY = Policy(
    guardrails=(
        Guardrail(metric=ERROR, margin_abs=0.1),
        Guardrail(metric=INVALID, margin_rel=1.0),
        Guardrail(metric=LATE, margin_rel=1.0),
    ),
    hard_limits=(HardLimit(metric=Metric.ERROR_RATIO),),
)
RAMP = ((0.1, 0.1), (0.5, 0.1), (0.9, 0.0))
"""Shares of candidate and baseline; the last is a bake, without a baseline."""


def shares(candidate: float, baseline: float) -> dict[JudgedArm, int]:
    """In basis points."""
    one, other = round(candidate * 10_000), round(baseline * 10_000)
    return {CANDIDATE: one, BASELINE: other, STABLE: 10_000 - one - other}


def tally(units: int, **events: int) -> Tally:
    """Units that come once, and their events by name of a metric."""
    counts = {Metric(name): count for name, count in events.items()}
    return Tally(units, counts, counts)


def told(units: tuple[tuple[JudgedArm, bool], ...]) -> Evidence:
    """One unit a look, each with an error and an invalid output, or neither."""
    evidence = Evidence.begin(POLICY)
    for at, (arm, event) in enumerate(units):
        counts = tally(1, error_ratio=int(event), invalid_output=int(event))
        evidence = fold(evidence, shares(*RAMP[at]), {arm: counts}, at, 60.0 * at)
    return evidence


@pytest.mark.parametrize("stop_at", [1.1, 2.0, inf])
@pytest.mark.parametrize("what", ["harm", "harm of all stable", "limit", "good"])
@pytest.mark.parametrize("base", [0.05, 0.6])
def test_every_e_value_of_a_rollout_has_a_mean_of_at_most_one(
    what: str, base: float, stop_at: float
) -> None:
    """All outcomes of three units, one a step, the last in a bake.

    Harm while versions are alike, goodness while the candidate is worse by just the margin.
    """
    worse = 0.1 if what == "good" else 0.0

    def chances(before: tuple[Any, ...]) -> list[tuple[Any, float]]:
        candidate, baseline = RAMP[len(before)]
        arms = ((CANDIDATE, candidate), (BASELINE, baseline), (STABLE, 1 - candidate - baseline))
        return [
            ((arm, event), share * (p if event else 1 - p))
            for arm, share in arms
            for event in (True, False)
            for p in (base + worse * (arm is CANDIDATE),)
        ]

    def value(units: tuple[Any, ...]) -> float:
        evidence = told(units)
        if what == "limit":
            return exp(evidence.limits[ERROR].log_evidence)
        if what == "good":
            found, *_ = judge(evidence, POLICY, False, SignalsSeen(), shown=False)
            return float(10**found.good_log10)
        return exp(evidence.log_harm(INVALID if "stable" in what else ERROR))

    assert mean_when_stopped(len(RAMP), chances, value, stop_at) == pytest.approx(1.0)


def test_what_depends_on_load_is_compared_with_the_baseline_alone() -> None:
    """With as much traffic, else with nobody; without one, only errors, with what is kept back."""
    canary, bake, unlike = (500, 500, 9000), (9500, 0, 500), (5000, 1000, 4000)
    for metric in (ERROR, Metric.TIMEOUT_RATIO, LATE):
        assert compared_with(metric, canary) == (BASELINE,)
    assert compared_with(INVALID, canary) == (BASELINE, STABLE)
    assert compared_with(ERROR, bake) == (BASELINE, STABLE)
    assert compared_with(LATE, bake) == compared_with(Metric.TIMEOUT_RATIO, bake) == ()
    assert compared_with(ERROR, unlike) == ()
    assert compared_with(INVALID, unlike) == (BASELINE, STABLE)
    evidence = fold(
        Evidence.begin(Policy()),
        shares(0.95, 0.0),
        {CANDIDATE: tally(95, latency_over_slo=90), STABLE: tally(5)},
        4,
        0,
    )
    assert evidence.log_harm(LATE) == pytest.approx(0.0)
    assert evidence.trials(LATE) == []


def test_cuts_within_a_look_do_not_matter_but_for_where_bets_begin() -> None:
    """Counts add up by split; an arm without a share is left out."""
    one = {CANDIDATE: tally(10, error_ratio=1), BASELINE: tally(12), STABLE: tally(90)}
    once = fold(Evidence.begin(POLICY), shares(0.1, 0.1), one, 0, 0)
    twice = fold(once, shares(0.1, 0.1), one, 0, 60.0)
    again = fold(twice, shares(0.5, 0.5), one, 1, 120.0)
    assert [each.units for each in again.trials(ERROR)] == [20, 10]
    assert [each.other for each in again.splits(INVALID)] == [0, 0]
    none = fold(Evidence.begin(POLICY), {STABLE: 10_000}, one, 0, 0)
    assert none.splits(ERROR) == []
    assert none.log_harm(ERROR) == pytest.approx(0.0)


def test_evidence_goes_on_from_its_text_bit_by_bit() -> None:
    """Also before anything was seen; a text of something else is refused."""
    rng = np.random.default_rng(0)
    evidence, fresh = Evidence.begin(POLICY), Evidence.begin(POLICY)
    assert Evidence.from_json(fresh.to_json(), POLICY) == fresh
    for at in range(200):
        counts = {
            arm: tally(
                50,
                error_ratio=int(rng.integers(3)),
                invalid_output=int(rng.integers(2)),
                latency_over_slo=int(rng.integers(3)),
            )
            for arm in JudgedArm
        }
        evidence = fold(evidence, shares(*RAMP[at // 70]), counts, at // 70, 60.0 * at)
        group = GroupPairs(40, int(rng.integers(3)), int(rng.integers(3)), int(rng.integers(40)))
        evidence = fold_pairs(evidence, Pairs(40, 2, 0.1, 0.01, {("sex", "f"): group}))
    again = Evidence.from_json(evidence.to_json(), POLICY)
    assert again == evidence
    assert again.to_json() == evidence.to_json()
    for text in ("{}", "[]", '{"harm": 3}'):
        with pytest.raises(ValueError, match="no evidence"):
            Evidence.from_json(text, POLICY)
    with pytest.raises(ValueError, match="another policy"):
        Evidence.from_json(evidence.to_json(), Policy())


def test_labels_count_the_units_whose_truth_has_come() -> None:
    """Of wrong answers, units without a label are no trials."""
    policy = Policy(guardrails=(Guardrail(metric=Metric.QUALITY_LOSS, margin_abs=0.01),))
    counts = Tally(100, {Metric.QUALITY_LOSS: 3}, {Metric.QUALITY_LOSS: 3}, labelled=20)
    evidence = fold(
        Evidence.begin(policy), shares(0.1, 0.1), {CANDIDATE: counts, STABLE: counts}, 0, 0
    )
    (trials,) = evidence.trials(Metric.QUALITY_LOSS)
    assert (trials.units, trials.other_units) == (20, 20)


def test_a_split_that_is_not_as_it_should_be_is_suspect() -> None:
    """Of candidate and others, and of the baseline and stable; a right one is not."""

    def suspect(candidate: int, baseline: int, stable: int) -> bool:
        counts = {CANDIDATE: tally(candidate), BASELINE: tally(baseline), STABLE: tally(stable)}
        return split_is_suspect(
            fold(Evidence.begin(POLICY), shares(0.05, 0.05), counts, 0, 0), POLICY
        )

    assert not suspect(5000, 5000, 90_000)
    assert not suspect(5150, 4900, 89_950)
    assert suspect(6000, 5000, 89_000)
    assert suspect(4300, 5000, 90_700)
    assert suspect(5000, 5800, 89_200)
    assert not split_is_suspect(Evidence.begin(POLICY), POLICY)

"""What another policy would have said of a rollout that was recorded."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from configs.policy import Guardrail, Metric, Policy
from serve.rollout.evidence import Evidence, fold, fold_pairs
from serve.rollout.guardrails import SignalsSeen, judge
from serve.rollout.simulation.replay import RecordedChange, Would, replay
from serve.rollout.tallies import GroupPairs, JudgedArm, Pairs, Tally
from tests.serve.rollout.cases import START

SHARES = {JudgedArm.CANDIDATE: 2500, JudgedArm.BASELINE: 2500, JudgedArm.STABLE: 5000}
RECORDED_WITH = Policy()


def errors(margin: float) -> Policy:
    """A policy that asks for errors only."""
    guardrail = Guardrail(metric=Metric.ERROR_RATIO, margin_abs=margin)
    return Policy(guardrails=(guardrail,))


def counted(units: int, failed: int, stable_failed: int) -> dict[JudgedArm, Tally]:
    """So many units of the candidate, as many of the baseline, and errors of both."""

    def tally(units: int, failed: int) -> Tally:
        events = {Metric.ERROR_RATIO: failed}
        return Tally(units=units, trials=events, events=events)

    return {
        JudgedArm.CANDIDATE: tally(units, failed),
        JudgedArm.BASELINE: tally(units, stable_failed),
        JudgedArm.STABLE: tally(2 * units, 2 * stable_failed),
    }


def recorded(*stretches: tuple[int, int, int]) -> list[RecordedChange]:
    """A change after each stretch, ten minutes apart, with all counts up to it."""
    evidence, changes = Evidence.begin(RECORDED_WITH), []
    for number, stretch in enumerate(stretches):
        evidence = fold(evidence, SHARES, counted(*stretch), 0, number * 10)
        group = {("sex", "f"): GroupPairs(10, 1, 0, 5)}
        evidence = fold_pairs(evidence, Pairs(rows=20, disagreements=1, groups=group))
        findings = [{"metric": "shadow_disagreement", "harm_at": 2.8}]
        told = {"findings": findings, "evidence": json.loads(evidence.to_json())}
        changes.append(RecordedChange(START + timedelta(minutes=10 * number), 0, told))
    return changes


def test_a_policy_that_was_recorded_with_says_the_same_again() -> None:
    """Counts are taken apart and put together without loss."""
    stretches = [(400, 1, 0), (900, 2, 1), (700, 9, 0)]
    evidence = Evidence.begin(errors(0.02))
    for number, stretch in enumerate(stretches):
        evidence = fold(evidence, SHARES, counted(*stretch), 0, number * 10)
    finding, *_ = judge(evidence, errors(0.02), True, SignalsSeen())
    said = replay(errors(0.02), recorded(*stretches))
    assert (said.would is Would.PROMOTED) == finding.good
    assert (said.would is Would.ROLLED_BACK) == finding.harmful


def test_harm_is_found_where_it_was_and_not_forgotten() -> None:
    """Whatever came after it."""
    said = replay(errors(0.02), recorded((500, 1, 0), (500, 60, 0), (500, 0, 0)))
    assert (said.would, said.after_s) == (Would.ROLLED_BACK, 600.0)
    assert said.reason.startswith("error_ratio: ")


def test_a_wider_margin_would_have_promoted_what_a_narrow_one_leaves_open() -> None:
    """The same counts, another policy."""
    changes = recorded((600, 2, 0), (600, 1, 1))
    assert replay(errors(0.05), changes).would is Would.PROMOTED
    narrow = replay(errors(0.0005), changes)
    assert (narrow.would, narrow.reason) == (Would.NEITHER, "not shown: error_ratio")


def test_late_answers_count_each_where_their_moments_are_not_kept() -> None:
    """So what was found of them in seconds is found again in what was kept after minutes."""
    late = {Metric.LATENCY_OVER_SLO: 60}
    slow = {**counted(500, 0, 0), JudgedArm.CANDIDATE: Tally(500, late, late)}
    evidence = fold(Evidence.begin(RECORDED_WITH), SHARES, slow, 0, 0.0)
    told = {"findings": [], "evidence": json.loads(evidence.to_json())}
    said = replay(Policy(), [RecordedChange(START, 0, told)])
    assert said.would is Would.ROLLED_BACK
    assert said.reason.startswith("latency_over_slo: ")


def test_nothing_was_counted_in_a_rollout_that_only_began() -> None:
    """As of one whose hosts did not start."""
    assert replay(errors(0.02), [RecordedChange(START, 0, {})]).would is Would.NEITHER


def test_a_split_that_was_wrong_is_said() -> None:
    """Nothing else can be said then."""
    wrong = {JudgedArm.CANDIDATE: Tally(units=900), JudgedArm.STABLE: Tally(units=100)}
    evidence = fold(Evidence.begin(RECORDED_WITH), SHARES, wrong, 0, 0)
    told = {"findings": [], "evidence": json.loads(evidence.to_json())}
    assert replay(errors(0.02), [RecordedChange(START, 0, told)]).would is Would.SPLIT


def test_what_is_not_evidence_is_refused() -> None:
    """With a sentence."""
    with pytest.raises(ValueError, match="no evidence of a rollout"):
        replay(errors(0.02), [RecordedChange(START, 0, {"evidence": {"a": 1}})])

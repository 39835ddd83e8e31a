"""What is said of each guardrail: verdicts, budgets, and sentences with their numbers."""

from __future__ import annotations

from math import log10

import pytest

from configs.policy import EVENTS, Guardrail, HardLimit, Metric, Policy, ShadowStage
from serve.rollout.budget import harm_alpha, limit_alpha, may_roll_back
from serve.rollout.evidence import Evidence, fold, fold_pairs
from serve.rollout.finding import Finding
from serve.rollout.guardrails import SignalsSeen, judge
from serve.rollout.tallies import GROUPS_MAX, GroupPairs, JudgedArm, Pairs
from tests.serve.rollout.test_evidence import BASELINE, CANDIDATE, STABLE, shares, tally

POLICY = Policy()


def findings(
    evidence: Evidence,
    same: bool = True,
    signals: SignalsSeen | None = None,
    policy: Policy = POLICY,
    shown: bool = True,
) -> dict[Metric, Finding]:
    """By metric, those of guardrails."""
    found = judge(evidence, policy, same, signals or SignalsSeen(), shown)
    return {each.metric: each for each in found[: len(policy.guardrails)]}


def counted(
    candidate: dict[str, int], other: dict[str, int], units: int = 5000, policy: Policy = POLICY
) -> Evidence:
    """At 5 %, so many units of candidate and baseline, and 18 times as many of stable."""
    each = {
        CANDIDATE: tally(units, **candidate),
        BASELINE: tally(units, **other),
        STABLE: tally(18 * units),
    }
    return fold(Evidence.begin(policy), shares(0.05, 0.05), each, 1, 0)


def test_the_whole_chance_of_a_false_rollback_is_shared_out() -> None:
    """Six guardrails that can roll back, or five if the version may answer otherwise."""
    assert len(may_roll_back(POLICY, same_behaviour=True)) == 6
    assert len(may_roll_back(POLICY, same_behaviour=False)) == 5
    assert Metric.SIGNALS not in may_roll_back(POLICY, same_behaviour=True)
    for same in (True, False):
        guardrails = len(may_roll_back(POLICY, same)) * harm_alpha(POLICY, same)
        limits = len(POLICY.hard_limits) * limit_alpha(POLICY)
        assert guardrails + limits == pytest.approx(POLICY.alpha.rollback)
    assert 6 * harm_alpha(Policy(hard_limits=()), same_behaviour=True) == pytest.approx(0.01)


def test_nothing_seen_tells_nothing() -> None:
    """No data is neither success nor failure, but of monitors that are quiet."""
    found = findings(Evidence.begin(POLICY))
    assert [each.metric for each in found.values()] == [g.metric for g in POLICY.guardrails]
    for metric, each in found.items():
        assert not each.harmful
        assert each.good == (metric is Metric.SIGNALS)
        assert each.more_units is None
        assert each.message


def test_more_errors_are_harm_and_as_many_are_good() -> None:
    """With their numbers in the sentence."""
    bad = findings(counted({"error_ratio": 60}, {"error_ratio": 6}))[Metric.ERROR_RATIO]
    assert bad.harmful
    assert not bad.good
    assert bad.harm_log10 >= bad.harm_at == pytest.approx(log10(6 / 0.009))
    assert bad.compared_with is BASELINE
    assert "60 of 5,000 units failed with the candidate, 6 of 5,000 with the baseline" in (
        bad.message
    )
    assert "worse, evidence" in bad.message
    alike = findings(counted({"error_ratio": 6}, {"error_ratio": 6}))[Metric.ERROR_RATIO]
    assert alike.good
    assert not alike.harmful
    assert "less than 0.5 points more is allowed: shown" in alike.message
    assert alike.lower is not None
    assert alike.upper is not None
    assert alike.lower < 0 < alike.upper < 0.005


def test_a_relative_margin_is_judged_by_who_was_late() -> None:
    """Against the baseline: as often is good, five times as often is harm."""
    late = Metric.LATENCY_OVER_SLO
    alone = Policy(guardrails=(Guardrail(metric=late, margin_rel=1.0, cluster_s=0.0),))
    alike = findings(counted({late.value: 50}, {late.value: 50}, policy=alone), policy=alone)[late]
    assert alike.good
    assert alike.measure == "ratio of rates"
    assert alike.estimate == pytest.approx(1.0)
    assert "times as often" in alike.message
    worse = findings(counted({late.value: 100}, {late.value: 20}, policy=alone), policy=alone)[late]
    assert worse.harmful
    assert worse.estimate == pytest.approx(5.0)


def test_how_many_more_units_it_takes_is_about_right() -> None:
    """As many as said, at the same rates, and it is shown; with a tenth fewer it is not."""
    few = findings(counted({"error_ratio": 1}, {"error_ratio": 1}, units=500))[Metric.ERROR_RATIO]
    assert not few.good
    assert few.more_units is not None
    assert f"about {few.more_units:,} more units of the candidate" in few.message

    def enough(part: float) -> bool:
        units = 500 + round(part * (few.more_units or 0))
        events = {"error_ratio": round(units / 500)}
        return findings(counted(events, events, units=units))[Metric.ERROR_RATIO].good

    assert enough(1.05)
    assert not enough(0.7)


def test_units_without_an_outcome_are_not_good() -> None:
    """A version that hangs has few units that are known not to have failed, and no failure yet."""
    known = {CANDIDATE: tally(20), BASELINE: tally(20_000), STABLE: tally(360_000)}
    for metric, found in findings(
        fold(Evidence.begin(POLICY), shares(0.05, 0.05), known, 1, 0)
    ).items():
        if metric in EVENTS:
            assert not found.good
            assert not found.harmful
        if metric is Metric.ERROR_RATIO:
            assert "outcomes are missing" in found.message


def test_a_worse_version_will_never_be_shown_to_be_good() -> None:
    """Nothing is said of how long that takes."""
    found = findings(counted({"error_ratio": 8}, {"error_ratio": 4}, units=300))
    assert found[Metric.ERROR_RATIO].more_units is None
    assert "not shown yet" in found[Metric.ERROR_RATIO].message


def test_what_is_for_people_only_can_be_left_out() -> None:
    """The verdicts are the same."""
    evidence = counted({"error_ratio": 60}, {"error_ratio": 6})
    for metric, each in findings(evidence, shown=False).items():
        shown = findings(evidence)[metric]
        assert (each.harmful, each.good) == (shown.harmful, shown.good)
        assert (each.harm_log10, each.good_log10) == (shown.harm_log10, shown.good_log10)


def test_beyond_a_hard_limit_there_is_one_more_finding() -> None:
    """Sooner than comparing would tell, and only while the other arm is below it."""
    policy = Policy(
        guardrails=(Guardrail(metric=Metric.INVALID_OUTPUT, margin_abs=0.001),),
        hard_limits=(HardLimit(metric=Metric.ERROR_RATIO, share=0.5),),
    )

    def passed(ours: int, theirs: int, units: int = 20) -> tuple[Finding, ...]:
        evidence = counted({"error_ratio": ours}, {"error_ratio": theirs}, units, policy)
        return judge(evidence, policy, True, SignalsSeen())[1:]

    (found,) = passed(20, 0)
    assert found.harmful
    assert found.measure == "hard limit"
    assert "20 of 20 units failed with the candidate, 0 of 20 with the baseline" in found.message
    assert "hard limit of 50 %" in found.message
    assert passed(20, 20) == ()
    assert passed(0, 20) == ()
    assert passed(19, 0, 19) == ()
    assert passed(40, 2, 100) == ()
    assert passed(1000, 600, 1000) == ()


def test_an_error_beside_passes_that_are_still_out_is_beyond_no_hard_limit() -> None:
    """A slow version has failed once and answered nobody yet; the baseline has answered 15."""
    policy = Policy(
        guardrails=(Guardrail(metric=Metric.INVALID_OUTPUT, margin_abs=0.001),),
        hard_limits=(HardLimit(metric=Metric.ERROR_RATIO, share=0.5),),
    )
    known = {CANDIDATE: tally(1, error_ratio=1), BASELINE: tally(15), STABLE: tally(0)}
    evidence = fold(Evidence.begin(policy), shares(0.5, 0.5), known, 0, 0)
    assert judge(evidence, policy, True, SignalsSeen())[1:] == ()
    assert evidence.limits[Metric.ERROR_RATIO].log_evidence < 1.0


def pairs(rows: int, disagreements: int, **groups: tuple[int, int, int, int]) -> Evidence:
    """Pairs, with groups of one attribute."""
    by_value = {("sex", value): GroupPairs(*counts) for value, counts in groups.items()}
    evidence = Evidence.begin(POLICY)
    return fold_pairs(evidence, Pairs(rows, disagreements, 0.5, 0.1, by_value))


def test_disagreement_is_judged_where_a_version_must_answer_alike() -> None:
    """Harm above what is allowed, good below, nothing in between."""
    shadow = Metric.SHADOW_DISAGREEMENT
    assert findings(pairs(2000, 200))[shadow].harmful
    good = findings(pairs(2000, 10))[shadow]
    assert good.good
    assert "10 of 2,000 rows were answered otherwise by the shadow" in good.message
    between = findings(pairs(1000, 17))[shadow]
    assert not between.good
    assert not between.harmful
    assert between.more_units is not None
    assert between.more_units > 1000


def test_disagreement_of_an_improvement_is_only_shown() -> None:
    """However often it answers otherwise; it must have answered."""
    shadow = Metric.SHADOW_DISAGREEMENT
    found = findings(pairs(2000, 900), same=False)[shadow]
    assert found.good
    assert not found.harmful
    assert "shown only" in found.message
    assert not findings(pairs(100, 0), same=False)[shadow].good
    without = Policy(shadow=ShadowStage(fraction=0.0))
    assert findings(Evidence.begin(without), same=False, policy=without)[shadow].good


def test_fewer_pairs_than_the_policy_asks_for_are_not_good() -> None:
    """Even if none disagrees, and the missing ones are told."""
    policy = Policy(shadow=ShadowStage(min_pairs=5000))
    found = findings(pairs(2000, 0), policy=policy)[Metric.SHADOW_DISAGREEMENT]
    assert not found.good
    assert found.more_units == 3000


def test_a_gap_that_widens_is_harm_and_one_that_closes_is_not() -> None:
    """One group loses a tenth of its favourable decisions, or gains it."""
    fairness = Metric.FAIRNESS_GAP
    worse = findings(pairs(8000, 0, f=(4000, 0, 400, 1600), m=(4000, 10, 10, 2000)))[fairness]
    assert worse.harmful
    assert worse.message.startswith("less fair: the gap between sex")
    assert worse.estimate == pytest.approx(0.1)
    closing = findings(pairs(8000, 0, f=(4000, 400, 0, 1600), m=(4000, 10, 10, 2000)))[fairness]
    assert not closing.harmful
    assert closing.estimate is not None
    assert closing.estimate < 0


def test_decisions_that_stay_are_as_fair_as_before_once_rows_are_enough() -> None:
    """And before that, about how many are missing."""
    fairness = Metric.FAIRNESS_GAP
    alike = (0, 0, 5000)
    found = findings(pairs(20_000, 0, f=(10_000, *alike), m=(10_000, *alike)))[fairness]
    assert found.good
    assert found.message.startswith("as fair as before")
    few = findings(pairs(400, 0, f=(200, 0, 0, 100), m=(200, 0, 0, 100)))[fairness]
    assert not few.good
    assert few.more_units is not None
    assert not few.optional
    none = findings(pairs(150, 0, f=(50, 0, 0, 20), m=(100, 0, 0, 20)))[fairness]
    assert not none.good
    assert "no attribute has two groups" in none.message


def test_nothing_is_as_fair_as_before_while_a_group_that_was_met_is_not_judged() -> None:
    """It is named; and what can be told is not optional."""
    fairness = Metric.FAIRNESS_GAP
    alike = (10_000, 0, 0, 5000)
    found = findings(pairs(20_050, 0, f=alike, m=alike, x=(50, 0, 50, 50)))[fairness]
    assert not found.good
    assert not found.optional
    assert "too few rows to judge, of them or of the others: sex x (50 rows)" in found.message
    tiny = {f"t{at}": (at + 1, 0, 0, 0) for at in range(5)}
    many = findings(pairs(20_050, 0, f=alike, m=alike, **tiny))[fairness]
    assert "sex t0 (1 rows), sex t1 (2 rows), sex t2 (3 rows), 2 more groups" in many.message


def test_nothing_is_as_fair_as_before_where_groups_may_have_been_left_out() -> None:
    """A gateway process keeps a thousand."""
    alike = (10_000, 0, 0, 5000)
    found = findings(pairs(10_000_000, 0, **{f"g{at}": alike for at in range(GROUPS_MAX)}))
    assert not found[Metric.FAIRNESS_GAP].good
    assert "groups that were met after the first 1,000" in found[Metric.FAIRNESS_GAP].message


def test_fairness_is_optional_only_where_no_attribute_has_two_groups() -> None:
    """One value alone has no gap, beside an attribute that has one too."""
    fairness = Metric.FAIRNESS_GAP
    assert findings(Evidence.begin(POLICY))[fairness].optional
    alone = findings(pairs(5000, 0, f=(5000, 0, 0, 100)))[fairness]
    assert alone.optional
    assert not alone.good
    assert not findings(pairs(5000, 0, f=(5000, 0, 0, 100), m=(1, 0, 0, 0)))[fairness].optional
    groups = {
        ("sex", "f"): GroupPairs(10_000, 0, 0, 5000),
        ("sex", "m"): GroupPairs(10_000, 0, 0, 5000),
        ("country", "at"): GroupPairs(20_000, 0, 0, 10_000),
    }
    both = fold_pairs(Evidence.begin(POLICY), Pairs(20_000, 0, 0.0, 0.0, groups))
    assert findings(both)[fairness].good


def test_alarms_of_the_monitors_hold_a_rollout() -> None:
    """They have no part in the chance of a rollback; not knowing them is no alarm, and not good."""
    signals = Metric.SIGNALS
    evidence = Evidence.begin(POLICY)
    raised = findings(evidence, signals=SignalsSeen(("prediction_drift score",)))[signals]
    assert raised.harmful
    assert not raised.good
    assert raised.harm_at == 0.0
    assert "prediction_drift score" in raised.message
    unknown = findings(evidence, signals=SignalsSeen(known=False))[signals]
    assert not unknown.harmful
    assert not unknown.good


def test_arms_are_counted_together_where_load_does_not_matter() -> None:
    """Invalid output is compared with the baseline's and all other stable units."""
    found = findings(counted({}, {"invalid_output": 2}))[Metric.INVALID_OUTPUT]
    assert found.compared_with is STABLE
    assert found.units == {JudgedArm.CANDIDATE: 5000, JudgedArm.STABLE: 95_000}
    assert found.events[STABLE] == 2

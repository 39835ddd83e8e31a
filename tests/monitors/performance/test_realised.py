"""Realised performance: figures, verdicts and evidence of rows whose truth has come."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from configs.settings import Monitors
from monitors.labels.judged import JudgedBlock
from monitors.performance.periods import Means
from monitors.performance.realised import RealisedPerformance
from monitors.profile.reference import ReferenceProfile
from monitors.profile.truth import Truth
from monitors.signal import Signal, Verdict
from registry.card import Card, Group, Label, Performance, Task
from registry.measures import MEASURES
from tests.monitors.performance.rows import binary, cut, judged, several
from tests.monitors.samples import CARD, profile
from tests.monitors.stats.fair import assert_alarms_within


def card(task: Task = Task.BINARY, **performance: Any) -> Card:
    """The sample card with labels and what is declared of performance."""
    return CARD.model_copy(
        update={
            "task": task,
            "label": Label(),
            "groups": (Group(name="sex"),),
            "performance": Performance.model_validate(performance),
        }
    )


def reference(**figures: float) -> ReferenceProfile:
    """A reference whose truth has these figures."""
    truth = Truth(rows=2000, counted=1000, figures=figures)
    return profile(np.random.default_rng(0), 100).model_copy(update={"truth": truth})


def made(declared: Card, known: ReferenceProfile | None = None, **settings: Any) -> Any:
    """The detector."""
    return RealisedPerformance(declared, known, Monitors(**settings))


def by_subject(detector: RealisedPerformance) -> dict[str, Signal]:
    """The signals."""
    return {signal.subject: signal for signal in detector.signals()}


def right(rows: int, share: float, seed: int = 0, **more: Any) -> JudgedBlock:
    """Rows of which just such a share is decided rightly, in some order; half of them are 1."""
    labels = np.arange(rows) % 2
    wrong = np.arange(rows) >= round(rows * share)
    order = np.random.default_rng(seed).permutation(rows)
    return judged(labels[order], None, np.where(wrong, 1 - labels, labels)[order], **more)


def after(declared: Card, *blocks: JudgedBlock, known: ReferenceProfile | None = None) -> Any:
    """The detector after some blocks."""
    detector = made(declared, known)
    for block in blocks:
        detector.judge(block)
    return detector


def test_each_verdict_follows_from_the_interval() -> None:
    """Wholly above the minimum, wholly below it with evidence, or across it."""
    floor = card(minimum={"accuracy": 0.8})
    good = by_subject(after(floor, right(1000, 0.9)))["accuracy"]
    assert (good.verdict, good.value, good.rows) == (Verdict.OK, 0.9, 1000)
    bad = by_subject(after(floor, right(1000, 0.7)))["accuracy"]
    assert bad.verdict is Verdict.ALARM
    assert bad.upper is not None
    assert bad.upper < 0.8
    assert (bad.log10_evidence or 0) > 2
    near = by_subject(after(floor, right(1000, 0.79)))["accuracy"]
    assert near.verdict is Verdict.INSUFFICIENT_DATA
    assert near.rows_needed


@pytest.mark.parametrize(("share", "verdict"), [(0.84, Verdict.OK), (0.74, Verdict.ALARM)])
def test_rows_needed_would_be_about_enough(share: float, verdict: Verdict) -> None:
    """With half as many more than are asked for at the same share, the verdict is reached."""
    floor = card(minimum={"accuracy": 0.8})
    few = by_subject(after(floor, right(200, share)))["accuracy"]
    assert few.verdict is Verdict.INSUFFICIENT_DATA
    enough = 200 + 1.5 * (few.rows_needed or 0)
    assert by_subject(after(floor, right(int(enough), share)))["accuracy"].verdict is verdict
    less = 200 + 0.3 * (few.rows_needed or 0)
    assert by_subject(after(floor, right(int(less), share)))["accuracy"].verdict is few.verdict


def test_a_tolerance_is_held_against_the_reference() -> None:
    """Two points are allowed: three points less is an alarm once there are enough rows."""
    declared = card(tolerance={"accuracy": 0.02, "brier": 0.01})
    known = reference(accuracy=0.9)
    worse = by_subject(after(declared, right(20_000, 0.86), known=known))
    assert worse["accuracy"].verdict is Verdict.ALARM
    assert "reference 0.9, tolerance 0.02" in worse["accuracy"].message
    same = by_subject(after(declared, right(20_000, 0.9), known=known))["accuracy"]
    assert same.verdict is Verdict.OK
    assert "name that column as label.column" in worse["brier"].message
    assert worse["brier"].rows_needed is None


def test_what_is_not_declared_is_shown_and_says_what_to_declare() -> None:
    """Figures with intervals, and no verdict that more rows would bring."""
    scores, labels = binary(np.random.default_rng(1), 1000)
    signals = by_subject(after(card(), judged(labels, scores)))
    assert list(signals) == [measure.name for measure in MEASURES[Task.BINARY]]
    for name, signal in signals.items():
        assert signal.verdict is Verdict.INSUFFICIENT_DATA
        assert signal.value is not None
        assert signal.rows_needed is None
        assert signal.log10_evidence is None
        if name == "calibration_error":
            assert signal.lower is None
            continue
        assert f"performance.tolerance.{name}" in signal.message
        assert signal.lower is not None
        assert signal.upper is not None
        assert signal.lower < signal.value < signal.upper
    assert "performance.maximum.brier" in signals["brier"].message


WORSE: dict[Task, dict[str, dict[str, float]]] = {
    Task.BINARY: {
        "minimum": {"precision": 0.8, "recall": 0.8, "specificity": 0.8, "f1": 0.8, "auc": 0.9},
        "maximum": {"log_loss": 0.4, "brier": 0.12},
    },
    Task.MULTICLASS: {
        "minimum": {"accuracy": 0.9, "top_3_accuracy": 0.99, "macro_f1": 0.9, "macro_recall": 0.9},
        "maximum": {"log_loss": 0.7, "brier": 0.3},
    },
    Task.REGRESSION: {"maximum": {"mae": 0.5, "rmse": 0.7, "bias": 0.3}},
}


def rows_of(task: Task, rng: np.random.Generator, rows: int) -> JudgedBlock:
    """Rows that are not as good as that."""
    if task is Task.BINARY:
        scores, labels = binary(rng, rows)
        return judged(labels, scores)
    if task is Task.MULTICLASS:
        chances, labels = several(rng, rows)
        return judged(labels, None, chances.argmax(axis=1), columns=chances)
    labels = rng.standard_normal(rows)
    return judged(labels, labels + rng.standard_normal(rows) + 0.5)


@pytest.mark.parametrize("task", WORSE)
def test_every_measure_that_is_worse_than_allowed_alarms(task: Task) -> None:
    """10,000 rows; those whose bets are fair have evidence."""
    detector = made(card(task, **WORSE[task]))
    detector.judge(rows_of(task, np.random.default_rng(2), 10_000))
    signals = by_subject(detector)
    names = [name for limits in WORSE[task].values() for name in limits]
    assert {name: signals[name].verdict for name in names} == dict.fromkeys(names, Verdict.ALARM)
    unbacked = {name for name in names if signals[name].log10_evidence is None}
    assert unbacked <= {"auc", "macro_f1", "macro_recall", "bias"}
    assert all((signals[name].log10_evidence or 9) > 2 for name in names)


UNCERTAIN = Card.model_validate(
    {
        "task": "regression",
        "score": {"output": "p", "column": 1, "quantile": 0.9},
        "interval": {
            "lower": {"output": "p", "column": 0},
            "upper": {"output": "p", "column": 2},
            "coverage": 0.9,
        },
        "label": {"type": "number"},
        "performance": {"tolerance": {"interval_coverage": 0.03}, "maximum": {"pinball": 0.2}},
    }
)


def within(share: float, rows: int = 5000) -> JudgedBlock:
    """Labels of which just such a share is between the ends; scores are their 0.9 quantile."""
    rng = np.random.default_rng(6)
    labels = rng.standard_normal(rows)
    upper = np.where(np.arange(rows) < round(rows * share), np.inf, -10.0)
    ends = np.stack([np.full(rows, -10.0), rng.permutation(upper)], axis=1)
    return replace(judged(labels, np.full(rows, 1.2816)), ends=ends)


@pytest.mark.parametrize(
    ("share", "verdict"),
    [(0.9, Verdict.OK), (0.8, Verdict.ALARM), (0.99, Verdict.ALARM)],
)
def test_an_interval_must_hold_as_often_as_it_promised(share: float, verdict: Verdict) -> None:
    """No less, which misleads, and no more, which says nothing; no reference is needed."""
    found = by_subject(after(UNCERTAIN, within(share)))["interval_coverage"]
    assert (found.value, found.verdict) == (share, verdict)
    assert "allowed from 0.87 to 0.93 (promised 0.9, tolerance 0.03)" in found.message
    assert ((found.log10_evidence or 0) > 2) is (verdict is Verdict.ALARM)


def test_a_quantile_is_judged_by_its_pinball_loss() -> None:
    """The best that a fixed number can lose is 0.1755; a mean in its place loses more."""
    block = within(0.9, 20_000)
    good = by_subject(after(UNCERTAIN, block))["pinball"]
    assert good.value == pytest.approx(0.1755, abs=0.004)
    assert good.verdict is Verdict.OK
    bad = by_subject(after(UNCERTAIN, replace(block, scores=np.zeros(20_000))))["pinball"]
    assert bad.verdict is Verdict.ALARM
    assert (bad.log10_evidence or 0) > 2


def test_a_regression_that_declares_neither_is_not_told_of_them() -> None:
    """No lines that can never say anything."""
    told = by_subject(after(card(Task.REGRESSION), judged(np.zeros(9), np.zeros(9))))
    assert list(told) == ["mae", "rmse", "bias", "r2"]


def test_too_few_rows_of_a_kind_say_how_many_of_all_are_needed() -> None:
    """One row in ten is positive: 30 more of these are 300 rows."""
    labels = (np.arange(200) % 10 == 0).astype(float)
    signals = by_subject(after(card(minimum={"recall": 0.5}), judged(labels, None, labels)))
    assert signals["recall"].rows_needed == 300
    assert "20 of 200 judged rows" in signals["recall"].message
    assert signals["recall"].value is None


def test_rows_that_can_never_count_are_not_waited_for() -> None:
    """Decisions that are no classes: more of them will not help."""
    block = judged(np.ones(1000), None, np.full(1000, 7.0))
    signal = by_subject(after(card(minimum={"accuracy": 0.5}), block))["accuracy"]
    assert (signal.verdict, signal.rows_needed) == (Verdict.INSUFFICIENT_DATA, None)


def test_labels_that_are_taken_back_leave_the_figures_and_not_the_evidence() -> None:
    """A hundred wrong rows turn out to be right: what was bet on them stands."""
    floor = card(minimum={"accuracy": 0.8})
    detector = after(floor, right(1000, 0.75))
    before = by_subject(detector)["accuracy"]
    wrong = judged(np.ones(100), None, np.zeros(100))
    detector.judge(wrong)
    bet = by_subject(detector)["accuracy"].log10_evidence
    detector.judge(judged(np.ones(100), None, np.zeros(100), sign=-1))
    after_all = by_subject(detector)["accuracy"]
    assert (after_all.value, after_all.rows) == (before.value, before.rows)
    assert after_all.log10_evidence == bet != before.log10_evidence
    detector.judge(judged(np.zeros(100), None, np.zeros(100), corrected=True))
    corrected = by_subject(detector)["accuracy"]
    assert corrected.value == pytest.approx(850 / 1100)
    assert corrected.log10_evidence == bet


def test_figures_are_of_the_last_two_periods() -> None:
    """Rows of 70 days ago have left them; a harm that comes late is found."""
    floor = card(minimum={"accuracy": 0.8})
    blocks = [right(20_000, 0.9, day=day) for day in (0, 31)]
    detector = after(floor, *blocks)
    assert by_subject(detector)["accuracy"].rows == 40_000
    detector.judge(right(2000, 0.7, day=65))
    detector.judge(right(2000, 0.7, day=95))
    late = by_subject(detector)["accuracy"]
    assert (late.rows, late.value) == (4000, 0.7)
    assert late.verdict is Verdict.ALARM
    assert detector.forget(int(judged(np.ones(1), day=160).predicted_at[0] // 60))
    assert by_subject(detector)["accuracy"].rows == 0


def test_a_version_that_is_just_good_enough_is_seldom_blamed() -> None:
    """40 streams of five periods at the minimum, read every 100 rows, a budget of 10 %."""

    def ever(seed: int) -> bool:
        rng = np.random.default_rng([67, seed])
        detector = made(card(minimum={"accuracy": 0.8}), alarm_budget=0.1)
        for day in range(0, 150, 10):
            truth = (rng.random(100) < 0.8).astype(float)
            detector.judge(judged(truth, None, np.ones(100), day=day))
            evidence = by_subject(detector)["accuracy"].log10_evidence
            if evidence is not None and evidence >= 1:
                return True
        return False

    assert_alarms_within(0.1, 40, ever)


def test_segments_are_told_apart_and_small_ones_are_not_told() -> None:
    """One group is bad, a handful is `(rare)`, and the next smallest tells no number."""
    declared = card(minimum={"accuracy": 0.8}, segments=["sex"])
    groups: list[str | None] = ["f"] * 2000 + ["m"] * 1000 + ["x"] * 3 + [None] * 5000
    decisions = np.r_[np.arange(2000) % 10 < 6, np.arange(1000) % 10 < 9, np.ones(5003)]
    block = judged(np.ones(8003), None, decisions.astype(float), groups={"sex": groups})
    signals = by_subject(after(declared, block))
    bad = signals["sex=f accuracy"]
    assert (bad.verdict, bad.value, bad.rows) == (Verdict.ALARM, 0.6, 2000)
    assert bad.log10_evidence is None
    rare = signals["sex=(rare) accuracy"]
    assert (rare.verdict, rare.rows, rare.value) == (Verdict.INSUFFICIENT_DATA, 0, None)
    unknown = signals["sex=unknown accuracy"]
    assert (unknown.verdict, unknown.rows, unknown.value) == (Verdict.OK, 0, None)
    assert signals["sex=m accuracy"].verdict is Verdict.OK
    assert "sex=x accuracy" not in signals


def test_segments_are_few_and_unknown_where_nobody_says() -> None:
    """Of a hundred groups 32 are named; without any attribute all are unknown."""
    declared = card(segments=["sex"])
    names: list[str | None] = [f"g{n % 100}" for n in range(2000)]
    block = judged(np.ones(2000), None, np.ones(2000), groups={"sex": names})
    subjects = {each for each in by_subject(after(declared, block)) if each.startswith("sex=")}
    assert len(subjects) == 33
    assert "sex=other accuracy" in subjects
    bare = by_subject(after(declared, right(100, 0.5)))
    assert bare["sex=unknown accuracy"].rows == 100


def test_an_interval_of_one_of_many_segments_is_wider() -> None:
    """They hold together: the same rows say less of a segment than of all."""
    declared = card(minimum={"accuracy": 0.8}, segments=["sex"])
    signals = by_subject(after(declared, right(500, 0.9, groups={"sex": ["f"] * 500})))
    whole, segment = signals["accuracy"], signals["sex=f accuracy"]
    assert whole.value == segment.value
    assert (whole.lower or 0) > (segment.lower or 0)
    assert (whole.upper or 0) < (segment.upper or 0)


def test_one_measure_is_armed_anew_and_the_others_go_on() -> None:
    """It forgets its rows and what was bet; corrections of forgotten rows do no harm."""
    floor = card(minimum={"accuracy": 0.8, "recall": 0.8}, maximum={"brier": 0.2})
    scores, labels = binary(np.random.default_rng(4), 1000)
    detector = after(floor, judged(labels, scores))
    before = by_subject(detector)
    for subject in ("accuracy", "brier"):
        detector.rearm(subject)
        now = by_subject(detector)[subject]
        assert now.rows == 0
        assert now.log10_evidence == pytest.approx(0)
    assert by_subject(detector)["recall"] == before["recall"]
    detector.judge(cut(judged(labels, scores, sign=-1), slice(0, 10)))
    assert by_subject(detector)["accuracy"].rows == 0
    detector.judge(right(100, 0.9))
    assert by_subject(detector)["accuracy"].rows == 90


def test_it_goes_on_from_its_state() -> None:
    """With segments, bets, periods and an arming behind it."""
    declared = card(minimum={"accuracy": 0.8}, maximum={"brier": 0.2}, segments=["sex"])
    blocks = [
        right(300, 0.8, seed=day, day=day, groups={"sex": ["f", "m", None] * 100})
        for day in (0, 40, 80)
    ]
    whole, first, second = made(declared), made(declared), made(declared)
    for detector in (whole, first):
        detector.judge(blocks[0])
        detector.rearm("accuracy")
        detector.judge(blocks[1])
    second.restore({name: held.copy() for name, held in first.state().items()})
    assert second.signals() == first.signals()
    for detector in (whole, second):
        detector.judge(blocks[2])
    assert second.signals() == whole.signals()
    with pytest.raises(ValueError, match="a state of the segments"):
        made(card()).restore(first.state())
    with pytest.raises(ValueError, match="of other measures"):
        first.restore(made(card(segments=["sex"])).state())


@pytest.mark.parametrize("task", [Task.RANKING, Task.OTHER])
def test_a_task_without_measures_says_nothing(task: Task) -> None:
    """Nor does a version whose labels never come."""
    assert after(card(task), right(100, 0.5)).signals() == ()
    assert after(CARD, right(100, 0.5)).signals() == ()


def test_all_beginnings_together_stake_no_more_than_there_is() -> None:
    """Without a win or a loss, evidence never exceeds nothing, whatever periods come."""
    means, before = Means(), 0.0
    for period in (3, 2, 4, 5, 9, 8, 10, 11, 30):
        means.update(np.ones(5), np.full(5, period))
        now = means.log_wealth(lambda _: 0.0)
        assert now <= 1e-12
        assert np.exp(now) > 0.5
        before = now
    # 30 came long after 11: of six beginnings the last is held, and that of all rows.
    assert np.exp(before) == pytest.approx(0.5 + 0.5 / (6 * 7) + 0.5 / 7)
    assert means.recent().rows == 5

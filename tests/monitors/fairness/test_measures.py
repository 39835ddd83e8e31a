"""Measures of labels agree with fairlearn's, and count every judged row once."""

from dataclasses import replace

import numpy as np
import pytest
from fairlearn import metrics
from numpy.typing import NDArray

from configs.settings import Monitors
from monitors.fairness.detector import GroupFairness
from monitors.fairness.measures import MEASURES
from monitors.labels.judged import JudgedBlock
from monitors.profile.reference import GroupShare, ReferenceProfile
from monitors.signal import Signal, Verdict
from registry.card import Card, Decision, Fairness, Group
from tests.monitors.samples import CARD, FAIR_CARD, block, judged, profile

BY_NAME = {each.name: each for each in MEASURES}


def rows_of(
    labels: NDArray[np.float64], decisions: NDArray[np.float64], groups: NDArray[np.object_]
) -> JudgedBlock:
    """Judged rows of these labels and decisions, with the decision as the score."""
    count = len(labels)
    return JudgedBlock(
        model="m",
        version=1,
        role="stable",
        keys=np.arange(count, dtype=np.uint64),
        scores=decisions,
        decisions=decisions,
        labels=labels,
        predicted_at=np.zeros(count),
        labelled_at=np.zeros(count),
        signs=np.ones(count, dtype=np.int8),
        corrected=np.zeros(count, dtype=np.bool_),
        groups={"sex": groups},
    )


def by_hand(copies: int = 10) -> JudgedBlock:
    """The twelve people of the hand calculation, each so many times."""
    labels = np.array([1, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0] * copies, dtype=np.float64)
    decisions = np.array([1, 1, 0, 1, 0, 0, 1, 0, 0, 0, 0, 1] * copies, dtype=np.float64)
    return rows_of(labels, decisions, np.array((["A"] * 6 + ["B"] * 6) * copies, dtype=np.object_))


def named(*names: str) -> ReferenceProfile:
    """A reference that has these groups."""
    shares = tuple(GroupShare(name=name, rows=10, decided=0, selected=0) for name in names)
    clean = profile(np.random.default_rng(0), 50)
    return clean.model_copy(update={"groups": {"sex": shares}})


def after(name: str, *blocks: JudgedBlock, card: Card = FAIR_CARD) -> dict[str, Signal]:
    """The signals of one measure after some judged blocks."""
    detector = GroupFairness(BY_NAME[name], card, named("A", "B"), Monitors(minimum_rows=1))
    for each in blocks:
        detector.judge(each)
    return {signal.subject: signal for signal in detector.signals()}


def gap(name: str, *blocks: JudgedBlock) -> float:
    """The value of group A under one measure."""
    value = after(name, *blocks)["sex=A"].value
    assert value is not None
    return value


def test_differences_are_those_calculated_by_hand() -> None:
    """True positives 2/3 and 1/2, false ones 1/3 and 1/4, precision 2/3 and 1/2."""
    assert gap("equal_opportunity", by_hand()) == pytest.approx(1 / 6)
    assert gap("false_negative_rate", by_hand()) == pytest.approx(-1 / 6)
    assert gap("false_positive_rate", by_hand()) == pytest.approx(1 / 12)
    assert gap("equalised_odds", by_hand()) == pytest.approx(1 / 6)
    assert gap("predictive_parity", by_hand()) == pytest.approx(1 / 6)


def test_differences_are_those_of_fairlearn() -> None:
    """2,000 random people of two groups."""
    rng = np.random.default_rng(0)
    groups = rng.choice(np.array(["A", "B"], dtype=np.object_), 2000, p=[0.3, 0.7])
    labels = (rng.random(2000) < np.where(groups == "A", 0.4, 0.6)).astype(np.float64)
    decisions = (rng.random(2000) < 0.2 + 0.4 * labels + 0.1 * (groups == "A")).astype(np.float64)
    people = rows_of(labels, decisions, groups)
    given = {"y_true": labels, "y_pred": decisions, "sensitive_features": groups}
    assert abs(gap("equal_opportunity", people)) == pytest.approx(
        metrics.equal_opportunity_difference(**given), abs=1e-12
    )
    assert gap("equalised_odds", people) == pytest.approx(
        metrics.equalized_odds_difference(**given), abs=1e-12
    )
    for name, rate in (
        ("false_positive_rate", metrics.false_positive_rate),
        ("false_negative_rate", metrics.false_negative_rate),
    ):
        frame = metrics.MetricFrame(metrics=rate, **given)
        assert abs(gap(name, people)) == pytest.approx(frame.difference(), abs=1e-12)
    late = CARD.model_copy(update={"groups": (Group(name="sex", source="label"),)})
    rate = after("selection_rate", people, card=late)["sex=A"].value
    assert abs(rate or 0) == pytest.approx(
        metrics.demographic_parity_difference(**given), abs=1e-12
    )


def test_calibration_is_labels_less_scores() -> None:
    """Of each group by itself; scores that are no chance are left out."""
    people = by_hand()
    scores = np.where(np.arange(len(people.labels)) % 12 < 6, 0.25, 0.5)
    scores[0] = 1.5
    scores[1] = np.nan
    found = after("calibration", replace(people, scores=scores))
    assert found["sex=A"].rows == 58
    assert found["sex=A"].value == pytest.approx((28 - 58 * 0.25) / 58, abs=1e-6)
    assert found["sex=B"].value == pytest.approx(1 / 3 - 0.5, abs=1e-6)
    assert found["sex=A"].message.startswith("labels less scores +0.233")


def test_a_correction_is_taken_back_and_counted_and_not_bet_on() -> None:
    """A label that comes again: rates are those of the new one, evidence that of the first."""
    first = by_hand()
    wrong = first.labels.copy()
    wrong[0] = 0.0
    one = slice(0, 1)
    back, again = (
        replace(
            first,
            keys=first.keys[one],
            scores=first.scores[one],
            decisions=first.decisions[one],
            labels=labels[one],
            predicted_at=first.predicted_at[one],
            labelled_at=first.labelled_at[one],
            signs=np.array([sign], dtype=np.int8),
            corrected=np.array([sign > 0]),
            groups={"sex": first.groups["sex"][one]},
        )
        for labels, sign in ((wrong, -1), (first.labels, 1))
    )
    corrected = after("equal_opportunity", replace(first, labels=wrong), back, again)["sex=A"]
    as_it_was = after("equal_opportunity", replace(first, labels=wrong))["sex=A"]
    right = after("equal_opportunity", first)["sex=A"]
    assert (corrected.rows, corrected.value) == (right.rows, right.value)
    assert corrected.log10_evidence == as_it_was.log10_evidence != right.log10_evidence


def test_rows_are_counted_from_one_side_only() -> None:
    """An attribute of the request from samples, one of the label from judged rows."""
    sample = block(
        {
            "age": np.full(100, 5.0),
            "debt": np.zeros(100),
            "town": np.full(100, "a", dtype=np.object_),
            "sex": np.full(100, "A", dtype=np.object_),
        }
    )
    for source, rows in (("extra_input", 100), ("label", 60), ("audit", 60)):
        group = Group.model_validate({"name": "sex", "source": source})
        card = CARD.model_copy(update={"groups": (group,)})
        detector = GroupFairness(BY_NAME["selection_rate"], card, named("A"), Monitors())
        detector.update(sample)
        detector.judge(judged(sample) if source == "extra_input" else by_hand(10))
        assert {s.subject: s.rows for s in detector.signals()}["sex=A"] == rows


def test_who_hopes_for_nought_is_right_when_the_label_is_nought() -> None:
    """With 0 as the favourable decision, those whose label is 0 should be selected."""
    card = FAIR_CARD.model_copy(update={"decision": Decision(threshold=0.5, favourable=0)})
    found = after("equal_opportunity", by_hand(), card=card)["sex=A"]
    assert found.rows == 30
    assert found.value == pytest.approx(2 / 3 - 3 / 4)


def test_what_is_not_asked_for_is_not_there() -> None:
    """Without a band a measure of labels has no signal, and no part in the budget."""
    for name in BY_NAME.keys() - {"selection_rate"}:
        assert not after(name, by_hand(), card=CARD)


def test_what_a_measure_lacks_is_said() -> None:
    """A card that was not checked: without a label, or without a score."""
    asked = Fairness.model_validate({"equal_opportunity": {"max_gap": 0.1}})
    card = CARD.model_copy(update={"fairness": asked})
    assert "no label" in after("equal_opportunity", by_hand(), card=card)["sex"].message
    card = FAIR_CARD.model_copy(update={"score": None})
    assert "no score" in after("calibration", by_hand(), card=card)["sex"].message


def test_each_measure_finds_what_it_is_for() -> None:
    """Of 4,000 judged rows one group is treated worse: an alarm; where all are alike: none."""
    rng = np.random.default_rng(1)
    groups = np.array(["A", "B"], dtype=np.object_)[np.arange(4000) % 2]
    worse = groups == "A"
    labels = (rng.random(4000) < 0.5).astype(np.float64)
    fair = (rng.random(4000) < 0.25 + 0.5 * labels).astype(np.float64)
    unlike = {
        "equal_opportunity": np.where(worse & (labels == 1) & (rng.random(4000) < 0.7), 0.0, fair),
        "false_positive_rate": np.where(worse & (labels == 0), rng.random(4000) < 0.8, fair),
        "equalised_odds": np.where(worse & (labels == 0), rng.random(4000) < 0.8, fair),
        "predictive_parity": np.where(worse & (labels == 0), 1.0, fair),
    }
    unlike["false_negative_rate"] = unlike["equal_opportunity"]
    narrow = {name: {"max_gap": 0.1} for name in unlike}
    card = CARD.model_copy(
        update={"label": FAIR_CARD.label, "fairness": Fairness.model_validate(narrow)}
    )
    for name, decided in unlike.items():
        unfair = rows_of(labels, np.asarray(decided, dtype=np.float64), groups)
        found = after(name, unfair, card=card)
        assert found["sex=A"].verdict is Verdict.ALARM, name
        assert (found["sex=A"].log10_evidence or 0) > 3
        alike = after(name, rows_of(labels, fair, groups), card=card)
        assert alike["sex=A"].verdict is Verdict.OK

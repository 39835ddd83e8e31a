"""What the monitors of estimated and corrected performance say, and when they say nothing."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from configs.settings import Monitors
from monitors.performance.corrected import CorrectedPerformance
from monitors.performance.estimated import EstimatedPerformance
from monitors.profile.build import build_profile
from monitors.profile.reference import ReferenceProfile
from monitors.signal import Signal, Verdict
from registry.card import Card, Feature, Label, Performance, Score, Task
from tests.monitors.samples import (
    CARD,
    LABELLED,
    SIGNATURE,
    block,
    close,
    columns,
    judged,
    model,
    profile,
)

Columns = dict[str, NDArray[Any]]
Either = EstimatedPerformance | CorrectedPerformance

WEEK_S = 7 * 24 * 3600.0


@pytest.fixture(scope="module")
def reference() -> ReferenceProfile:
    """The profile of 20,000 rows with their truth, of whose decisions 70 % are right."""
    return profile(np.random.default_rng(0), 20_000, LABELLED)


def held_to(**limits: Any) -> Card:
    """The card with limits of performance."""
    return LABELLED.model_copy(update={"performance": Performance(**limits)})


def said(detector: Either) -> dict[str, Signal]:
    """The signals by subject."""
    return {signal.subject: signal for signal in detector.signals()}


def estimated(reference: ReferenceProfile | None, card: Card, *parts: Columns) -> dict[str, Signal]:
    """What is estimated of some rows."""
    detector = EstimatedPerformance(card, reference, Monitors())
    for part in parts:
        detector.update(block(part))
    return said(detector)


def corrected(
    reference: ReferenceProfile, card: Card, rows: Columns, labels: NDArray[np.float64]
) -> dict[str, Signal]:
    """What is corrected of some rows by the labels that are not NaN."""
    detector = CorrectedPerformance(card, reference, Monitors())
    whole = block(rows)
    detector.update(whole)
    detector.judge(judged(whole, labels))
    return said(detector)


def some(labels: NDArray[Any], share: float) -> NDArray[np.float64]:
    """Labels of which a share has come, by chance."""
    come = np.random.default_rng(5).random(len(labels)) < share
    return np.where(come, labels.astype(np.float64), np.nan)


def test_clean_rows_have_the_performance_of_the_reference(reference: ReferenceProfile) -> None:
    """All measures of a binary task, beside the figure of the reference and what it assumes."""
    signals = estimated(reference, LABELLED, columns(np.random.default_rng(1), 5000))
    assert list(signals) == [
        *("outcome", "accuracy", "brier", "log_loss"),
        *("precision", "recall", "specificity", "f1", "auc"),
        "outside_support",
    ]
    accuracy = signals["accuracy"]
    assert accuracy.verdict is Verdict.OK
    assert accuracy.lower is not None
    assert accuracy.upper is not None
    assert accuracy.value == pytest.approx(0.687, abs=0.015)
    assert accuracy.lower < 0.687 < accuracy.upper
    assert accuracy.upper - accuracy.lower < 0.06
    assert "in the reference 0.6" in accuracy.message
    assert "takes a score to mean what it meant" in accuracy.message
    assert {signal.log10_evidence for signal in signals.values()} == {None}


def test_easier_inputs_are_expected_to_be_judged_better(reference: ReferenceProfile) -> None:
    """Scores that are farther from the threshold: the true share of right decisions is known."""
    rows = columns(np.random.default_rng(1), 20_000)
    rows["age"] = np.where(rows["age"] > 0, 1.8, -1.8)
    accuracy = estimated(reference, LABELLED, rows)["accuracy"]
    assert accuracy.lower is not None
    assert accuracy.upper is not None
    assert accuracy.lower < 1 / (1 + np.exp(-1.8)) < accuracy.upper
    assert accuracy.lower > 0.75


def test_harder_inputs_alarm_where_the_card_sets_a_limit(reference: ReferenceProfile) -> None:
    """Scores near the threshold: a limit that is left, one that is kept, one between, and none."""
    rows = columns(np.random.default_rng(1), 20_000)
    rows["age"] = rows["age"] / 4
    assert estimated(reference, LABELLED, rows)["accuracy"].verdict is Verdict.OK
    left = estimated(reference, held_to(tolerance={"accuracy": 0.05}), rows)
    assert left["accuracy"].verdict is Verdict.ALARM
    assert left["auc"].verdict is Verdict.INSUFFICIENT_DATA
    assert "declare performance.tolerance.auc or performance.minimum.auc" in left["auc"].message
    assert "allowed from 0.6" in left["accuracy"].message
    kept = estimated(reference, held_to(tolerance={"accuracy": 0.3}), rows)
    assert kept["accuracy"].verdict is Verdict.OK
    between = held_to(minimum={"accuracy": left["accuracy"].value or 0.0})
    across = estimated(reference, between, rows)["accuracy"]
    assert across.verdict is Verdict.INSUFFICIENT_DATA
    log_loss = estimated(reference, held_to(maximum={"log_loss": 0.5}), rows)["log_loss"]
    assert log_loss.verdict is Verdict.ALARM


def test_far_from_the_reference_estimates_are_greyed_out(reference: ReferenceProfile) -> None:
    """A tenth of the rows older than anybody, or from a new town: numbers, and no verdict."""
    clean = columns(np.random.default_rng(1), 2000)
    old, new = dict(clean), dict(clean)
    old["age"] = np.where(np.arange(2000) % 10 == 0, 40.0, clean["age"])
    new["town"] = np.where(np.arange(2000) % 10 == 0, "z", clean["town"])
    limits = held_to(minimum={"accuracy": 0.99})
    assert estimated(reference, limits, clean)["accuracy"].verdict is Verdict.ALARM
    for rows in (old, new):
        signals = estimated(reference, limits, rows)
        assert {each.verdict for each in signals.values()} == {Verdict.INSUFFICIENT_DATA}
        assert signals["outside_support"].value == pytest.approx(0.1, abs=0.005)
        assert "10." in signals["accuracy"].message
        assert signals["accuracy"].value is not None
        assert signals["accuracy"].rows_needed is None


def test_missing_values_are_not_outside(reference: ReferenceProfile) -> None:
    """They are another matter, which data quality watches."""
    rows = columns(np.random.default_rng(1), 2000)
    rows["debt"][:] = np.nan
    rows["town"][:] = None
    assert estimated(reference, LABELLED, rows)["outside_support"].verdict is Verdict.OK


@pytest.mark.parametrize(
    ("card", "subjects"),
    [
        (CARD, set()),
        (LABELLED.model_copy(update={"task": Task.RANKING}), set()),
        (LABELLED, {"accuracy"}),
    ],
)
@pytest.mark.parametrize("with_reference", [True, False])
@pytest.mark.parametrize("kind", [EstimatedPerformance, CorrectedPerformance])
def test_without_truth_in_the_reference_nothing_is_estimated(
    card: Card, subjects: set[str], kind: type[Either], with_reference: bool
) -> None:
    """Who awaits no labels hears nothing; who does hears what is lacking, which is not rows."""
    bare = profile(np.random.default_rng(0)) if with_reference else None
    detector = kind(card, bare, Monitors())
    detector.update(block(columns(np.random.default_rng(1), 500)))
    signals = said(detector)
    assert set(signals) == subjects
    for signal in signals.values():
        assert signal.verdict is Verdict.INSUFFICIENT_DATA
        assert "label.column" in signal.message
        assert signal.rows_needed is None


@pytest.mark.parametrize("kind", [EstimatedPerformance, CorrectedPerformance])
def test_too_few_labels_in_the_reference_are_said_to_be_too_few(kind: type[Either]) -> None:
    """30 rows make no calibrator."""
    tiny = profile(np.random.default_rng(0), 30, LABELLED)
    (signal,) = kind(LABELLED, tiny, Monitors()).signals()
    assert "too few rows with a label" in signal.message


def test_only_the_last_two_weeks_are_told(reference: ReferenceProfile) -> None:
    """Rows of this week and the one before; older ones are gone, and late ones are left out."""
    detector = EstimatedPerformance(LABELLED, reference, Monitors())
    rows = block(columns(np.random.default_rng(1), 500))
    told = []
    for week in (0, 1, 2, 0):
        detector.update(replace(rows, made_at=week * WEEK_S))
        told.append(said(detector)["accuracy"].rows)
    assert told == [500, 1000, 1000, 1000]
    assert not detector.forget(int(2 * WEEK_S / 60) - 1)
    assert detector.forget(int(2 * WEEK_S / 60))
    assert said(detector)["accuracy"].rows == 500


def test_labels_meet_the_rows_of_their_own_time(reference: ReferenceProfile) -> None:
    """With labels that take 30 days a period is 37 days; a label of an older one says nothing."""
    card = LABELLED.model_copy(update={"label": Label(column="bought", expected_delay_days=30.0)})
    detector = CorrectedPerformance(card, reference, Monitors())
    table = columns(np.random.default_rng(1), 500)
    rows = block(table)
    told = []
    for days in (0, 37, 74):
        detector.update(replace(rows, made_at=days * 24 * 3600.0))
    for days in (0, 37, 74):
        at = replace(rows, made_at=days * 24 * 3600.0)
        detector.judge(judged(at, table["bought"]))
        told.append(said(detector)["accuracy"].rows)
    assert told == [0, 500, 1000]


def test_labels_show_what_scores_cannot(reference: ReferenceProfile) -> None:
    """Half of all labels are turned round: the estimate is content, the correction alarms."""
    card = held_to(tolerance={"accuracy": 0.05})
    rows = columns(np.random.default_rng(1), 10_000)
    turned = rows["bought"] ^ (np.random.default_rng(2).random(10_000) < 0.5)
    assert estimated(reference, card, rows)["accuracy"].verdict is Verdict.OK
    signals = corrected(reference, card, rows, some(turned, 0.1))
    accuracy = signals["accuracy"]
    assert accuracy.verdict is Verdict.ALARM
    assert accuracy.lower is not None
    assert accuracy.upper is not None
    assert accuracy.lower < 0.5 < accuracy.upper
    assert "labels to come by chance" in accuracy.message
    assert set(signals) == {"outcome", "accuracy", "brier", "log_loss"}


def test_what_is_gained_over_labels_alone_is_said(reference: ReferenceProfile) -> None:
    """While scores mean what they meant, the mean outcome is narrower by a tenth or so."""
    rows = columns(np.random.default_rng(1), 10_000)
    outcome = corrected(reference, LABELLED, rows, some(rows["bought"], 0.05))["outcome"]
    assert "no measure of performance" in outcome.message
    assert "% narrower than labels alone" in outcome.message
    assert re.search(r"come for [45]\.\d% of decision 0, [45]\.\d% of decision 1", outcome.message)


def test_labels_of_one_decision_only_are_insufficient(reference: ReferenceProfile) -> None:
    """Whoever was refused has no label: no verdict, and the reason."""
    rows = columns(np.random.default_rng(1), 5000)
    labels = np.where(rows["age"] >= 0, rows["bought"], np.nan)
    signals = corrected(reference, LABELLED, rows, labels)
    assert {each.verdict for each in signals.values()} == {Verdict.INSUFFICIENT_DATA}
    for signal in signals.values():
        assert "hardly any labels come for decision 0: 0 of its" in signal.message
        assert signal.rows_needed is None


def test_few_labels_say_how_many_are_lacking(reference: ReferenceProfile) -> None:
    """Labels are counted, and not rows."""
    rows = columns(np.random.default_rng(1), 500)
    labels = np.where(np.arange(500) < 20, rows["bought"], np.nan)
    accuracy = corrected(reference, LABELLED, rows, labels)["accuracy"]
    assert (accuracy.verdict, accuracy.rows) == (Verdict.INSUFFICIENT_DATA, 20)
    assert accuracy.rows_needed == 30


def test_a_label_that_is_corrected_counts_as_it_is_now(reference: ReferenceProfile) -> None:
    """Taken back and given anew, it is as if the first had never come."""
    rows = columns(np.random.default_rng(1), 1000)
    whole, right = block(rows), rows["bought"]
    detector = CorrectedPerformance(LABELLED, reference, Monitors())
    detector.update(whole)
    detector.judge(judged(whole, ~right))
    detector.judge(judged(whole, ~right, sign=-1))
    detector.judge(judged(whole, right))
    plain = CorrectedPerformance(LABELLED, reference, Monitors())
    plain.update(whole)
    plain.judge(judged(whole, right))
    assert close(detector.signals(), plain.signals())


@pytest.mark.parametrize("kind", [EstimatedPerformance, CorrectedPerformance])
def test_it_goes_on_from_its_state_with_labels(
    reference: ReferenceProfile, kind: type[Either]
) -> None:
    """Also over the turn of a week."""
    table = columns(np.random.default_rng(1), 400)
    rows = block(table)
    first, second, whole = (kind(LABELLED, reference, Monitors()) for _ in range(3))

    def take(detector: Either, at: float) -> None:
        detector.update(replace(rows, made_at=at))
        if isinstance(detector, CorrectedPerformance):
            detector.judge(judged(replace(rows, made_at=at), table["bought"]))

    for detector in (first, whole):
        take(detector, WEEK_S - 1)
    second.restore({name: array.copy() for name, array in first.state().items()})
    for detector in (second, whole):
        take(detector, WEEK_S)
    assert close(second.signals(), whole.signals())
    assert len(whole.signals()) > 1


def test_a_state_of_another_calibrator_is_refused(reference: ReferenceProfile) -> None:
    """One of fewer steps."""
    detector = EstimatedPerformance(LABELLED, reference, Monitors())
    detector.update(block(columns(np.random.default_rng(1), 10)))
    few = profile(np.random.default_rng(3), 500, LABELLED)
    with pytest.raises(ValueError, match="shape"):
        EstimatedPerformance(LABELLED, few, Monitors()).restore(detector.state())


def test_a_regression_is_estimated_by_what_such_scores_lost() -> None:
    """Errors grow with the score: with more high scores the expected error grows."""
    card = Card(
        task=Task.REGRESSION,
        score=Score(output="p", column=1),
        features=(
            Feature(name="age", input="x", column=0),
            Feature(name="debt", input="x", column=1),
            *CARD.features[2:],
        ),
        label=Label(type="number", column="bought"),
    )
    rng = np.random.default_rng(3)

    def rows_of(shift: float, count: int) -> Columns:
        table = columns(rng, count, shift)
        scores = 1 / (1 + np.exp(-table["age"]))
        table["bought"] = scores + scores * rng.standard_normal(count)
        return table

    known = build_profile(card, SIGNATURE, rows_of(0.0, 20_000), model)
    live = rows_of(0.7, 10_000)
    mae = estimated(known, card, live)["mae"]
    true = np.abs(live["bought"] - 1 / (1 + np.exp(-live["age"]))).mean()
    assert mae.lower is not None
    assert mae.upper is not None
    assert mae.lower < true < mae.upper
    assert known.truth is not None
    assert mae.lower > known.truth.losses["absolute"].mean
    detector = CorrectedPerformance(card, known, Monitors())
    whole = block(live)
    detector.update(whole)
    come = judged(whole, some(live["bought"], 0.1))
    detector.judge(replace(come, decisions=np.full(whole.rows, np.nan)))
    assert said(detector)["mae"].value == pytest.approx(true, rel=0.1)

"""Concept drift with a real profile and a real panel, on the rows of the example."""

from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from configs.settings import AlarmMode, Monitors
from monitors.performance.calibration import CalibrationDrift, zones_of
from monitors.performance.loss import LossRise
from monitors.profile.build import build_profile
from monitors.profile.reference import ReferenceProfile
from monitors.profile.truth import Calibrator
from monitors.signal import Signal, Verdict
from registry.card import Card, Decision, Label, Performance, Score, Task
from registry.signature import Datatype, Signature, TensorSpec

example: Any = import_module("concept_drift")
SETTINGS = Monitors()


@pytest.fixture(scope="module")
def profile() -> ReferenceProfile:
    """The profile of 6,000 rows with their truth."""
    columns = example.reference(np.random.default_rng(0))
    return build_profile(example.CARD, example.SIGNATURE, columns, example.model)


def block(rng: np.random.Generator, rows: int, truth: Any = example.chance) -> Any:
    """Rows whose truth has come."""
    x = example.as_ever(rng, rows)
    return example.judged(example.live(x, 0), (rng.random(rows) < truth(x)).astype(float))


def by_subject(signals: tuple[Signal, ...]) -> dict[str, Signal]:
    """The signals by what they are about."""
    return {signal.subject: signal for signal in signals}


@pytest.mark.parametrize("kind", [LossRise, CalibrationDrift])
def test_without_labels_it_says_that_nothing_can_be_seen(
    kind: Any, profile: ReferenceProfile
) -> None:
    """Insufficient data, never ok; all subjects with evidence are there from the start."""
    detector = kind(example.CARD, profile, SETTINGS)
    detector.update(example.live(example.as_ever(np.random.default_rng(1), 500), 0))
    for signal in detector.signals():
        assert signal.verdict is Verdict.INSUFFICIENT_DATA
        assert signal.rows_needed == SETTINGS.minimum_rows
        assert "without labels nobody can see" in signal.message
    evidence = {s.subject for s in detector.signals() if s.log10_evidence is not None}
    assert evidence == ({"wrong", "brier"} if kind is LossRise else {"score"})


@pytest.mark.parametrize("kind", [LossRise, CalibrationDrift])
def test_without_a_truth_in_the_reference_it_says_how_to_have_one(kind: Any) -> None:
    """No profile, or one of rows without truth: no number of labels helps."""
    without = example.CARD.model_copy(update={"label": Label()})
    columns = example.reference(np.random.default_rng(0), 400)
    told = build_profile(without, example.SIGNATURE, columns, example.model)
    for profile in (None, told):
        detector = kind(without, profile, SETTINGS)
        detector.judge(block(np.random.default_rng(1), 100))
        (signal,) = detector.signals()
        assert signal.verdict is Verdict.INSUFFICIENT_DATA
        assert signal.rows_needed is None
        assert signal.log10_evidence is None
        assert "label.column" in signal.message


@pytest.mark.parametrize("kind", [LossRise, CalibrationDrift])
def test_a_card_without_labels_has_no_signals(kind: Any, profile: ReferenceProfile) -> None:
    """Nothing is awaited, so nothing is said."""
    card = example.CARD.model_copy(update={"label": None})
    assert kind(card, profile, SETTINGS).signals() == ()


def test_figures_are_those_of_the_rows(profile: ReferenceProfile) -> None:
    """Rise and gap by hand, of rows like the reference, all of which count."""
    detector = LossRise(example.CARD, profile, SETTINGS)
    rows = block(np.random.default_rng(2), 900)
    detector.judge(rows)
    said = by_subject(detector.signals())
    assert profile.truth is not None
    wrong = (rows.decisions != rows.labels).mean() - profile.truth.losses["wrong"].mean
    brier = ((rows.scores - rows.labels) ** 2).mean() - profile.truth.losses["brier"].mean
    assert said["wrong"].value == pytest.approx(wrong, abs=1e-6)
    assert said["brier"].value == pytest.approx(brier, abs=1e-6)
    curve = profile.truth.calibrators[0]
    steps = np.searchsorted(curve.edges, rows.scores, side="left")
    chances = np.array(curve.chances)[steps]
    expected = np.where(rows.decisions == 1, 1 - chances, chances).mean()
    gap = (rows.decisions != rows.labels).mean() - expected
    assert said["gap"].value == pytest.approx(gap, abs=1e-6)
    assert {signal.verdict for signal in said.values()} == {Verdict.OK}
    assert {signal.rows for signal in said.values()} == {900}


def test_corrected_rows_are_left_out(profile: ReferenceProfile) -> None:
    """A row that is taken back, and the one that takes its place, are not bet on."""
    rows = block(np.random.default_rng(3), 300)
    signs, corrected = np.ones(300, dtype=np.int8), np.zeros(300, dtype=np.bool_)
    signs[:50], corrected[50:100] = -1, True
    for kind in (LossRise, CalibrationDrift):
        detector = kind(example.CARD, profile, SETTINGS)
        detector.judge(replace(rows, signs=signs, corrected=corrected))
        assert {signal.rows for signal in detector.signals()} == {200}


def test_labels_and_scores_that_are_no_numbers_of_a_class_are_left_out(
    profile: ReferenceProfile,
) -> None:
    """NaN, 2 and infinities: neither raised nor counted."""
    rows = block(np.random.default_rng(4), 300)
    labels, odd = rows.labels.copy(), rows.scores.copy()
    labels[:30], labels[30:60], odd[60:90], odd[90:120] = np.nan, 2.0, np.nan, np.inf
    broken = replace(rows, labels=labels, scores=odd)
    for kind in (LossRise, CalibrationDrift):
        detector = kind(example.CARD, profile, SETTINGS)
        detector.judge(broken)
        assert max(signal.rows for signal in detector.signals()) <= 240
        detector.judge(replace(broken, scores=np.full(300, np.nan)))


def test_a_loss_that_falls_is_no_alarm(profile: ReferenceProfile) -> None:
    """Rows of which the model is surer: less is lost, and nothing has evidence."""
    rng = np.random.default_rng(5)
    detector = LossRise(example.CARD, profile, SETTINGS)
    x = example.richer(rng, 3000)
    labels = (rng.random(3000) < example.chance(x)).astype(float)
    detector.judge(example.judged(example.live(x, 0), labels))
    said = by_subject(detector.signals())
    assert (said["wrong"].upper or 0.0) < 0
    assert {s.verdict for s in said.values()} == {Verdict.OK}
    assert all((said[name].log10_evidence or 0.0) < 0 for name in ("wrong", "brier"))


def test_a_regression_watches_its_absolute_error() -> None:
    """Errors that grow by half: found; those beyond the limit count as the limit."""
    card = Card(
        task=Task.REGRESSION,
        score=Score(output="p"),
        features=example.CARD.features,
        label=Label(type="number", column="repaid"),
    )

    def rows(rng: np.random.Generator, count: int, noise: float) -> tuple[Any, Any]:
        x = example.as_ever(rng, count)
        return x, example.chance(x) + noise * rng.standard_normal(count)

    rng = np.random.default_rng(6)
    x, labels = rows(rng, 4000, 0.2)
    columns = {**dict(zip(example.NAMES, x.T, strict=True)), "repaid": labels}
    profile = build_profile(card, example.SIGNATURE, columns, example.model)
    detector = LossRise(card, profile, SETTINGS)
    assert profile.truth is not None
    limit = profile.truth.spread["absolute"].limit
    assert 0.4 < limit < 0.7
    for noise, verdict in ((0.2, Verdict.OK), (0.3, Verdict.ALARM)):
        x, labels = rows(rng, 1500, noise)
        labels[:3] = 1e12
        detector.judge(example.judged(example.live(x, 0), labels))
        said = by_subject(detector.signals())
        assert said["absolute"].verdict is verdict
    assert said["absolute"].value == pytest.approx(0.1 * np.sqrt(2 / np.pi), abs=0.03)
    assert said["gap"].value == pytest.approx(said["absolute"].value, abs=0.03)


def test_of_several_classes_decisions_count_where_scores_are_gone() -> None:
    """Wrong decisions with and without the columns of the score; what was expected with them only.

    And Brier loss, which is at most 2.
    """
    card = Card(
        task=Task.MULTICLASS,
        score=Score(output="p"),
        decision=Decision(argmax=True),
        features=example.CARD.features,
        label=Label(type="integer", column="repaid"),
    )
    signature = Signature(
        inputs=example.SIGNATURE.inputs,
        outputs=(TensorSpec(name="p", datatype=Datatype.FP64, shape=(-1, 3)),),
    )

    def chances(x: Any) -> Any:
        odds = np.exp(2 * x)
        return odds / odds.sum(axis=1, keepdims=True)

    def rows(rng: np.random.Generator, count: int) -> tuple[Any, Any]:
        x = example.as_ever(rng, count)
        return x, (chances(x).cumsum(axis=1) < rng.random((count, 1))).sum(axis=1)

    rng = np.random.default_rng(7)
    x, labels = rows(rng, 3000)
    columns = {**dict(zip(example.NAMES, x.T, strict=True)), "repaid": labels}
    profile = build_profile(card, signature, columns, lambda each: {"p": chances(each["x"])})
    detector = LossRise(card, profile, SETTINGS)
    x, labels = rows(rng, 400)
    told = replace(
        example.judged(example.live(x, 0), labels.astype(float)),
        scores=np.full(400, np.nan),
        decisions=chances(x).argmax(axis=1).astype(float),
    )
    detector.judge(told)
    said = by_subject(detector.signals())
    assert (said["wrong"].rows, said["brier"].rows, said["gap"].rows) == (400, 0, 0)
    detector.judge(replace(told, score_columns=chances(x)))
    said = by_subject(detector.signals())
    assert (said["wrong"].rows, said["brier"].rows, said["gap"].rows) == (800, 400, 400)
    assert profile.truth is not None
    assert profile.truth.spread["brier"].limit == 2.0
    brier = ((chances(x) - np.eye(3)[labels]) ** 2).sum(axis=1).mean()
    rise = brier - profile.truth.losses["brier"].mean
    assert said["brier"].value == pytest.approx(rise, abs=1e-6)
    assert CalibrationDrift(card, profile, SETTINGS).signals() == ()


def test_a_tolerance_of_the_card_is_the_floor(profile: ReferenceProfile) -> None:
    """A rise that pages by itself does not where the card tolerates more."""
    rows = block(np.random.default_rng(8), 3000, example.income_means_less)
    for tolerated, verdict in ((0.01, Verdict.ALARM), (0.5, Verdict.OK)):
        performance = Performance(tolerance={"accuracy": tolerated})
        card = example.CARD.model_copy(update={"performance": performance})
        detector = LossRise(card, profile, SETTINGS)
        detector.judge(rows)
        assert by_subject(detector.signals())["wrong"].verdict is verdict


def test_a_reference_with_few_true_rows_is_said_to_have_few() -> None:
    """Thirty rows, half of which are counted: no evidence, and what would help."""
    columns = example.reference(np.random.default_rng(0), 30)
    few = build_profile(example.CARD, example.SIGNATURE, columns, example.model)
    for kind in (LossRise, CalibrationDrift):
        (signal,) = kind(example.CARD, few, SETTINGS).signals()
        assert "too few rows of the reference have a truth" in signal.message
        assert signal.rows_needed is None


def test_zones_hold_many_rows_and_as_many_outcomes_as_expected() -> None:
    """Seven steps become at most five zones, moved to what the counted half had."""
    zones = zones_of(
        Calibrator(
            edges=(0.1, 0.2, 0.3, 0.4, 0.5, 0.9),
            chances=(0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0),
            rows=(100,) * 7,
            hits=(0, 10, 20, 30, 50, 70, 100),
            counted=(400, 10, 300, 90, 300, 400, 0),
            counted_hits=(8, 1, 60, 30, 150, 300, 0),
        )
    )
    assert zones.count <= 5
    assert (np.diff(zones.of_step) >= 0).all()
    assert (zones.margins >= 0.02).all()
    rows = np.array([400, 10, 300, 90, 300, 400, 0])
    hits = np.array([8, 1, 60, 30, 150, 300, 0])
    for zone in range(zones.count):
        inside = zones.of_step == zone
        assert rows[inside] @ zones.chances[inside] == pytest.approx(hits[inside].sum(), abs=1.0)
    assert zones.names[0].startswith("up to")
    assert zones.names[-1].startswith("above")


def test_a_moved_relationship_is_an_alarm_that_says_retrain() -> None:
    """Income means less; no input has moved."""
    said = {(s.name, s.subject): s for s in example.told("the relationship moved")}
    loss = said["loss", "wrong"]
    assert loss.verdict is Verdict.ALARM
    assert "the relationship moved and the inputs did not" in loss.message
    assert "retrain" in loss.message
    assert said["miscalibration", "score"].verdict is Verdict.ALARM
    assert said["input_drift", "income"].verdict is Verdict.OK


def test_moved_inputs_of_a_model_that_is_as_right_are_no_alarm_about_the_loss() -> None:
    """Incomes rose: input drift alarms, the loss does not, and says that there is no need."""
    story = "inputs moved, and it is as right as it was"
    said = {(s.name, s.subject): s for s in example.told(story)}
    assert said["input_drift", "income"].verdict is Verdict.ALARM
    assert said["loss", "wrong"].verdict is Verdict.OK
    assert "no need to retrain" in said["loss", "wrong"].message
    assert said["miscalibration", "score"].verdict is Verdict.OK


def test_a_loss_that_rose_by_its_inputs_alone_says_so() -> None:
    """Incomes lie where the model was never sure: the loss rises, and scores mean what they did."""
    said = {(s.name, s.subject): s for s in example.told("inputs moved to where it was never sure")}
    loss = said["loss", "wrong"]
    assert loss.verdict is Verdict.ALARM
    assert "inputs moved (income" in loss.message
    assert "scores mean what they meant" in loss.message
    assert said["miscalibration", "score"].verdict is Verdict.OK


def test_both_modes_find_it() -> None:
    """In the mode `detector` minutes begin bets."""
    settings = Monitors(alarm_mode=AlarmMode.DETECTOR, false_alarm_days=30)
    panel, rng = example.new_panel(3, settings), np.random.default_rng(4)
    for minute in range(1, 21):
        x = example.as_ever(rng, 200)
        chance = example.chance(x) if minute < 10 else example.income_means_less(x)
        rows = replace(example.live(x, minute * 1000), made_at=minute * 60.0)
        panel.judge(example.judged(rows, (rng.random(200) < chance).astype(float)))
    said = {(s.name, s.subject): s for s in panel.signals()}
    assert said["loss", "brier"].verdict is Verdict.ALARM


def test_the_example_prints_what_weir_signals_prints(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One of its stories, with its title, a table and the sentence."""
    story = "the relationship moved"
    monkeypatch.setattr(example, "STORIES", {story: example.STORIES[story]})
    example.main()
    printed = capsys.readouterr().out
    assert printed.startswith(f"== {story} ==\nversion 1, stable:")
    assert "VERDICT" in printed
    assert "retrain on rows that came since" in printed

"""A score of several columns is watched column by column, and what it decides as a category."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from configs.errors import Refused
from configs.settings import Monitors
from monitors.blocks import SampleBlock
from monitors.drift.prediction import PredictionDrift
from monitors.panel import Panel
from monitors.profile.build import build_profile, most_often_largest
from monitors.profile.learned import Learner
from monitors.profile.reference import ReferenceProfile
from monitors.signal import Signal, Verdict
from registry.card import Card, Decision, Feature, Score, Task
from registry.signature import Datatype, Signature, TensorSpec
from tests.monitors.samples import close, part

FEATURES = ("age", "debt")
CARD = Card(
    task=Task.MULTICLASS,
    score=Score(output="p"),
    decision=Decision(argmax=True),
    features=tuple(
        Feature(name=name, input="x", column=column) for column, name in enumerate(FEATURES)
    ),
)
SIGNATURE = Signature(
    inputs=(TensorSpec(name="x", datatype=Datatype.FP32, shape=(-1, 2)),),
    outputs=(TensorSpec(name="p", datatype=Datatype.FP32, shape=(-1, -1)),),
)
Outputs = dict[str, NDArray[Any]]


def classes(count: int) -> Callable[[Outputs], Outputs]:
    """A model of so many classes, whose first one likes the first feature and the second hates it.

    The later the class, the more seldom it is the likeliest.
    """

    def run(inputs: Outputs) -> Outputs:
        age, debt = inputs["x"].T.astype(np.float64)
        turns = np.outer(debt, np.arange(count)) + np.arange(count)
        logits = np.sin(turns * 7.0) - 0.02 * np.arange(count)
        logits[:, 0] += age
        logits[:, 1] -= age
        odds = np.exp(logits)
        return {"p": (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)}

    return run


def table(rng: np.random.Generator, rows: int, shift: float = 0.0) -> dict[str, NDArray[Any]]:
    """Reference columns; `age` is shifted."""
    return {"age": rng.standard_normal(rows) + shift, "debt": rng.standard_normal(rows)}


def reference(rows: int = 3000, count: int = 3) -> ReferenceProfile:
    """The profile of clean rows of a model of so many classes."""
    return build_profile(CARD, SIGNATURE, table(np.random.default_rng(0), rows), classes(count))


def live(seed: int, rows: int, shift: float = 0.0, count: int = 3, first: int = 0) -> SampleBlock:
    """Rows with what a model of so many classes says of them."""
    values = table(np.random.default_rng(seed), rows, shift)
    inputs = {"x": np.stack([values[name] for name in FEATURES], axis=1).astype(np.float32)}
    ids = np.array([f"{number:032x}" for number in range(first, first + rows)], dtype="S32")
    return SampleBlock(
        model="m",
        version=1,
        role="stable",
        source="s",
        rate=1.0,
        prediction_ids=ids,
        row_numbers=np.zeros(rows, dtype=np.int64),
        inputs=inputs,
        outputs=classes(count)(inputs),
        answered=rows,
    )


def by_subject(panel: Panel) -> dict[str, Signal]:
    """What prediction drift says of each subject."""
    return {each.subject: each for each in panel.signals() if each.name == "prediction_drift"}


def test_each_class_is_a_subject_and_the_decision_too() -> None:
    """Clean rows are ok; moved ones alarm in the classes that they move, and in the decision."""
    panel = Panel(CARD, SIGNATURE, reference(), Monitors())
    panel.update(live(1, 2000))
    found = by_subject(panel)
    assert set(found) == {"score[0]", "score[1]", "score[2]", "decision"}
    assert {each.verdict for each in found.values()} == {Verdict.OK}
    panel.update(live(2, 600, shift=1.5, first=2000))
    moved = {name for name, each in by_subject(panel).items() if each.verdict is Verdict.ALARM}
    assert {"score[0]", "score[1]", "decision"} <= moved
    assert panel.failures == 0


def test_their_bins_can_be_shown() -> None:
    """Numbers of a class, and which class was decided."""
    panel = Panel(CARD, SIGNATURE, reference(), Monitors())
    rows = live(1, 500)
    panel.update(rows)
    score, decision = panel.bins("score[1]", None), panel.bins("decision", None)
    assert score is not None
    assert decision is not None
    assert score.live.sum() == 500
    told = dict(zip(decision.labels, decision.live.tolist(), strict=True))
    times = np.bincount(rows.outputs["p"].argmax(axis=1), minlength=3).tolist()
    assert [told[name] for name in "012"] == times
    assert panel.bins("score", None) is panel.bins("score[3]", None) is None


def test_one_class_can_be_armed_anew() -> None:
    """It forgets its evidence, the others keep theirs."""
    panel = Panel(CARD, SIGNATURE, reference(), Monitors())
    panel.update(live(1, 600, shift=1.5))
    panel.signals()
    panel.rearm(("drift", "prediction_drift", "score[0]"))
    panel.rearm(("drift", "prediction_drift", "decision"))
    found = by_subject(panel)
    assert found["score[0]"].rows == found["decision"].rows == 0
    assert found["score[1]"].verdict is Verdict.ALARM


def test_many_classes_share_one_part_of_the_budget() -> None:
    """What the score had alone is dealt out; a feature that is called like one takes no more."""
    rows = table(np.random.default_rng(0), 1000)
    for name in ("age", "decision"):
        named = CARD.features[0].model_copy(update={"name": name, "importance": 1000.0})
        card = CARD.model_copy(update={"features": (named, CARD.features[1])})
        whole = build_profile(
            card, SIGNATURE, {name: rows["age"], "debt": rows["debt"]}, classes(3)
        )
        panel = Panel(card, SIGNATURE, whole, Monitors())
        own = {key[2]: each for key, each in panel._parts.items() if key[1] == "prediction_drift"}
        assert set(own) == {"score[0]", "score[1]", "score[2]", "decision"}
        assert len(set(own.values())) == 1
        drift = sum(each for key, each in panel._parts.items() if key[1] == "input_drift")
        assert sum(own.values()) == pytest.approx(drift * 3 / 12)


def test_of_very_many_classes_those_are_watched_that_are_decided_most() -> None:
    """64 of 100, which is said; the rest shows in the decision."""
    whole = reference(rows=4000, count=100)
    assert whole.score_vector is not None
    assert whole.score_vector.width == 100
    kept = whole.score_vector.columns
    assert len(kept) == 64
    assert ReferenceProfile.from_json(whole.to_json()) == whole
    panel = Panel(CARD, SIGNATURE, whole, Monitors())
    panel.update(live(1, 300, count=100))
    found = by_subject(panel)
    assert {f"score[{column}]" for column in kept} < set(found)
    silent = found["score"]
    assert (silent.verdict, silent.rows_needed) == (Verdict.INSUFFICIENT_DATA, None)
    assert silent.message.startswith("36 of its 100 columns have no signal of their own")
    assert found["decision"].rows == 300


def test_the_largest_columns_are_counted_row_by_row() -> None:
    """Two rows for column 2, one for 0; rows with NaN say nothing, and of equals the first come."""
    rows = np.array([[0, 1, 9, 1], [0, 1, 9, 1], [5, 1, 0, 1], [np.nan, 9, 0, 1]])
    assert most_often_largest(rows, 1) == (2,)
    assert most_often_largest(rows, 3) == (0, 1, 2)
    assert most_often_largest(rows, 9) == (0, 1, 2, 3)
    assert most_often_largest(rows[3:], 2) == (0, 1)


def test_a_named_column_is_one_score() -> None:
    """As it is for two classes."""
    card = CARD.model_copy(update={"score": Score(output="p", column=2)})
    rows = table(np.random.default_rng(0), 500)
    whole = build_profile(card, SIGNATURE, rows, classes(3))
    assert whole.score_vector is None
    subjects = {each.subject for each in PredictionDrift(card, whole, Monitors()).signals()}
    assert subjects == {"score", "decision"}


def test_several_numbers_without_classes_are_watched_too() -> None:
    """A regression of two outputs decides nothing."""
    card = CARD.model_copy(update={"task": Task.REGRESSION, "decision": None})
    rows = table(np.random.default_rng(0), 500)
    whole = build_profile(card, SIGNATURE, rows, classes(2))
    assert whole.decision is None
    subjects = {each.subject for each in PredictionDrift(card, whole, Monitors()).signals()}
    assert subjects == {"score[0]", "score[1]"}


def test_other_columns_than_those_of_the_reference_are_an_error() -> None:
    """They would be other classes: nothing is compared, and the rest goes on."""
    panel = Panel(CARD, SIGNATURE, reference(), Monitors())
    panel.update(live(1, 100, count=4))
    found = by_subject(panel)
    assert {each.verdict for each in found.values()} == {Verdict.ERROR}
    assert "has 4 columns, and had 3 in the reference" in found["decision"].message
    others = {each.verdict for each in panel.signals() if each.name == "input_drift"}
    assert others == {Verdict.OK}


@pytest.mark.parametrize("sizes", [[400], [13, 0, 250, 137]])
def test_live_rows_make_the_profile_that_a_file_would_have_made(sizes: list[int]) -> None:
    """Classes and decisions are learned from the outputs, however the rows come."""
    whole = live(1, 400)
    learner = Learner(CARD, 400)
    at = 0
    for size in sizes:
        learner.update(part(whole, at, at + size))
        at += size
    found = learner.profile()
    assert found is not None
    inputs = whole.inputs["x"]
    rows = {name: inputs[:, column] for column, name in enumerate(FEATURES)}
    made = build_profile(CARD, SIGNATURE, rows, classes(3))
    assert found == made.model_copy(update={"source": "learned"})


def test_a_score_that_changes_its_width_is_not_learned() -> None:
    """It is refused, as what it is compared with would be another class."""
    learner = Learner(CARD, 100)
    learner.update(live(1, 60, count=3))
    learner.update(live(2, 60, count=4, first=60))
    with pytest.raises(Refused, match=r"varying number of columns: \[3, 4\]"):
        learner.profile()


def test_of_a_very_wide_score_fewer_rows_are_learned_from() -> None:
    """No more values are held than of very many features."""
    learner = Learner(CARD, 2000)
    rows = live(1, 10)
    learner.update(replace(rows, outputs={"p": np.zeros((10, 10_000), dtype=np.float32)}))
    assert learner.wanted == 2**22 // 10_000
    assert learner.rows_needed == learner.wanted - 10


def test_a_model_of_fixed_batches_of_one_has_its_classes_read() -> None:
    """Its outputs come with a dimension more."""
    rows = live(1, 300)
    panel = Panel(CARD, SIGNATURE, reference(), Monitors())
    panel.update(replace(rows, outputs={"p": rows.outputs["p"][:, None, :]}))
    again = Panel(CARD, SIGNATURE, reference(), Monitors())
    again.update(rows)
    assert by_subject(panel) == by_subject(again)


def test_it_goes_on_from_its_state() -> None:
    """Classes and decision, in the middle of a change."""
    whole = reference()
    rows = live(1, 600, shift=0.7)
    first, second, straight = (PredictionDrift(CARD, whole, Monitors()) for _ in range(3))
    first.update(part(rows, 0, 233))
    second.restore({name: held.copy() for name, held in first.state().items()})
    second.update(part(rows, 233, 600))
    for at in (0, 233):
        straight.update(part(rows, at, 233 if not at else 600))
    assert close(second.signals(), straight.signals())


@pytest.mark.slow
def test_no_change_raises_no_alarm_over_many_streams() -> None:
    """30 versions of 4 subjects, 1,000 clean rows each, a budget of 10 %: few alarm."""
    loose = Monitors(alarm_budget=0.1)
    alarms = 0
    for seed in range(30):
        rows = table(np.random.default_rng([7, seed]), 600)
        whole = build_profile(CARD, SIGNATURE, rows, classes(3))
        panel = Panel(CARD, SIGNATURE, whole, loose)
        for at in range(0, 1000, 250):
            panel.update(live(1000 * seed + at, 250, first=1000 * seed + at))
            verdicts = {each.verdict for each in by_subject(panel).values()}
        alarms += Verdict.ALARM in verdicts
    assert alarms <= 6

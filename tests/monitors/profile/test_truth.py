"""What was true of a reference's rows tells how scores turn into chances, and what was lost."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chi2
from sklearn import metrics
from sklearn.isotonic import IsotonicRegression

from configs.errors import Refused
from monitors.profile.build import build_profile, columns_needed
from monitors.profile.reference import ReferenceProfile
from monitors.profile.truth import Calibrator, Truth
from monitors.profile.truth_column import label_numbers
from monitors.profile.truth_counts import calibrator
from monitors.stats.uniforms import mixed
from registry.card import Card, Decision, Feature, Label, Score, Task
from registry.signature import Datatype, Signature, TensorSpec
from tests.monitors.samples import CARD, LABELLED, SIGNATURE, columns, model, profile


def truth_of(card: Card = LABELLED, rows: int = 4000, **changed: NDArray[Any]) -> Truth:
    """What the sample reference tells, with some columns changed."""
    table = {**columns(np.random.default_rng(0), rows), **changed}
    found = build_profile(card, SIGNATURE, table, model).truth
    assert found is not None
    return found


def test_a_calibrator_is_isotonic_regression_of_its_bins() -> None:
    """Scikit-learn's, of as many rows as there are bins of ten, has the same chances."""
    rng = np.random.default_rng(0)
    scores = rng.permutation(np.arange(640) / 640)
    hits = rng.random(640) < 0.2 + 0.6 * scores**2
    chooses = np.ones(640, dtype=np.bool_)
    found = calibrator(scores, hits, chooses, ~chooses)
    bins = np.floor(scores * 64) / 64
    by_sklearn = IsotonicRegression().fit_transform(bins, hits.astype(np.float64))
    steps = np.searchsorted(found.edges, scores, side="left")
    assert np.array(found.chances)[steps] == pytest.approx(by_sklearn)
    assert sum(found.rows) == 640
    assert sum(found.hits) == hits.sum()
    assert list(found.chances) == sorted(set(found.chances))


def test_steps_are_few_and_hold_ten_rows_or_more() -> None:
    """64 at most, of a score without ties, with a few values, and with one."""
    rng = np.random.default_rng(1)
    for scores in (rng.random(50_000), rng.integers(0, 5, 50_000) / 5, np.full(50_000, 0.3)):
        hits = rng.random(50_000) < scores
        chooses = rng.random(50_000) < 0.5
        found = calibrator(scores, hits, chooses, ~chooses)
        assert len(found.chances) <= 64
        assert min(found.rows) >= 10
        assert sum(found.counted) == (~chooses).sum()


def test_a_few_rows_make_one_step_and_none_make_a_half() -> None:
    """A calibrator is never refused; who uses it looks at how many rows it is of."""
    few = np.array([0.2, 0.4, np.nan])
    every = np.ones(3, dtype=np.bool_)
    found = calibrator(few, np.array([True, False, True]), every, ~every)
    assert (found.chances, found.rows, found.hits) == ((0.5,), (2,), (1,))
    assert calibrator(few, every, ~every, ~every).chances == (0.5,)


def test_the_counted_half_agrees_with_the_chances_of_the_other() -> None:
    """Hits of steps, against those that their chances foresee: no more apart than by chance."""
    (found,) = truth_of(rows=20_000).calibrators
    chances, rows = np.array(found.chances), np.array(found.counted)
    expected = rows * chances
    spread = expected * (1 - chances) * (1 + rows / np.array(found.rows))
    distance = (
        ((np.array(found.counted_hits) - expected) ** 2)[spread > 0] / spread[spread > 0]
    ).sum()
    assert distance < chi2.ppf(0.999, len(rows))


def test_losses_are_those_of_the_counted_half() -> None:
    """Mean, deviation and rows, as scikit-learn has them."""
    table = columns(np.random.default_rng(0), 4000)
    counted = mixed(np.arange(4000, dtype=np.uint64)) % np.uint64(2) == 1
    chances = 1 / (1 + np.exp(-table["age"][counted]))
    labels = table["bought"][counted]
    losses = truth_of().losses
    assert {each.rows for each in losses.values()} == {counted.sum()}
    wrong = (chances >= 0.5) != labels
    assert losses["wrong"].mean == pytest.approx(wrong.mean())
    assert losses["wrong"].deviation == pytest.approx(wrong.std())
    assert losses["brier"].mean == pytest.approx(metrics.brier_score_loss(labels, chances))
    assert losses["log"].mean == pytest.approx(metrics.log_loss(labels, chances), rel=1e-6)
    assert losses["outcome"].mean == pytest.approx(labels.mean())


def test_rows_without_a_label_do_not_count() -> None:
    """Half of the labels are missing; empty texts and None are, too."""
    labels = columns(np.random.default_rng(0), 4000)["bought"].astype(np.object_)
    labels[::4], labels[2::4] = None, ""
    found = truth_of(bought=labels)
    assert found.rows == 2000
    assert sum(found.calibrators[0].rows) + sum(found.calibrators[0].counted) == 2000


def test_a_reference_without_labels_at_all_has_a_truth_of_no_rows() -> None:
    """It is described, and says nothing."""
    found = truth_of(bought=np.full(4000, np.nan))
    assert (found.rows, found.counted, dict(found.losses)) == (0, 0, {})


def test_few_rows_of_the_reference_are_outside_of_its_own_support() -> None:
    """About two of each number's 2,000 counted rows; all of them, where the half is far away."""
    found = truth_of()
    assert found.inside_or_outside == pytest.approx(2000, abs=100)
    assert found.outside < 20


def test_a_profile_without_a_truth_has_the_bytes_that_it_always_had() -> None:
    """And one with it goes to bytes and back."""
    without = profile(np.random.default_rng(0))
    assert "truth" not in json.loads(without.to_json())
    with_it = profile(np.random.default_rng(0), card=LABELLED)
    assert with_it.model_copy(update={"truth": None}) == without
    assert ReferenceProfile.from_json(with_it.to_json()) == with_it


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"edges": (0.5, 0.5)}, "rise strictly"),
        ({"rows": (1,)}, "one entry a step"),
        ({"chances": (0.1, 0.2, 1.5)}, "less than or equal to 1"),
    ],
)
def test_steps_that_do_not_fit_are_refused(changed: dict[str, Any], reason: str) -> None:
    """Edges rise, and each step has its numbers."""
    three = (5, 5, 5)
    good = {
        "edges": (0.2, 0.5),
        "chances": (0.1, 0.2, 0.3),
        "rows": three,
        "hits": three,
        "counted": three,
        "counted_hits": three,
    }
    assert Calibrator.model_validate(good).edges == (0.2, 0.5)
    with pytest.raises(ValueError, match=reason):
        Calibrator.model_validate({**good, **changed})


def numbers(label: Label, values: list[object], task: Task = Task.BINARY) -> list[float]:
    """Labels read, with None for those that are missing."""
    card = Card(task=task, label=label)
    read = label_numbers(card, label, np.array(values, dtype=np.object_))
    return [-1.0 if np.isnan(each) else each for each in read.tolist()]


def test_labels_are_read_as_the_card_says() -> None:
    """Booleans as 0 and 1, classes as their place, numbers as they are; missing ones apart."""
    boolean = Label(type="boolean", column="y")
    assert numbers(boolean, [True, False, 1, 0.0, "true", "False", None, "", np.nan]) == [
        *(1, 0, 1, 0, 1, 0),
        *(-1, -1, -1),
    ]
    named = Label(type="string", classes=("no", "yes"), column="y")
    assert numbers(named, ["yes", "no", None, b"yes"]) == [1, 0, -1, 1]
    numbered = Label(type="integer", classes=("3", "4", "NA"), column="y")
    assert numbers(numbered, [3, 4.0, "4", "NA", "nan"], Task.MULTICLASS) == [0, 1, 1, 2, -1]
    plain = Label(type="number", column="y")
    assert numbers(plain, [2.5, "3", None], Task.REGRESSION) == [2.5, 3, -1]


@pytest.mark.parametrize(
    ("label", "task", "values", "reason"),
    [
        (Label(column="y"), Task.BINARY, ["maybe", True], r"1 of 2 rows of 'y' hold no 0, 1"),
        (Label(column="y", type="integer"), Task.BINARY, [0, 2], "hold no 0, 1"),
        (
            Label(column="y", type="string", classes=("a", "b", "c", "d")),
            Task.MULTICLASS,
            ["a", "e"],
            r"no class that label\.classes names \(a, b, c, \.\.\.\)",
        ),
        (Label(column="y", type="integer"), Task.MULTICLASS, [1.5], "number of a class"),
        (Label(column="y", type="number"), Task.REGRESSION, ["much"], "hold no number"),
        (Label(column="y", type="number"), Task.REGRESSION, [np.inf], "hold no number"),
    ],
)
def test_labels_that_would_be_a_guess_are_refused(
    label: Label, task: Task, values: list[object], reason: str
) -> None:
    """With how many there are, and what they should be."""
    with pytest.raises(Refused, match=reason):
        numbers(label, values, task)


def test_the_label_is_needed_and_is_no_feature() -> None:
    """A reference without the column that the card names is refused by its name."""
    assert columns_needed(LABELLED) == (*columns_needed(CARD), "bought")
    table = columns(np.random.default_rng(0), 50)
    del table["bought"]
    with pytest.raises(Refused, match="lacks the columns bought"):
        build_profile(LABELLED, SIGNATURE, table, model)
    assert "bought" not in profile(np.random.default_rng(0), card=LABELLED).features


THREE = Signature(
    inputs=(TensorSpec(name="x", datatype=Datatype.FP64, shape=(-1, 1)),),
    outputs=(TensorSpec(name="p", datatype=Datatype.FP64, shape=(-1, 3)),),
)


def of_three(rng: np.random.Generator, rows: int) -> tuple[dict[str, NDArray[Any]], Any]:
    """A number and the class that it makes likely, and the model that knows how likely."""
    x = rng.standard_normal(rows)

    def chances(inputs: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        raw = np.exp(inputs["x"] * np.array([[-2.0, 0.0, 2.0]]))
        return {"p": raw / raw.sum(axis=1, keepdims=True)}

    below = chances({"x": x[:, None]})["p"].cumsum(axis=1)
    return {"x": x, "y": (rng.random((rows, 1)) > below).sum(axis=1)}, chances


def card_of_three(label: Label) -> Card:
    """A card of three classes."""
    return Card(
        task=Task.MULTICLASS,
        score=Score(output="p"),
        decision=Decision(argmax=True),
        features=(Feature(name="x", input="x", column=0),),
        label=label,
    )


def test_each_class_has_a_calibrator_and_losses_are_of_all() -> None:
    """Losses as scikit-learn has them on the counted half."""
    table, chances = of_three(np.random.default_rng(2), 6000)
    card = card_of_three(Label(type="integer", column="y"))
    found = build_profile(card, THREE, table, chances).truth
    assert found is not None
    assert len(found.calibrators) == 3
    for place, each in enumerate(found.calibrators):
        assert sum(each.hits) + sum(each.counted_hits) == (table["y"] == place).sum()

    counted = mixed(np.arange(6000, dtype=np.uint64)) % np.uint64(2) == 1
    scored, labels = chances({"x": table["x"][:, None]})["p"][counted], table["y"][counted]
    assert found.losses["log"].mean == pytest.approx(metrics.log_loss(labels, scored))
    whole = metrics.brier_score_loss(labels, scored, labels=[0, 1, 2], scale_by_half=False)
    assert found.losses["brier"].mean == pytest.approx(whole)
    assert found.losses["wrong"].mean == pytest.approx((scored.argmax(axis=1) != labels).mean())


def test_a_class_without_a_column_is_refused() -> None:
    """Numbers that begin at 1 would shift all classes by one."""
    table, chances = of_three(np.random.default_rng(2), 600)
    card = card_of_three(Label(type="integer", column="y"))
    with pytest.raises(Refused, match=r"label\.classes"):
        build_profile(card, THREE, {**table, "y": table["y"] + 1}, chances)
    named = card_of_three(Label(type="integer", classes=("1", "2", "3"), column="y"))
    found = build_profile(named, THREE, {**table, "y": table["y"] + 1}, chances).truth
    assert found is not None
    assert found.rows == 600


def test_a_regression_has_its_losses_by_score() -> None:
    """Bins of the choosing half's score; errors grow with it, as they were made to."""
    card = LABELLED.model_copy(
        update={
            "task": Task.REGRESSION,
            "decision": None,
            "label": Label(type="number", column="bought"),
        }
    )
    rng = np.random.default_rng(3)
    table = columns(rng, 8000)
    scores = 1 / (1 + np.exp(-table["age"]))
    table["bought"] = scores + 0.25 + scores * rng.standard_normal(8000)
    found = build_profile(card, SIGNATURE, table, model).truth
    assert found is not None
    assert found.by_score is not None
    assert len(found.by_score.edges) == 31
    bias = [each.mean for each in found.by_score.losses["outcome"]]
    assert np.mean(bias) == pytest.approx(0.25, abs=0.03)
    squared = [each.mean for each in found.by_score.losses["squared"]]
    assert squared[-1] > 5 * squared[0]
    assert found.calibrators == ()


def test_figures_are_those_of_the_counted_half() -> None:
    """As scikit-learn has them; a reference that says nothing of its rows has none."""
    table = columns(np.random.default_rng(0), 4000)
    counted = mixed(np.arange(4000, dtype=np.uint64)) % np.uint64(2) == 1
    said, labels = table["age"][counted] >= 0, table["bought"][counted]
    figures = truth_of().figures
    assert figures["accuracy"] == pytest.approx(metrics.accuracy_score(labels, said))
    assert figures["recall"] == pytest.approx(metrics.recall_score(labels, said))
    assert figures["brier"] == pytest.approx(truth_of().losses["brier"].mean)
    assert dict(truth_of(bought=np.full(4000, np.nan)).figures) == {}

"""What is kept of predictions comes back as it was, and no more is kept than may be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from configs.errors import Refused
from monitors.blocks import SampleBlock
from monitors.labels.codes import decision_codes
from monitors.labels.group_names import NAMES_MAX, OTHER
from monitors.labels.judged import JudgedBlock
from monitors.labels.message import Awaited
from monitors.profile.reading import tensors_read
from registry.card import Card, Decision, Feature, FeatureType, Group, Label, Score, Task
from tests.monitors.labels.samples import STABLE, START, Reader, label, name

ROWS = 6


def block(outputs: dict[str, NDArray[Any]], **more: Any) -> SampleBlock:
    """Predictions that are nothing but their outputs."""
    rows = len(next(iter(outputs.values())))
    ids = np.array([name(number) for number in range(rows)], dtype="S32")
    numbers = np.zeros(rows, dtype=np.int64)
    return SampleBlock(
        *STABLE, "s", 1.0, ids, numbers, more.pop("inputs", {}), outputs, made_at=START, **more
    )


def judged(card: Card, rows: SampleBlock, folder: Path, given: object = 1) -> JudgedBlock:
    """The rows, all of which got the same label."""
    awaited = Awaited.of(card)
    assert awaited is not None
    reader = Reader(folder)
    reader.book.expect(rows, card, START)
    reader.book.feedback("m", [label(n, given) for n in range(rows.rows)], awaited, START)
    reader.read(START, card)
    reader.book.close()
    (found,) = reader.blocks
    return found


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scores_of_several_columns_come_back_exactly(tmp_path: Path, dtype: type) -> None:
    """With the decision that is the largest of them, and no score of one column."""
    scores: NDArray[Any] = np.random.default_rng(1).random((ROWS, 3)).astype(dtype)
    card = Card(
        task=Task.MULTICLASS,
        score=Score(output="p"),
        decision=Decision(argmax=True),
        label=Label(type="string", classes=("a", "b", "c")),
    )

    found = judged(card, block({"p": scores}), tmp_path, "b")

    assert found.score_columns is not None
    assert found.score_columns.dtype == dtype
    np.testing.assert_array_equal(found.score_columns, scores)
    np.testing.assert_array_equal(found.decisions, scores.argmax(axis=1))
    assert np.isnan(found.scores).all()
    assert (found.labels == 1.0).all()


def test_the_ends_of_an_interval_come_back_beside_the_score(tmp_path: Path) -> None:
    """From two outputs, one of several columns."""
    scores: NDArray[Any] = np.random.default_rng(2).random((ROWS, 2)).astype(np.float32)
    upper = np.arange(ROWS, dtype=np.float64)
    card = Card.model_validate(
        {
            "task": "regression",
            "score": {"output": "p", "column": 1},
            "interval": {
                "lower": {"output": "p", "column": 0},
                "upper": {"output": "up"},
                "coverage": 0.9,
            },
            "label": {"type": "number"},
        }
    )
    outputs = {"p": scores, "up": upper}
    assert tensors_read(card)[1] == outputs.keys()

    found = judged(card, block(outputs), tmp_path, 0.5)

    assert found.ends is not None
    np.testing.assert_array_equal(found.ends, np.stack([scores[:, 0], upper], axis=1))
    np.testing.assert_array_equal(found.scores, scores[:, 1])
    assert found.score_columns is None


def test_a_score_of_too_many_columns_is_not_kept(tmp_path: Path) -> None:
    """Its decision is; what is kept of a row stays small."""
    scores = np.eye(ROWS, 65, dtype=np.float32)
    card = Card(
        task=Task.MULTICLASS,
        score=Score(output="p"),
        decision=Decision(argmax=True),
        label=Label(type="integer"),
    )

    found = judged(card, block({"p": scores}), tmp_path)

    assert found.score_columns is None
    assert found.decisions.tolist() == list(range(ROWS))


def test_what_is_missing_comes_back_as_missing(tmp_path: Path) -> None:
    """A score that is no number, and the decision that cannot be made of it."""
    card = Card(
        task=Task.BINARY,
        score=Score(output="p"),
        decision=Decision(threshold=0.5),
        groups=(Group(name="sex"),),
        label=Label(),
    )
    scores = np.array([[0.25], [np.nan]], dtype=np.float64)
    sexes = np.array([None, "f"], dtype=np.object_)

    found = judged(card, block({"p": scores}, groups={"sex": sexes}), tmp_path)

    np.testing.assert_array_equal(found.scores, [0.25, np.nan])
    np.testing.assert_array_equal(found.decisions, [0.0, np.nan])
    assert found.groups["sex"].tolist() == [None, "f"]


def test_a_model_without_a_score_or_a_decision_is_judged_too(tmp_path: Path) -> None:
    """Then both are missing, and its labels are there."""
    card = Card(task=Task.OTHER, label=Label(type="number"))

    found = judged(card, block({"p": np.zeros((2, 1))}), tmp_path, 2.5)

    assert np.isnan(found.scores).all()
    assert np.isnan(found.decisions).all()
    assert found.labels.tolist() == [2.5, 2.5]


def test_groups_that_are_features_are_kept_by_name(tmp_path: Path) -> None:
    """As selection rates name them, whatever the type of the feature."""
    card = Card(
        task=Task.OTHER,
        features=(Feature(name="band", input="x", type=FeatureType.CATEGORICAL),),
        groups=(Group(name="band", source="feature"),),
        label=Label(),
    )
    inputs = {"x": np.array([[1.0], [2.0], [np.nan]])}

    found = judged(card, block({"p": np.zeros((3, 1))}, inputs=inputs), tmp_path)

    assert found.groups["band"].tolist() == ["1", "2", None]


def test_a_group_attribute_of_ten_thousand_values_is_bounded(tmp_path: Path) -> None:
    """The first names are told apart; all further ones are one group."""
    card = Card(task=Task.OTHER, groups=(Group(name="town"),), label=Label())
    towns = np.array([f"town {n}" for n in range(10_000)], dtype=np.object_)
    reader = Reader(tmp_path)
    reader.book.expect(block({"p": np.zeros((10_000, 1))}, groups={"town": towns}), card, START)
    reader.restart()
    messages = [label(n) for n in (0, NAMES_MAX - 1, NAMES_MAX, 9999)]
    reader.book.feedback("m", messages, Awaited(Label()), START)
    reader.read(START, card)
    reader.book.close()

    (found,) = reader.blocks
    assert found.groups["town"].tolist() == ["town 0", f"town {NAMES_MAX - 1}", OTHER, OTHER]


def test_a_decision_that_names_a_class_is_numbered_as_labels_are() -> None:
    """By its text where the card names it; a number that names no class is taken as it is."""
    card = Card(
        task=Task.BINARY,
        decision=Decision(output="d"),
        label=Label(type="integer", classes=("1", "2")),
    )
    by_name = decision_codes(card, {"d": np.array([2, 1, 7], dtype=np.int64)})
    assert by_name is not None
    assert by_name.tolist() == [1.0, 0.0, 7.0]

    named = card.model_copy(update={"label": Label(type="string", classes=("no", "yes"))})
    texts = np.array(["yes", "no", "maybe"], dtype=np.object_)
    by_text = decision_codes(named, {"d": texts})
    np.testing.assert_array_equal(by_text, [1.0, 0.0, np.nan])
    numbers = decision_codes(named, {"d": np.array([1.0, 0.0, np.nan])})
    np.testing.assert_array_equal(numbers, [1.0, 0.0, np.nan])


def test_outputs_that_do_not_fit_the_card_are_refused(tmp_path: Path) -> None:
    """And counted; other rows are kept."""
    card = Card(task=Task.BINARY, score=Score(output="p"), label=Label())
    reader = Reader(tmp_path)
    with pytest.raises(Refused, match="'p'"):
        reader.book.expect(block({"q": np.zeros((2, 1))}), card, START)
    reader.book.expect(block({"p": np.zeros((2, 1))}), card, START)
    assert reader.book.told("m", {1: card}, START).pending == 2
    reader.book.close()

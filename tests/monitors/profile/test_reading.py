"""Scores, decisions and values are read as the card says, and never guessed."""

import numpy as np
import pytest

from configs.errors import Refused
from monitors.profile.reading import (
    as_floats,
    column_of,
    decision_values,
    decisions,
    group_values,
    score_columns,
    scores,
)
from registry.card import Card, Decision, Feature, Group, Score, Task

OUTPUTS = {
    "p": np.array([[0.2, 0.8], [0.6, 0.4], [np.nan, np.nan]], dtype=np.float32),
    "label": np.array([1, 0, 1]),
}


def card(**parts: object) -> Card:
    """A binary card with the given parts."""
    return Card.model_validate({"task": Task.BINARY, **parts})


def test_scores_come_from_their_column() -> None:
    """The declared column, or none at all when the card names no score."""
    expected = np.array([0.8, 0.4, np.nan])
    found = scores(card(score=Score(output="p", column=1)), OUTPUTS)
    assert found is not None
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert scores(card(), OUTPUTS) is None


def test_each_kind_of_decision() -> None:
    """Threshold, arg-max and an output of its own; unreadable scores decide nothing."""
    score = Score(output="p", column=1)
    by_threshold = card(score=score, decision=Decision(threshold=0.5))
    np.testing.assert_array_equal(decisions(by_threshold, OUTPUTS), [1, 0, np.nan])
    by_argmax = card(score=Score(output="p"), decision=Decision(argmax=True))
    np.testing.assert_array_equal(decisions(by_argmax, OUTPUTS), [1, 0, np.nan])
    np.testing.assert_array_equal(
        decisions(card(decision=Decision(output="label")), OUTPUTS), [1, 0, 1]
    )
    assert decisions(card(), OUTPUTS) is None


def test_an_ambiguous_column_is_refused() -> None:
    """Two columns and none named, a column too many, a tensor that is not there."""
    for name, column in (("p", None), ("p", 2), ("q", None)):
        with pytest.raises(Refused):
            column_of(OUTPUTS, name, column, "it")
    assert column_of({"p": np.zeros((0, 2))}, "p", None, "it").shape == (0,)


def test_what_is_no_number_is_missing() -> None:
    """Texts are read as numbers where they are some."""
    values = np.array(["1.5", b"2", "x", None, 3, [1]], dtype=np.object_)
    np.testing.assert_array_equal(as_floats(values), [1.5, 2, np.nan, np.nan, 3, np.nan])


def test_groups_come_from_extra_inputs_or_features() -> None:
    """An extra input that was not sent is missing for every row."""
    both = card(
        features=(Feature(name="age", input="x", column=0),),
        groups=(Group(name="sex"), Group(name="age", source="feature")),
    )
    found = group_values(both, {"x": np.array([[1.0], [2.0]])}, {}, 2)
    assert found["sex"].tolist() == [None, None]
    assert found["age"].tolist() == [1.0, 2.0]


def test_columns_of_a_score_are_read_where_the_card_names_none() -> None:
    """As they lie; a score of one column, or of which one is named, has none."""
    found = score_columns(card(score=Score(output="p")), OUTPUTS)
    assert found is not None
    np.testing.assert_array_equal(found, OUTPUTS["p"])
    assert score_columns(card(score=Score(output="p", column=1)), OUTPUTS) is None
    assert score_columns(card(score=Score(output="label")), OUTPUTS) is None
    assert score_columns(card(), OUTPUTS) is None
    empty = score_columns(card(score=Score(output="p")), {"p": np.zeros((0, 3))})
    assert empty is not None
    assert empty.shape == (0, 3)
    with pytest.raises(Refused, match="which is not there"):
        score_columns(card(score=Score(output="q")), OUTPUTS)


def test_a_decision_is_told_as_the_model_gave_it() -> None:
    """A text stays one, though it is no number; a truth value too."""
    outputs = {
        "text": np.array([["yes"], ["no"]], dtype=np.object_),
        "flag": np.array([True, False]),
    }
    by_text, by_flag = (card(decision=Decision(output=name)) for name in outputs)
    texts, flags = decision_values(by_text, outputs), decision_values(by_flag, outputs)
    assert texts is not None
    assert flags is not None
    assert texts.tolist() == ["yes", "no"]
    assert flags.tolist() == [True, False]
    np.testing.assert_array_equal(decisions(by_text, outputs), [np.nan, np.nan])
    np.testing.assert_array_equal(decisions(by_flag, outputs), [1, 0])
    by_threshold = card(score=Score(output="p", column=1), decision=Decision(threshold=0.5))
    np.testing.assert_array_equal(decision_values(by_threshold, OUTPUTS), [1, 0, np.nan])
    assert decision_values(card(), OUTPUTS) is None

"""What a card says of performance is held against the measures that its task has."""

from __future__ import annotations

from typing import Any

import pytest

from configs.errors import Refused
from registry.card import Card, Decision, Feature, Group, Label, Performance, Score, Task
from registry.cards import check_card, parse_card
from registry.measures import MEASURES, Better, measures_of
from registry.signature import Datatype, Signature, TensorSpec

SIGNATURE = Signature(
    inputs=(TensorSpec(name="x", datatype=Datatype.FP32, shape=(-1, 1)),),
    outputs=(TensorSpec(name="p", datatype=Datatype.FP32, shape=(-1, 1)),),
)


def card(task: Task = Task.BINARY, **performance: Any) -> Card:
    """A card of one feature that declares something of performance."""
    return Card(
        task=task,
        score=Score(output="p"),
        decision=Decision(threshold=0.5),
        features=(Feature(name="age", input="x"),),
        groups=(Group(name="region"),),
        label=Label(),
        performance=Performance.model_validate(performance),
    )


def test_measures_of_the_task_are_welcome() -> None:
    """In every way that makes sense."""
    check_card(card(tolerance={"accuracy": 0.02, "brier": 0.01}, minimum={"auc": 0.7}), SIGNATURE)
    check_card(card(maximum={"log_loss": 0.5}, segments=["region"]), SIGNATURE)
    check_card(card(Task.REGRESSION, minimum={"bias": -1}, maximum={"bias": 1}), SIGNATURE)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (card(tolerance={"acuracy": 0.1}), "has no measure 'acuracy'"),
        (card(tolerance={"acuracy": 0.1}), "Did you mean 'accuracy'?"),
        (card(minimum={"mae": 1}), "performance.minimum: task binary has no measure 'mae'"),
        (card(Task.REGRESSION, maximum={"brier": 1}), "it has mae, rmse, bias, r2"),
        (card(Task.RANKING, minimum={"auc": 1}), "it has none"),
        (card(minimum={"brier": 0.1}), "brier is better the lower it is"),
        (card(maximum={"auc": 0.1}), "auc is better the higher it is"),
        (card(tolerance={"calibration_error": 0.1}), "shown without an interval"),
        (card(segments=["age"]), "there is no group 'age'; a feature becomes one"),
        (
            card(minimum={"auc": 0.7}).model_copy(update={"label": None}),
            "the card declares no label",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(wrong: Card, said: str) -> None:
    """The message says what is wrong, and what there is."""
    with pytest.raises(Refused) as caught:
        check_card(wrong, SIGNATURE)
    assert said in caught.value.message


@pytest.mark.parametrize("number", ["0", "-0.1", ".nan", "much"])
def test_a_tolerance_is_a_number_above_nothing(number: str) -> None:
    """None at all would be left by chance alone."""
    values = {"0": 0, "-0.1": -0.1, ".nan": float("nan")}.get(number, number)
    content = {"task": "binary", "performance": {"tolerance": {"accuracy": values}}}
    with pytest.raises(Refused, match=r"performance\.tolerance\.accuracy"):
        parse_card(content, "card.yaml")


def test_the_first_measure_of_a_task_is_one_that_is_judged() -> None:
    """It is what segments show unless the card names another."""
    for task in Task:
        assert all(measure.judged for measure in MEASURES[task][:1])
        assert list(measures_of(task)) == [measure.name for measure in MEASURES[task]]
    assert measures_of(Task.REGRESSION)["bias"].better is Better.NEARER

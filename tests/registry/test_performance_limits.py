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


TWO = Signature(
    inputs=SIGNATURE.inputs,
    outputs=(
        TensorSpec(name="p", datatype=Datatype.FP32, shape=(-1, 3)),
        TensorSpec(name="name", datatype=Datatype.BYTES, shape=(-1,)),
    ),
)
LOWER, UPPER = {"output": "p", "column": 0}, {"output": "p", "column": 2}


def uncertain(task: str = "regression", **more: Any) -> Card:
    """A card of a model that says how unsure it is."""
    interval = {"lower": LOWER, "upper": UPPER, "coverage": 0.9}
    content = {
        "task": task,
        "score": {"output": "p", "column": 1, "quantile": 0.5},
        "interval": interval,
        "features": [{"name": "age", "input": "x"}],
        "label": {"type": "number"},
    }
    return Card.model_validate(content | more)


def test_a_quantile_and_an_interval_have_measures() -> None:
    """Of their own, which may have limits."""
    limits = {"tolerance": {"interval_coverage": 0.02}, "maximum": {"pinball": 1}}
    check_card(uncertain(performance=limits), TWO)
    assert {"pinball", "interval_coverage"} <= set(measures_of(uncertain()))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            uncertain(interval=None, performance={"maximum": {"interval_coverage": 1}}),
            "interval_coverage needs interval: declare it",
        ),
        (
            uncertain(score={"output": "p", "column": 1}, performance={"maximum": {"pinball": 1}}),
            "pinball needs score.quantile: declare it",
        ),
        (uncertain("binary"), "score.quantile: only a regression has one, not task binary"),
        (uncertain("binary"), "interval: only a regression has one"),
        (
            uncertain(interval={"lower": {"output": "q"}, "upper": UPPER, "coverage": 0.9}),
            "interval.lower.output: there is no output 'q'",
        ),
        (
            uncertain(interval={"lower": LOWER, "upper": {"output": "name"}, "coverage": 0.9}),
            "interval.upper.output: 'name' holds strings",
        ),
        (
            uncertain(interval={"lower": {"output": "p"}, "upper": UPPER, "coverage": 0.9}),
            "interval.lower.column is missing: which column of 'p'?",
        ),
        (
            uncertain(interval={"lower": LOWER, "upper": UPPER | {"column": 3}, "coverage": 0.9}),
            "interval.upper.column: 'p' has no column 3, only 3",
        ),
        (
            uncertain(interval={"lower": LOWER, "upper": LOWER, "coverage": 0.9}),
            "both ends are the same column",
        ),
    ],
)
def test_an_interval_that_is_not_there_is_refused_by_name(wrong: Card, said: str) -> None:
    """Each of its ends is looked for, and so is what a limit needs."""
    with pytest.raises(Refused) as caught:
        check_card(wrong, TWO)
    assert said in caught.value.message


def test_the_first_measure_of_a_task_is_one_that_is_judged() -> None:
    """It is what segments show unless the card names another."""
    for task in Task:
        assert all(measure.judged for measure in MEASURES[task][:1])
        always = [measure.name for measure in MEASURES[task] if not measure.needs]
        assert list(measures_of(card(task))) == always
    assert measures_of(card(Task.REGRESSION))["bias"].better is Better.NEARER

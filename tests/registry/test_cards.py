"""Cards are read strictly, completed without guessing, and checked against the model."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from configs.errors import Refused
from registry.card import (
    Band,
    Card,
    Decision,
    Fairness,
    Feature,
    FeatureType,
    GapBand,
    Group,
    Label,
    Near,
    Policy,
    Score,
    Strata,
    Task,
    Tolerance,
)
from registry.cards import check_card, complete_card, read_card
from registry.signature import Datatype, Signature, TensorSpec

FP32, INT64, BYTES = Datatype.FP32, Datatype.INT64, Datatype.BYTES


def _spec(name: str, shape: tuple[int, ...], datatype: Datatype = FP32) -> TensorSpec:
    return TensorSpec(name=name, datatype=datatype, shape=shape)


def _signature(*outputs: TensorSpec, inputs: tuple[TensorSpec, ...] = ()) -> Signature:
    return Signature(inputs=inputs or (_spec("x", (-1, 3)),), outputs=outputs)


LABEL = _spec("label", (-1,), INT64)
TWO_CLASSES = _signature(LABEL, _spec("probabilities", (-1, 2)))
FOUR_CLASSES = _signature(LABEL, _spec("probabilities", (-1, 4)))
ONE_NUMBER = _signature(_spec("y", (-1, 1)))
LABELLED = Decision(output="label")
BINARY = Card(
    task=Task.BINARY,
    score=Score(output="probabilities", column=1),
    decision=LABELLED,
)


def test_a_card_is_read_from_yaml(tmp_path: Path) -> None:
    """What the file says is what the card holds."""
    path = tmp_path / "card.yaml"
    path.write_text("task: binary\nscore: {output: p, column: 1}\ndecision: {threshold: 0.4}\n")
    assert read_card(path) == Card(
        task=Task.BINARY, score=Score(output="p", column=1), decision=Decision(threshold=0.4)
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must hold keys and values"),
        ("[", "is not YAML"),
        ("score: {output: p}", "task is missing"),
        ("task: binry", "task: input should be 'binary'"),
        ("task: other\nscroe: {}", "scroe does not exist. Did you mean 'score'?"),
        ("task: other\nfeatures: [{nam: a, input: x}]", r"Did you mean 'features[0].name'?"),
        ("task: other\ndecision: {threshold: 1, argmax: true}", "decision: decision takes exactly"),
        (
            "task: other\nfeatures: [{name: a, input: x}, {name: a, input: z}]",
            "feature named twice: a",
        ),
        (
            "task: other\nfairness: {demographic_parity: {max_gap: 0.1}}",
            "fairness.demographic_parity does not exist",
        ),
        ("task: other\nfairness: {selection_rat: {}}", "Did you mean 'fairness.selection_rate'?"),
        ("task: other\nfairness: {selection_rate: {}}", "say max_gap, min_ratio or both"),
        (
            "task: other\nfairness: {calibration: {min_ratio: 0.8}}",
            "fairness.calibration.min_ratio",
        ),
        ("task: other\nfairness: {depth: 4}", "fairness.depth"),
        ("task: other\ngroups: [{name: a, proxy: {z: {x: 0.5}}}]", "must sum to one"),
        ("task: other\nstrata: {}", "strata: strata takes exactly one of"),
        ("task: other\nstrata: {feature: a, hour_of_week: true}", "strata takes exactly one of"),
        ("task: other\nstrata: {feature: a, hours: 6}", "hours and time go with hour_of_week"),
        ("task: other\nstrata: {feature: a, time: t}", "hours and time go with hour_of_week"),
        ("task: other\nstrata: {hour_of_week: true, hours: 5}", "strata.hours"),
    ],
)
def test_a_wrong_card_is_refused_by_key(tmp_path: Path, text: str, said: str) -> None:
    """Every mistake is named with the file and the key."""
    path = tmp_path / "card.yaml"
    path.write_text(text)
    with pytest.raises(Refused) as caught:
        read_card(path)
    assert said in caught.value.message
    assert str(path) in caught.value.message


def test_a_missing_card_is_a_clear_error(tmp_path: Path) -> None:
    """A file that is not there is named."""
    with pytest.raises(Refused, match="cannot be read"):
        read_card(tmp_path / "none.yaml")


def test_a_binary_classifier_is_completed_and_every_step_is_said() -> None:
    """With the task known, score, decision and features follow from the model and reference."""
    card, said = complete_card(Card(task=Task.BINARY), TWO_CLASSES, ["a", "b", "c"])
    assert card == BINARY.model_copy(
        update={
            "features": tuple(
                Feature(name=name, input="x", column=column) for column, name in enumerate("abc")
            )
        }
    )
    assert [sentence.partition(":")[0] for sentence in said] == [
        "score",
        "score.column",
        "decision",
        "features",
    ]
    check_card(card, TWO_CLASSES)


def test_nothing_that_the_card_says_is_changed() -> None:
    """A whole card comes back as it is, without a sentence."""
    card = Card(
        task=Task.BINARY,
        score=Score(output="probabilities", column=0),
        decision=Decision(threshold=0.3, favourable=0),
        features=(Feature(name="a", input="x", column=2),),
    )
    assert complete_card(card, TWO_CLASSES, ["p", "q", "r"]) == (card, ())


def test_many_classes_without_a_card_are_inferred() -> None:
    """A label with more than two scores leaves only one reading."""
    card, said = complete_card(None, FOUR_CLASSES, None)
    assert (card.task, card.score, card.decision) == (
        Task.MULTICLASS,
        Score(output="probabilities"),
        Decision(output="label"),
    )
    assert said[-1].startswith("features: none")


def test_a_model_without_numbers_needs_no_card() -> None:
    """A model that gives only strings is none of the tasks that have a score."""
    card, _ = complete_card(None, _signature(_spec("text", (-1,), BYTES)), None)
    assert (card.task, card.score, card.decision) == (Task.OTHER, None, None)


def test_a_regression_needs_no_decision() -> None:
    """The only number is the score, and nothing is decided."""
    card, _ = complete_card(Card(task=Task.REGRESSION), ONE_NUMBER, None)
    assert (card.score, card.decision) == (Score(output="y"), None)
    check_card(card, ONE_NUMBER)


def test_one_tensor_per_feature_names_the_features() -> None:
    """Inputs of one column each are features by their own names, strings as categories."""
    inputs = (_spec("age", (-1, 1)), _spec("town", (-1,), BYTES))
    signature = _signature(_spec("y", (-1,)), inputs=inputs)
    card, _ = complete_card(Card(task=Task.REGRESSION), signature, None)
    assert card.features == (
        Feature(name="age", input="age"),
        Feature(name="town", input="town", type=FeatureType.CATEGORICAL),
    )
    check_card(card, signature)


def test_extra_inputs_are_no_features() -> None:
    """A group column in the reference is left out when columns are counted."""
    card = Card(task=Task.REGRESSION, groups=(Group(name="race"),))
    completed, _ = complete_card(card, ONE_NUMBER, ["a", "race", "b", "c"])
    assert [(feature.name, feature.column) for feature in completed.features] == [
        ("a", 0),
        ("b", 1),
        ("c", 2),
    ]


@pytest.mark.parametrize(
    ("card", "signature", "names", "said"),
    [
        pytest.param(None, TWO_CLASSES, None, "more than one task", id="binary-or-not"),
        pytest.param(None, ONE_NUMBER, None, "more than one task", id="number-or-probability"),
        pytest.param(
            Card(task=Task.REGRESSION),
            _signature(_spec("y", (-1,)), _spec("z", (-1,))),
            None,
            "score.output must be declared",
            id="which-output",
        ),
        pytest.param(
            Card(task=Task.RANKING),
            _signature(LABEL),
            None,
            "score.output must be declared",
            id="no-output",
        ),
        pytest.param(
            Card(task=Task.BINARY),
            _signature(_spec("p", (-1, 2))),
            None,
            "score.column must be declared",
            id="which-class",
        ),
        pytest.param(
            Card(task=Task.BINARY),
            _signature(LABEL, _spec("p", (-1, -1))),
            None,
            "a varying number of columns",
            id="how-many-classes",
        ),
        pytest.param(
            Card(task=Task.BINARY), ONE_NUMBER, None, "decision must be declared", id="threshold"
        ),
        pytest.param(
            Card(task=Task.BINARY),
            _signature(_spec("label", (-1,), BYTES), _spec("p", (-1, 2))),
            None,
            "decision must be declared",
            id="label-of-strings",
        ),
        pytest.param(
            Card(task=Task.REGRESSION),
            ONE_NUMBER,
            ["a", "b"],
            "has 3 columns and the reference has 2",
            id="columns",
        ),
        pytest.param(
            Card(task=Task.REGRESSION),
            _signature(_spec("y", (-1,)), inputs=(_spec("a", (-1, 2)), _spec("b", (-1,)))),
            ["a", "b", "c"],
            "neither one matrix",
            id="mixed-inputs",
        ),
    ],
)
def test_a_guess_is_refused(
    card: Card | None, signature: Signature, names: list[str] | None, said: str
) -> None:
    """Where more than one reading fits, the error names what to declare."""
    with pytest.raises(Refused, match=said):
        complete_card(card, signature, names)


def _with(**changes: object) -> Card:
    return BINARY.model_copy(update=changes)


def _fair(
    *,
    groups: int = 1,
    label: object = None,
    task: Task = Task.BINARY,
    decision: object = LABELLED,
    **of: object,
) -> Card:
    fairness = Fairness.model_validate(of)
    names = tuple(Group(name=f"group{number}") for number in range(groups))
    return _with(groups=names, fairness=fairness, label=label, task=task, decision=decision)


@pytest.mark.parametrize(
    ("card", "said"),
    [
        (_with(score=None), "score is missing"),
        (_with(score=Score(output="p")), "no output 'p'"),
        (_with(score=Score(output="probabilities")), "score.column is missing"),
        (_with(score=Score(output="probabilities", column=2)), "no column 2, only 2"),
        (_with(decision=Decision(output="q")), "decision.output: there is no output 'q'"),
        (_with(decision=Decision(output="probabilities")), "is not one column"),
        (
            Card(task=Task.OTHER, decision=Decision(threshold=1.0)),
            "threshold and argmax need a score",
        ),
        (_with(features=(Feature(name="a", input="z"),)), "no input 'z'"),
        (_with(features=(Feature(name="a", input="x"),)), "feature 'a': which column of 'x'?"),
        (_with(features=(Feature(name="a", input="x", column=3),)), "no column 3, only 3"),
        (
            _with(
                features=(
                    Feature(name="a", input="x", column=1),
                    Feature(name="b", input="x", column=1),
                )
            ),
            "feature 'b' uses the same column as 'a'",
        ),
        (_with(groups=(Group(name="x"),)), "group 'x': the model has an input"),
        (_with(groups=(Group(name="a", source="feature"),)), "group 'a': there is no feature"),
        (
            _with(groups=(Group(name="a", source="audit", proxy={"z": {"x": 1.0}}),)),
            "group 'a': an attribute that comes by itself cannot be a proxy",
        ),
        (_fair(attributes=("sx",)), "fairness.attributes: there is no group 'sx'"),
        (_with(fairness=Fairness()), "fairness: groups must be declared"),
        (_fair(depth=3, groups=6), "6 attributes to depth 3 are 41 comparisons, more than 16"),
        (_fair(equal_opportunity=Band(max_gap=0.1)), "fairness.equal_opportunity needs labels"),
        (
            _fair(predictive_parity=Band(max_gap=0.1), label=Label(type="number")),
            "fairness.predictive_parity needs labels that are classes",
        ),
        (
            _fair(equalised_odds=GapBand(max_gap=0.1), label=Label(), decision=None),
            "fairness.equalised_odds needs a decision",
        ),
        (
            _fair(calibration=GapBand(max_gap=0.1), label=Label(), task=Task.MULTICLASS),
            "fairness.calibration needs task binary",
        ),
        (
            _with(label=Label(within=Tolerance(absolute=1.0))),
            "label.within: only a regression has one, not task binary",
        ),
        (
            Card(
                task=Task.REGRESSION,
                score=Score(output="probabilities"),
                label=Label(type="number", within=Tolerance(absolute=1.0)),
            ),
            "label.within needs a score of one column",
        ),
        (
            _with(same_within=(Near(output="probabilites", absolute=0.1),)),
            "same_within: there is no output 'probabilites'. Did you mean",
        ),
    ],
)
def test_a_card_that_does_not_fit_the_model_is_refused(card: Card, said: str) -> None:
    """Each thing that the card names must be there, once."""
    with pytest.raises(Refused) as caught:
        check_card(card, TWO_CLASSES)
    assert said in caught.value.message


def test_strings_are_not_near_one_another() -> None:
    """Nor is a difference below nought one."""
    signature = _signature(_spec("name", (-1, 1), BYTES))
    card = Card(task=Task.OTHER, same_within=(Near(output="name", relative=0.1),))
    with pytest.raises(Refused, match="same_within: 'name' holds strings"):
        check_card(card, signature)
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        Tolerance(absolute=-0.1)
    twice = (Near(output="y"), Near(output="y", absolute=1.0))
    with pytest.raises(ValidationError, match="output of same_within named twice: y"):
        Card(task=Task.OTHER, same_within=twice)


def test_a_score_of_strings_is_refused() -> None:
    """A score is a number."""
    signature = _signature(_spec("y", (-1,), BYTES))
    with pytest.raises(Refused, match="holds strings"):
        check_card(Card(task=Task.REGRESSION, score=Score(output="y")), signature)


def test_all_problems_are_named_at_once() -> None:
    """One error holds every problem of a card."""
    card = _with(score=Score(output="p"), groups=(Group(name="x"),))
    with pytest.raises(Refused, match="no output 'p'; group 'x'"):
        check_card(card, TWO_CLASSES)


def _segmented(strata: Strata, *features: Feature) -> Card:
    some = Feature(name="town", input="x", column=0, type=FeatureType.CATEGORICAL)
    return _with(strata=strata, features=(some, *features))


@pytest.mark.parametrize(
    ("card", "said"),
    [
        (_segmented(Strata(feature="shop")), "strata.feature: there is no feature 'shop'"),
        (
            _segmented(Strata(feature="age"), Feature(name="age", input="x", column=1)),
            "strata.feature: 'age' is numeric; only a categorical feature names segments",
        ),
        (
            _segmented(
                Strata(feature="shop"),
                Feature(
                    name="shop",
                    input="x",
                    column=1,
                    type=FeatureType.CATEGORICAL,
                    policy=Policy.DROP,
                ),
            ),
            "strata.feature: 'shop' has the policy drop",
        ),
        (
            _segmented(Strata(hour_of_week=True, time="town")),
            "strata.time: 'town' goes to the model or is a group",
        ),
    ],
)
def test_strata_that_nothing_tells_are_refused(card: Card, said: str) -> None:
    """A feature that is not there, or may not be looked at; a time that is something else."""
    with pytest.raises(Refused) as caught:
        check_card(card, TWO_CLASSES)
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("strata", "features", "fits"),
    [
        (Strata(hour_of_week=True), 119, True),
        (Strata(hour_of_week=True), 120, False),
        (Strata(hour_of_week=True, hours=6), 714, True),
        (Strata(feature="f0"), 10_000, True),
        (Strata(feature="f0"), 10_001, False),
    ],
)
def test_too_many_strata_are_refused(strata: Strata, features: int, fits: bool) -> None:
    """What is remembered grows with strata times features, so there is a most of both."""
    signature = _signature(_spec("y", (-1,)), inputs=(_spec("x", (-1, features)),))
    card = Card(
        task=Task.REGRESSION,
        score=Score(output="y"),
        features=tuple(
            Feature(name=f"f{at}", input="x", column=at, type=FeatureType.CATEGORICAL)
            for at in range(features)
        ),
        strata=strata,
    )
    if fits:
        check_card(card, signature)
        return
    with pytest.raises(Refused, match="more than 20,000"):
        check_card(card, signature)


def test_the_time_of_the_reference_is_no_feature() -> None:
    """It is left out when the columns of a matrix are named by the reference."""
    card = Card(task=Task.REGRESSION, strata=Strata(hour_of_week=True, time="at"))
    completed, _ = complete_card(card, ONE_NUMBER, ["a", "at", "b", "c"])
    assert [feature.name for feature in completed.features] == ["a", "b", "c"]


def test_a_threshold_is_that_of_one_column() -> None:
    """Of four classes it must be said which; arg-max needs no column, nor does one of one."""
    four = Card(task=Task.MULTICLASS, score=Score(output="probabilities"))
    by_threshold, by_argmax = Decision(threshold=0.4), Decision(argmax=True)
    with pytest.raises(Refused, match=r"score\.column is missing: which column"):
        check_card(four.model_copy(update={"decision": by_threshold}), FOUR_CLASSES)
    check_card(four.model_copy(update={"decision": by_argmax}), FOUR_CLASSES)
    named = {"score": Score(output="probabilities", column=3), "decision": by_threshold}
    check_card(four.model_copy(update=named), FOUR_CLASSES)
    one = Card(task=Task.REGRESSION, score=Score(output="y"), decision=by_threshold)
    check_card(one, ONE_NUMBER)

"""Reads a version's card, fills in what follows from the model, and refuses to guess the rest."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb
from pathlib import Path

import yaml
from pydantic import ValidationError

from configs.errors import Refused
from configs.explain import did_you_mean, explain
from registry.card import (
    STRATA_OF_FEATURES_MAX,
    Card,
    Column,
    Decision,
    Fairness,
    Feature,
    FeatureType,
    Performance,
    Policy,
    Score,
    Strata,
    Task,
)
from registry.measures import MEASURES, Better, measures_of
from registry.signature import Datatype, Signature, TensorSpec

_FLOATS = (Datatype.FP16, Datatype.FP32, Datatype.FP64)
_WHOLE = (Datatype.BOOL, Datatype.INT8, Datatype.INT16, Datatype.INT32, Datatype.INT64)
_SCORED = (Task.BINARY, Task.MULTICLASS, Task.REGRESSION, Task.RANKING)

_COMES = {"label": "with the label", "audit": "by itself"}

INTERSECTIONS_MAX = 16
"""Attributes, pairs and triples of them that are compared: each has up to 34 groups."""

Completed = tuple[Card, tuple[str, ...]]
"""A card and the sentences that say what was filled in."""


def read_card(path: Path) -> Card:
    """The card in a YAML file; `Refused` with every wrong key by its dotted name."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"the card {path} cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise Refused(f"the card {path} is not YAML: {' '.join(str(error).split())}") from None
    return parse_card(content, str(path))


def parse_card(content: object, source: str) -> Card:
    """A card from plain values; `source` is named in the `Refused` of a wrong one."""
    if not isinstance(content, dict):
        raise Refused(f"the card {source} must hold keys and values, such as 'task: binary'")
    try:
        return Card.model_validate(content)
    except ValidationError as error:
        raise Refused(f"the card {source}: {explain(error, Card)}") from None


def complete_card(
    card: Card | None, signature: Signature, feature_names: Sequence[str] | None
) -> Completed:
    """The card with everything that follows from the model, and sentences that say what.

    `feature_names` are the columns of the reference in the order of the model's columns; names of
    extra inputs, of its time and label are left out. Nothing that the card says is changed. Raises
    `Refused` where filling in would be a guess, and names what to declare.
    """
    said: list[str] = []
    if card is None:
        card = Card(task=_task(signature, said))
    card = card.model_copy(update={"score": _score(card, signature, said)})
    card = card.model_copy(update={"decision": _decision(card, signature, said)})
    features = card.features or _features(card, signature, feature_names, said)
    return card.model_copy(update={"features": features}), tuple(said)


def _task(signature: Signature, said: list[str]) -> Task:
    """The task, where the outputs leave no choice."""
    scores, labels = _scores(signature), _labels(signature)
    if not scores:
        said.append("task: other, since no output is a floating-point number")
        return Task.OTHER
    if len(scores) == 1 and len(labels) == 1 and _columns(scores[0]) > 2:
        said.append(f"task: multiclass, from {scores[0].name!r} and the label {labels[0].name!r}")
        return Task.MULTICLASS
    raise Refused(
        f"the outputs {_names(signature.outputs)} fit more than one task: "
        "give a card with task (binary, multiclass, regression, ranking or other)"
    )


def _score(card: Card, signature: Signature, said: list[str]) -> Score | None:
    """The score that the card declares, or the only output that can be it."""
    score = card.score
    if score is None:
        if card.task not in _SCORED:
            return None
        scores = _scores(signature)
        if len(scores) != 1:
            raise Refused(
                f"score.output must be declared: of the outputs {_names(signature.outputs)}, "
                f"{len(scores)} could be the score"
            )
        score = Score(output=scores[0].name)
        said.append(f"score: output {score.output!r}, the only floating-point output")
    spec = _find(signature.outputs, score.output)
    if spec is None or score.column is not None or card.task is not Task.BINARY:
        return score
    return _positive_column(score, spec, signature, said)


def _positive_column(
    score: Score, spec: TensorSpec, signature: Signature, said: list[str]
) -> Score:
    """The score of a binary task with the column of the positive class."""
    columns = _columns(spec)
    if columns == 1:
        return score
    if columns == 2 and _labels(signature):
        said.append(f"score.column: 1, the second class of {spec.name!r} is the positive one")
        return score.model_copy(update={"column": 1})
    raise Refused(
        f"score.column must be declared: output {spec.name!r} has "
        f"{columns if columns > 0 else 'a varying number of'} columns, "
        "and nothing says which is of the positive class"
    )


def _decision(card: Card, signature: Signature, said: list[str]) -> Decision | None:
    """The decision that the card declares, or the model's own label."""
    if card.decision is not None or card.task not in (Task.BINARY, Task.MULTICLASS):
        return card.decision
    labels = [spec for spec in _labels(signature) if spec.datatype in _WHOLE]
    if len(labels) == 1:
        said.append(f"decision: output {labels[0].name!r}, where 1 counts as favourable")
        return Decision(output=labels[0].name)
    raise Refused(
        "decision must be declared (threshold, argmax or output): of the outputs "
        f"{_names(signature.outputs)}, {len(labels)} could be the decision"
    )


def _features(
    card: Card, signature: Signature, names: Sequence[str] | None, said: list[str]
) -> tuple[Feature, ...]:
    """One feature per input of one column, or one per column of the only matrix."""
    inputs = signature.inputs
    if inputs and all(_columns(spec) == 1 for spec in inputs):
        said.append(f"features: one for each of the {len(inputs)} inputs, by its name")
        return tuple(Feature(name=spec.name, input=spec.name, type=_type(spec)) for spec in inputs)
    if names is None:
        said.append("features: none, since nothing names the columns: no drift is watched")
        return ()
    beside = (*card.extra_inputs, card.reference_time, card.truth_column)
    names = [name for name in names if name not in beside]
    if len(inputs) != 1 or len(inputs[0].shape) != 2:
        raise Refused(
            f"features must be declared: the inputs {_names(inputs)} are neither one matrix "
            "nor one column each"
        )
    matrix = inputs[0]
    if matrix.shape[1] != len(names):
        width = matrix.shape[1] if matrix.shape[1] > 0 else "a varying number of"
        raise Refused(
            f"features must be declared: input {matrix.name!r} has {width} columns and the "
            f"reference has {len(names)} ({', '.join(names)})"
        )
    said.append(f"features: the {len(names)} columns of {matrix.name!r}, named by the reference")
    return tuple(
        Feature(name=name, input=matrix.name, column=column, type=_type(matrix))
        for column, name in enumerate(names)
    )


def _type(spec: TensorSpec) -> FeatureType:
    categorical = spec.datatype in (Datatype.BYTES, Datatype.BOOL)
    return FeatureType.CATEGORICAL if categorical else FeatureType.NUMERIC


def check_card(card: Card, signature: Signature) -> None:
    """`Refused`, with every problem named, if the card does not fit the model."""
    problems = [
        *_score_problems(card, signature),
        *_regression_problems(card, signature),
        *_decision_problems(card, signature),
        *_feature_problems(card, signature),
        *_group_problems(card, signature),
        *(_fairness_problems(card, card.fairness) if card.fairness else ()),
        *(_strata_problems(card, card.strata) if card.strata else ()),
        *(_performance_problems(card, card.performance) if card.performance else ()),
        *_label_problems(card, signature),
        *_tolerance_problems(card, signature),
    ]
    if problems:
        raise Refused(f"the card does not fit the model: {'; '.join(problems)}")


def _score_problems(card: Card, signature: Signature) -> list[str]:
    if card.score is None:
        return [f"score is missing, and task {card.task} needs it"] if card.task in _SCORED else []
    spec = _find(signature.outputs, card.score.output)
    if spec is None:
        return [f"score.output: there is no output {card.score.output!r}"]
    if spec.datatype is Datatype.BYTES:
        return [f"score.output: {spec.name!r} holds strings, not numbers"]
    if card.task is Task.BINARY and card.score.column is None and _columns(spec) != 1:
        return [f"score.column is missing: which column of {spec.name!r} is the positive class?"]
    return _column_problems("score.column", card.score.column, spec)


def _regression_problems(card: Card, signature: Signature) -> list[str]:
    """What is wrong with a quantile and with the ends of an interval."""
    told = {
        "score.quantile": card.score.quantile if card.score else None,
        "interval": card.interval,
    }
    if card.task is not Task.REGRESSION:
        return [
            f"{name}: only a regression has one, not task {card.task}"
            for name, value in told.items()
            if value is not None
        ]
    if card.interval is None:
        return []
    ends = {"interval.lower": card.interval.lower, "interval.upper": card.interval.upper}
    problems = [p for name, end in ends.items() for p in _end_problems(name, end, signature)]
    if card.interval.lower == card.interval.upper:
        problems.append("interval: both ends are the same column")
    return problems


def _end_problems(name: str, end: Column, signature: Signature) -> list[str]:
    spec = _find(signature.outputs, end.output)
    if spec is None:
        return [f"{name}.output: there is no output {end.output!r}"]
    if spec.datatype is Datatype.BYTES:
        return [f"{name}.output: {spec.name!r} holds strings, not numbers"]
    if end.column is None and _columns(spec) != 1:
        return [f"{name}.column is missing: which column of {spec.name!r}?"]
    return _column_problems(f"{name}.column", end.column, spec)


def _decision_problems(card: Card, signature: Signature) -> list[str]:
    decision = card.decision
    if decision is None:
        return []
    if decision.output is None:
        if card.score is None:
            return ["decision: threshold and argmax need a score"]
        return _threshold_problems(card, card.score, signature)
    spec = _find(signature.outputs, decision.output)
    if spec is None:
        return [f"decision.output: there is no output {decision.output!r}"]
    return [] if _columns(spec) == 1 else [f"decision.output: {spec.name!r} is not one column"]


def _threshold_problems(card: Card, score: Score, signature: Signature) -> list[str]:
    """A threshold is one of one column; that of a binary task is asked for with its score."""
    spec = _find(signature.outputs, score.output)
    threshold = card.decision.threshold if card.decision else None
    if threshold is None or score.column is not None or card.task is Task.BINARY:
        return []
    if spec is None or _columns(spec) <= 1:
        return []
    return [f"score.column is missing: which column of {spec.name!r} has the threshold?"]


def _feature_problems(card: Card, signature: Signature) -> list[str]:
    problems: list[str] = []
    used: dict[tuple[str, int], str] = {}
    for feature in card.features:
        name = f"feature {feature.name!r}"
        spec = _find(signature.inputs, feature.input)
        if spec is None:
            problems.append(f"{name}: there is no input {feature.input!r}")
            continue
        if feature.column is None and _columns(spec) != 1:
            problems.append(f"{name}: which column of {spec.name!r}?")
            continue
        problems += _column_problems(name, feature.column, spec)
        other = used.setdefault((feature.input, feature.column or 0), feature.name)
        if other != feature.name:
            problems.append(f"{name} uses the same column as {other!r}")
    return problems


def _group_problems(card: Card, signature: Signature) -> list[str]:
    features = {feature.name for feature in card.features}
    unknown = [
        f"group {group.name!r}: there is no feature of that name"
        for group in card.groups
        if group.source == "feature" and group.name not in features
    ]
    clashes = [
        f"group {name!r}: the model has an input of that name, so it cannot be an extra input"
        for name in card.extra_inputs
        if _find(signature.inputs, name)
    ]
    late = [
        f"group {group.name!r}: an attribute that comes {_COMES[group.source]} cannot be a proxy"
        for group in card.groups
        if group.proxy and group.source in _COMES
    ]
    return unknown + clashes + late


def _fairness_problems(card: Card, fairness: Fairness) -> list[str]:
    known = [group.name for group in card.groups if not group.proxy]
    problems = [
        f"fairness.attributes: there is no group {name!r}"
        for name in fairness.attributes
        if name not in {group.name for group in card.groups}
    ]
    if not card.groups:
        problems.append("fairness: groups must be declared, or there is nobody to compare")
    compared = sum(name in (fairness.attributes or known) for name in known)
    at_once = sum(comb(compared, size) for size in range(1, fairness.depth + 1))
    if at_once > INTERSECTIONS_MAX:
        problems.append(
            f"fairness.depth: {compared} attributes to depth {fairness.depth} are {at_once} "
            f"comparisons, more than {INTERSECTIONS_MAX}; name fewer in fairness.attributes"
        )
    return problems + _measure_problems(card, fairness)


def _measure_problems(card: Card, fairness: Fairness) -> list[str]:
    """What the measures that are asked for lack."""
    problems: list[str] = []
    for name in fairness.of_labels:
        if card.label is None:
            problems.append(f"fairness.{name} needs labels: declare label")
        elif card.label.type == "number":
            problems.append(f"fairness.{name} needs labels that are classes, not numbers")
        if name != "calibration" and card.decision is None:
            problems.append(f"fairness.{name} needs a decision: declare decision")
    if fairness.calibration and card.task is not Task.BINARY:
        problems.append("fairness.calibration needs task binary: its score is a chance")
    return problems


def _strata_problems(card: Card, strata: Strata) -> list[str]:
    watched = [feature for feature in card.features if feature.policy is not Policy.DROP]
    problems = [] if strata.feature is None else _segment_problems(card, strata.feature)
    if strata.time in {*(feature.name for feature in card.features), *card.extra_inputs}:
        problems.append(
            f"strata.time: {strata.time!r} goes to the model or is a group, "
            "and the time must be a column of its own"
        )
    most = strata.most(len(watched))
    if most < 2 or most * len(watched) > STRATA_OF_FEATURES_MAX:
        remedy = "; put more hours into each, such as hours: 12" if strata.hour_of_week else ""
        problems.append(
            f"strata: {max(most, 2)} strata of {len(watched):,} features are more than "
            f"{STRATA_OF_FEATURES_MAX:,}{remedy}"
        )
    return problems


def _label_problems(card: Card, signature: Signature) -> list[str]:
    if card.label is not None and card.label.within is not None:
        if card.task is not Task.REGRESSION:
            return [f"label.within: only a regression has one, not task {card.task}"]
        spec = _find(signature.outputs, card.score.output) if card.score is not None else None
        if card.score is None or (card.score.column is None and spec and _columns(spec) != 1):
            return ["label.within needs a score of one column: name it in score.column"]
    column = card.truth_column
    beside = {*(feature.name for feature in card.features), *card.extra_inputs, card.reference_time}
    if column is None or column not in beside:
        return []
    problem = (
        f"label.column: {column!r} goes to the model, is a group or the time, "
        "and the label must be a column of its own"
    )
    return [problem]


def _tolerance_problems(card: Card, signature: Signature) -> list[str]:
    problems = []
    for near in card.same_within:
        name, spec = near.output, _find(signature.outputs, near.output)
        if spec is None:
            known = [each.name for each in signature.outputs]
            problems.append(f"same_within: there is no output {name!r}.{did_you_mean(name, known)}")
        elif spec.datatype is Datatype.BYTES:
            problems.append(f"same_within: {name!r} holds strings, which are alike or are not")
    return problems


def _segment_problems(card: Card, name: str) -> list[str]:
    feature = next((each for each in card.features if each.name == name), None)
    if feature is None:
        return [f"strata.feature: there is no feature {name!r}"]
    if feature.policy is Policy.DROP:
        return [f"strata.feature: {name!r} has the policy drop, so nobody may look at it"]
    if feature.type is not FeatureType.CATEGORICAL:
        return [f"strata.feature: {name!r} is numeric; only a categorical feature names segments"]
    return []


def _performance_problems(card: Card, performance: Performance) -> list[str]:
    problems = [] if card.label else ["performance: the card declares no label to judge by"]
    for kind, against in (
        ("tolerance", None),
        ("minimum", Better.LOWER),
        ("maximum", Better.HIGHER),
    ):
        for name in getattr(performance, kind):
            problem = _measure_problem(card, name, against)
            problems += [f"performance.{kind}: {problem}"] if problem else []
    groups = {group.name for group in card.groups}
    problems += [
        f"performance.segments: there is no group {name!r}; a feature becomes one by a group of "
        "its name with source: feature"
        for name in performance.segments
        if name not in groups
    ]
    return problems


def _measure_problem(card: Card, name: str, against: Better | None) -> str:
    """What is wrong with a limit of a measure, of which no better value may lie beyond it."""
    known = measures_of(card)
    measure = known.get(name)
    if measure is None:
        needs = {each.name: each.needs for each in MEASURES[card.task]}.get(name)
        if needs:
            return f"{name} needs {needs}: declare it in the card"
        has = f"it has {', '.join(known)}" if known else "it has none"
        return f"task {card.task} has no measure {name!r}, {has}.{did_you_mean(name, known)}"
    if not measure.judged:
        return f"{name} is shown without an interval, so there can be no verdict on it"
    if measure.better is against:
        return f"{name} is better the {measure.better} it is"
    return ""


def _column_problems(name: str, column: int | None, spec: TensorSpec) -> list[str]:
    """What is wrong with a column number, if anything."""
    columns = _columns(spec)
    if column is None or columns == -1 or column < columns:
        return []
    return [f"{name}: {spec.name!r} has no column {column}, only {columns}"]


def _columns(spec: TensorSpec) -> int:
    """How many columns a row has: 1 for a vector, -1 if it varies, the product of the rest."""
    width = 1
    for size in spec.shape[1:]:
        width = -1 if size == -1 or width == -1 else width * size
    return width


def _scores(signature: Signature) -> list[TensorSpec]:
    """The outputs that could be a score."""
    return [spec for spec in signature.outputs if spec.datatype in _FLOATS]


def _labels(signature: Signature) -> list[TensorSpec]:
    """The outputs that could be a label: one value a row, not floating-point."""
    return [
        spec for spec in signature.outputs if spec.datatype not in _FLOATS and _columns(spec) == 1
    ]


def _find(specs: Sequence[TensorSpec], name: str) -> TensorSpec | None:
    return next((spec for spec in specs if spec.name == name), None)


def _names(specs: Sequence[TensorSpec]) -> str:
    return ", ".join(f"{spec.name} {spec.datatype}{list(spec.shape)}" for spec in specs)

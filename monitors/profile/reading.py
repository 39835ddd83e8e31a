"""What a card says about tensors, read out of them: feature values, scores, decisions, groups."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.errors import Refused
from registry.card import Card, Feature, Policy

Tensors = Mapping[str, NDArray[Any]]
Floats = NDArray[np.float64]

MISSING = frozenset(
    ("", "NA", "N/A", "n/a", "#N/A", "#NA", "NULL", "null", "None", "NaN", "nan", "-NaN", "-nan")
)
"""How files write a number that is missing."""


def watched(card: Card) -> tuple[Feature, ...]:
    """The features that monitors may look at: those whose policy is not `drop`."""
    return tuple(feature for feature in card.features if feature.policy is not Policy.DROP)


def tensors_read(card: Card) -> tuple[frozenset[str], frozenset[str]]:
    """The names of the inputs, and of the outputs, that some monitor reads."""
    groups = {group.name for group in card.groups if group.source == "feature"}
    read = (*watched(card), *(feature for feature in card.features if feature.name in groups))
    score = card.score.output if card.score is not None else None
    decision = card.decision.output if card.decision is not None else None
    ends = (card.interval.lower.output, card.interval.upper.output) if card.interval else ()
    outputs = frozenset(name for name in (score, decision, *ends) if name is not None)
    return frozenset(feature.input for feature in read), outputs


def column_of(tensors: Tensors, name: str, column: int | None, what: str) -> NDArray[Any]:
    """One value per row, shape (rows,), out of the tensor `name`; `Refused` if there is none."""
    tensor = _named(tensors, name, what)
    if tensor.size == 0:
        return tensor.reshape(-1)
    flat = tensor.reshape(len(tensor), -1)
    if column is None and flat.shape[1] != 1:
        message = f"{what}: tensor '{name}' has {flat.shape[1]} columns; the card must name one"
        raise Refused(message)
    if column is not None and column >= flat.shape[1]:
        message = f"{what}: tensor '{name}' has no column {column}, only {flat.shape[1]}"
        raise Refused(message)
    return flat[:, column or 0]


def _named(tensors: Tensors, name: str, what: str) -> NDArray[Any]:
    if name not in tensors:
        message = f"{what} is said to be in tensor '{name}', which is not there"
        raise Refused(message)
    return tensors[name]


def feature_values(feature: Feature, inputs: Tensors) -> NDArray[Any]:
    """The values of a feature, shape (rows,), out of the model's inputs."""
    return column_of(inputs, feature.input, feature.column, f"feature '{feature.name}'")


def as_floats(values: NDArray[Any]) -> Floats:
    """Numbers as 64-bit floats; what is not a number becomes NaN, which counts as missing."""
    if values.dtype.kind in "biuf":
        return values.astype(np.float64)
    floats = [_as_float(value) for value in values.reshape(-1).tolist()]
    return np.array(floats, dtype=np.float64).reshape(values.shape)


def _as_float(value: object) -> float:
    if not isinstance(value, str | bytes | int | float):
        return np.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return np.nan


def scores(card: Card, outputs: Tensors) -> Floats | None:
    """The score of every row, shape (rows,), or None when the card names no score.

    `Refused` where it has several columns and the card names none: see `score_columns`.
    """
    if card.score is None:
        return None
    return as_floats(column_of(outputs, card.score.output, card.score.column, "the score"))


def score_columns(card: Card, outputs: Tensors) -> NDArray[Any] | None:
    """A score of several columns of which the card names none, shape (rows, columns); else None."""
    if card.score is None or card.score.column is not None:
        return None
    tensor = _named(outputs, card.score.output, "the score")
    width = prod(tensor.shape[1:])
    return tensor.reshape(len(tensor), width) if width > 1 else None


def interval_ends(card: Card, outputs: Tensors) -> Floats | None:
    """The ends of the declared interval, shape (rows, 2), NaN where missing; None without one."""
    if card.interval is None:
        return None
    ends = {"lower": card.interval.lower, "upper": card.interval.upper}
    columns = [
        as_floats(column_of(outputs, end.output, end.column, f"the {name} end of the interval"))
        for name, end in ends.items()
    ]
    return np.stack(columns, axis=1)


def decisions(card: Card, outputs: Tensors) -> Floats | None:
    """The decision of every row as a number, shape (rows,), NaN where none can be read.

    By threshold: 1 where the score reaches it, else 0. By arg-max: the column of the score's
    output that is largest. Otherwise the value of the declared output. None when the card
    declares no decision, or one that needs a score it does not name.
    """
    decision = card.decision
    if decision is None:
        return None
    if decision.output is not None:
        return as_floats(_own_decision(decision.output, outputs))
    if card.score is None:
        return None
    if decision.argmax:
        return _largest(outputs, card.score.output)
    score = scores(card, outputs)
    if score is None or decision.threshold is None:
        return None
    # NaN compares false with everything, so it has to be kept apart from "below".
    return np.where(np.isnan(score), np.nan, (score >= decision.threshold).astype(np.float64))


def decision_values(card: Card, outputs: Tensors) -> NDArray[Any] | None:
    """The decision of every row as the model gave it, shape (rows,): it may be a text.

    A decision that is no output of its own is a number, as `decisions` has it.
    """
    if card.decision is not None and card.decision.output is not None:
        return _own_decision(card.decision.output, outputs)
    return decisions(card, outputs)


def _own_decision(output: str, outputs: Tensors) -> NDArray[Any]:
    return column_of(outputs, output, None, "the decision")


def _largest(outputs: Tensors, name: str) -> Floats:
    tensor = _named(outputs, name, "the score")
    classes = prod(tensor.shape[1:])
    if tensor.ndim < 2 or tensor.dtype.kind not in "iuf" or not classes:
        message = f"arg-max needs numbers of shape (rows, classes) in output '{name}'"
        raise Refused(message)
    tensor = tensor.reshape(len(tensor), classes)
    unreadable = np.isnan(tensor).any(axis=1)
    return np.where(unreadable, np.nan, tensor.argmax(axis=1).astype(np.float64))


def group_values(
    card: Card, inputs: Tensors, groups: Mapping[str, NDArray[Any]], rows: int
) -> dict[str, NDArray[Any]]:
    """The group attributes' values by name, each of shape (rows,); None where they are missing.

    Only those that come with the request: others come later, with the truth or by themselves.
    """
    values: dict[str, NDArray[Any]] = {}
    features = {feature.name: feature for feature in card.features}
    for group in card.groups:
        if group.source in ("label", "audit"):
            continue
        if group.source == "extra_input":
            values[group.name] = groups.get(group.name, np.full(rows, None, dtype=np.object_))
        elif group.name not in features:
            message = (
                f"group '{group.name}' is said to be a feature, but the card has none so named"
            )
            raise Refused(message)
        else:
            feature = features[group.name]
            values[group.name] = column_of(
                inputs, feature.input, feature.column, f"group '{group.name}'"
            )
    return values

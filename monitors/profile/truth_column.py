"""The truth of a reference's rows, and decisions in the same terms: as numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.errors import Refused
from monitors.profile.categories import texts
from monitors.profile.reading import MISSING, Floats, Tensors, as_floats, decision_values, decisions
from registry.card import Card, Label, Task

_TRUTHS = {"true": 1.0, "false": 0.0, "1": 1.0, "0": 0.0}
_TOLD = 3


def label_numbers(card: Card, label: Label, values: NDArray[Any]) -> Floats:
    """Labels as numbers, shape (rows,), NaN where they are missing.

    Of classes their place, of a boolean 0 or 1. `Refused` where a value is none that the card
    allows.
    """
    if label.type == "boolean":
        numbers = _by_name(_TRUTHS, values, fold=True)
    elif label.classes:
        numbers = _by_name(_places(label), values)
    else:
        numbers = as_floats(values)
    missing = np.array([_absent(value) for value in values.tolist()], dtype=np.bool_)
    missing &= np.isnan(numbers)
    wrong = ~missing & ~_allowed(card, label, numbers)
    if wrong.any():
        message = (
            f"label.column: {int(wrong.sum()):,} of {len(values):,} rows of '{label.column}' hold "
            f"no {_allowed_words(card, label)}: mend them, or leave them empty where the truth is "
            "not known"
        )
        raise Refused(message)
    return numbers


def _allowed(card: Card, label: Label, numbers: Floats) -> NDArray[np.bool_]:
    whole = np.isfinite(numbers) & (numbers == np.floor(numbers))
    if card.task is Task.BINARY:
        return np.asarray((numbers == 0) | (numbers == 1))
    if card.task is Task.MULTICLASS:
        return np.asarray(whole & (numbers >= 0) & (numbers < (len(label.classes) or np.inf)))
    return np.asarray(np.isfinite(numbers) if label.type != "integer" else whole)


def _allowed_words(card: Card, label: Label) -> str:
    if label.type != "boolean" and label.classes:
        shown = ", ".join(label.classes[:_TOLD])
        return f"class that label.classes names ({shown}{', ...' * (len(label.classes) > _TOLD)})"
    if card.task is Task.BINARY or label.type == "boolean":
        return "0, 1, true or false"
    return "number of a class" if card.task is Task.MULTICLASS else "number"


def decision_numbers(card: Card, outputs: Tensors) -> Floats | None:
    """Decisions as numbers, (rows,): of the card's classes their place; None where it has none."""
    label, decision = card.label, card.decision
    if label is None or not label.classes or decision is None or decision.output is None:
        return decisions(card, outputs)
    values = decision_values(card, outputs)
    if values is None:
        return None
    places = _by_name(_places(label), values)
    # What is no name of a class may be its number.
    return np.where(np.isnan(places), as_floats(values), places)


def _places(label: Label) -> dict[str, float]:
    return {name: float(place) for place, name in enumerate(label.classes)}


def _by_name(numbers: dict[str, float], values: NDArray[Any], fold: bool = False) -> Floats:
    """Numbers by the texts of values, (rows,), NaN for those that have none."""
    names = [(name.casefold() if fold and name else name) for name in texts(values)]
    found = [numbers.get(name, np.nan) if name is not None else np.nan for name in names]
    return np.array(found, dtype=np.float64)


def _absent(value: object) -> bool:
    if isinstance(value, bytes):
        value = value.decode("utf-8", errors="replace")
    if isinstance(value, str):
        return value.strip() in MISSING
    return value is None or (isinstance(value, float) and np.isnan(value))

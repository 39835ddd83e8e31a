"""Labels and decisions as numbers: of classes their place in the card, of a boolean 0 or 1."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitors.profile.categories import text_of
from monitors.profile.reading import Tensors, decision_values, decisions
from registry.card import Card, Label

Value = bool | int | float | str
"""A label as it came: a boolean, a number, or the name of a class."""

Floats = NDArray[np.float64]


def code_of(value: Value, label: Label) -> float:
    """A label as a number; NaN for one that the card does not know."""
    if label.type == "boolean" and not isinstance(value, str):
        return float(value) if value in (0, 1) else nan
    if label.classes:
        name = text_of(value)
        return float(label.classes.index(name)) if name in label.classes else nan
    return nan if isinstance(value, str) else float(value)


def codes(values: Sequence[Value], label: Label) -> Floats:
    """Labels as numbers, shape (labels,); each distinct one is looked up once."""
    if not label.classes and label.type != "boolean" and not any(map(_is_text, values)):
        return np.array(values, dtype=np.float64)
    known = {value: code_of(value, label) for value in set(values)}
    return np.array([known[value] for value in values], dtype=np.float64)


def decision_codes(card: Card, outputs: Tensors) -> Floats | None:
    """The decision of every row in the numbers that labels have, shape (rows,); None if none.

    A decision that is an output of its own may name a class; one that names none is taken as it is.
    """
    classes = card.label.classes if card.label is not None else ()
    plain = decisions(card, outputs)
    if plain is None or not classes or card.decision is None or card.decision.output is None:
        return plain
    values = decision_values(card, outputs)
    if values is None:
        return plain
    return _places(values, classes, plain)


def _places(values: NDArray[Any], classes: Sequence[str], plain: Floats) -> Floats:
    places = {name: float(place) for place, name in enumerate(classes)}
    each = values.tolist()
    named = {value: text_of(value) for value in set(each)}
    found = [places.get(named[value] or "", nan) for value in each]
    given = np.array(found, dtype=np.float64)
    return np.where(np.isnan(given), plain, given)


def _is_text(value: Value) -> bool:
    return isinstance(value, str)

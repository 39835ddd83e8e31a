"""What a profile is made of: rows as features, scores, decisions and groups, in plain types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.errors import Refused
from monitors.profile.categories import hashed, texts
from monitors.profile.reading import (
    Floats,
    Tensors,
    as_floats,
    decision_values,
    decisions,
    score_columns,
    scores,
    watched,
)
from registry.card import Card, Feature, FeatureType, Policy


@dataclass(frozen=True, slots=True)
class Seen:
    """Rows as a profile may know them; all arrays but `score_columns` have the shape (rows,).

    `features` are numbers, or categories: texts, or their hashes where the card's policy is
    `hash`. Categories and `groups` are objects, None where they are missing. A score of several
    columns of which the card names none is in `score_columns`, shape (rows, columns), any other in
    `score`. `decided` is the decision as a number, `decision` as the model gave it. `minutes` says
    when the rows were, in minutes since 1970 and -1 where that is not known. `labels` are what was
    true, NaN where that is not known, and `classes` the decision in the same terms. What the card
    does not name, or nobody asks for, is None.
    """

    rows: int
    features: Mapping[str, NDArray[Any]]
    score: Floats | None
    score_columns: NDArray[Any] | None
    decided: Floats | None
    decision: NDArray[Any] | None
    groups: Mapping[str, NDArray[np.object_]]
    minutes: NDArray[np.int64] | None = None
    labels: Floats | None = None
    classes: Floats | None = None


def seen(
    card: Card,
    features: Mapping[str, NDArray[Any]],
    outputs: Tensors,
    groups: Mapping[str, NDArray[Any]],
    rows: int,
    minutes: NDArray[np.int64] | None = None,
) -> Seen:
    """Rows as a profile may know them, out of values of features and groups, outputs, and times."""
    columns = score_columns(card, outputs)
    return Seen(
        rows=rows,
        features={each.name: _known(each, features[each.name]) for each in watched(card)},
        score=scores(card, outputs) if columns is None else None,
        score_columns=columns,
        decided=decisions(card, outputs),
        decision=decision_values(card, outputs),
        groups={name: _objects(texts(values)) for name, values in groups.items()},
        minutes=minutes,
    )


def _known(feature: Feature, values: NDArray[Any]) -> NDArray[Any]:
    if feature.type is not FeatureType.CATEGORICAL:
        return values if values.dtype.kind == "f" else as_floats(values)
    names = texts(values)
    if feature.policy is Policy.HASH:
        digests = {name: hashed(name) for name in set(names) if name is not None}
        return _objects([None if name is None else digests[name] for name in names])
    return _objects(names)


def _objects(names: list[str | None]) -> NDArray[np.object_]:
    return np.array(names, dtype=np.object_)


def joined(parts: Sequence[Seen]) -> Seen:
    """Rows that were seen by the same card in parts, of which there is one at least.

    `Refused` where the score has not always the same number of columns.
    """
    first = parts[0]
    widths = {0 if part.score_columns is None else part.score_columns.shape[1] for part in parts}
    if len(widths) > 1:
        message = f"the score has a varying number of columns: {sorted(widths)}"
        raise Refused(message)
    return Seen(
        rows=sum(part.rows for part in parts),
        features={
            name: np.concatenate([part.features[name] for part in parts]) for name in first.features
        },
        score=_together([part.score for part in parts]),
        score_columns=_together([part.score_columns for part in parts]),
        decided=_together([part.decided for part in parts]),
        decision=_together([part.decision for part in parts]),
        groups={
            name: np.concatenate([part.groups[name] for part in parts]) for name in first.groups
        },
        minutes=_together([part.minutes for part in parts]),
    )


def _together(parts: Sequence[NDArray[Any] | None]) -> NDArray[Any] | None:
    there = [part for part in parts if part is not None]
    return np.concatenate(there) if there else None

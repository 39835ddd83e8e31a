"""What a profile is made of: rows as features, scores, decisions and groups, in plain types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from monitors.profile.categories import hashed, texts
from monitors.profile.reading import Floats, Tensors, as_floats, decisions, scores, watched
from registry.card import Card, Feature, FeatureType, Policy

Number = TypeVar("Number", np.float64, np.int64)


@dataclass(frozen=True, slots=True)
class Seen:
    """Rows as a profile may know them; every array has the shape (rows,).

    `features` are numbers, or categories: texts, or their hashes where the card's policy is
    `hash`. Categories and `groups` are objects, None where they are missing. `score` and `decided`
    are None where the card names none. `minutes` says when the rows were, in minutes since 1970 and
    -1 where that is not known; None where nobody asks.
    """

    rows: int
    features: Mapping[str, NDArray[Any]]
    score: Floats | None
    decided: Floats | None
    groups: Mapping[str, NDArray[np.object_]]
    minutes: NDArray[np.int64] | None = None


def seen(
    card: Card,
    features: Mapping[str, NDArray[Any]],
    outputs: Tensors,
    groups: Mapping[str, NDArray[Any]],
    rows: int,
    minutes: NDArray[np.int64] | None = None,
) -> Seen:
    """Rows as a profile may know them, out of values of features and groups, outputs, and times."""
    return Seen(
        rows=rows,
        features={each.name: _known(each, features[each.name]) for each in watched(card)},
        score=scores(card, outputs),
        decided=decisions(card, outputs),
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
    """Rows that were seen by the same card in parts, of which there is one at least."""
    first = parts[0]
    return Seen(
        rows=sum(part.rows for part in parts),
        features={
            name: np.concatenate([part.features[name] for part in parts]) for name in first.features
        },
        score=_together([part.score for part in parts]),
        decided=_together([part.decided for part in parts]),
        groups={
            name: np.concatenate([part.groups[name] for part in parts]) for name in first.groups
        },
        minutes=_together([part.minutes for part in parts]),
    )


def _together(parts: Sequence[NDArray[Number] | None]) -> NDArray[Number] | None:
    there = [part for part in parts if part is not None]
    return np.concatenate(there) if there else None

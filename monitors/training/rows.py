"""What may be kept of a row for training: features whose policy says so, and whose row it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import orjson

from monitors.blocks import SampleBlock
from monitors.profile.categories import texts
from monitors.profile.reading import as_floats, feature_values
from registry.card import Card, Feature, FeatureType, Policy
from registry.records import Role

OURS = "weir_"
"""How the names of columns begin that are no features."""


class KeptRow(NamedTuple):
    """One row that waits for its label; `features` is a JSON list in the order of `permitted`."""

    key: int
    prediction_id: str
    row: int
    request_id: str | None
    predicted_at: float
    features: bytes


def permitted(card: Card) -> tuple[Feature, ...]:
    """The features that may be kept as they are: those whose policy is `keep`."""
    return tuple(
        feature
        for feature in card.features
        if feature.policy is Policy.KEEP and not feature.name.startswith(OURS)
    )


def wanted(card: Card, role: str) -> bool:
    """Whether rows of a version in a role are kept: a shadow sees those of other versions again."""
    return card.label is not None and bool(permitted(card)) and role != Role.SHADOW


def rows_of(card: Card, block: SampleBlock) -> Iterator[KeptRow]:
    """The rows of a block; numbers that are not finite are missing, texts are cut at 64 characters.

    `Refused` where the tensors do not fit the card.
    """
    columns = [_values(feature, block) for feature in permitted(card)]
    requests = [None] * block.rows if block.request_ids is None else block.request_ids.tolist()
    keys = block.keys().view(np.int64).tolist()  # SQLite has no unsigned numbers.
    ids = block.prediction_ids.tolist()
    numbers = block.row_numbers.tolist()
    whole = zip(keys, ids, numbers, requests, zip(*columns, strict=True), strict=True)
    for key, prediction_id, number, request_id, values in whole:
        yield KeptRow(
            key, prediction_id.decode(), number, request_id, block.made_at, orjson.dumps(values)
        )


def _values(feature: Feature, block: SampleBlock) -> list[float] | list[str | None]:
    values = feature_values(feature, block.inputs)
    if feature.type is FeatureType.CATEGORICAL:
        return texts(values)
    numbers: list[float] = as_floats(values).tolist()
    return numbers

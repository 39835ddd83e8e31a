"""Which rows lie where the reference has none: there nothing is known of their chances.

A row is outside if a number (a feature or the score) is below the smallest or above the largest
that the choosing half of the reference had, or a category is one that it did not have. Where the
card's policy keeps the smallest and largest values in, and where the list of categories was cut, a
feature has no say. Missing values are inside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitors.profile.bins import CategoryBins
from monitors.profile.columns import NumberColumns
from monitors.profile.reading import Floats, Tensors, as_floats, feature_values, watched
from monitors.profile.reference import (
    CategoricalProfile,
    FeatureProfile,
    NumericProfile,
    ReferenceProfile,
)
from registry.card import Card, Feature, Policy

Mask = NDArray[np.bool_]


class Support:
    """The rows' place inside or outside of what the reference had."""

    def __init__(self, card: Card, profile: ReferenceProfile) -> None:
        known = profile.features
        numbers = [(f, limits) for f in watched(card) if (limits := _limits(f, known)) is not None]
        self._numeric: Sequence[Feature] = [feature for feature, _ in numbers]
        self._limits = np.array([limits for _, limits in numbers]).reshape(-1, 2)
        self._columns = NumberColumns(self._numeric)
        self._categories = [
            (feature, each)
            for feature in watched(card)
            if isinstance(each := known.get(feature.name), CategoricalProfile) and not each.cut
        ]
        self._bins = [CategoryBins(each) for _, each in self._categories]
        # What a profile is made of has been hashed already.
        self._plain = [
            CategoryBins(each.model_copy(update={"hashed": False})) for _, each in self._categories
        ]
        score = profile.score
        self._score = (
            None if score is None or not score.edges else (score.edges[0], score.edges[-1])
        )

    def outside(self, inputs: Tensors, scores: Floats | None, rows: int) -> Mask:
        """Which live rows are outside, (rows,)."""
        values = self._columns.read_rows(inputs, rows)
        found = _beyond(values, self._limits).any(axis=1)
        for (feature, profile), bins in zip(self._categories, self._bins, strict=True):
            found |= _unseen(bins, feature_values(feature, inputs), profile)
        return found | self._score_outside(scores, rows)

    def outside_of(
        self, features: Mapping[str, NDArray[Any]], scores: Floats | None, rows: int
    ) -> Mask:
        """The same of rows as a profile may know them."""
        found = np.zeros(rows, dtype=np.bool_)
        for feature, limits in zip(self._numeric, self._limits, strict=True):
            found |= _beyond(as_floats(features[feature.name]), limits)
        for (feature, profile), bins in zip(self._categories, self._plain, strict=True):
            found |= _unseen(bins, features[feature.name], profile)
        return found | self._score_outside(scores, rows)

    def _score_outside(self, scores: Floats | None, rows: int) -> Mask:
        if self._score is None or scores is None:
            return np.zeros(rows, dtype=np.bool_)
        return _beyond(scores, np.array(self._score))


def _limits(feature: Feature, profiles: Mapping[str, FeatureProfile]) -> tuple[float, float] | None:
    profile = profiles.get(feature.name)
    kept = feature.policy is Policy.KEEP
    if not kept or not isinstance(profile, NumericProfile) or not profile.edges:
        return None
    return profile.edges[0], profile.edges[-1]


def _beyond(values: Floats, limits: Floats) -> Mask:
    """Which numbers are outside their limits, (..., 2); missing ones are not."""
    return np.asarray((values < limits[..., 0]) | (values > limits[..., 1]), dtype=np.bool_)


def _unseen(bins: CategoryBins, values: NDArray[Any], profile: CategoricalProfile) -> Mask:
    return np.asarray(bins.encode(values) > len(profile.categories), dtype=np.bool_)

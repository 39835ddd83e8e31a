"""Values of one feature, drawn by chance as the reference has them, apart from all other features.

A profile holds counts in bins and no rows, so a number is drawn from straight lines between
quantiles, and how features go together is not drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import compress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitors.profile.reading import Floats
from monitors.profile.reference import CategoricalProfile, FeatureProfile, NumericProfile
from monitors.profile.values import Quantiles, as_type, spelled
from registry.card import Feature

NAMED_MIN = 0.5
"""Categories that have no name cannot be drawn: with fewer rows named, none are."""

Draw = Callable[[Floats], NDArray[Any]]
"""Makes values, shape (draws,), of chances from 0 to 1, shape (draws, 2)."""


def draw_of(feature: Feature, profile: FeatureProfile, dtype: np.dtype[Any]) -> Draw | None:
    """How values of a feature are drawn, of a tensor's type; None where that cannot be done."""
    if isinstance(profile, NumericProfile):
        return _numbers(feature, profile, dtype)
    return _categories(profile, dtype)


def _numbers(feature: Feature, profile: NumericProfile, dtype: np.dtype[Any]) -> Draw | None:
    """Numbers between the quantiles, and missing ones where the type has a way to say so."""
    if not sum(profile.counts):
        return None
    quantiles = Quantiles(feature, profile)
    missing = (profile.missing + profile.non_finite) / profile.rows if dtype.kind == "f" else 0.0

    def draw(chances: Floats) -> NDArray[Any]:
        found = quantiles.at(chances[:, 1])
        found[chances[:, 0] < missing] = np.nan
        return as_type(found, np.zeros(len(found), dtype=dtype))

    return draw


def _categories(profile: CategoricalProfile, dtype: np.dtype[Any]) -> Draw | None:
    """Categories that have a name, and missing ones; those beyond the list are left out."""
    like = np.zeros(0, dtype=dtype)
    names = () if profile.hashed else profile.categories
    made = [spelled(name, like) for name in names] + [_missing(dtype)]
    counts = np.array([*profile.counts[: len(names)], profile.missing], dtype=np.float64)
    can = [each is not None for each in made]
    counts = counts[can]
    if counts.sum() < max(NAMED_MIN * profile.rows, 1):
        return None
    values = np.array(list(compress(made, can)), dtype=dtype)
    ends = np.cumsum(counts) / counts.sum()

    def draw(chances: Floats) -> NDArray[Any]:
        at = np.searchsorted(ends, chances[:, 1], side="right")
        return values[np.minimum(at, len(values) - 1)]

    return draw


def _missing(dtype: np.dtype[Any]) -> object:
    """A missing category as a value of a type; None where it has none."""
    if dtype.kind == "f":
        return float("nan")
    return "" if dtype.kind == "O" else None

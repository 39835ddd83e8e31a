"""What the reference would have given in place of the live values of a feature.

As few rows as can be get another value: a feature that has not moved keeps all but a few of its
values, and what was learned of the others is not lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitors.profile.bins import CategoryBins
from monitors.profile.reading import Floats, as_floats
from monitors.profile.reference import CategoricalProfile, FeatureProfile, NumericProfile
from monitors.profile.values import Quantiles, as_type, spelled
from monitors.stats.uniforms import row_uniforms, stream_keys
from registry.card import Feature


def as_reference(
    feature: Feature, profile: FeatureProfile, values: NDArray[Any], ranks: NDArray[np.uint64]
) -> NDArray[Any]:
    """The values of some rows, shape (rows,), as the reference would have them; of the same type.

    Chances are drawn from the rows' ranks, so that the same rows give the same.
    """
    chances = row_uniforms(ranks, stream_keys([f"as reference/{feature.name}", feature.name]))
    if isinstance(profile, NumericProfile):
        return _numeric(feature, profile, values, chances)
    return _categorical(profile, values, chances)


def _numeric(
    feature: Feature,
    profile: NumericProfile,
    values: NDArray[Any],
    chances: NDArray[np.float64],
) -> NDArray[Any]:
    """Live ranks become quantiles of the reference; missing values get their share of it."""
    if not sum(profile.counts):
        return values
    live = as_floats(values)
    absent = ~np.isfinite(live)
    wanted = (profile.missing + profile.non_finite) / profile.rows
    to_be = _absent(absent, wanted, chances[0])
    levels = chances[1].copy()  # What was missing may be anything.
    known = np.flatnonzero(~absent & ~to_be)
    in_order = known[np.lexsort((chances[1, known], live[known]))]
    levels[in_order] = (np.arange(len(known)) + 0.5) / max(len(known), 1)
    found = Quantiles(feature, profile).moved(live, levels)
    found[to_be] = np.where(absent[to_be], live[to_be], np.nan)
    return as_type(found, values)


def _absent(absent: NDArray[np.bool_], wanted: float, chances: Floats) -> NDArray[np.bool_]:
    """Which rows are to have no value, so that such a share has none."""
    share = float(absent.mean())
    if wanted >= share:
        return absent | (chances < (wanted - share) / max(1 - share, 1e-300))
    return absent & (chances < wanted / share)


def _categorical(
    profile: CategoricalProfile, values: NDArray[Any], chances: NDArray[np.float64]
) -> NDArray[Any]:
    """Rows of categories that have become frequent go over to those that have become rare."""
    known = len(profile.categories)
    codes = CategoryBins(profile).encode(values).astype(np.int64)
    codes[codes < 0] = known + 2
    reference = np.array(
        [*profile.counts, profile.other, profile.unseen, profile.missing], dtype=np.float64
    )
    if not reference.sum():
        return values
    wanted = reference / reference.sum()
    live = np.bincount(codes, minlength=len(wanted)) / len(codes)
    spellings = _spellings(profile, values, codes)
    can = np.array([each is not None for each in spellings])
    lacking = np.where(can, np.maximum(wanted - live, 0), 0)
    if not lacking.sum():
        return values
    goes = chances[0] >= (wanted / np.maximum(live, 1e-300))[codes]
    ends = np.cumsum(lacking)
    drawn = np.searchsorted(ends / ends[-1], chances[1])
    found = values.copy()
    for row in np.flatnonzero(goes).tolist():
        found[row] = spellings[int(drawn[row])]
    return found


def _spellings(
    profile: CategoricalProfile, values: NDArray[Any], codes: NDArray[np.int64]
) -> Sequence[Any]:
    """How each bin's values are written as values of this type; None where that is not known.

    As live rows write it, if one does; else as the reference names it, unless by a hash. Nothing
    else is known of bins that have no name.
    """
    live = {int(code): values[row] for row, code in reversed(list(enumerate(codes.tolist())))}
    names = () if profile.hashed else profile.categories
    made = {code: spelled(name, values) for code, name in enumerate(names)}
    return [live.get(code, made.get(code)) for code in range(len(profile.categories) + 3)]

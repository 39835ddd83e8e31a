"""What the reference would have given in place of the live values of a feature.

As few rows as can be get another value: a feature that has not moved keeps all but a few of its
values, and what was learned of the others is not lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitors.profile.bins import CategoryBins, bin_points, numeric_bins
from monitors.profile.categories import TEXT_MAX
from monitors.profile.reading import Floats, as_floats
from monitors.profile.reference import (
    BINS,
    CategoricalProfile,
    FeatureProfile,
    NumericProfile,
)
from monitors.stats.uniforms import row_uniforms, stream_keys
from registry.card import Feature, Policy


def as_reference(
    feature: Feature, profile: FeatureProfile, values: NDArray[Any], ranks: NDArray[np.uint64]
) -> NDArray[Any]:
    """The values of some rows, shape (rows,), as the reference would have them; of the same type.

    Chances are drawn from the rows' ranks, so that the same rows give the same.
    """
    chances = row_uniforms(ranks, stream_keys([f"as reference/{feature.name}", feature.name]))
    if isinstance(profile, NumericProfile):
        lumpy = len(profile.edges) <= BINS and feature.policy is Policy.KEEP
        return _numeric(profile, lumpy, values, chances)
    return _categorical(profile, values, chances)


def _numeric(
    profile: NumericProfile, lumpy: bool, values: NDArray[Any], chances: NDArray[np.float64]
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
    found = _Quantiles(profile, lumpy).moved(live, levels)
    if all(edge == round(edge) for edge in profile.edges):
        found = np.rint(found)
    found[to_be] = np.where(absent[to_be], live[to_be], np.nan)
    return _cast(found, values)


def _absent(absent: NDArray[np.bool_], wanted: float, chances: Floats) -> NDArray[np.bool_]:
    """Which rows are to have no value, so that such a share has none."""
    share = float(absent.mean())
    if wanted >= share:
        return absent | (chances < (wanted - share) / max(1 - share, 1e-300))
    return absent & (chances < wanted / share)


class _Quantiles:
    """The quantile function of a reference: straight lines between its edges, steps if lumpy."""

    def __init__(self, profile: NumericProfile, lumpy: bool) -> None:
        self._edges = np.array(profile.edges, dtype=np.float64)
        counts = np.array(profile.counts, dtype=np.float64)
        ends = np.cumsum(counts)
        self._ends = ends / ends[-1]
        self._shares = counts / ends[-1]
        self._low, self._high = _spans(self._edges, lumpy)

    def moved(self, live: Floats, levels: Floats) -> Floats:
        """The reference's values at levels; a live value that is in that bin already stays."""
        bins = np.minimum(np.searchsorted(self._ends, levels), len(self._ends) - 1)
        share = self._shares[bins]
        within = (levels - self._ends[bins] + share) / np.where(share > 0, share, 1.0)
        low, high = self._low[bins], self._high[bins]
        found = low + np.clip(within, 0, 1) * (high - low)
        stays = numeric_bins(self._edges[None], live[None])[0] == bins
        return np.where(stays, live, found)


def _spans(edges: NDArray[np.float64], lumpy: bool) -> tuple[Floats, Floats]:
    """Where the values of each bin lie, from and to; single values where they repeat.

    As in `bin_points`, the first and the last bin reach no farther out than the next one is wide.
    """
    low = np.concatenate([edges[:1], edges[:1], edges[:-1], edges[-1:]])
    high = np.concatenate([edges[:1], edges[:1], edges[1:], edges[-1:]])
    if lumpy:
        return high, high
    if len(edges) > BINS:
        points = bin_points(edges.tolist())
        low[2] = max(low[2], 2 * points[2] - high[2])
        high[-2] = min(high[-2], 2 * points[-2] - low[-2])
    return low, high


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
    made = {code: _spelled(name, values) for code, name in enumerate(names)}
    return [live.get(code, made.get(code)) for code in range(len(profile.categories) + 3)]


def _spelled(name: str, values: NDArray[Any]) -> object:
    if len(name) >= TEXT_MAX:  # It may have been cut.
        return None
    try:
        match values.dtype.kind:
            case "b":
                return name == "true"
            case "i" | "u" | "f":
                return values.dtype.type(name)
            case _:
                as_bytes = len(values) and isinstance(values[0], bytes)
                return name.encode() if as_bytes else name
    except (ValueError, OverflowError):
        return None


def _cast(found: Floats, values: NDArray[Any]) -> NDArray[Any]:
    """Numbers as the type of the values; those that it cannot hold stay as they are."""
    if values.dtype.kind == "f":
        return found.astype(values.dtype)
    cast = values.copy()
    there = np.isfinite(found)
    if values.dtype == np.object_:
        cast[there] = [f"{number:g}" for number in found[there].tolist()]
    elif values.dtype.kind == "b":
        cast[there] = found[there] != 0
    else:
        bounds = np.iinfo(values.dtype)
        cast[there] = np.clip(np.rint(found[there]), bounds.min, bounds.max).astype(values.dtype)
    return cast

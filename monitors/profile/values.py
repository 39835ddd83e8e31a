"""Values that a profile stands for: quantiles of its bins, names of its categories, as a type."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitors.profile.bins import bin_points, numeric_bins
from monitors.profile.categories import TEXT_MAX
from monitors.profile.reading import Floats
from monitors.profile.reference import BINS, NumericProfile
from registry.card import Feature, Policy


class Quantiles:
    """The quantile function of a feature in the reference, which has counted some values.

    Straight lines between its edges; steps where its values repeat.
    """

    def __init__(self, feature: Feature, profile: NumericProfile) -> None:
        lumpy = len(profile.edges) <= BINS and feature.policy is Policy.KEEP
        self._edges = np.array(profile.edges, dtype=np.float64)
        self._whole = all(edge == round(edge) for edge in profile.edges)
        counts = np.array(profile.counts, dtype=np.float64)
        ends = np.cumsum(counts)
        self._ends = ends / ends[-1]
        self._shares = counts / ends[-1]
        self._low, self._high = _spans(self._edges, lumpy)

    def at(self, levels: Floats) -> Floats:
        """The reference's values at levels from 0 to 1."""
        return self._rounded(self._found(self._bins(levels), levels))

    def moved(self, live: Floats, levels: Floats) -> Floats:
        """The reference's values at levels; a live value that is in that bin already stays."""
        bins = self._bins(levels)
        stays = numeric_bins(self._edges[None], live[None])[0] == bins
        return self._rounded(np.where(stays, live, self._found(bins, levels)))

    def _bins(self, levels: Floats) -> NDArray[np.intp]:
        return np.minimum(np.searchsorted(self._ends, levels), len(self._ends) - 1)

    def _found(self, bins: NDArray[np.intp], levels: Floats) -> Floats:
        share = self._shares[bins]
        within = (levels - self._ends[bins] + share) / np.where(share > 0, share, 1.0)
        low, high = self._low[bins], self._high[bins]
        found: Floats = low + np.clip(within, 0, 1) * (high - low)
        return found

    def _rounded(self, found: Floats) -> Floats:
        """Whole numbers, where all edges are."""
        return np.rint(found) if self._whole else found


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


def spelled(name: str, values: NDArray[Any]) -> object:
    """A category's name as a value of the type of some values; None where that is not known."""
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


def as_type(found: Floats, values: NDArray[Any]) -> NDArray[Any]:
    """Numbers as the type of the values; where it cannot hold one, the value stays as it is."""
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

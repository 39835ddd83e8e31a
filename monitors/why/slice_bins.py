"""The values of a feature in a few wide bins with names: what slices are made of."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitors.profile.bins import CategoryBins
from monitors.profile.reading import as_floats
from monitors.profile.reference import CategoricalProfile, FeatureProfile, NumericProfile

_PARTS = 5
_MISSING = "(missing)"


class Coded(NamedTuple):
    """The bin of each row, shape (rows,), and the bins' names; a bin without a name is no slice."""

    codes: NDArray[np.int64]
    names: tuple[str, ...]


def coded(profile: FeatureProfile, values: NDArray[Any]) -> Coded:
    """A feature's values in bins: fifths of the reference, or its categories; and missing ones."""
    if isinstance(profile, NumericProfile):
        return _numeric(profile, values)
    return _categorical(profile, values)


def _numeric(profile: NumericProfile, values: NDArray[Any]) -> Coded:
    numbers = as_floats(values)
    cuts = _cuts(profile)
    codes = np.searchsorted(cuts, numbers).astype(np.int64)
    codes[~np.isfinite(numbers)] = len(cuts) + 1
    told = [f"{cut:.6g}" for cut in cuts.tolist()]
    if not told:
        return Coded(codes, ("", _MISSING))
    between = [f"{low} to {high}" for low, high in pairwise(told)]
    return Coded(codes, (f"up to {told[0]}", *between, f"above {told[-1]}", _MISSING))


def _cuts(profile: NumericProfile) -> NDArray[np.float64]:
    """At most four edges of the reference's bins, which cut it into about equal parts."""
    counts = np.array(profile.counts, dtype=np.float64)
    if not counts.sum():
        return np.zeros(0)
    # One share for each edge: that of the values up to it.
    up_to = np.cumsum(counts)[1:-1] / counts.sum()
    targets = np.arange(1, _PARTS) / _PARTS
    nearest = np.abs(up_to[None] - targets[:, None]).argmin(axis=1)
    inner = [at for at in np.unique(nearest).tolist() if 0 < up_to[at] < 1]
    return np.array([profile.edges[at] for at in inner], dtype=np.float64)


def _categorical(profile: CategoricalProfile, values: NDArray[Any]) -> Coded:
    bins = CategoryBins(profile)
    codes = bins.encode(values).astype(np.int64)
    last = len(profile.categories) + 2
    codes[codes < 0] = last
    rows = np.bincount(codes, minlength=last + 1).tolist()
    return Coded(codes, (*(bins.told(at, rows[at]) for at in range(last)), _MISSING))

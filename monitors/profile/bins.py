"""From values to bin numbers, as the reference profile has fixed the bins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitors.privacy import told
from monitors.profile.categories import CategoryCoder
from monitors.profile.reference import BINS, CategoricalProfile

Codes = NDArray[np.int16]


def numeric_bins(edges: NDArray[np.float64], values: NDArray[np.float64]) -> Codes:
    """Bin numbers of columns of values, (columns, rows); -1 for NaN and infinities.

    `edges` (columns, at most 21) rise; a column with fewer ends in infinities. Bins: 0 below the
    first edge, 1 exactly on it, i between edges i-2 and i-1, last above all.
    """
    # Comparing with every edge is quicker than a search, as no branch waits for the data.
    below = np.zeros(values.shape, dtype=np.int8)
    above = np.empty(values.shape, dtype=np.bool_)
    for edge in edges.T[:, :, None]:
        np.greater(values, edge, out=above)
        below += above.view(np.int8)
    np.greater_equal(values, edges[:, :1], out=above)
    below += above.view(np.int8)
    codes = below.astype(np.int16)
    codes[~np.isfinite(values, out=above)] = -1
    return codes


def bin_points(edges: Sequence[float]) -> NDArray[np.float64]:
    """A value that stands for each bin of `numeric_bins`, for at least one edge.

    Fewer edges than quantiles mean that values repeat; then it is the upper edge, which is one of
    them. Else it is the middle; in the first and the last bin, which reach out to the extremes of
    the reference, no farther from the inner edge than the bin next to it is wide: about the mean
    of a tail that falls exponentially. What lies outside stands at the first or the last edge.
    """
    at = np.asarray(edges, dtype=np.float64)
    inner = at[1:].copy()
    if len(at) > BINS:
        inner = at[:-1] / 2 + at[1:] / 2
        with np.errstate(over="ignore"):
            inner[0] = max(inner[0], at[1] - (at[2] - at[1]))
            inner[-1] = min(inner[-1], at[-2] + (at[-2] - at[-3]))
    return np.concatenate([at[:1], at[:1], inner, at[-1:]])


def _names(profile: CategoricalProfile) -> tuple[str, ...]:
    if not profile.hashed:
        return profile.categories
    # A hash of a guessable name can be guessed, so it is not told either.
    return tuple(f"#{place}" for place in range(1, len(profile.categories) + 1))


class CategoryBins:
    """Bin numbers of a categorical feature: its categories, then other, then unseen.

    Hashed categories are told by their place, the most frequent first.
    """

    def __init__(self, profile: CategoricalProfile) -> None:
        known = len(profile.categories)
        codes = {category: code for code, category in enumerate(profile.categories)}
        self._names = _names(profile)
        self._reference_rows = np.array([profile.counts, profile.choosing[:known]]).sum(axis=0)
        self._coder = CategoryCoder(codes, known if profile.cut else known + 1, profile.hashed)

    def encode(self, values: NDArray[Any]) -> Codes:
        """Bin numbers of values, shape (rows,); -1 for missing ones."""
        return self._coder.encode(values)

    def told(self, number: int, live_rows: int) -> str:
        """What may be said of a bin that so many live rows were in: its name, if enough are."""
        if number >= len(self._names):
            return ("(other)", "(unseen)")[number - len(self._names)]
        return told(self._names[number], int(self._reference_rows[number]), live_rows)

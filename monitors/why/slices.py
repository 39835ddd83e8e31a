"""The slices of the rows that have changed most: a feature in a bin, and pairs of them.

Rows since a change are compared with rows before it. Both are samples, and many slices are looked
at: what is told has survived a correction for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitors.privacy import RARE, ROWS_TOLD_MIN
from monitors.profile.reading import Floats, feature_values
from monitors.profile.reference import ReferenceProfile
from monitors.stats.false_discovery import benjamini_yekutieli
from monitors.stats.hypergeometric import tails
from monitors.why.answer import Slice, Slices
from monitors.why.kept_rows import KeptRows, together
from monitors.why.slice_bins import coded
from registry.card import Feature

FEATURES_MAX = 30
FALSE_SHARE = 0.05
"""The expected share of slices that are told though nothing has changed in them, at most."""

_SUPPORT_MIN = 25
_TOLD_MAX = 6
_ALIKE = 0.5


def worst_slices(
    profile: ReferenceProfile, features: Sequence[Feature], before: KeptRows, since: KeptRows
) -> Slices:
    """The slices of features with a profile whose share, or whose scores, have changed most.

    Of the first `FEATURES_MAX` features; of slices that share more than half of their rows, the
    surest. A share is compared by Fisher's exact test, scores by the same test of those above the
    median of all rows.
    """
    members, bins = _members(profile, features[:FEATURES_MAX], together([before, since]))
    table = _Table(members, before, since)
    first, second = table.looked_at(bins)
    p_values = np.minimum(table.of_share(first, second), table.of_score(first, second))
    # Two tests a slice: the smaller of their p-values, times two.
    both = np.minimum(2 * p_values, 1.0)
    passed = np.flatnonzero(benjamini_yekutieli(both, FALSE_SHARE))
    chosen: list[NDArray[np.float64]] = []
    found: list[Slice] = []
    for at in passed[np.argsort(both[passed], kind="stable")].tolist():
        one, other = int(first[at]), int(second[at])
        rows = members[:, one] * members[:, other]
        if len(found) < _TOLD_MAX and not any(_alike(rows, each) for each in chosen):
            chosen.append(rows)
            where = (bins[one].where,) if one == other else (bins[one].where, bins[other].where)
            found.append(table.told(where, rows, float(both[at])))
    return Slices(len(first), tuple(found))


@dataclass(frozen=True, slots=True)
class _Bin:
    feature: int
    where: tuple[str, str]


def _members(
    profile: ReferenceProfile, features: Sequence[Feature], rows: KeptRows
) -> tuple[NDArray[np.float64], list[_Bin]]:
    """Which row is in which bin, 1 or 0, shape (rows, bins); bins of few rows are left out."""
    columns: list[NDArray[np.bool_]] = []
    bins = []
    for at, feature in enumerate(features):
        values = feature_values(feature, rows.inputs)
        codes, names = coded(profile.features[feature.name], values)
        for code, name in enumerate(names):
            inside = codes == code
            if name and name != RARE and inside.sum() >= _SUPPORT_MIN:
                columns.append(inside)
                bins.append(_Bin(at, (feature.name, name)))
    shape = (len(rows), len(columns))
    return np.array(columns, dtype=np.float64).reshape(shape[::-1]).T, bins


class _Table:
    """Rows of all pairs of bins, in all and since the change; a bin with itself is the bin."""

    def __init__(self, members: NDArray[np.float64], before: KeptRows, since: KeptRows) -> None:
        self._members = members
        self._is_since = np.repeat([0.0, 1.0], [len(before), len(since)])
        self._score = np.concatenate([before.score, since.score])
        self._rows = self._counted(np.ones(len(members), dtype=np.bool_))
        self._since = self._counted(self._is_since > 0)

    def looked_at(self, bins: Sequence[_Bin]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """The pairs with enough rows, of bins of two features, or of one with itself."""
        owner = np.array([each.feature for each in bins], dtype=np.int64)
        apart = (owner[:, None] != owner[None]) | np.eye(len(bins), dtype=np.bool_)
        first, second = np.nonzero(np.triu(apart & (self._rows >= _SUPPORT_MIN)))
        return first, second

    def of_share(self, first: NDArray[np.intp], second: NDArray[np.intp]) -> Floats:
        """P-values: that the slices' rows are as often since the change as all rows."""
        rows, since = self._rows[first, second], self._since[first, second]
        all_since = np.full(len(first), self._is_since.sum())
        return _two_sided(since, rows, all_since, np.full(len(first), float(len(self._score))))

    def of_score(self, first: NDArray[np.intp], second: NDArray[np.intp]) -> Floats:
        """P-values: that scores above the median of all are as often since the change as before."""
        scored = np.isfinite(self._score)
        median = np.median(self._score[scored]) if scored.any() else 0.0
        high = scored & (self._score > median)
        is_since = self._is_since > 0
        counts = [
            self._counted(kind)[first, second]
            for kind in (high & is_since, scored & is_since, high, scored)
        ]
        return _two_sided(*counts)

    def _counted(self, kind: NDArray[np.bool_]) -> Floats:
        """How many rows of a kind each pair of bins has."""
        return np.asarray(self._members.T @ (self._members * kind[:, None]))

    def told(
        self, where: tuple[tuple[str, str], ...], inside: NDArray[np.float64], p_value: float
    ) -> Slice:
        """What may be said of a slice."""
        numbers = []
        for time in (0.0, 1.0):
            then = self._is_since == time
            here = then & (inside > 0)
            numbers.append((_share(int(here.sum()), int(then.sum())), _mean(self._score[here])))
        (share_before, score_before), (share_since, score_since) = numbers
        return Slice(where, share_before, share_since, score_before, score_since, p_value)


def _two_sided(hits: Floats, rows: Floats, all_hits: Floats, all_rows: Floats) -> Floats:
    as_many_hits = sum(tails(hits, rows, all_hits, all_rows))
    # Fewer hits are more of all else: 1 less a tail near 1 would be no number to compare.
    as_many_others = sum(tails(rows - hits, rows, all_rows - all_hits, all_rows))
    return np.asarray(np.minimum(2 * np.minimum(as_many_hits, as_many_others), 1.0))


def _alike(first: NDArray[np.float64], second: NDArray[np.float64]) -> bool:
    return float((first * second).sum()) > _ALIKE * float(np.maximum(first, second).sum())


def _share(rows: int, of_all: int) -> float | None:
    """A share, unless it tells of few people, in the slice or out of it."""
    few = 0 < rows < ROWS_TOLD_MIN or 0 < of_all - rows < ROWS_TOLD_MIN
    return None if few or not of_all else rows / of_all


def _mean(score: Floats) -> float | None:
    there = score[np.isfinite(score)]
    return float(there.mean()) if len(there) >= ROWS_TOLD_MIN else None

"""What detectors of data quality compare with: fences, and repeats among rows drawn by chance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitors.profile.reference import NumericProfile, Pairs, Repeats
from monitors.profile.words import GAP, RowHash, Words, any_twice, words_of
from monitors.stats.uniforms import mixed
from registry.card import Feature

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

GROUP_ROWS = 32
"""Rows among which a row that comes twice is looked for."""

FENCE_SPREADS = 3.0
_LARGEST = float(np.finfo(np.float64).max)


def with_fences(profile: NumericProfile, values: Floats, chooses: Mask) -> NumericProfile:
    """The profile with fences from the half that chooses, and what lies beyond in the other."""
    found = fences(values[chooses])
    if found is None:
        return profile
    counted = values[~chooses]
    outside = (counted < found[0]) | (counted > found[1])
    beyond = int((outside & np.isfinite(counted)).sum())
    return profile.model_copy(update={"fences": found, "beyond": beyond})


def fences(values: Floats) -> tuple[float, float] | None:
    """Quartiles of the finite values minus and plus three times their distance; None without any.

    (Tukey, Exploratory Data Analysis, 1977: the outer fences.) Where the quartiles are equal, the
    first and last of the hundred percentiles take their place.
    """
    finite = values[np.isfinite(values)]
    if not len(finite):
        return None
    for share in (0.25, 0.01):
        low, high = np.quantile(finite, [share, 1 - share], method="inverted_cdf").tolist()
        if low < high:
            break
    spread = FENCE_SPREADS * min(high - low, _LARGEST)
    return max(low - spread, -_LARGEST), min(high + spread, _LARGEST)


def repeats(
    features: Sequence[Feature], columns: Mapping[str, NDArray[Any]], chooses: Mask
) -> tuple[dict[str, Pairs], Repeats]:
    """Equal values by feature in random pairs, and equal rows in random groups, of counted rows."""
    places = np.flatnonzero(~chooses)
    # A hash of the hash: the halves were told apart by the hash.
    order = places[np.argsort(mixed(mixed(places.astype(np.uint64))))]
    pairs: dict[str, Pairs] = {}

    def words() -> Iterator[Words]:
        for feature in features:
            found = words_of(feature, columns[feature.name][order])
            pairs[feature.name] = _paired(found)
            yield found

    return pairs, _grouped(RowHash(len(features)).columns(words(), len(order)))


def _paired(words: Words) -> Pairs:
    first, second = words[: len(words) // 2 * 2].reshape(-1, 2).T
    present = (first != GAP) & (second != GAP)
    return Pairs(compared=int(present.sum()), equal=int((present & (first == second)).sum()))


def _grouped(hashes: Words) -> Repeats:
    groups = hashes[: len(hashes) // GROUP_ROWS * GROUP_ROWS].reshape(-1, GROUP_ROWS)
    return Repeats(groups=len(groups), repeated=int(any_twice(groups).sum()))

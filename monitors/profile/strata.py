"""To which stratum a row belongs: the hour of the week in which it came, or its segment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.errors import Refused
from monitors.blocks import SampleBlock
from monitors.profile.categories import CategoryCoder
from monitors.profile.reading import feature_values
from monitors.profile.reference import (
    FeatureProfile,
    NumericProfile,
    ReferenceProfile,
    StrataProfile,
    Table,
    bin_counts,
)
from monitors.profile.times import UNKNOWN, Minutes
from monitors.stats.strata import RowStrata
from registry.card import HOURS_OF_WEEK, Card, Feature

_HOURS_FROM_MONDAY = 3 * 24
"""1970 began on a Thursday."""


def hours_of_week(minutes: Minutes, hours: int) -> RowStrata:
    """The stratum of each minute since 1970, of so many hours each; `UNKNOWN` stays what it is."""
    since_monday = (minutes // 60 + _HOURS_FROM_MONDAY) % HOURS_OF_WEEK
    return np.where(minutes == UNKNOWN, UNKNOWN, since_monday // hours).astype(np.int16)


def segments(strata: StrataProfile, values: NDArray[Any], by_hash: bool) -> RowStrata:
    """The stratum of each value of the feature; the last one for others and for missing ones.

    `by_hash` says that values have to be hashed to be found among the names.
    """
    others = len(strata.names)
    codes = {name: code for code, name in enumerate(strata.names)}
    found = CategoryCoder(codes, others, by_hash).encode(values)
    found[found < 0] = others
    return found


class Stratifier:
    """Tells live rows their strata, and what the reference counted in each."""

    def __init__(self, strata: StrataProfile, feature: Feature | None) -> None:
        self._strata = strata
        self._feature = feature

    def of(self, block: SampleBlock) -> RowStrata:
        """The strata of the rows of a block, shape (rows,)."""
        if self._feature is None:
            minutes = np.full(block.rows, block.minute, dtype=np.int64)
            return hours_of_week(minutes, self._strata.hours)
        values = feature_values(self._feature, block.inputs)
        return segments(self._strata, values, self._strata.hashed)

    def is_segment(self, name: str) -> bool:
        """Whether a feature says the segment, and so never changes within one."""
        return name == self._strata.feature

    def counts(self, name: str, profile: FeatureProfile) -> NDArray[np.int64]:
        """The reference's rows of a feature by stratum, (strata, bins); zeros if not counted so."""
        return self._table(self._strata.features.get(name), profile)

    def prediction_counts(self, name: str, profile: FeatureProfile) -> NDArray[np.int64]:
        """The same of a score or of the decision."""
        return self._table(self._strata.predictions.get(name), profile)

    def projection_counts(self, profiles: Sequence[NumericProfile]) -> list[NDArray[np.int64]]:
        """The same of each of the projections of whole rows."""
        tables = self._strata.projections or (None,) * len(profiles)
        return [self._table(*each) for each in zip(tables, profiles, strict=True)]

    def _table(self, table: Table | None, profile: FeatureProfile) -> NDArray[np.int64]:
        if table is None:
            bins = len(bin_counts(profile))
            return np.zeros((self._strata.count, bins), dtype=np.int64)
        return np.array(table, dtype=np.int64)


def stratifier(card: Card, profile: ReferenceProfile | None) -> Stratifier | None:
    """The strata that a card declares, as its reference has them; None where it declares none.

    `Refused` where the reference was profiled for other strata.
    """
    declared = card.strata
    if declared is None or profile is None:
        return None
    strata = profile.strata
    if strata is None or (strata.feature, strata.hours) != (declared.feature, declared.hours):
        message = (
            "the card declares strata, and its reference was profiled without them or for others: "
            "register the version again with its reference"
        )
        raise Refused(message)
    feature = next((each for each in card.features if each.name == declared.feature), None)
    if feature is None and declared.feature is not None:
        message = f"the card's strata name the feature '{declared.feature}', which it lacks"
        raise Refused(message)
    return Stratifier(strata, feature)

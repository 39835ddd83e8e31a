"""The rows of a reference counted by stratum, in the bins that all of its rows have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.errors import Refused
from monitors.profile.bins import CategoryBins, numeric_bins
from monitors.profile.reading import as_floats, watched
from monitors.profile.reference import (
    CategoricalProfile,
    FeatureProfile,
    NumericProfile,
    ReferenceProfile,
    StrataProfile,
    Table,
    bin_counts,
)
from monitors.profile.seen import Seen
from monitors.profile.strata import hours_of_week, segments
from monitors.profile.whole_rows import Projector
from monitors.stats.strata import STRATUM_ROWS_MIN, RowStrata
from registry.card import Card

Mask = NDArray[np.bool_]

_NAMED_MIN = 0.5
"""Less than this share of the rows in strata of their own, and strata are not worth their name."""


def count_by_stratum(
    card: Card,
    rows: Seen,
    chooses: Mask,
    profile: ReferenceProfile,
) -> StrataProfile | None:
    """The counted rows by the strata that the card declares; None where it declares none.

    `profile` is that of all rows, whose bins these are.
    """
    declared = card.strata
    if declared is None:
        return None
    strata = StrataProfile(hours=declared.hours)
    if declared.feature is not None:
        room = declared.most(len(watched(card))) - 1
        strata = _segments_of(declared.feature, profile.features, room)
    of_rows = _strata_of(strata, rows)
    if of_rows is None:
        return strata
    counted = ~chooses & (of_rows >= 0)

    def table(known: FeatureProfile, values: NDArray[Any]) -> Table:
        return _table(_codes(known, values[counted]), of_rows[counted], known, strata.count)

    found: dict[str, object] = {
        "features": {
            name: table(known, rows.features[name])
            for name, known in profile.features.items()
            if name != strata.feature and bin_counts(known)
        }
    }
    predictions = _predictions(rows)
    found["predictions"] = {
        name: table(known, predictions[name])
        for name, known in profile.predictions.items()
        if bin_counts(known)
    }
    if profile.whole_rows is not None:
        values = np.stack([as_floats(rows.features[name]) for name in profile.whole_rows.features])
        projected = Projector(profile.whole_rows).project(values)
        found["projections"] = tuple(map(table, profile.whole_rows.projections, projected))
    return strata.model_copy(update=found)


def _predictions(rows: Seen) -> dict[str, NDArray[Any]]:
    """Scores and decisions, (rows,), by the names that a profile has for them."""
    found: dict[str, NDArray[Any]] = {}
    if rows.score is not None:
        found["score"] = rows.score
    if rows.score_columns is not None:
        found |= {f"score[{at}]": column for at, column in enumerate(rows.score_columns.T)}
    if rows.decision is not None:
        found["decision"] = rows.decision
    return found


def check_segments(strata: StrataProfile | None, features: Mapping[str, FeatureProfile]) -> None:
    """`Refused` where most rows of the reference are in no stratum of their own."""
    if strata is None or strata.feature is None:
        return
    segment = features[strata.feature]
    if not isinstance(segment, CategoricalProfile):
        return
    named = sum(segment.choosing[: len(strata.names)])
    if named < _NAMED_MIN * sum(segment.choosing):
        share = named / sum(segment.choosing)
        message = (
            f"strata.feature: the {len(strata.names)} values of '{strata.feature}' with rows and "
            f"room enough for strata of their own make up {share:.0%} of the reference only: "
            "name a feature with fewer values"
        )
        raise Refused(message)


def _segments_of(name: str, features: Mapping[str, FeatureProfile], room: int) -> StrataProfile:
    """The most frequent categories of the half that chooses, as strata without counts."""
    profile = features.get(name)
    if not isinstance(profile, CategoricalProfile):
        message = f"strata.feature: the card has no categorical feature '{name}' that is watched"
        raise Refused(message)
    frequent = [
        category
        for category, rows in zip(profile.categories, profile.choosing, strict=False)
        if rows >= STRATUM_ROWS_MIN
    ]
    return StrataProfile(feature=name, names=tuple(frequent[:room]), hashed=profile.hashed)


def _strata_of(strata: StrataProfile, rows: Seen) -> RowStrata | None:
    """The stratum of each row, -1 where it is not known; None where nothing is."""
    if strata.feature is not None:
        # What is to be hashed has been.
        return segments(strata, rows.features[strata.feature], by_hash=False)
    return None if rows.minutes is None else hours_of_week(rows.minutes, strata.hours)


def _codes(profile: FeatureProfile, values: NDArray[Any]) -> NDArray[np.int16]:
    if isinstance(profile, NumericProfile):
        edges = np.array(profile.edges)[None]
        codes: NDArray[np.int16] = numeric_bins(edges, as_floats(values)[None])[0]
        return codes
    return CategoryBins(profile.model_copy(update={"hashed": False})).encode(values)


def _table(
    codes: NDArray[np.int16], of_rows: RowStrata, profile: FeatureProfile, strata: int
) -> Table:
    bins = len(bin_counts(profile))
    present = codes >= 0
    cells = of_rows[present].astype(np.int64) * bins + codes[present]
    counts = np.bincount(cells, minlength=strata * bins).reshape(strata, bins)
    return tuple(tuple(row) for row in counts.tolist())

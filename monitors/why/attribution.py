"""What the drift of each feature did to the score: rows run again as the reference would have them.

The rows since the change are run through the model as they came, and with features that drifted put
back to what the reference would have given. The difference is shared out among the features by
their Shapley values, so that the parts add up to it exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from monitors.profile.reading import Floats, Tensors, feature_values
from monitors.profile.reference import ReferenceProfile
from monitors.why.answer import Attribution, Outcome, Part
from monitors.why.as_reference import as_reference
from monitors.why.kept_rows import KeptRows, read_score, read_selected
from monitors.why.model import Model
from monitors.why.shapley import shapley
from registry.card import Card, Feature

FEATURES_MAX = 8
RUNS_MAX = 64
ROWS_MAX = 500
ROWS_MIN = 50
"""Fewer rows than these are not run: there would be nothing to say but noise."""

_GROUPS = 10
_GROUP_ROWS_MIN = 10
_OUTCOMES: tuple[Literal["score", "selected"], ...] = ("score", "selected")
_SAME = 1e-3
"""A score that differs by less, in parts of itself and of one, is the same."""


def attribution(
    card: Card,
    profile: ReferenceProfile,
    rows: KeptRows,
    features: Sequence[Feature],
    model: Model,
) -> Attribution:
    """What the drift of features did to rows in random order, of which there are `ROWS_MIN`.

    At most `FEATURES_MAX` features, all with a profile. The interval is that of a mean over groups
    of rows, each put back by itself (Student's t): it knows the chance in which rows were met, not
    that of the reference, nor what the model makes of rows that it has never seen the like of.
    """
    groups = min(_GROUPS, len(rows) // _GROUP_ROWS_MIN)
    size = min(len(rows), ROWS_MAX) // groups
    rows = rows.take(np.arange(groups * size))
    back = {each.name: _back(each, profile, rows, size) for each in features}
    as_they_came: list[Floats] = []

    def value(live: frozenset[int]) -> Floats:
        put_back = [each for at, each in enumerate(features) if at not in live]
        outputs = model(_inputs(rows, put_back, back))
        score = read_score(card, outputs, len(rows))
        both = np.stack([score, read_selected(card, outputs, len(rows))])
        if not put_back:
            as_they_came.append(both)
        return _means(both.reshape(2, groups, size))

    parts, runs = shapley(len(features), value, RUNS_MAX)
    (live,) = as_they_came
    now = _means(live.reshape(2, groups, size))
    without = now - parts.sum(axis=0)
    outcomes = [
        _outcome(name, now[at], without[at], parts[:, at], features)
        for at, name in enumerate(_OUTCOMES)
        if np.isfinite(now[at]).all() and np.isfinite(without[at]).all()
    ]
    return Attribution(len(rows), runs, _same(rows.score, live[0]), tuple(outcomes))


def _back(feature: Feature, profile: ReferenceProfile, rows: KeptRows, size: int) -> NDArray[Any]:
    """A feature's values as the reference would have them, each group of rows by itself."""
    values = feature_values(feature, rows.inputs)
    known = profile.features[feature.name]
    return np.concatenate(
        [
            as_reference(feature, known, values[at : at + size], rows.ranks[at : at + size])
            for at in range(0, len(values), size)
        ]
    )


def _inputs(
    rows: KeptRows, put_back: Sequence[Feature], back: Mapping[str, NDArray[Any]]
) -> Tensors:
    inputs = dict(rows.inputs)
    for name in {each.input for each in put_back}:
        inputs[name] = np.array(inputs[name], order="C")
    for each in put_back:
        tensor = inputs[each.input]
        tensor.reshape(len(tensor), -1)[:, each.column or 0] = back[each.name]
    return inputs


def _means(values: Floats) -> Floats:
    """Means of the last dimension over what is finite; NaN where nothing is."""
    there = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        means: Floats = np.where(there, values, 0.0).sum(axis=-1) / there.sum(axis=-1)
    return means


def _outcome(
    name: Literal["score", "selected"],
    now: Floats,
    without: Floats,
    parts: Floats,
    features: Sequence[Feature],
) -> Outcome:
    """One outcome, from means of groups of rows: (groups,), and (features, groups) of the parts."""
    groups = len(now)
    half = float(stdtrit(groups - 1, 0.975)) * parts.std(axis=1, ddof=1) / np.sqrt(groups)
    means = parts.mean(axis=1)
    return Outcome(
        name,
        float(now.mean()),
        float(without.mean()),
        tuple(
            Part(feature.name, mean, mean - width, mean + width)
            for feature, mean, width in zip(features, means.tolist(), half.tolist(), strict=True)
        ),
    )


def _same(answered: Floats, again: Floats) -> float | None:
    there = np.isfinite(answered)
    if not there.any():
        return None
    near = np.abs(answered - again) <= _SAME * np.maximum(np.abs(answered), 1.0)
    return float(near[there].mean())

"""Builds the reference profile of a version from reference rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.errors import Refused
from monitors.privacy import ROWS_TOLD_MIN, coarse_edges
from monitors.profile.assemble import assemble_inputs, cast_column
from monitors.profile.bins import CategoryBins, numeric_bins
from monitors.profile.categories import texts
from monitors.profile.quality_counts import repeats, with_fences
from monitors.profile.reading import as_floats, tensors_read, watched
from monitors.profile.reference import (
    BINS,
    SCORE_COLUMNS,
    TOP_CATEGORIES,
    TOP_GROUPS,
    CategoricalProfile,
    FeatureProfile,
    GroupShare,
    NumericProfile,
    ReferenceProfile,
    ScoreVector,
    Source,
)
from monitors.profile.seen import Seen, seen
from monitors.profile.strata_counts import check_segments, count_by_stratum
from monitors.profile.times import minutes_of
from monitors.profile.truth_column import decision_numbers, label_numbers
from monitors.profile.truth_counts import truth_of
from monitors.profile.whole_rows import whole_rows
from monitors.stats.uniforms import mixed
from registry.card import Card, Feature, FeatureType, Policy
from registry.signature import Signature

Columns = Mapping[str, NDArray[Any]]
Model = Callable[[dict[str, NDArray[Any]]], dict[str, NDArray[Any]]]
Mask = NDArray[np.bool_]

_BATCH_ROWS = 1024
_PRIVATE = (Policy.BUCKET, Policy.HASH)


def columns_needed(card: Card) -> tuple[str, ...]:
    """The columns that a reference must have: every feature, and every group sent as an input.

    And when its rows were and what was true of them, if the card names columns for that. `Refused`
    when the card names no feature and no such group.
    """
    names = (*(feature.name for feature in card.features), *card.extra_inputs)
    if not names:
        message = "the card names no features: there is nothing to make a reference profile of"
        raise Refused(message)
    beside = (card.reference_time, card.truth_column)
    return (*names, *(name for name in beside if name is not None))


def build_profile(
    card: Card, signature: Signature, columns: Columns, score: Model
) -> ReferenceProfile:
    """The profile of the rows in `columns`: by feature and group name, each of shape (rows,).

    `score` runs the model on a batch of input tensors. `Refused` when columns are missing, of
    unequal length or without rows, when the model cannot be run on them, and when the card's strata
    or labels cannot be had of them.
    """
    rows = _rows(card, columns)
    cast = {f.name: cast_column(f, signature, columns[f.name]) for f in card.features}
    outputs = _run(card, signature, cast, rows, score) if card.score or card.decision else {}
    groups = {
        group.name: (columns if group.source == "extra_input" else cast)[group.name]
        for group in card.groups
        if group.source in ("extra_input", "feature")
    }
    time = card.reference_time
    minutes = None if time is None else minutes_of(time, columns[time])
    found = seen(card, cast, outputs, groups, rows, minutes)
    if card.label is not None and card.label.column is not None:
        labels = label_numbers(card, card.label, columns[card.label.column])
        found = replace(found, labels=labels, classes=decision_numbers(card, outputs))
    profile = describe(card, found)
    check_segments(profile.strata, profile.features)
    return profile


def describe(card: Card, rows: Seen, source: Source = "reference") -> ReferenceProfile:
    """The profile of rows, of which there is at least one.

    Rows go to the half that chooses bins or to the half that is counted by a hash of their place.
    """
    chooses = mixed(np.arange(rows.rows, dtype=np.uint64)) % np.uint64(2) == 0
    if rows.rows == 1:
        chooses = np.ones(1, dtype=np.bool_)
    favourable = card.decision.favourable if card.decision else 1
    pairs, twice = repeats(watched(card), rows.features, chooses)
    profile = ReferenceProfile(
        source=source,
        rows=rows.rows,
        counted=int((~chooses).sum()),
        features={
            f.name: _feature(f, rows.features[f.name], chooses).model_copy(
                update={"pairs": pairs[f.name]}
            )
            for f in watched(card)
        },
        score=None if rows.score is None else numeric_profile(rows.score, chooses),
        groups={
            name: _shares(names.tolist(), rows.decided, favourable)
            for name, names in rows.groups.items()
        },
        whole_rows=whole_rows(_numbers(card, rows), chooses, numeric_profile),
        repeats=twice,
        score_vector=_score_vector(rows.score_columns, chooses),
        decision=(
            None
            if rows.decision is None
            else categorical_profile(rows.decision, chooses, by_hash=False)
        ),
    )
    strata = count_by_stratum(card, rows, chooses, profile)
    truth = truth_of(card, rows, chooses, profile)
    return profile.model_copy(update={"strata": strata, "truth": truth})


def _rows(card: Card, columns: Columns) -> int:
    missing = [name for name in columns_needed(card) if name not in columns]
    if missing:
        message = f"the reference lacks the columns {', '.join(missing)}"
        raise Refused(message)
    named = {feature.name for feature in card.features}
    lost = [g.name for g in card.groups if g.source == "feature" and g.name not in named]
    if lost:
        message = f"the card takes groups from features that it does not name: {', '.join(lost)}"
        raise Refused(message)
    lengths = {len(columns[name]) for name in columns_needed(card)}
    if len(lengths) > 1 or lengths == {0}:
        message = f"the reference's columns must have the same number of rows, above 0: {lengths}"
        raise Refused(message)
    return lengths.pop()


def _run(
    card: Card, signature: Signature, cast: Columns, rows: int, score: Model
) -> dict[str, NDArray[Any]]:
    firsts = {spec.shape[0] for spec in signature.inputs}
    if not firsts <= {-1, 1}:
        message = f"a model with fixed batches of {max(firsts)} rows cannot score the reference"
        raise Refused(message)
    size = 1 if 1 in firsts else _BATCH_ROWS
    _, read = tensors_read(card)
    parts: dict[str, list[NDArray[Any]]] = {}
    for at in range(0, rows, size):
        part = {name: column[at : at + size] for name, column in cast.items()}
        answer = score(assemble_inputs(card, signature, part))
        for name in read & answer.keys():
            parts.setdefault(name, []).append(answer[name])
    outputs = {name: np.concatenate(answers) for name, answers in parts.items()}
    for name in sorted(read):
        if name not in outputs or len(outputs[name]) != rows:
            message = f"the model does not give one row of output '{name}' for each row of input"
            raise Refused(message)
    return outputs


def _numbers(card: Card, rows: Seen) -> dict[str, NDArray[Any]]:
    """The numeric columns whose moments may be kept."""
    kept = [f for f in watched(card) if f.policy is Policy.KEEP and f.type is FeatureType.NUMERIC]
    return {feature.name: rows.features[feature.name] for feature in kept}


def _feature(feature: Feature, values: NDArray[Any], chooses: Mask) -> FeatureProfile:
    private = feature.policy in _PRIVATE
    if feature.type is FeatureType.CATEGORICAL:
        by_hash = feature.policy is Policy.HASH
        return categorical_profile(values, chooses, by_hash, ROWS_TOLD_MIN if private else 1)
    numbers = as_floats(values)
    profile = numeric_profile(numbers, chooses, private)
    return profile if private else with_fences(profile, numbers, chooses)


def _score_vector(columns: NDArray[Any] | None, chooses: Mask) -> ScoreVector | None:
    if columns is None:
        return None
    described = most_often_largest(columns[chooses], SCORE_COLUMNS)
    return ScoreVector(
        width=columns.shape[1],
        columns=described,
        profiles=tuple(numeric_profile(as_floats(columns[:, at]), chooses) for at in described),
    )


def most_often_largest(rows: NDArray[Any], count: int) -> tuple[int, ...]:
    """The numbers, rising, of so many columns that are the largest of their row most often.

    `rows` has the shape (rows, columns). Rows with NaN say nothing; of equals the first come.
    """
    readable = rows[~np.isnan(rows).any(axis=1)]
    times = np.bincount(readable.argmax(axis=1), minlength=rows.shape[1])
    return tuple(sorted(np.argsort(-times, kind="stable")[:count].tolist()))


def numeric_profile(
    values: NDArray[np.float64], chooses: Mask, private: bool = False
) -> NumericProfile:
    """Edges at the quantiles of the finite values that choose, counts of the other rows.

    `private`: coarse edges, and no moments.
    """
    finite = np.isfinite(values)
    choosing = values[finite & chooses]
    counted = values[~chooses]
    edges = np.zeros(0)
    counts = np.zeros(0, dtype=np.int64)
    if len(choosing):
        edges = coarse_edges(choosing, BINS) if private else _quantiles(choosing)
    if len(edges):
        codes = numeric_bins(edges[None], counted[None])[0]
        counts = np.bincount(codes[codes >= 0], minlength=len(edges) + 2)
    missing = int(np.isnan(counted).sum())
    in_bins = int(counts.sum())
    return NumericProfile(
        edges=tuple(edges.tolist()),
        counts=tuple(counts.tolist()),
        missing=missing,
        non_finite=len(counted) - missing - in_bins if len(edges) else int(np.isinf(counted).sum()),
        missing_choosing=int((~finite & chooses).sum()),
        mean=None if private else _moment(values[finite], np.mean),
        deviation=None if private else _moment(values[finite], np.std),
    )


def _quantiles(values: NDArray[np.float64]) -> NDArray[np.float64]:
    # Quantiles that are values themselves: no rounding between two equal ones.
    return np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1), method="inverted_cdf"))


def _moment(
    values: NDArray[np.float64], moment: Callable[[NDArray[np.float64]], Any]
) -> float | None:
    if not len(values):
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        result = float(moment(values))
    return result if np.isfinite(result) else None


def categorical_profile(
    values: NDArray[Any], chooses: Mask, by_hash: bool, rows_min: int = 1
) -> CategoricalProfile:
    """The most frequent categories of the rows that choose, counts of the other rows.

    `by_hash` says that the values are hashes. Categories of fewer than `rows_min` rows are other.
    """
    choosing = Counter(text for text in texts(values[chooses]) if text is not None)
    # Ties by name, so that the profile does not depend on the order of rows.
    ranked = sorted(choosing.items(), key=lambda item: (-item[1], item[0]))
    named = sum(count >= rows_min for _, count in ranked[:TOP_CATEGORIES])
    top, rest = ranked[:named], ranked[named:]
    empty = CategoricalProfile(
        categories=tuple(name for name, _ in top),
        counts=(0,) * len(top),
        other=0,
        unseen=0,
        missing=0,
        cut=bool(rest),
        hashed=False,
        choosing=(*(count for _, count in top), sum(count for _, count in rest), 0),
        missing_choosing=int(chooses.sum()) - choosing.total(),
    )
    codes = CategoryBins(empty).encode(values[~chooses])
    counts = np.bincount(codes[codes >= 0], minlength=len(top) + 2).tolist()
    missing = int((codes < 0).sum())
    return empty.model_copy(
        update={
            "counts": tuple(counts[: len(top)]),
            "other": counts[-2],
            "unseen": counts[-1],
            "missing": missing,
            "hashed": by_hash,
        }
    )


def _shares(
    names: list[str | None], decided: NDArray[np.float64] | None, favourable: int
) -> tuple[GroupShare, ...]:
    labels = np.array([name if name is not None else "unknown" for name in names], dtype=np.object_)
    top = sorted(Counter(labels.tolist()).items(), key=lambda item: (-item[1], item[0]))
    shares = []
    for name, rows in top[:TOP_GROUPS]:
        values = np.zeros(0) if decided is None else decided[labels == name]
        known = values[~np.isnan(values)]
        selected = int((known == favourable).sum())
        shares.append(GroupShare(name=name, rows=rows, decided=len(known), selected=selected))
    return tuple(shares)

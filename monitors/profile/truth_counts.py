"""What the truth of a reference's rows tells, counted: see `monitors.profile.truth`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from configs.errors import Refused
from monitors.performance import measures
from monitors.performance.losses import ABSOLUTE, BRIER, OUTCOME, SQUARED, WRONG, realised
from monitors.performance.support import Support
from monitors.privacy import ROWS_TOLD_MIN
from monitors.profile.reading import Floats, as_floats
from monitors.profile.reference import ReferenceProfile
from monitors.profile.seen import Seen
from monitors.profile.truth import CLASSES, STEPS, Calibrator, LossByScore, Moments, Spread, Truth
from monitors.stats.knots import on_knots
from registry.card import Card, Task

Mask = NDArray[np.bool_]

_LOSS_BINS = 32


def truth_of(card: Card, rows: Seen, chooses: Mask, profile: ReferenceProfile) -> Truth | None:
    """What the labels of rows tell; None where nobody gave any.

    The half that chooses makes calibrators, the other is what was lost.
    """
    labels = rows.labels
    if labels is None:
        return None
    _check_classes(card, rows, labels)
    known = np.isfinite(labels)
    choosing, counted = known & chooses, known & ~chooses
    return Truth(
        rows=int(known.sum()),
        counted=int(counted.sum()),
        calibrators=_calibrators(card, rows, labels, choosing, counted),
        by_score=_by_score(card, rows, labels, choosing),
        losses=_losses(card, rows, labels, counted),
        spread=_spread(card, rows, labels, choosing, counted),
        figures=_figures(card, rows, labels, counted),
        outside=_outside(card, rows, chooses, profile),
        inside_or_outside=int((~chooses).sum()),
    )


def _check_classes(card: Card, rows: Seen, labels: Floats) -> None:
    if card.task is not Task.MULTICLASS or rows.score_columns is None:
        return
    width = rows.score_columns.shape[1]
    beyond = int((labels >= width).sum())
    if beyond:
        message = (
            f"label.column: {beyond:,} rows hold the number of a class that the score, which has "
            f"{width} columns, has no column for: name the classes in label.classes"
        )
        raise Refused(message)


def _calibrators(
    card: Card, rows: Seen, labels: Floats, choosing: Mask, counted: Mask
) -> tuple[Calibrator, ...]:
    scores: list[Floats] = []
    if card.task is Task.BINARY and rows.score is not None:
        scores = [rows.score]
    elif card.task is Task.MULTICLASS and rows.score_columns is not None:
        columns = rows.score_columns
        if columns.shape[1] <= CLASSES:
            scores = [as_floats(column) for column in columns.T]
    first = 1 if card.task is Task.BINARY else 0
    return tuple(
        calibrator(score, labels == place, choosing, counted)
        for place, score in enumerate(scores, start=first)
    )


def calibrator(scores: Floats, hits: Mask, choosing: Mask, counted: Mask) -> Calibrator:
    """The chance of a hit by the score: isotonic regression of the rows that choose.

    (Zadrozny and Elkan, Transforming classifier scores into accurate multiclass probability
    estimates, 2002.) The rows go to at most 64 bins at quantiles of the score first, of about ten
    rows or more, so that no step tells of few people; bins of one chance become one step.
    """
    finite = np.isfinite(scores)
    choosing, counted = choosing & finite, counted & finite
    edges = quantile_edges(scores[choosing], STEPS)
    rows, of_class = _by_bin(edges, scores[choosing], hits[choosing])
    chances = _rising(rows, of_class)
    ends = np.flatnonzero(np.diff(chances) > 0)
    steps = np.concatenate([[0], ends + 1])
    edges = edges[ends]
    checked = _by_bin(edges, scores[counted], hits[counted])
    return Calibrator(
        edges=tuple(edges.tolist()),
        chances=tuple(chances[steps].tolist()),
        rows=_whole(np.add.reduceat(rows, steps)),
        hits=_whole(np.add.reduceat(of_class, steps)),
        counted=_whole(checked[0]),
        counted_hits=_whole(checked[1]),
    )


def quantile_edges(values: Floats, bins: int) -> Floats:
    """The inner edges of so many bins of equal shares, or fewer where they would hold few rows.

    Edges are values themselves, and the largest is none: a bin goes up to its edge.
    """
    bins = max(1, min(bins, len(values) // ROWS_TOLD_MIN))
    if bins == 1:
        return np.zeros(0)
    inner = np.linspace(0, 1, bins + 1)[1:-1]
    edges = np.unique(np.quantile(values, inner, method="inverted_cdf"))
    return np.asarray(edges[edges < values.max()])


def _by_bin(edges: Floats, scores: Floats, hits: Mask) -> tuple[NDArray[np.int64], ...]:
    """Rows and hits in each bin."""
    bins = np.searchsorted(edges, scores, side="left")
    count = len(edges) + 1
    return np.bincount(bins, minlength=count), np.bincount(bins[hits], minlength=count)


def _whole(counts: NDArray[np.int64]) -> tuple[int, ...]:
    return tuple(counts.tolist())


def _rising(rows: NDArray[np.int64], hits: NDArray[np.int64]) -> Floats:
    """Chances that never fall; a half where there are no rows at all."""
    if not rows.all():
        return np.full(len(rows), 0.5)
    risen = isotonic_regression(hits / rows, weights=rows.astype(np.float64)).x
    return np.clip(np.asarray(risen, dtype=np.float64), 0, 1)


def _by_score(card: Card, rows: Seen, labels: Floats, choosing: Mask) -> LossByScore | None:
    if card.task is not Task.REGRESSION or rows.score is None:
        return None
    lost = realised(card.task, rows.score, None, None, labels)
    choosing = choosing & np.isfinite(lost[SQUARED])
    scores = rows.score[choosing]
    edges = quantile_edges(scores, _LOSS_BINS)
    bins = np.searchsorted(edges, scores, side="left")
    # Of the label it is told how far it is from the score, so that a bin may be wide.
    each = {OUTCOME: (labels - rows.score)[choosing]}
    each |= {name: lost[name][choosing] for name in (ABSOLUTE, SQUARED)}
    losses = {
        name: tuple(_moments(values[bins == at]) for at in range(len(edges) + 1))
        for name, values in each.items()
    }
    if not all(moments.rows for of_bins in losses.values() for moments in of_bins):
        return None
    return LossByScore(edges=tuple(edges.tolist()), losses=losses)


def _losses(card: Card, rows: Seen, labels: Floats, counted: Mask) -> dict[str, Moments]:
    lost = realised(card.task, rows.score, rows.score_columns, rows.classes, labels)
    found = {name: values[counted & np.isfinite(values)] for name, values in lost.items()}
    return {name: _moments(values) for name, values in found.items() if len(values)}


def _spread(
    card: Card, rows: Seen, labels: Floats, choosing: Mask, counted: Mask
) -> dict[str, Spread]:
    """Bounded losses of the rows that count, and an unbounded one up to what hardly any exceeds."""
    lost = realised(card.task, rows.score, rows.score_columns, rows.classes, labels)
    limits = {WRONG: 1.0, BRIER: 2.0 if card.task is Task.MULTICLASS else 1.0}
    if ABSOLUTE in lost:
        limits[ABSOLUTE] = _limit(lost[ABSOLUTE][choosing])
    found = {}
    for name, limit in limits.items():
        if name not in lost or not np.isfinite(lost[name][counted]).any() or limit <= 0:
            continue
        shares = np.minimum(lost[name][counted] / limit, 1.0)
        found[name] = Spread(limit=limit, on_knots=tuple(on_knots(shares).sum(axis=0).tolist()))
    return found


def _limit(values: Floats) -> float:
    """What one in a hundred exceeds; 0 where there are none."""
    known = values[np.isfinite(values)]
    return float(np.quantile(known, 0.99, method="inverted_cdf")) if len(known) else 0.0


def _moments(values: Floats) -> Moments:
    """Mean and deviation; nothing where there is no row, or numbers are too large to be squared."""
    with np.errstate(over="ignore", invalid="ignore"):
        mean, deviation = (float(values.mean()), float(values.std())) if len(values) else (0.0, 0.0)
    if not np.isfinite([mean, deviation]).all():
        return Moments(mean=0.0, deviation=0.0, rows=0)
    return Moments(mean=mean, deviation=deviation, rows=len(values))


def _figures(card: Card, rows: Seen, labels: Floats, counted: Mask) -> dict[str, float]:
    if not counted.any():
        return {}

    def some(values: NDArray[Any] | None) -> NDArray[Any] | None:
        return None if values is None else values[counted]

    scores, columns, classes = map(some, (rows.score, rows.score_columns, rows.classes))
    quantile = card.score.quantile if card.score else None
    found = measures.of(card.task, scores, columns, classes, labels[counted], quantile)
    return {name: value for name, value in found.items() if np.isfinite(value)}


def _outside(card: Card, rows: Seen, chooses: Mask, profile: ReferenceProfile) -> int:
    outside = Support(card, profile).outside_of(rows.features, rows.score, rows.rows)
    return int(outside[~chooses].sum())

"""The measures of each task: what is counted of judged rows, and what figure comes of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitors.performance import multiclass, probabilities, ranks, regression
from monitors.performance.classification import (
    BINARY_SHARES,
    MULTICLASS_SHARES,
    REGRESSION_SHARES,
    Counted,
)
from monitors.performance.figures import F1, Figure, Share
from monitors.performance.losses import BRIER, LOG, PINBALL, pinball, realised
from monitors.performance.rows import Floats, Rows
from monitors.performance.tally import Tally
from registry.card import Task

SCORES = "scores"
"""The table of scores by bin."""

CELLS = "cells"
"""The table of decisions by labels."""

_JUDGED = "judged"


@dataclass(frozen=True, slots=True)
class Counting:
    """How a measure is counted: rows go into a tally, and a figure comes out of it.

    Measures of the same `key` are counted alike, and once. The figure is None while there are no
    rows that it could be of.
    """

    key: str
    count: Callable[[Rows, Tally], None]
    figure: Callable[[Tally], Figure | None]


def _share(shares: Mapping[str, Counted], name: str) -> Counting:
    def count(rows: Rows, tally: Tally) -> None:
        of, hits = shares[name](rows)
        tally.add_share(name, of, hits, rows.signs)

    def figure(tally: Tally) -> Figure | None:
        hits, of = tally.share(name)
        if not of:
            return None
        return F1(Share(hits, of)) if name == "f1" else Share(hits, of)

    return Counting(name, count, figure)


def _loss(task: Task, name: str, loss: str) -> Counting:
    most = probabilities.brier_most(task) if loss == BRIER else np.inf
    return Counting(
        name,
        lambda rows, tally: probabilities.count_loss(rows, tally, name, loss),
        lambda tally: probabilities.mean_loss(tally, name, most),
    )


def _order(figure: Callable[[Floats, Floats], Figure | None]) -> Counting:
    return Counting(
        SCORES,
        lambda rows, tally: ranks.count_scores(rows, tally, SCORES),
        lambda tally: figure(*ranks.by_bin(tally, SCORES)),
    )


def _macro(average: multiclass.Average) -> Counting:
    return Counting(
        CELLS,
        lambda rows, tally: multiclass.count_cells(rows, tally, CELLS),
        lambda tally: multiclass.averaged(tally, CELLS, average),
    )


def _distance(
    name: str,
    count: Callable[[Rows, Tally, str], None],
    figure: Callable[[Tally, str], Figure | None],
) -> Counting:
    return Counting(
        name, lambda rows, tally: count(rows, tally, name), lambda tally: figure(tally, name)
    )


COUNTED: Mapping[Task, Mapping[str, Counting]] = {
    Task.BINARY: {
        **{name: _share(BINARY_SHARES, name) for name in BINARY_SHARES},
        "auc": _order(ranks.area),
        "average_precision": _order(ranks.average_precision),
        "log_loss": _loss(Task.BINARY, "log_loss", LOG),
        "brier": _loss(Task.BINARY, "brier", BRIER),
        "calibration_error": Counting(
            "calibration_error",
            probabilities.count_calibration,
            probabilities.calibration_error,
        ),
    },
    Task.MULTICLASS: {
        **{name: _share(MULTICLASS_SHARES, name) for name in MULTICLASS_SHARES},
        "macro_precision": _macro(multiclass.precision),
        "macro_recall": _macro(multiclass.recall),
        "macro_f1": _macro(multiclass.f1),
        "log_loss": _loss(Task.MULTICLASS, "log_loss", LOG),
        "brier": _loss(Task.MULTICLASS, "brier", BRIER),
    },
    Task.REGRESSION: {
        "mae": _distance("mae", regression.count_distance, regression.mean_distance),
        "rmse": _distance("rmse", regression.count_square, regression.root_mean_square),
        "bias": _distance("bias", regression.count_error, regression.bias),
        "r2": _distance("r2", regression.count_explained, regression.explained),
        "pinball": _distance("pinball", regression.count_pinball, regression.mean_distance),
        **{name: _share(REGRESSION_SHARES, name) for name in REGRESSION_SHARES},
    },
    Task.RANKING: {},
    Task.OTHER: {},
}
"""By the names of `registry.measures`."""


def tally_of(rows: Rows, names: Collection[str]) -> Tally:
    """What rows add up to for some measures of their task."""
    tally = Tally()
    known = ~np.isnan(rows.labels)
    tally.add_share(_JUDGED, known, known, rows.signs)
    counted = COUNTED[rows.task]
    for counting in {counted[name].key: counted[name] for name in names}.values():
        counting.count(rows, tally)
    return tally


def judged_rows(tally: Tally) -> int:
    """How many rows of a tally have a label."""
    return tally.share(_JUDGED)[1]


def figure(task: Task, name: str, tally: Tally) -> Figure | None:
    """What a measure says of the rows of a tally; None where it has none to speak of."""
    return COUNTED[task][name].figure(tally)


def of(
    task: Task,
    scores: Floats | None,
    score_columns: NDArray[Any] | None,
    decisions: Floats | None,
    labels: Floats,
    quantile: float | None = None,
) -> dict[str, float]:
    """The measures of rows by name, without those of which these rows say nothing.

    `quantile` is the level of scores that are quantiles.
    """
    nothing = np.full(len(labels), np.nan)
    losses = realised(task, scores, score_columns, decisions, labels)
    if quantile is not None and scores is not None:
        losses[PINBALL] = pinball(scores, labels, quantile)
    rows = Rows(
        task,
        nothing if scores is None else scores,
        score_columns,
        nothing if decisions is None else decisions,
        labels,
        np.ones(len(labels), dtype=np.int8),
        losses,
    )
    names = COUNTED[task]
    tally = tally_of(rows, names)
    found = {name: figure(task, name, tally) for name in names}
    return {name: each.value for name, each in found.items() if each is not None}

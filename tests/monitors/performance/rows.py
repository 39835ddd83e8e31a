"""Judged rows that the tests of measures share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitors.labels.judged import JudgedBlock

Floats = NDArray[np.float64]

DAY_S = 24 * 3600.0
START_S = 30 * DAY_S * 600
"""Some beginning of a period."""


def judged(
    labels: NDArray[Any],
    scores: NDArray[Any] | None = None,
    decisions: NDArray[Any] | None = None,
    *,
    columns: NDArray[Any] | None = None,
    sign: int = 1,
    corrected: bool = False,
    day: float = 0.0,
    groups: dict[str, list[str | None]] | None = None,
) -> JudgedBlock:
    """A block of rows that were predicted on a day; decisions are by the threshold 0.5."""
    rows = len(labels)
    scored = np.full(rows, np.nan) if scores is None else np.asarray(scores, dtype=np.float64)
    if decisions is None:
        decisions = np.where(np.isnan(scored), np.nan, (scored >= 0.5).astype(np.float64))
    moments = np.full(rows, START_S + day * DAY_S)
    return JudgedBlock(
        model="m",
        version=1,
        role="stable",
        keys=np.arange(rows, dtype=np.uint64),
        scores=scored,
        decisions=np.asarray(decisions, dtype=np.float64),
        labels=np.asarray(labels, dtype=np.float64),
        predicted_at=moments,
        labelled_at=moments,
        signs=np.full(rows, sign, dtype=np.int8),
        corrected=np.full(rows, corrected),
        score_columns=columns,
        groups={
            name: np.array(values, dtype=np.object_) for name, values in (groups or {}).items()
        },
    )


def cut(block: JudgedBlock, rows: slice) -> JudgedBlock:
    """Some of the rows of a block."""
    return JudgedBlock(
        block.model,
        block.version,
        block.role,
        block.keys[rows],
        block.scores[rows],
        block.decisions[rows],
        block.labels[rows],
        block.predicted_at[rows],
        block.labelled_at[rows],
        block.signs[rows],
        block.corrected[rows],
        None if block.score_columns is None else block.score_columns[rows],
        {name: values[rows] for name, values in block.groups.items()},
        ends=None if block.ends is None else block.ends[rows],
    )


def binary(rng: np.random.Generator, rows: int) -> tuple[Floats, Floats]:
    """Scores of which each has a bin of its own, and labels that follow them."""
    scores = rng.integers(1, 128, rows) / 128
    return scores, (rng.random(rows) < scores).astype(np.float64)


def several(rng: np.random.Generator, rows: int, classes: int = 5) -> tuple[Floats, Floats]:
    """Chances of several classes, and labels that follow them."""
    chances = rng.dirichlet(np.full(classes, 0.7), rows) * 0.98 + 0.02 / classes
    cumulated = chances.cumsum(axis=1)
    labels = (rng.random(rows)[:, None] > cumulated).sum(axis=1).clip(0, classes - 1)
    return chances, labels.astype(np.float64)

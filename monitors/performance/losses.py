"""What a prediction costs, row by row, by what is true.

`wrong`: 1 where the decision is not the label, else 0. `brier`: the squared distance of the chances
from what came true, of a binary task (chance - label)^2, of several classes the sum over all of
them. `log`: minus the natural logarithm of the chance of what came true, where a chance is at least
1e-15. `absolute` and `squared`: of the distance of a score from its label. `pinball`: of a score
that is a quantile, its level times what a label is above it, and the rest of one times what it is
below (Koenker and Bassett, Econometrica 1978).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitors.profile.reading import as_floats
from registry.card import Task

Floats = NDArray[np.float64]

WRONG, BRIER, LOG = "wrong", "brier", "log"
ABSOLUTE, SQUARED, PINBALL = "absolute", "squared", "pinball"

OUTCOME = "outcome"
"""Not a loss: the label itself, whose mean is estimated in the same way."""

CHANCE_MIN = 1e-15
_ROUNDING = 1e-6


def chances_of(
    task: Task, scores: Floats | None, score_columns: NDArray[Any] | None
) -> Floats | None:
    """The score as chances of the classes, (rows, classes); None where the task has none.

    Rows with a number that is no chance are NaN.
    """
    if task is Task.BINARY and scores is not None:
        columns = np.stack([1 - scores, scores], axis=1)
    elif task is Task.MULTICLASS and score_columns is not None:
        columns = as_floats(score_columns)
    else:
        return None
    with np.errstate(invalid="ignore"):
        inside = (columns >= -_ROUNDING) & (columns <= 1 + _ROUNDING)
    return np.where(inside.all(axis=1, keepdims=True), np.clip(columns, 0, 1), np.nan)


def by_class(chances: Floats, decisions: Floats | None, task: Task) -> dict[str, Floats]:
    """What each row would lose if each of the classes were true, each of shape (rows, classes)."""
    squares = (chances**2).sum(axis=1, keepdims=True) - 2 * chances + 1
    found = {
        BRIER: squares / 2 if task is Task.BINARY else squares,
        LOG: -np.log(np.clip(chances, CHANCE_MIN, 1)),
    }
    if decisions is not None:
        classes = np.arange(chances.shape[1], dtype=np.float64)
        wrong = (decisions[:, None] != classes).astype(np.float64)
        found[WRONG] = np.where(np.isnan(decisions)[:, None], np.nan, wrong)
    if task is Task.BINARY:
        found[OUTCOME] = np.broadcast_to([0.0, 1.0], chances.shape)
    return found


def realised(
    task: Task,
    scores: Floats | None,
    score_columns: NDArray[Any] | None,
    decisions: Floats | None,
    labels: Floats,
) -> dict[str, Floats]:
    """What each row has lost, each of shape (rows,), NaN where it is not known.

    With `outcome` among them where labels can be averaged. Empty for tasks that lose nothing.
    """
    if task is Task.REGRESSION:
        return _distances(scores, labels)
    chances = chances_of(task, scores, score_columns)
    if chances is None:
        return {}
    classes = chances.shape[1]
    with np.errstate(invalid="ignore"):
        known = (labels >= 0) & (labels < classes) & (labels == np.floor(labels))
    places = np.where(known, labels, 0).astype(np.intp)[:, None]
    return {
        name: np.where(known, np.take_along_axis(losses, places, axis=1)[:, 0], np.nan)
        for name, losses in by_class(chances, decisions, task).items()
    }


def pinball(scores: Floats, labels: Floats, quantile: float) -> Floats:
    """What each row has lost if its score is such a quantile, NaN where that is not known."""
    with np.errstate(over="ignore", invalid="ignore"):
        above = labels - scores
        lost = np.maximum(quantile * above, (quantile - 1) * above)
    return np.where(np.isfinite(lost), lost, np.nan)


def _distances(scores: Floats | None, labels: Floats) -> dict[str, Floats]:
    if scores is None:
        return {}
    with np.errstate(over="ignore", invalid="ignore"):
        distance = np.abs(labels - scores)
        squared = distance**2
    known = np.isfinite(squared)
    return {
        OUTCOME: np.where(known, labels, np.nan),
        ABSOLUTE: np.where(known, distance, np.nan),
        SQUARED: np.where(known, squared, np.nan),
    }

"""Judged rows as the measures see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitors.labels.judged import JudgedBlock
from monitors.performance.losses import PINBALL, pinball, realised
from registry.card import Task

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a task with what was said of them and what was true, as `JudgedBlock` has them.

    `losses` are those of `monitors.performance.losses`, by name.
    """

    task: Task
    scores: Floats
    score_columns: NDArray[Any] | None
    decisions: Floats
    labels: Floats
    signs: NDArray[np.int8]
    losses: dict[str, Floats]
    ends: Floats | None = None

    @classmethod
    def of(cls, task: Task, block: JudgedBlock, quantile: float | None = None) -> Rows:
        """The rows of a block, those that are taken back too; a score may be a quantile."""
        losses = realised(task, block.scores, block.score_columns, block.decisions, block.labels)
        if quantile is not None:
            losses[PINBALL] = pinball(block.scores, block.labels, quantile)
        return cls(
            task,
            block.scores,
            block.score_columns,
            block.decisions,
            block.labels,
            block.signs,
            losses,
            block.ends,
        )

    def where(self, those: Mask) -> Rows:
        """Some of the rows."""
        return Rows(
            self.task,
            self.scores[those],
            None if self.score_columns is None else self.score_columns[those],
            self.decisions[those],
            self.labels[those],
            self.signs[those],
            {name: values[those] for name, values in self.losses.items()},
            None if self.ends is None else self.ends[those],
        )

    def loss(self, name: str) -> Floats:
        """What each row has lost, NaN where that is not known."""
        return self.losses.get(name, np.full(len(self.labels), np.nan))

"""The measures of performance that each task has, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from registry.card import Card, Task


class Better(StrEnum):
    """Which way a measure is better."""

    HIGHER = "higher"
    LOWER = "lower"
    NEARER = "nearer to what it was"


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure of performance. One that is not `judged` has no interval, and so no verdict.

    Without what it `needs` of the card there is none.
    """

    name: str
    better: Better = Better.HIGHER
    judged: bool = True
    needs: str = ""


MEASURES: Mapping[Task, tuple[Measure, ...]] = MappingProxyType(
    {
        Task.BINARY: (
            Measure("accuracy"),
            Measure("precision"),
            Measure("recall"),
            Measure("specificity"),
            Measure("f1"),
            Measure("auc"),
            Measure("average_precision"),
            Measure("log_loss", Better.LOWER),
            Measure("brier", Better.LOWER),
            Measure("calibration_error", Better.LOWER, judged=False),
        ),
        Task.MULTICLASS: (
            Measure("accuracy"),
            Measure("top_3_accuracy"),
            Measure("macro_precision"),
            Measure("macro_recall"),
            Measure("macro_f1"),
            Measure("log_loss", Better.LOWER),
            Measure("brier", Better.LOWER),
        ),
        Task.REGRESSION: (
            Measure("mae", Better.LOWER),
            Measure("rmse", Better.LOWER),
            Measure("bias", Better.NEARER),
            Measure("r2", judged=False),
            Measure("pinball", Better.LOWER, needs="score.quantile"),
            Measure("interval_coverage", Better.NEARER, needs="interval"),
        ),
        Task.RANKING: (),
        Task.OTHER: (),
    }
)
"""In the order in which they are shown; a segment shows the first unless the card names others."""


def measures_of(card: Card) -> dict[str, Measure]:
    """The measures of a card's task by name, but for those that need what it does not declare."""
    declared = {
        "": True,
        "score.quantile": card.score is not None and card.score.quantile is not None,
        "interval": card.interval is not None,
    }
    return {measure.name: measure for measure in MEASURES[card.task] if declared[measure.needs]}

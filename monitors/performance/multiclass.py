"""Measures of several classes, averaged over classes, from counts of decisions by labels."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from monitors.performance.classification import is_class
from monitors.performance.figures import Estimate
from monitors.performance.rows import Rows
from monitors.performance.tally import Tally

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

_CLASSES_MAX = 1 << 20


def count_cells(rows: Rows, tally: Tally, table: str) -> None:
    """Count rows by decision and label."""
    known = is_class(rows.decisions) & is_class(rows.labels)
    known &= (rows.decisions < _CLASSES_MAX) & (rows.labels < _CLASSES_MAX)
    decided, true = (each[known].astype(np.int64) for each in (rows.decisions, rows.labels))
    tally.count(table, decided * _CLASSES_MAX + true, rows.signs[known])


class Cells:
    """Counts by decision and label, of the classes that were decided or true."""

    def __init__(self, cells: dict[int, int]) -> None:
        some = {place: count for place, count in cells.items() if count > 0}
        places = np.array(list(some), dtype=np.int64)
        classes = np.unique(np.append(places // _CLASSES_MAX, places % _CLASSES_MAX))
        self.classes = len(classes)
        self.counts = np.array(list(some.values()), dtype=np.float64)
        self.rows = float(self.counts.sum())
        self.decided = np.searchsorted(classes, places // _CLASSES_MAX)
        self.true = np.searchsorted(classes, places % _CLASSES_MAX)
        self.right = (self.decided == self.true).astype(np.float64)
        self.of_decided = self._by(self.decided)
        self.of_true = self._by(self.true)
        self.hits = self._by(self.decided, self.right)

    def _by(self, places: Places, of_each: Floats | float = 1.0) -> Floats:
        found = np.bincount(places, self.counts * of_each, self.classes)
        return np.asarray(found, dtype=np.float64)


Average = Callable[[Cells], tuple[Floats, Floats, Floats]]
"""The figure of each class, what each cell's rows add to the mean of all, and what it is out of."""


def precision(cells: Cells) -> tuple[Floats, Floats, Floats]:
    """Hits by decisions; 0 for a class that nobody decided for."""
    each = _divided(cells.hits, cells.of_decided)
    added = (cells.right - each[cells.decided]) / cells.of_decided[cells.decided]
    return each, added, cells.of_decided


def recall(cells: Cells) -> tuple[Floats, Floats, Floats]:
    """Hits by true rows; 0 for a class that was never true."""
    each = _divided(cells.hits, cells.of_true)
    added = (cells.right - each[cells.true]) / cells.of_true[cells.true]
    return each, added, cells.of_true


def f1(cells: Cells) -> tuple[Floats, Floats, Floats]:
    """Twice the hits by decisions and true rows."""
    both = cells.of_decided + cells.of_true
    each = 2 * cells.hits / both
    added = sum(
        (cells.right - each[places]) / both[places] for places in (cells.decided, cells.true)
    )
    return each, np.asarray(added), both


def averaged(tally: Tally, table: str, average: Average) -> Estimate | None:
    """The plain mean over classes that were decided or true, as scikit-learn has it.

    Its deviation is that of the influence of a row (first order), and no less than if one row of
    the rarest class were another.
    """
    cells = Cells(tally.table(table))
    if not cells.rows:
        return None
    each, added, out_of = average(cells)
    square = float(cells.counts @ added**2) / cells.classes**2
    step = 1 / out_of[out_of > 0].min() / cells.classes
    rows = int(cells.rows)
    deviation = max(sqrt(square), float(step)) * sqrt(rows)
    return Estimate(float(each.mean()), rows, rows, deviation, (0.0, 1.0))


def _divided(numbers: Floats, by: Floats) -> Floats:
    return np.divide(numbers, by, out=np.zeros_like(numbers), where=by > 0)

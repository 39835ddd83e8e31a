"""Measures that are shares: which rows each is of, and which of them are hits."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from monitors.performance.rows import Floats, Rows
from monitors.profile.reading import as_floats

Mask = NDArray[np.bool_]
Counted = Callable[[Rows], tuple[Mask, Mask]]
"""The rows of which a share is, and the hits."""

TOP = 3


def _told(rows: Rows) -> tuple[Mask, Mask, Mask]:
    """Rows with a readable decision and label, those said to be positive, those that are."""
    known = np.isin(rows.decisions, (0, 1)) & np.isin(rows.labels, (0, 1))
    return known, rows.decisions == 1, rows.labels == 1


def _accuracy(rows: Rows) -> tuple[Mask, Mask]:
    known, said, true = _told(rows)
    return known, said == true


def _precision(rows: Rows) -> tuple[Mask, Mask]:
    known, said, true = _told(rows)
    return known & said, true


def _recall(rows: Rows) -> tuple[Mask, Mask]:
    known, said, true = _told(rows)
    return known & true, said


def _specificity(rows: Rows) -> tuple[Mask, Mask]:
    known, said, true = _told(rows)
    return known & ~true, ~said


def _f1(rows: Rows) -> tuple[Mask, Mask]:
    known, said, true = _told(rows)
    return known & (said | true), said & true


BINARY_SHARES: Mapping[str, Counted] = {
    "accuracy": _accuracy,
    "precision": _precision,
    "recall": _recall,
    "specificity": _specificity,
    "f1": _f1,
}
"""F1 is a curve of its share: see `monitors.performance.figures.F1`."""


def is_class(numbers: Floats) -> Mask:
    """Which numbers are the place of a class."""
    whole = np.isfinite(numbers) & (numbers >= 0) & (numbers == np.floor(numbers))
    return np.asarray(whole, dtype=np.bool_)


def _same_class(rows: Rows) -> tuple[Mask, Mask]:
    return is_class(rows.decisions) & is_class(rows.labels), rows.decisions == rows.labels


def _among_top(rows: Rows) -> tuple[Mask, Mask]:
    """Whether fewer than three classes score higher; of equal scores the later class leads."""
    nobody = np.zeros(len(rows.labels), dtype=np.bool_)
    if rows.score_columns is None:
        return nobody, nobody
    columns = as_floats(rows.score_columns)
    places = np.arange(columns.shape[1], dtype=np.float64)
    known = is_class(rows.labels) & (rows.labels < len(places)) & ~np.isnan(columns).any(axis=1)
    labels = np.where(known, rows.labels, 0)[:, None]
    own = np.take_along_axis(columns, labels.astype(np.intp), axis=1)
    before = (columns > own) | ((columns == own) & (places > labels))
    return known, before.sum(axis=1) < TOP


def _between(rows: Rows) -> tuple[Mask, Mask]:
    """Whether the label is between both ends of the interval, or at one."""
    if rows.ends is None:
        nobody = np.zeros(len(rows.labels), dtype=np.bool_)
        return nobody, nobody
    lower, upper = rows.ends.T
    known = ~np.isnan(rows.ends).any(axis=1) & ~np.isnan(rows.labels)
    return known, (lower <= rows.labels) & (rows.labels <= upper)


REGRESSION_SHARES: Mapping[str, Counted] = {"interval_coverage": _between}

MULTICLASS_SHARES: Mapping[str, Counted] = {
    "accuracy": _same_class,
    f"top_{TOP}_accuracy": _among_top,
}

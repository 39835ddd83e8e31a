"""Measures of a regression: how far scores are from what was true."""

from __future__ import annotations

from math import inf

import numpy as np
from numpy.typing import NDArray

from monitors.performance.figures import Estimate, Root
from monitors.performance.losses import ABSOLUTE, PINBALL, SQUARED
from monitors.performance.rows import Rows
from monitors.performance.tally import Tally

Floats = NDArray[np.float64]

_LARGEST = 1e150


def count_distance(rows: Rows, tally: Tally, table: str) -> None:
    """Add absolute errors."""
    _count(tally, table, rows, rows.loss(ABSOLUTE))


def count_pinball(rows: Rows, tally: Tally, table: str) -> None:
    """Add what quantiles have lost."""
    _count(tally, table, rows, rows.loss(PINBALL))


def count_square(rows: Rows, tally: Tally, table: str) -> None:
    """Add squared errors."""
    _count(tally, table, rows, rows.loss(SQUARED))


def count_error(rows: Rows, tally: Tally, table: str) -> None:
    """Add errors with their signs: the score less what was true."""
    known = ~np.isnan(rows.loss(SQUARED))
    errors = np.subtract(rows.scores, rows.labels, out=np.full(len(known), np.nan), where=known)
    _count(tally, table, rows, errors)


def count_explained(rows: Rows, tally: Tally, table: str) -> None:
    """Add squared errors and labels."""
    squares = rows.loss(SQUARED)
    _count(tally, table, rows, squares)
    _count(tally, f"{table} labels", rows, np.where(np.isnan(squares), np.nan, rows.labels))


def _count(tally: Tally, table: str, rows: Rows, values: Floats) -> None:
    # The square of what is added must be a number as well.
    known = np.abs(values) < _LARGEST
    tally.add_moments(table, values[known], rows.signs[known])


def mean_distance(tally: Tally, table: str) -> Estimate | None:
    """The mean of what is never below nothing."""
    rows, mean, deviation = tally.moments(table)
    return Estimate(mean, rows, rows, deviation, (0.0, inf)) if rows else None


def root_mean_square(tally: Tally, table: str) -> Root | None:
    """The root of the mean squared error."""
    mean = mean_distance(tally, table)
    return None if mean is None else Root(mean)


def bias(tally: Tally, table: str) -> Estimate | None:
    """The mean of the errors: above nothing where scores are too high."""
    rows, mean, deviation = tally.moments(table)
    return Estimate(mean, rows, rows, deviation) if rows else None


def explained(tally: Tally, table: str) -> Estimate | None:
    """R squared: by how much squared errors are less than those of the mean label; no interval."""
    rows, mean, _ = tally.moments(table)
    _, _, deviation = tally.moments(f"{table} labels")
    if not rows or not deviation:
        return None
    return Estimate(1 - mean / deviation**2, rows, rows, None)

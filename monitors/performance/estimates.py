"""Performance that is expected of rows whose truth has not come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitors.performance import confusion
from monitors.performance.calibrator import Expectation, OfTwoClasses, Rows
from monitors.performance.estimands import (
    MEANS,
    OF_CONFUSION,
    Estimand,
    Estimated,
    moments,
    summable,
)
from monitors.performance.losses import WRONG, Floats
from monitors.profile.truth import Truth


def centres_of(expectation: Expectation, truth: Truth) -> Floats:
    """What the reference lost on average, (losses,): numbers near it are added up exactly."""
    means = {name: each.mean for name, each in truth.losses.items()}
    return np.array([means.get(name, 0.0) for name in expectation.names])


def means_of(expectation: Expectation) -> tuple[Estimand, ...]:
    """What can be estimated as the mean of what is expected."""
    return tuple(each for each in MEANS if each.loss in expectation.names)


def estimands_of(expectation: Expectation) -> tuple[Estimand, ...]:
    """All that can be estimated."""
    means = means_of(expectation)
    if not isinstance(expectation, OfTwoClasses):
        return means
    decides = WRONG in expectation.names
    return (*means, *(each for each in OF_CONFUSION if decides or each.name == "auc"))


class Estimates:
    """A fold over rows: sums of what they are expected to lose, and counts by step and decision.

    The sums of two parts of the rows make those of the whole, but for rounding.
    """

    def __init__(self, expectation: Expectation, truth: Truth) -> None:
        self._expectation = expectation
        self._centres = centres_of(expectation, truth)
        losses, parameters = expectation.variances.shape
        steps = expectation.curve.count if isinstance(expectation, OfTwoClasses) else 0
        self._rows = np.zeros(losses, dtype=np.int64)
        self._sums = np.zeros((2, losses))
        self._slopes = np.zeros((losses, parameters))
        self._cells = np.zeros((steps, 3), dtype=np.int64)

    @property
    def rows(self) -> int:
        """How many rows something is expected of."""
        return int(self._rows.max())

    def update(self, rows: Rows) -> None:
        """Take in some rows."""
        expected = self._expectation.of(rows)
        for at, name in enumerate(self._expectation.names):
            values = expected.values[name] - self._centres[at]
            known = values[summable(values)]
            self._rows[at] += len(known)
            self._sums[:, at] += known.sum(), (known**2).sum()
        self._slopes += expected.slopes
        if isinstance(self._expectation, OfTwoClasses) and rows.scores is not None:
            curve = self._expectation.curve
            steps = curve.steps(rows.scores)
            self._cells += confusion.counted(steps, rows.decisions, curve.count)

    def figures(self) -> dict[str, Estimated]:
        """What can be said, by the names of the estimands."""
        found: dict[str, Estimated] = {}
        for estimand in means_of(self._expectation):
            mean = self._mean(self._expectation.names.index(estimand.loss or ""))
            if mean is not None:
                found[estimand.name] = estimand.of_mean(mean)
        if isinstance(self._expectation, OfTwoClasses):
            curve = self._expectation.curve
            found |= confusion.expected(self._cells, curve.chances, curve.variances)
        return found

    def _mean(self, at: int) -> Estimated | None:
        rows = int(self._rows[at])
        if not rows:
            return None
        total, squares = self._sums[:, at].tolist()
        mean, variance = moments(total, squares, rows)
        unknown = float(((self._slopes[at] / rows) ** 2 * self._expectation.variances[at]).sum())
        error = float(np.sqrt(variance / rows + unknown))
        return Estimated(float(mean + self._centres[at]), error, rows)

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """All sums and counts."""
        return {
            "rows": self._rows,
            "sums": self._sums,
            "slopes": self._slopes,
            "cells": self._cells,
        }

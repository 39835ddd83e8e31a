"""What a row is expected to lose, from its score and what the truth said of such scores before.

The chances of a binary task are those of its calibrator. Of several classes each has its own, and a
row's chances are divided by their sum. A regression loses what rows in the same bin of the score
lost. All of it is exact if labels come, given the score, as they came in the reference: under
covariate drift, and under no other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from monitors.performance.losses import (
    ABSOLUTE,
    BRIER,
    LOG,
    OUTCOME,
    SQUARED,
    WRONG,
    Floats,
    by_class,
    chances_of,
)
from monitors.profile.reading import as_floats
from monitors.profile.truth import STEPS, Calibrator, LossByScore, Truth
from registry.card import Card, Task

UNKNOWN = -1
"""The step of a score that is missing or not finite."""

ROWS_MIN = 20
"""Rows with a truth in each half of the reference, below which nothing is estimated."""

Steps = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Rows:
    """What is read of rows: `scores` (rows,), or `columns` (rows, classes), and `decisions`."""

    scores: Floats | None
    columns: NDArray[Any] | None
    decisions: Floats | None


@dataclass(frozen=True, slots=True)
class Expected:
    """What each of some rows is expected to lose, NaN where that is not known, by loss.

    `slopes` say how much their sum grows with each parameter of the expectation, (losses,
    parameters).
    """

    values: Mapping[str, Floats]
    slopes: Floats


class Expectation(Protocol):
    """**Protocol:** expects losses of rows, by `names`, whose order is that of all arrays.

    `variances`, (losses, parameters), say how well the reference knows the parameters.
    """

    names: tuple[str, ...]
    variances: Floats

    def of(self, rows: Rows) -> Expected:
        """What the rows are expected to lose."""


class Curve:
    """A calibrator that is ready for use."""

    def __init__(self, calibrator: Calibrator) -> None:
        self._edges = np.array(calibrator.edges)
        self.chances = np.array(calibrator.chances)
        rows, hits = np.array(calibrator.rows), np.array(calibrator.hits)
        # Half a row more of each kind: a step whose rows are all alike is not known exactly.
        shares = (hits + 0.5) / (rows + 1)
        self.variances = shares * (1 - shares) / np.maximum(rows, 1)

    @property
    def count(self) -> int:
        """How many steps there are."""
        return len(self.chances)

    def steps(self, scores: Floats) -> Steps:
        """The step of each score, `UNKNOWN` where it is not finite."""
        return steps_of(self._edges, scores)


def steps_of(edges: Floats, scores: Floats) -> Steps:
    """The number of each score's step, (rows,): up to which of the rising edges it goes."""
    return np.where(np.isfinite(scores), np.searchsorted(edges, scores, side="left"), UNKNOWN)


def expectation_of(card: Card, truth: Truth | None) -> Expectation | None:
    """What can be expected of the rows of a version; None where the reference tells too little."""
    if truth is None or min(truth.counted, truth.rows - truth.counted) < ROWS_MIN:
        return None
    if card.task is Task.REGRESSION and truth.by_score is not None:
        return OfScores(truth.by_score)
    decides = card.decision is not None
    curves = [Curve(each) for each in truth.calibrators]
    if card.task is Task.BINARY and len(curves) == 1:
        return OfTwoClasses(curves[0], decides)
    if card.task is Task.MULTICLASS and curves:
        return OfClasses(curves, decides)
    return None


class OfTwoClasses:
    """**Expectation** of a binary task: outcome, wrong decisions, Brier and log loss."""

    def __init__(self, curve: Curve, decides: bool) -> None:
        self.curve = curve
        self.names: tuple[str, ...] = (OUTCOME, *([WRONG] if decides else []), BRIER, LOG)
        self.variances = np.tile(curve.variances, (len(self.names), 1))

    def of(self, rows: Rows) -> Expected:
        """What the rows are expected to lose, by their calibrated chances."""
        scores = _there(rows.scores)
        steps = self.curve.steps(scores)
        hits = np.where(steps >= 0, self.curve.chances[steps], np.nan)
        raw = _there(chances_of(Task.BINARY, scores, None))
        losses = by_class(raw, rows.decisions, Task.BINARY)
        values, slopes = {}, np.zeros(self.variances.shape)
        for at, name in enumerate(self.names):
            without, with_it = losses[name].T
            values[name] = (1 - hits) * without + hits * with_it
            slopes[at] = _summed(steps, with_it - without, self.curve.count)
        return Expected(values, slopes)


class OfClasses:
    """**Expectation** of several classes: wrong decisions, Brier and log loss."""

    def __init__(self, curves: list[Curve], decides: bool) -> None:
        self._curves = curves
        self.names: tuple[str, ...] = (*([WRONG] if decides else []), BRIER, LOG)
        every = np.zeros((len(curves), STEPS))
        for at, curve in enumerate(curves):
            every[at, : curve.count] = curve.variances
        self.variances = np.tile(every.ravel(), (len(self.names), 1))

    def of(self, rows: Rows) -> Expected:
        """What the rows are expected to lose, by the chances of their classes."""
        columns = as_floats(_there(rows.columns))
        steps = np.stack(
            [curve.steps(scores) for curve, scores in zip(self._curves, columns.T, strict=True)]
        )
        chances = np.stack(
            [curve.chances[each] for curve, each in zip(self._curves, steps, strict=True)], axis=1
        )
        whole = chances.sum(axis=1)
        known = (steps >= 0).all(axis=0) & (whole > 0)
        whole = np.where(known, whole, np.nan)
        chances = chances / whole[:, None]
        raw = _there(chances_of(Task.MULTICLASS, None, columns))
        losses = by_class(raw, rows.decisions, Task.MULTICLASS)
        values, slopes = {}, np.zeros(self.variances.shape)
        for at, name in enumerate(self.names):
            values[name] = (chances * losses[name]).sum(axis=1)
            slope = (losses[name] - values[name][:, None]) / whole[:, None]
            each = [_summed(s, slope[:, k], STEPS) for k, s in enumerate(steps)]
            slopes[at] = np.concatenate(each)
        return Expected(values, slopes)


class OfScores:
    """**Expectation** of a regression: the mean label, absolute and squared error."""

    names: tuple[str, ...] = (OUTCOME, ABSOLUTE, SQUARED)

    def __init__(self, by_score: LossByScore) -> None:
        self._edges = np.array(by_score.edges)
        self._means = {
            name: np.array([each.mean for each in by_score.losses[name]]) for name in self.names
        }
        self.variances = np.array(
            [
                [each.deviation**2 / max(each.rows, 1) for each in by_score.losses[name]]
                for name in self.names
            ]
        )

    def of(self, rows: Rows) -> Expected:
        """What the rows are expected to lose, by the bins of their scores."""
        scores = _there(rows.scores)
        steps = steps_of(self._edges, scores)
        values = {
            name: np.where(steps >= 0, means[steps], np.nan) for name, means in self._means.items()
        }
        # Of the label the bin knows how far it is from the score.
        values[OUTCOME] = values[OUTCOME] + np.where(steps >= 0, scores, np.nan)
        counts = _summed(steps, np.ones(len(scores)), self.variances.shape[1])
        return Expected(values, np.tile(counts, (len(self.names), 1)))


def _there(values: NDArray[Any] | None) -> NDArray[Any]:
    if values is None:
        message = "the score that the card declares is not there"
        raise ValueError(message)
    return values


def _summed(steps: Steps, values: Floats, count: int) -> Floats:
    """The sums of known values by step, (count,)."""
    known = (steps >= 0) & np.isfinite(values)
    sums = np.bincount(steps[known], weights=values[known], minlength=count)
    return sums.astype(np.float64)

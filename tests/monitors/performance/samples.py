"""Worlds of scores and labels that the tests of estimation share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from monitors.labels.judged import JudgedBlock
from monitors.performance.calibrator import Curve, OfTwoClasses, Rows
from monitors.performance.estimates import Estimates
from monitors.profile.build import describe
from monitors.profile.seen import Seen
from monitors.profile.truth import Calibrator, Truth
from registry.card import Card, Decision, Label, Score, Task

Floats = NDArray[np.float64]

BINARY = Card(
    task=Task.BINARY, score=Score(output="p"), decision=Decision(threshold=0.5), label=Label()
)
EMPTY = Truth(rows=0, counted=0)


def seen(card: Card, scores: Floats, labels: Floats) -> Seen:
    """Reference rows without features."""
    decided = (scores >= 0.5).astype(np.float64) if card.decision else None
    return Seen(
        rows=len(scores),
        features={},
        score=scores,
        score_columns=None,
        decided=None,
        decision=None,
        groups={},
        labels=labels,
        classes=decided,
    )


def truth(card: Card, scores: Floats, labels: Floats) -> Truth:
    """What a reference of such rows tells."""
    found = describe(card, seen(card, scores, labels)).truth
    assert found is not None
    return found


def binary(rng: np.random.Generator, rows: int, offset: float = 0.0) -> tuple[Floats, Floats]:
    """Scores with an AUC of 0.93, and labels whose log-odds are by so much other than they say."""
    z = 4 * rng.standard_normal(rows)
    return expit(z), (rng.random(rows) < expit(z + offset)).astype(np.float64)


def curve(chances: list[float], rows: int = 10**9) -> Curve:
    """A calibrator that is right about scores which are these chances, known from so many rows."""
    hits = tuple(round(chance * rows) for chance in chances)
    steps = (rows,) * len(chances)
    return Curve(
        Calibrator(
            edges=tuple(chances[:-1]),
            chances=tuple(chances),
            rows=steps,
            hits=hits,
            counted=steps,
            counted_hits=hits,
        )
    )


def estimates(chances: list[float], rows: Rows, known_rows: int = 10**9) -> Estimates:
    """Estimates of rows whose scores are among the chances."""
    found = Estimates(OfTwoClasses(curve(chances, known_rows), decides=True), EMPTY)
    found.update(rows)
    return found


def judged(
    scores: Floats, labels: Floats, decisions: Floats | None = None, at: float = 0.0
) -> JudgedBlock:
    """Rows whose truth has come."""
    rows = len(scores)
    return JudgedBlock(
        model="m",
        version=1,
        role="stable",
        keys=np.arange(rows, dtype=np.uint64),
        scores=scores,
        decisions=(scores >= 0.5).astype(np.float64) if decisions is None else decisions,
        labels=labels,
        predicted_at=np.full(rows, at),
        labelled_at=np.full(rows, at),
        signs=np.ones(rows, dtype=np.int8),
        corrected=np.zeros(rows, dtype=np.bool_),
    )

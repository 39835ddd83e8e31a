"""Concept drift by the loss: whether a version has come to lose more than in its reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from configs.settings import Monitors
from monitors.blocks import SampleBlock
from monitors.labels.judged import JudgedBlock
from monitors.performance.calibrator import Expectation, Rows, expectation_of
from monitors.performance.cause import GAP
from monitors.performance.losses import ABSOLUTE, BRIER, WRONG, realised
from monitors.profile.reference import ReferenceProfile
from monitors.profile.truth import Spread, Truth
from monitors.signal import Signal, State, Verdict, packed, unpacked
from monitors.stats.effects import Effect, share_change
from monitors.stats.intervals import Z95, Z99_ONE_SIDED
from monitors.stats.risk import RisingRisk, mean_and_variance
from monitors.stats.row_blocks import parts, whole
from monitors.verdicts import REFERENCE_ROWS_MIN, Monitor
from registry.card import Card, Task

Floats = NDArray[np.float64]

RISE_FLOORS = {WRONG: 0.02, BRIER: 0.01}
"""Rise of a loss below which nobody is paged, unless the card tolerates more or less."""

ABSOLUTE_FLOOR = 0.1
"""The same of the absolute error, as a part of the reference's."""

MEASURES = {WRONG: "accuracy", BRIER: "brier", ABSOLUTE: "mae"}
"""What the card calls the measure that falls, or rises, with a loss."""

KINDS = {
    WRONG: "rise of the share of wrong decisions",
    BRIER: "rise of the Brier loss",
    ABSOLUTE: "rise of the absolute error",
}

NO_LABELS = (
    "no labelled rows so far: without labels nobody can see whether inputs still mean what they "
    "meant; send them as feedback"
)
NO_TRUTH = (
    "the reference does not say what was true of its rows: name that column in the card, as "
    "label.column, and register the version with a reference that has it, to watch this"
)
TOO_FEW_TRUE = (
    "too few rows of the reference have a truth that tells what they lost: register the version "
    "with more of them"
)
NO_EXPECTATION = (
    "the reference's truth does not tell what to expect of a score, so what inputs explain of a "
    "rise cannot be told apart"
)

_TALLIES = 7
_ROWS, _LOSS, _SQUARE, _KNOWN, _GAP, _GAP_SQUARE, _EXPECTED = range(_TALLIES)


def minute_of(times: Floats) -> int:
    """The minute since 1970 of the latest of some times in seconds, 0 where none is known."""
    known = times[np.isfinite(times)]
    return int(known.max() // 60) if len(known) else 0


class LossRise:
    """**Detector** of a loss that has risen: wrong decisions, Brier loss, absolute error.

    One signal for each that the task has and the reference knows, and one, `gap`, for how much of
    the rise of the first is more than the inputs let expect. Rows whose label was corrected are
    left out, as what was bet on the first label cannot be taken back.
    """

    def __init__(self, card: Card, profile: ReferenceProfile | None, settings: Monitors) -> None:
        self._card = card
        self._settings = settings
        self._minimum = settings.minimum_rows
        truth = profile.truth if profile else None
        self._losses = _watched(card, truth, settings) if card.label else []
        self._expectation: Expectation | None = expectation_of(card, truth)
        self._of_columns = card.task is Task.MULTICLASS
        self._silent: tuple[Signal, ...] = ()
        if card.label and not self._losses:
            monitor = Monitor("performance", "loss", 0.0, settings)
            self._silent = (monitor.silent("loss", NO_TRUTH if truth is None else TOO_FEW_TRUE),)
        self._known = 0

    def update(self, block: SampleBlock) -> None:
        """What has no truth yet says nothing here."""

    def judge(self, block: JudgedBlock) -> None:
        """Take in rows whose truth has come."""
        first = block.first
        if not self._losses or not first.any():
            return
        columns = block.score_columns
        rows = Rows(
            block.scores[first],
            None if columns is None else columns[first],
            block.decisions[first],
        )
        lost = _lost(self._card.task, rows, block.labels[first])
        expected: Mapping[str, Floats] = {}
        # Of many classes the score is not kept until the truth comes, only the decision.
        if self._expectation is not None and (columns is not None or not self._of_columns):
            expected = self._expectation.of(rows).values
        minute = minute_of(block.labelled_at[first])
        for at, each in enumerate(self._losses):
            if each.name in lost:
                known = each.take(lost[each.name], expected.get(each.name), minute)
                self._known += known if at == 0 else 0

    def signals(self) -> tuple[Signal, ...]:
        """One signal for each loss, and what inputs do not explain of the first."""
        said = tuple(each.signal() for each in self._losses)
        return (*said, *((self._gap(),) if self._losses else ()), *self._silent)

    def _gap(self) -> Signal:
        monitor = Monitor("performance", "loss", 0.0, self._settings)
        first = self._losses[0]
        if self._expectation is None or first.name not in self._expectation.names:
            return monitor.silent(GAP, NO_EXPECTATION, self._known)
        rows, value, half = first.gap()
        lacking = max(self._minimum - rows, 0)
        if lacking:
            why = NO_LABELS if not self._known else f"{rows} labelled rows so far"
            return replace(monitor.silent(GAP, why, self._known), rows_needed=lacking)
        return Signal(
            "performance",
            "loss",
            GAP,
            Verdict.OK,
            self._known,
            value=value,
            lower=value - half,
            upper=value + half,
            message=(
                f"{first.name}: realised less expected of the same {rows:,} rows, {value:+.3f} "
                f"({value - half:+.3f} to {value + half:+.3f}); nobody is paged on this alone"
            ),
        )

    def rearm(self, subject: str) -> None:
        """Begin anew with one loss."""
        for each in self._losses:
            if each.name == subject:
                each.begin()

    def state(self) -> State:
        """All that must be remembered."""
        own = {"known": np.array(self._known, dtype=np.int64)}
        return packed({"detector": own, **{each.name: each.risk.state() for each in self._losses}})

    def restore(self, state: State) -> None:
        """Go on from a state; `ValueError` where it is not one of these losses."""
        self._known = int(unpacked(state, "detector")["known"])
        for each in self._losses:
            held = unpacked(state, each.name)
            if not held:
                message = f"a state without the loss '{each.name}'"
                raise ValueError(message)
            each.risk.restore(held)


def _lost(task: Task, rows: Rows, labels: Floats) -> Mapping[str, Floats]:
    """What rows have lost; of a class also where its score is not there any more."""
    lost = realised(task, rows.scores, rows.columns, rows.decisions, labels)
    if lost or task not in (Task.BINARY, Task.MULTICLASS) or rows.decisions is None:
        return lost
    unknown = np.isnan(rows.decisions) | np.isnan(labels)
    return {WRONG: np.where(unknown, np.nan, (rows.decisions != labels).astype(np.float64))}


def _watched(card: Card, truth: Truth | None, settings: Monitors) -> list[_Loss]:
    if truth is None:
        return []
    tolerated = card.performance.tolerance if card.performance else {}
    found = [name for name in KINDS if name in truth.spread]
    return [
        _Loss(name, truth.spread[name], truth.losses[name].mean, tolerated, settings)
        for name in found
        if sum(truth.spread[name].on_knots) >= REFERENCE_ROWS_MIN
    ]


class _Loss:
    """One loss: what the reference has of it, and what came since.

    Inside, losses are parts of their limit; outside, they are in their own unit. Beyond the limit
    a loss counts as the limit: `mean` is that of the reference without one, which is what a
    calibrator expects.
    """

    def __init__(
        self,
        name: str,
        spread: Spread,
        mean: float,
        tolerated: Mapping[str, float],
        settings: Monitors,
    ) -> None:
        self.name = name
        self._limit = spread.limit
        self._mode = settings.alarm_mode
        self._reference = np.array(spread.on_knots, dtype=np.float64)
        self._rows = float(self._reference.sum())
        self._mean, self._variance = mean_and_variance(self._reference)
        cut = self._mean * self._limit / mean if mean > 0 else 1.0
        self._of_expected = cut / self._limit
        usual = RISE_FLOORS.get(name, ABSOLUTE_FLOOR * self._mean * self._limit)
        floor = tolerated.get(MEASURES[name], usual)
        self._monitor = Monitor("performance", "loss", floor, settings)
        self.begin()

    def begin(self) -> None:
        """Forget what came."""
        self.risk = RisingRisk(self._reference, _TALLIES, self._mode)

    def take(self, lost: Floats, expected: Floats | None, minute: int) -> int:
        """Take in what rows lost, and what was expected of them; says of how many that is known."""
        there = np.isfinite(lost)
        if not there.any():
            return 0
        losses = np.clip(lost[there] / self._limit, 0.0, 1.0)
        tallies = np.zeros((len(losses), _TALLIES))
        tallies[:, _ROWS], tallies[:, _LOSS], tallies[:, _SQUARE] = 1.0, losses, losses**2
        known = np.zeros(len(losses), dtype=np.bool_)
        if expected is not None:
            known = np.isfinite(expected[there])
            awaited = np.clip(expected[there][known] * self._of_expected, 0.0, 1.0)
            gap = losses[known] - awaited
            tallies[known, _KNOWN], tallies[known, _EXPECTED] = 1.0, awaited
            tallies[known, _GAP], tallies[known, _GAP_SQUARE] = gap, gap**2
        self.risk.update(losses, parts(tallies), minute)
        return int(known.sum())

    def signal(self) -> Signal:
        """What is to be said about this loss."""
        rows = round(whole(self.risk.tallied)[_ROWS])
        effect = self._effect()
        signal = self._monitor.signal(self.name, rows, self.risk.log_wealth(), effect)
        if effect is None:
            return replace(signal, message=NO_LABELS)
        if signal.value is None:
            return signal
        now = self._mean * self._limit + effect.value
        message = (
            f"{signal.message} ({now:.3f} of {round(whole(self.risk.since_change())[_ROWS]):,} "
            f"labelled rows, {self._mean * self._limit:.3f} in the reference)"
        )
        # The bet was on a rise: that a loss fell is no alarm, however sure it is.
        fell = signal.verdict is Verdict.ALARM and effect.value <= 0
        return replace(signal, message=message, verdict=Verdict.OK if fell else signal.verdict)

    def _effect(self) -> Effect | None:
        tallied = whole(self.risk.since_change())
        rows, loss = tallied[_ROWS], tallied[_LOSS]
        if not rows:
            return None
        kind = KINDS[self.name]
        if self.name == WRONG:
            change = share_change((self._mean * self._rows, self._rows), (loss, rows))
            return replace(change, kind=kind)
        mean = loss / rows
        variance = max(tallied[_SQUARE] / rows - mean**2, self._variance)
        half = Z99_ONE_SIDED * sqrt(variance / rows + self._variance / self._rows)
        bounds = (self._limit * (mean - self._mean + side) for side in (0.0, -half, half))
        return Effect(kind, *bounds)

    def gap(self) -> tuple[int, float, float]:
        """Rows, how much more they lost than expected in the mean, and half of its 95 % interval.

        The reference's own noise is in it, as of one that has as many rows to choose as to count.
        """
        tallied = whole(self.risk.since_change())
        rows = round(tallied[_KNOWN])
        if not rows:
            return 0, 0.0, 0.0
        mean = tallied[_GAP] / rows
        variance = max(tallied[_GAP_SQUARE] / rows - mean**2, self._variance)
        half = Z95 * sqrt(variance / rows + self._variance / self._rows)
        return rows, self._limit * mean, self._limit * half

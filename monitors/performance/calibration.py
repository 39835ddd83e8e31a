"""Concept drift by calibration: whether outcomes still come as often as scores say."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from configs.settings import Monitors
from monitors.blocks import SampleBlock
from monitors.labels.judged import JudgedBlock
from monitors.performance.calibrator import ROWS_MIN, Curve
from monitors.performance.loss import NO_LABELS, NO_TRUTH, TOO_FEW_TRUE, minute_of
from monitors.profile.reference import ReferenceProfile
from monitors.profile.truth import Calibrator, Truth
from monitors.signal import Signal, State
from monitors.stats.effects import Effect
from monitors.stats.intervals import Z99_ONE_SIDED
from monitors.stats.miscalibration import Miscalibration
from monitors.stats.row_blocks import Counts, parts, whole
from monitors.verdicts import Monitor
from registry.card import Card, Task

Floats = NDArray[np.float64]

ZONES = 5
MARGIN_MIN = 0.02
"""Nobody bets that a chance is off by less."""

GAP_FLOOR = 0.03
"""Difference between outcomes and chances in a zone of the score below which nobody is paged."""

_SURE = 2.576
"""Standard errors of a two-sided 99 % interval."""

SUBJECT = "score"
_TALLIES = 4
_ROWS, _HITS, _CHANCES, _VARIANCES = range(_TALLIES)


@dataclass(frozen=True, slots=True)
class Zones:
    """Steps of a calibrator, (steps,), put together to a few zones, (zones,), of many rows each.

    `chances` are those of the steps, moved so that each zone has as many outcomes as expected in
    the half of the reference that is counted; `margins` say how surely that half knows it.
    """

    of_step: NDArray[np.intp]
    chances: Floats
    margins: Floats
    errors: Floats
    names: tuple[str, ...]

    @property
    def count(self) -> int:
        """How many zones there are."""
        return len(self.names)


def zones_of(calibrator: Calibrator) -> Zones:
    """The zones of a calibrator that has counted some rows."""
    rows, hits = np.array(calibrator.counted), np.array(calibrator.counted_hits)
    middles = (np.cumsum(rows) - rows / 2) / rows.sum()
    _, of_step = np.unique(np.minimum(middles * ZONES, ZONES - 1).astype(int), return_inverse=True)
    count = int(of_step.max()) + 1
    chances = np.array(calibrator.chances)
    in_zone = np.maximum(np.bincount(of_step, rows, count), 1)
    came = np.bincount(of_step, hits, count)
    moved = (came - np.bincount(of_step, rows * chances, count)) / in_zone
    share = (came + 1) / (in_zone + 2)
    errors = np.sqrt(share * (1 - share) / in_zone)
    return Zones(
        of_step,
        np.clip(chances + moved[of_step], 0.0, 1.0),
        np.maximum(MARGIN_MIN, _SURE * errors),
        errors,
        tuple(_name(calibrator.edges, np.flatnonzero(of_step == zone)) for zone in range(count)),
    )


def _name(edges: tuple[float, ...], steps: NDArray[np.intp]) -> str:
    first, last = int(steps[0]), int(steps[-1])
    if first == 0 and last == len(edges):
        return "of any size"
    if first == 0:
        return f"up to {edges[last]:.3g}"
    return f"above {edges[first - 1]:.3g}" + (
        f" up to {edges[last]:.3g}" if last < len(edges) else ""
    )


class CalibrationDrift:
    """**Detector** of outcomes that come more, or less, often than the calibrated score says.

    For binary tasks. One signal, whose effect is that of the zone of the score that is surely off
    by the most.
    """

    def __init__(self, card: Card, profile: ReferenceProfile | None, settings: Monitors) -> None:
        self._monitor = Monitor("performance", "miscalibration", GAP_FLOOR, settings)
        self._silent: tuple[Signal, ...] = ()
        self._zones: Zones | None = None
        if card.label is None or card.task is not Task.BINARY:
            return
        truth = profile.truth if profile else None
        calibrator = _calibrator(truth)
        if calibrator is None:
            why = NO_TRUTH if truth is None else TOO_FEW_TRUE
            self._silent = (self._monitor.silent(SUBJECT, why),)
            return
        self._curve = Curve(calibrator)
        self._zones = zones_of(calibrator)
        self._begin(self._zones)

    def _begin(self, zones: Zones) -> None:
        mode = self._monitor.settings.alarm_mode
        self._fold = Miscalibration(zones.count, zones.count * _TALLIES, mode)

    def update(self, block: SampleBlock) -> None:
        """What has no truth yet says nothing here."""

    def judge(self, block: JudgedBlock) -> None:
        """Take in rows whose truth has come."""
        zones = self._zones
        if zones is None:
            return
        steps = self._curve.steps(block.scores)
        there = block.first & (steps >= 0) & np.isin(block.labels, (0.0, 1.0))
        if not there.any():
            return
        steps, outcomes = steps[there], block.labels[there]
        where, chances = zones.of_step[steps], zones.chances[steps]
        self._fold.update(
            outcomes,
            chances,
            zones.margins[where],
            where,
            _tallies(outcomes, chances, where, zones.count),
            minute_of(block.labelled_at[there]),
        )

    def signals(self) -> tuple[Signal, ...]:
        """One signal about the score, none where the card gives nothing to do."""
        return self._silent if self._zones is None else (self._signal(self._zones),)

    def _signal(self, zones: Zones) -> Signal:
        rows = round(_by_zone(self._fold.tallied, zones)[:, _ROWS].sum())
        since = _by_zone(self._fold.since_change(), zones)
        found = [
            (_effect(*each), at) for at, each in enumerate(zip(since, zones.errors, strict=True))
        ]
        known = [(effect, at) for effect, at in found if effect is not None]
        if not known:
            signal = self._monitor.signal(SUBJECT, rows, self._fold.log_wealth(), None)
            return replace(signal, message=NO_LABELS)
        effect, at = max(known, key=lambda each: (each[0].at_least, abs(each[0].value)))
        signal = self._monitor.signal(SUBJECT, rows, self._fold.log_wealth(), effect)
        if signal.value is None:
            return signal
        return replace(signal, message=f"{signal.message} ({_shown(since[at], zones.names[at])})")

    def rearm(self, subject: str) -> None:
        """Begin anew with the score."""
        if subject == SUBJECT and self._zones is not None:
            self._begin(self._zones)

    def state(self) -> State:
        """All that must be remembered."""
        return self._fold.state() if self._zones is not None else {}

    def restore(self, state: State) -> None:
        """Go on from a state; `ValueError` where it is not one of such a score."""
        if self._zones is not None:
            self._fold.restore(state)


def _calibrator(truth: Truth | None) -> Calibrator | None:
    if truth is None or len(truth.calibrators) != 1:
        return None
    only = truth.calibrators[0]
    return only if min(sum(only.counted), sum(only.rows)) >= ROWS_MIN else None


def _tallies(outcomes: Floats, chances: Floats, where: NDArray[np.intp], zones: int) -> Counts:
    tallies = np.zeros((len(outcomes), zones, _TALLIES))
    each = (np.ones_like(outcomes), outcomes, chances, chances * (1 - chances))
    tallies[np.arange(len(outcomes)), where] = np.stack(each, axis=1)
    return parts(tallies.reshape(len(outcomes), -1))


def _by_zone(tallied: Counts, zones: Zones) -> Floats:
    return np.array(whole(tallied), dtype=np.float64).reshape(zones.count, _TALLIES)


def _effect(tallied: Floats, error: float) -> Effect | None:
    rows, hits, chances, variances = tallied.tolist()
    if rows < 0.5:
        return None
    share = (hits + 1) / (rows + 2)
    variance = max(variances / rows, share * (1 - share)) / rows
    half = Z99_ONE_SIDED * sqrt(variance + error**2)
    value = (hits - chances) / rows
    return Effect("outcomes less chances", value, value - half, value + half)


def _shown(tallied: Floats, zone: str) -> str:
    rows, hits, chances, _ = tallied.tolist()
    return (
        f"of {round(rows):,} labelled rows with scores {zone}, {hits / rows:.3f} came true, "
        f"{chances / rows:.3f} were expected"
    )

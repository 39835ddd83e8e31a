"""What monitors have to say, as the series of a snapshot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf

from monitors.blocks import Series
from monitors.signal import Signal, Verdict
from monitors.telemetry import names
from monitors.telemetry.state import SERIES_MAX

Arm = tuple[str, int, str]
"""A model, a version, and the arm it is in."""

DISTANCE_SUBJECTS_MAX = 100
"""Subjects whose distances one version in one arm may export as metrics; with more it has none."""


def signal_gauges(
    model: str, version: int, arm: str, signals: Iterable[Signal]
) -> dict[Series, float]:
    """The gauges of the signals of one version in one arm, for `Snapshot.gauges`.

    What a signal does not state (no bound, no evidence) has no series. Each signal has one series
    for every verdict, 1 for the one that holds and 0 for the others, so that a query for any
    verdict always finds an answer; so it is with the rows that it lacks.
    """
    gauges: dict[Series, float] = {}
    for signal in signals:
        key = (model, str(version), arm, signal.family, signal.name, signal.subject)
        stated = {
            names.SIGNAL_VALUE: signal.value,
            names.SIGNAL_LOWER: signal.lower,
            names.SIGNAL_UPPER: signal.upper,
            names.SIGNAL_EVIDENCE: signal.log10_evidence,
            names.SIGNAL_ROWS: float(signal.rows),
            names.SIGNAL_ROWS_NEEDED: _needed(signal),
        }
        gauges |= {(m.name, key): value for m, value in stated.items() if value is not None}
        for verdict in Verdict:
            holds = float(verdict is signal.verdict)
            gauges[names.SIGNAL_STATE.name, (*key, verdict.value)] = holds
    return gauges


def _needed(signal: Signal) -> float:
    lacks = signal.verdict is Verdict.INSUFFICIENT_DATA
    return float(signal.rows_needed or 0) if lacks else 0.0


def distances_told(signals: Iterable[Signal], room: int) -> int:
    """How many familiar distances of one version in one arm are told where there is this `room`.

    They are seven series a subject, and one metric may have `SERIES_MAX` of them over all models.
    So an arm with more than `DISTANCE_SUBJECTS_MAX` subjects exports none, nor does one for which
    no room is left. The API has them all.
    """
    counts = [len(signal.distances) for signal in signals if signal.distances]
    return sum(counts) if len(counts) <= DISTANCE_SUBJECTS_MAX and sum(counts) <= room else 0


def distance_gauges(
    model: str, version: int, arm: str, signals: Iterable[Signal]
) -> dict[Series, float]:
    """The gauges of the familiar distances of one version in one arm, for `Snapshot.gauges`."""
    gauges: dict[Series, float] = {}
    for signal in signals:
        key = (model, str(version), arm, signal.family, signal.name, signal.subject)
        for distance in signal.distances:
            of_distance = (*key, distance.name)
            gauges[names.SIGNAL_DISTANCE.name, of_distance] = distance.value
            gauges[names.SIGNAL_DISTANCE_LOWER.name, of_distance] = distance.lower
            gauges[names.SIGNAL_DISTANCE_UPPER.name, of_distance] = distance.upper
    return gauges


class Telling:
    """Which versions' signals are to be told: of changed ones at once, of the others seldom.

    Whoever is told forgets who says nothing for long; the others are told again after `again_s`.
    """

    def __init__(self, again_s: float) -> None:
        self._again_s = again_s
        self._told: dict[Arm, tuple[Sequence[Signal], float]] = {}

    def parts(
        self, arms: Iterable[tuple[Arm, Sequence[Signal]]], now: float
    ) -> dict[Arm, dict[Series, float]]:
        """The gauges of all of whom it is time to tell, at `now`, in seconds."""
        due: dict[Arm, dict[Series, float]] = {}
        told: dict[Arm, tuple[Sequence[Signal], float]] = {}
        room = SERIES_MAX
        for arm, signals in arms:
            distances = distances_told(signals, room)
            room -= distances
            told[arm] = self._told.get(arm, (signals, -inf))
            last, at = told[arm]
            if signals is last and now - at < self._again_s:
                continue
            told[arm] = (signals, now)
            due[arm] = signal_gauges(*arm, signals)
            if distances:
                due[arm] |= distance_gauges(*arm, signals)
        self._told = told
        return due

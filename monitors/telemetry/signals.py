"""What monitors have to say, as the series of a snapshot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from monitors.blocks import Series
from monitors.signal import Signal, Verdict
from monitors.telemetry import names
from monitors.telemetry.state import SERIES_MAX

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


Arm = tuple[str, int, str, Sequence[Signal]]
"""A model, a version, the arm it is in, and its signals."""


def distance_gauges(arms: Iterable[Arm]) -> dict[Series, float]:
    """The gauges of the familiar distances of all arms, for `Snapshot.gauges`.

    They are seven series a subject, and one metric may have `SERIES_MAX` of them over all models.
    So an arm with more than `DISTANCE_SUBJECTS_MAX` subjects exports none, nor does one for which
    no room is left. The API has them all.
    """
    gauges: dict[Series, float] = {}
    room = SERIES_MAX
    for model, version, arm, signals in arms:
        with_distances = [signal for signal in signals if signal.distances]
        needed = sum(len(signal.distances) for signal in with_distances)
        if len(with_distances) > DISTANCE_SUBJECTS_MAX or needed > room:
            continue
        room -= needed
        for signal in with_distances:
            key = (model, str(version), arm, signal.family, signal.name, signal.subject)
            for distance in signal.distances:
                of_distance = (*key, distance.name)
                gauges[names.SIGNAL_DISTANCE.name, of_distance] = distance.value
                gauges[names.SIGNAL_DISTANCE_LOWER.name, of_distance] = distance.lower
                gauges[names.SIGNAL_DISTANCE_UPPER.name, of_distance] = distance.upper
    return gauges

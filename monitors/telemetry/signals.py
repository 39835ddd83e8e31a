"""What monitors have to say, as the series of a snapshot."""

from __future__ import annotations

from collections.abc import Iterable

from monitors.blocks import Series
from monitors.signal import Signal, Verdict
from monitors.telemetry import names


def signal_gauges(
    model: str, version: int, arm: str, signals: Iterable[Signal]
) -> dict[Series, float]:
    """The gauges of the signals of one version in one arm, for `Snapshot.gauges`.

    What a signal does not state (no bound, no evidence) has no series. Each signal has one series
    for every verdict, 1 for the one that holds and 0 for the others, so that a query for any
    verdict always finds an answer.
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
        }
        gauges |= {(m.name, key): value for m, value in stated.items() if value is not None}
        for verdict in Verdict:
            holds = float(verdict is signal.verdict)
            gauges[names.SIGNAL_STATE.name, (*key, verdict.value)] = holds
    return gauges

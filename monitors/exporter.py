"""The exporter: folds the counts of all processes and gives them to whoever asks."""

from __future__ import annotations

import threading
import time

from monitors.blocks import Snapshot
from monitors.telemetry.prometheus import page
from monitors.telemetry.state import MetricPoints, TelemetryState

_SILENT_S = 15.0
_SILENT_PERIODS = 3


class Exporter:
    """One state, from which the Prometheus page and OTLP are made.

    A source that says nothing for three of its periods, of `period_s` seconds at most, has gone.
    """

    def __init__(self, period_s: float) -> None:
        self._state = TelemetryState(silent_s=max(_SILENT_S, _SILENT_PERIODS * period_s))
        self._lock = threading.Lock()

    def fold(self, snapshot: Snapshot) -> None:
        """Take in the counts of one source."""
        with self._lock:
            self._state.fold(snapshot, time.monotonic())

    def collect(self) -> tuple[MetricPoints, ...]:
        """Give the totals over all sources."""
        with self._lock:
            self._state.retire(time.monotonic())
            return self._state.collect()

    def page(self, accept: str) -> tuple[bytes, str]:
        """Give the Prometheus page and its content type."""
        return page(self.collect(), accept)

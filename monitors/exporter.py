"""The exporter: folds the counts of all processes and tells them to whoever asks."""

from __future__ import annotations

import threading
import time
from importlib.metadata import version

from configs.settings import Telemetry
from monitors.blocks import Snapshot
from monitors.telemetry import names
from monitors.telemetry.otlp import OtlpExport, Span, metrics_data
from monitors.telemetry.prometheus import page
from monitors.telemetry.state import MetricPoints, TelemetryState

_PATIENCE_S = 2.0


class Exporter:
    """One state, two ways out: the Prometheus page on request, OTLP every `export_s`."""

    def __init__(self, settings: Telemetry, instance: str) -> None:
        self._state = TelemetryState()
        self._lock = threading.Lock()
        self._started_ns = time.time_ns()
        self._resource = {
            "service.name": "weir",
            "service.version": version("weir-gateway"),
            "service.instance.id": instance,
        }
        self._sequence = 0
        self._otlp: OtlpExport | None = None
        self._stop = threading.Event()
        if settings.otlp_endpoint is not None:
            self._otlp = OtlpExport(settings.otlp_endpoint, settings.otlp_protocol)
            self._thread = threading.Thread(
                target=self._export_every, args=(settings.export_s,), name="weir-otlp", daemon=True
            )
            self._thread.start()

    def fold(self, snapshot: Snapshot) -> None:
        """Take in the counts of one source."""
        with self._lock:
            self._state.fold(snapshot, time.monotonic())

    def page(self, accept: str) -> tuple[bytes, str]:
        """Give the Prometheus page and its content type."""
        return page(self._collect(), accept)

    def close(self) -> None:
        """Export once more, and end."""
        if self._otlp is not None:
            self._stop.set()
            self._thread.join(_PATIENCE_S)
            self._otlp.close()

    def _collect(self) -> tuple[MetricPoints, ...]:
        with self._lock:
            self._state.retire(time.monotonic())
            return self._state.collect()

    def _export_every(self, seconds: float) -> None:
        stopped = False
        while not stopped:
            stopped = self._stop.wait(seconds)
            self._export()

    def _export(self) -> None:
        if self._otlp is None:
            return
        failures = self._otlp.failures
        span = Span(self._started_ns, time.time_ns())
        self._otlp.export(metrics_data(self._collect(), self._resource, span))
        if self._otlp.failures > failures:
            self._sequence += 1
            self.fold(
                Snapshot(
                    "exporter",
                    self._sequence,
                    {(names.MONITOR_FAILURES.name, ("otlp",)): self._otlp.failures},
                )
            )

"""The push: the exporter's totals over OTLP, every so often, from a thread that may wait."""

from __future__ import annotations

import threading
import time
from importlib.metadata import version

from configs.settings import Telemetry
from monitors.blocks import Series, Snapshot
from monitors.exporter import Exporter
from monitors.telemetry import names
from monitors.telemetry.otlp import OtlpExport, Span, metrics_data

_SOURCE = "push"
_LAST_S = 2.0


class Push:
    """Exports every `export_s`; failures are counted among the exporter's own totals."""

    def __init__(self, exporter: Exporter, settings: Telemetry, instance: str) -> None:
        if settings.otlp_endpoint is None:
            raise ValueError("there is no OTLP endpoint to push to")
        self._exporter = exporter
        self._otlp = OtlpExport(settings.otlp_endpoint, settings.otlp_protocol)
        self._every_s = settings.export_s
        self._started_ns = time.time_ns()
        self._resource = {
            "service.name": "weir",
            "service.version": version("weir-gateway"),
            "service.instance.id": instance,
        }
        self._sequence = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="weir-otlp", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Export once more, and end."""
        self._stop.set()
        self._thread.join(_LAST_S)
        self._otlp.close()

    def _run(self) -> None:
        stopped = False
        while not stopped:
            stopped = self._stop.wait(self._every_s)
            self._export()

    def _export(self) -> None:
        span = Span(self._started_ns, time.time_ns())
        if not self._otlp.export(metrics_data(self._exporter.collect(), self._resource, span)):
            self._sequence += 1
            failures: dict[Series, int] = {
                (names.MONITOR_FAILURES.name, ("otlp",)): self._otlp.failures
            }
            self._exporter.fold(Snapshot(_SOURCE, self._sequence, failures))

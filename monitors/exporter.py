"""The exporter: folds the counts of all processes and gives them to whoever asks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from monitors.blocks import Snapshot
from monitors.telemetry.prometheus import content_type, page
from monitors.telemetry.state import MetricPoints, TelemetryState

_SILENT_S = 15.0
_SILENT_PERIODS = 3

_LONG_S = 0.02
_GIVEN_AGAIN = 4
"""A page that took longer than this many seconds is given again for so many times as long."""


@dataclass(frozen=True, slots=True)
class _Page:
    """A page that was made, and until when it is good enough."""

    text: bytes
    good_until: float


class Exporter:
    """One state, from which the Prometheus page and OTLP are made.

    A source that says nothing for three of its periods, of `period_s` seconds at most, has gone.
    """

    def __init__(self, period_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pages: dict[str, _Page] = {}
        self._state = TelemetryState(silent_s=max(_SILENT_S, _SILENT_PERIODS * period_s))
        self._lock = threading.Lock()

    def fold(self, snapshot: Snapshot) -> None:
        """Take in the counts of one source."""
        with self._lock:
            self._state.fold(snapshot, self._clock())

    def collect(self) -> tuple[MetricPoints, ...]:
        """Give the totals over all sources."""
        with self._lock:
            self._state.retire(self._clock())
            return self._state.collect()

    def page(self, accept: str) -> tuple[bytes, str]:
        """Give the Prometheus page and its content type.

        A page that took long to make is given again for some times as long, so that whoever asks
        more often than pages can be made does not have the counts wait.
        """
        kind = content_type(accept)
        began = self._clock()
        kept = self._pages.get(kind)
        if kept is not None and began < kept.good_until:
            return kept.text, kind
        text, _ = page(self.collect(), accept)
        ended = self._clock()
        if ended - began > _LONG_S:
            self._pages[kind] = _Page(text, ended + _GIVEN_AGAIN * (ended - began))
        return text, kind

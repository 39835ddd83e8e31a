"""Exact cumulative counts: a list increment on the request path, a snapshot off it."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping

from monitors.blocks import HistogramCounts, Series, Snapshot
from monitors.telemetry.names import Metric


class Histogram:
    """Counts of values by bucket; the bounds are inclusive upper bounds."""

    __slots__ = ("_bounds", "buckets", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self.buckets = [0] * (len(bounds) + 1)
        self.total = 0.0

    def record(self, value: float) -> None:
        """Count one value."""
        self.buckets[bisect_left(self._bounds, value)] += 1
        self.total += value


class Counts:
    """All counts of one process since it started.

    One thread counts; another may take a snapshot at any moment.
    """

    def __init__(self) -> None:
        self._counters: defaultdict[Series, int] = defaultdict(int)
        self._histograms: dict[Series, Histogram] = {}

    def histogram(self, metric: Metric, *attributes: str) -> Histogram:
        """Give the live histogram of a series, to be kept and recorded into."""
        series = (metric.name, attributes)
        if series not in self._histograms:
            self._histograms[series] = Histogram(metric.bounds)
        return self._histograms[series]

    def add(self, metric: Metric, *attributes: str, by: int = 1) -> None:
        """Count something."""
        self._counters[metric.name, attributes] += by

    def snapshot(
        self, source: str, sequence: int, gauges: Mapping[Series, float] | None = None
    ) -> Snapshot:
        """Give the counts as they are now."""
        return Snapshot(
            source=source,
            sequence=sequence,
            counters=dict(self._counters),
            histograms={
                series: HistogramCounts(tuple(histogram.buckets), histogram.total)
                for series, histogram in self._histograms.copy().items()
            },
            gauges=gauges or {},
        )

"""Snapshots for tests: every metric of the registry, and random ones."""

from __future__ import annotations

from hypothesis import strategies as st

from monitors.blocks import HistogramCounts, Series, Snapshot
from monitors.telemetry import names
from monitors.telemetry.names import Kind, Metric

_VALUES = {
    names.MODEL: "credit",
    names.VERSION: "2",
    names.ARM: "stable",
    names.ERROR_TYPE: "",
    names.HTTP_STATUS: "200",
    names.STATE: "ok",
    names.DISTANCE: "psi",
}
_OURS = (names.TELEMETRY_SOURCES, names.TELEMETRY_REFUSED)

REPORTED = tuple(metric for metric in names.METRICS.values() if metric not in _OURS)
"""The metrics that sources report; the fold makes the other two."""


def series_of(metric: Metric, **given: str) -> Series:
    """A series of the metric with plausible values; `given` replaces them, dots as underscores."""
    values = [
        given.get(name.replace(".", "_"), _VALUES.get(name, name)) for name in metric.attributes
    ]
    return metric.name, tuple(values)


def everything(source: str = "gateway-1", sequence: int = 1, count: int = 3) -> Snapshot:
    """A snapshot with one series of every metric; counts grow with `count`."""
    counters: dict[Series, int] = {}
    histograms: dict[Series, HistogramCounts] = {}
    gauges: dict[Series, float] = {}
    for metric in REPORTED:
        series = series_of(metric)
        if metric.kind is Kind.COUNTER:
            counters[series] = count
        elif metric.kind is Kind.HISTOGRAM:
            histograms[series] = counts_of(metric, count)
        else:
            gauges[series] = count / 4
    return Snapshot(source, sequence, counters, histograms, gauges)


def counts_of(metric: Metric, count: int) -> HistogramCounts:
    """A histogram's counts with `count` in every bucket."""
    return HistogramCounts((count,) * (len(metric.bounds) + 1), count / 8)


_TEXT = st.text('aZ0_ "\\\n{},=#é漢😀', max_size=8)
_COUNT = st.integers(0, 2**40)
_READING = st.floats(-1e12, 1e12)


@st.composite
def any_series(draw: st.DrawFn, metrics: tuple[Metric, ...]) -> Series:
    """A series that the registry accepts, with any text in its attributes."""
    metric = draw(st.sampled_from(metrics))
    integers = st.integers(1, 999).map(str)
    values = [
        draw(integers if names.ATTRIBUTES[name].integer else _TEXT) for name in metric.attributes
    ]
    return metric.name, tuple(values)


@st.composite
def any_snapshot(draw: st.DrawFn) -> Snapshot:
    """A snapshot that the registry accepts."""
    by_kind = {kind: tuple(m for m in REPORTED if m.kind is kind) for kind in Kind}
    counters = st.dictionaries(any_series(by_kind[Kind.COUNTER]), _COUNT, max_size=4)
    readings = (*by_kind[Kind.GAUGE], *by_kind[Kind.UP_DOWN_COUNTER])
    gauges = st.dictionaries(any_series(readings), _READING, max_size=4)
    histograms = {}
    for series in draw(st.sets(any_series(by_kind[Kind.HISTOGRAM]), max_size=3)):
        size = len(names.METRICS[series[0]].bounds) + 1
        buckets = draw(st.lists(_COUNT, min_size=size, max_size=size))
        histograms[series] = HistogramCounts(tuple(buckets), draw(st.floats(0, 1e9)))
    return Snapshot("source", draw(st.integers(0, 9)), draw(counters), histograms, draw(gauges))

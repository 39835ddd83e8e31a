"""The Prometheus page, and the names that metrics and attributes have on it.

Source of the translation: OpenTelemetry specification, "Prometheus and OpenMetrics
Compatibility", sections on metric metadata and on sums.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import Metric as Family
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from monitors.blocks import HistogramCounts
from monitors.telemetry.names import Kind, Metric
from monitors.telemetry.state import MetricPoints

_UNITS = {"s": "seconds", "By": "bytes"}


def prometheus_name(metric: Metric) -> str:
    """The name of the metric's family on the page, with its unit, and `_total` for counters.

    A histogram's series carry `_bucket`, `_count` or `_sum` after this name.
    """
    words = [metric.name.replace(".", "_"), _unit(metric)]
    if metric.kind is Kind.COUNTER:
        words.append("total")
    return "_".join(word for word in words if word)


def prometheus_label(attribute: str) -> str:
    """The name of the attribute as a label."""
    return attribute.replace(".", "_")


def content_type(accept: str = "") -> str:
    """The content type of the page that an Accept header asks for."""
    return choose_encoder(accept)[1]


def page(collected: Iterable[MetricPoints], accept: str = "") -> tuple[bytes, str]:
    """The page and its content type: OpenMetrics when the Accept header asks for it, else text."""
    encode, kind = choose_encoder(accept)
    return encode(_Collected(collected)), kind


class _Collected(Collector):
    """What was collected, in the terms of prometheus_client."""

    def __init__(self, collected: Iterable[MetricPoints]) -> None:
        self._collected = collected

    def collect(self) -> Iterator[Family]:
        return (_family(each) for each in self._collected)


def _unit(metric: Metric) -> str:
    if metric.unit == "1":
        return "ratio" if metric.kind is Kind.GAUGE else ""
    return _UNITS.get(metric.unit, "")


def _family(each: MetricPoints) -> Family:
    metric = each.metric
    name, unit = prometheus_name(metric), _unit(metric)
    labels = [prometheus_label(attribute) for attribute in metric.attributes]
    if metric.kind is Kind.HISTOGRAM:
        return _histogram(each, HistogramMetricFamily(name, metric.description, None, None, labels))
    family: CounterMetricFamily | GaugeMetricFamily
    if metric.kind is Kind.COUNTER:
        family = CounterMetricFamily(name, metric.description, labels=labels)
    else:
        family = GaugeMetricFamily(name, metric.description, labels=labels)
    family.unit = unit
    for point in each.points:
        if not isinstance(point.value, HistogramCounts):
            family.add_metric(point.attributes, point.value)
    return family


def _histogram(each: MetricPoints, family: HistogramMetricFamily) -> HistogramMetricFamily:
    family.unit = _unit(each.metric)
    uppers = [*(str(bound) for bound in each.metric.bounds), "+Inf"]
    for point in each.points:
        if isinstance(point.value, HistogramCounts):
            below, buckets = 0, []
            for upper, count in zip(uppers, point.value.buckets, strict=True):
                below += count
                buckets.append((upper, below))
            family.add_metric(point.attributes, buckets, point.value.total)
    return family
